"""Seventh argument: a circuit written by hand for the preferred values does the units' work in their place."""

from __future__ import annotations

import functools

import jax
import numpy as np

from jaxcircuits.arguments.argument import Argument
from jaxcircuits.arguments.case import Case, Written
from jaxcircuits.circuits import ablate, patch
from jaxcircuits.evidence import stimuli, tuning
from jaxcircuits.evidence.handwritten import handwritten_curves
from jaxcircuits.network import Network

SHUFFLES = 20
CONTROLS = 5


def by_hand(case: Case, written: Written | None) -> Argument:
    """The argument."""
    meaning = (
        "Part of what the next layer loses without the family that comes back when units written by hand stand in its "
        "place: 1 is all, below 0 it is worse than silence."
    )
    if written is None and _is_curve(case):
        written = functools.partial(handwritten_curves, radius=_radius(case))
    if written is None:
        return Argument("by_hand", meaning, missing="no circuit for this stimulus was written by hand")
    if case.above is None:
        return Argument("by_hand", meaning, missing=f"no stage reads {case.layer}")
    preferred = case.preferred[case.layer][case.family]
    hand = written(preferred)
    last = list(hand.layers)[-1]
    factors, alike, unlike = _tuning(case, hand, last)
    names = [case.name(unit) for unit in case.family.tolist()]
    own = on_the_grid(case, hand, last) * factors
    intact, silent = _seen(case, case.network), _seen(case, ablate(case.network, names))
    lost = np.square(silent - intact).sum()
    if not lost > 0:
        return Argument("by_hand", meaning, missing=f"{case.above} loses nothing without the family")

    def restored(activations: np.ndarray) -> float:
        return float(1 - np.square(_seen(case, patch(case.network, names, activations)) - intact).sum() / lost)

    rng = case.rng()
    orders = [rng.permutation(len(names)) for _ in range(CONTROLS)]
    chance = [restored(own[..., order]) for order in orders]
    opposite = case.apart(preferred[:, None] + case.period / 2, preferred).argmin(1)
    positions = {unit: i for i, unit in enumerate(case.family.tolist())}
    return Argument(
        "by_hand",
        meaning,
        value=restored(own),
        chance=float(np.mean(chance)),
        bound=float(max(chance)),
        against=f"{CONTROLS} times the same units in each other's places",
        count=len(case.sample),
        units=case.named(np.array([alike[positions[unit]] for unit in case.units.tolist()])),
        figures={
            "units_are": "correlations of the tuning curves, trained and by hand",
            "tuning_correlation_median": float(np.median(alike)),
            "tuning_correlation_in_each_others_places": float(unlike),
            "restored_by_the_opposite_ones": restored(own[..., opposite]),
        },
    )


def _is_curve(case: Case) -> bool:
    return case.tuning.stimulus == stimuli.curve.__name__ and case.parameter == "orientation"


def _radius(case: Case) -> float:
    """The radius that the family answers most, or the stimulus' own."""
    if "radius" in case.tuning.grid:
        return float(np.median(case.tuning.preferred(case.layer, "radius")[case.family]))
    return float(case.tuning.fixed.get("radius", 20.0))


def _tuning(case: Case, hand: Network, last: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Factors that give units written by hand the peaks of the trained ones, and how alike the curves are."""
    grid = {name: values for name, values in case.tuning.grid.items()}
    answers = tuning(hand, case.stimulus, grid, [last], size=case.size, progress=False)
    written = np.maximum(answers.along(last, case.parameter), 0)
    trained = np.maximum(case.tuning.along(case.layer, case.parameter)[case.family], 0)
    factors = (trained.max(1) / np.maximum(written.max(1), 1e-9)).astype(np.float32)

    def alike(order: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.nan_to_num([np.corrcoef(one, other)[0, 1] for one, other in zip(trained, written[order])])

    rng, count = case.rng(), len(trained)
    unlike = np.mean([alike(rng.permutation(count)).mean() for _ in range(SHUFFLES)])
    return factors, alike(np.arange(count)), float(unlike)


def on_the_grid(case: Case, hand: Network, last: str) -> np.ndarray:
    """What units written by hand answer to the sample, brought to the layer's map: the strongest of each cell."""
    height, width = case.network.shapes(case.sample.shape[1:3], [case.layer])[case.layer][:2]
    parts = []
    for start in range(0, len(case.sample), 16):
        values = np.asarray(hand.activations(case.sample[start : start + 16], last)[last])
        rows = np.arange(values.shape[1]) * height // values.shape[1]
        columns = np.arange(values.shape[2]) * width // values.shape[2]
        cells = np.maximum.reduceat(values, np.searchsorted(rows, np.arange(height)), axis=1)
        parts.append(np.maximum.reduceat(cells, np.searchsorted(columns, np.arange(width)), axis=2))
    return np.concatenate(parts)


def _seen(case: Case, network: Network) -> np.ndarray:
    """The next layer's activations to the whole sample, of which a patched network needs all at once."""
    return np.asarray(network.activations(jax.numpy.asarray(case.sample), case.above)[case.above], np.float64)
