"""Sixth argument: the units that a unit excites in the next layer answer less without it."""

from __future__ import annotations

import numpy as np

from jaxcircuits.arguments.argument import Argument
from jaxcircuits.arguments.case import Case
from jaxcircuits.arguments.chance import DRAWS, FEWEST_OTHERS, interval, judged
from jaxcircuits.circuits import ablate
from jaxcircuits.circuits.weights.direct import connecting_weights
from jaxcircuits.evidence.responses import responses
from jaxcircuits.network import Network

READERS = 5
CONTROLS = 4
"""Other units of the layer, as active on the same pictures, that are silenced for comparison with each, at least."""


def use(case: Case) -> Argument:
    """The argument."""
    meaning = (
        "Part of their answers that the units of the next layer which a unit excites most lose on its strongest "
        "examples when it is silent."
    )
    if case.above is None:
        return Argument("use", meaning, missing=f"no stage reads {case.layer}")
    weights = connecting_weights(case.network, case.layer, case.above, None)
    weights = np.maximum(weights, 0).reshape(len(weights), -1, weights.shape[-1])
    exciting = np.sqrt(np.square(weights, dtype=np.float64).sum(1))
    activity = responses(case.network, case.sample, [case.layer])[case.layer].mean(0)
    rest = np.setdiff1d(np.arange(len(activity)), case.family)
    if not rest.size:
        return Argument("use", meaning, missing=f"no unit of {case.layer} is outside the family")
    controls = max(CONTROLS, -(-FEWEST_OTHERS // len(case.units)))
    lost, read_by = [], {}
    for unit in case.units.tolist():
        readers = np.argsort(-exciting[:, unit], kind="stable")[:READERS]
        read_by[case.name(unit)] = [f"{case.above}:{reader}" for reader in readers.tolist()]
        pictures = _strongest(case, unit)
        before = _answers(case.network, case.above, pictures)[:, readers].sum()
        alike = rest[np.argsort(np.abs(activity[rest] - activity[unit]), kind="stable")][:controls]
        parts = []
        for silenced in [unit, *alike.tolist()]:
            silent = ablate(case.network, case.name(silenced))
            after = _answers(silent, case.above, pictures)[:, readers].sum()
            parts.append(1 - after / before if before > 0 else 0.0)
        lost.append(parts)
    parts = np.array(lost)
    own, rng = parts[:, 0], case.rng()
    # A unit in place of which one as active is silenced, or itself, each by lot.
    drawn = [np.mean(rng.permuted(parts, axis=1)[:, 0]) for _ in range(DRAWS)]
    return Argument(
        "use",
        meaning,
        **judged(own.mean(), np.array(drawn)),
        against=f"silencing the unit or one of {parts.shape[1] - 1} as active, for the same readers and pictures",
        count=len(own),
        interval=interval(own, case.rng()),
        units=case.named(own),
        figures={"read_by": read_by} | _decisions(case, activity),
    )


def _strongest(case: Case, unit: int) -> np.ndarray:
    numbers = case.examples[case.layer].pictures[unit, : case.count]
    shown = case.pictures.at(case.examples.seen.size, case.network.convention.channels)
    return np.stack([shown[number].image for number in numbers.tolist() if number >= 0])


def _answers(network: Network, layer: str, pictures: np.ndarray) -> np.ndarray:
    return np.maximum(responses(network, pictures, [layer])[layer], 0).astype(np.float64)


def _decisions(case: Case, activity: np.ndarray) -> dict[str, float]:
    """How often the network decides otherwise without the whole family, and without as many other units."""
    logits = case.network.logits
    if logits is None:
        return {}
    decided = responses(case.network, case.sample, [logits])[logits].argmax(1)
    rest = np.setdiff1d(np.arange(len(activity)), case.family)
    rest = rest[np.argsort(-activity[rest], kind="stable")][: 3 * len(case.family)]
    others = case.rng().permutation(rest)[: len(case.family)]
    figures: dict[str, float] = {"pictures": len(case.sample)}
    for name, silenced in (("without_the_family", case.family), ("without_as_many_others", others)):
        if len(silenced):
            edited = ablate(case.network, [case.name(unit) for unit in silenced.tolist()])
            figures[f"decisions_changed_{name}"] = float(
                (responses(edited, case.sample, [logits])[logits].argmax(1) != decided).mean()
            )
    return figures
