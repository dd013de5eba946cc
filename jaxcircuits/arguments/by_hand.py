"""Seventh argument: a circuit written by hand for the preferred values does the units' work in their place."""

from __future__ import annotations

import functools

import jax
import numpy as np

from jaxcircuits.arguments.argument import Argument
from jaxcircuits.arguments.case import Case, Written
from jaxcircuits.arguments.chance import RESAMPLES, ends, judged
from jaxcircuits.circuits import ablate, patch
from jaxcircuits.evidence import stimuli, tuning
from jaxcircuits.evidence.handwritten import handwritten_curves
from jaxcircuits.network import Network

SHUFFLES = 20
CONTROLS = 39
"""Orders at random; the least p-value is 1 / 40."""


def by_hand(case: Case, written: Written | None) -> Argument:
    """The argument."""
    meaning = (
        "Part of what the next layer loses without the family that comes back when units written by hand stand in its "
        "place, each times one factor taken from other pictures."
    )
    if written is None and _is_curve(case):
        written = functools.partial(handwritten_curves, radius=_radius(case))
    if written is None:
        return Argument("by_hand", meaning, missing="no circuit for this stimulus was written by hand")
    above = case.above
    if above is None:
        return Argument("by_hand", meaning, missing=f"no stage reads {case.layer}")
    preferred = case.preferred[case.layer][case.family]
    hand = written(preferred)
    last = list(hand.layers)[-1]
    alike, unlike = _tuning(case, hand, last)
    names = [case.name(unit) for unit in case.family.tolist()]
    written_answers = on_the_grid(case, hand, last)
    seen = case.network.activations(jax.numpy.asarray(case.sample), case.layer)[case.layer]
    trained_answers = np.asarray(seen)[..., case.family]
    # Every other picture says how loud a unit has to be, and is not asked again.
    told, asked = slice(0, None, 2), slice(1, None, 2)
    sample = jax.numpy.asarray(case.sample[asked])
    intact = _answers(case.network, above, sample)
    lost = _changed(ablate(case.network, names), above, sample, intact)
    if not lost.sum() > 0:
        return Argument("by_hand", meaning, missing=f"{above} loses nothing without the family")

    def left(order: np.ndarray) -> np.ndarray:
        """The change of each picture with units written by hand in the family's places, in some order, each times the
        factor that suits best."""
        answers = written_answers[..., order]
        factors = _factors(answers[told], trained_answers[told])
        patched = patch(case.network, names, answers[asked] * factors)
        return _changed(patched, above, sample, intact)

    def restored(order: np.ndarray) -> float:
        return float(1 - left(order).sum() / lost.sum())

    rng = case.rng()
    own = left(np.arange(len(names)))
    chance = [restored(rng.permutation(len(names))) for _ in range(CONTROLS)]
    resampled = rng.integers(0, len(lost), (RESAMPLES, len(lost)))
    spread = 1 - own[resampled].sum(1) / np.maximum(lost[resampled].sum(1), 1e-30)
    opposite = case.apart(preferred[:, None] + case.period / 2, preferred).argmin(1)
    positions = {unit: i for i, unit in enumerate(case.family.tolist())}
    return Argument(
        "by_hand",
        meaning,
        **judged(1 - own.sum() / lost.sum(), np.array(chance)),
        against="the same units in each other's places",
        count=len(lost),
        interval=ends(spread) if len(lost) > 1 else None,
        units=case.named(np.array([alike[positions[unit]] for unit in case.units.tolist()])),
        figures={
            "units_are": "correlations of the tuning curves, trained and by hand",
            "tuning_correlation_median": float(np.median(alike)),
            "tuning_correlation_in_each_others_places": float(unlike),
            "restored_by_the_opposite_ones": restored(opposite),
        },
    )


def _is_curve(case: Case) -> bool:
    return case.tuning.stimulus == stimuli.curve.__name__ and case.parameter == "orientation"


def _radius(case: Case) -> float:
    """The radius that the family answers most, or the stimulus' own."""
    if "radius" in case.tuning.grid:
        return float(np.median(case.tuning.preferred(case.layer, "radius")[case.family]))
    return float(case.tuning.fixed.get("radius", 20.0))


def _tuning(case: Case, hand: Network, last: str) -> tuple[np.ndarray, float]:
    """How alike the tuning curves are, trained and by hand, and how alike they are in each other's places."""
    grid = {name: values for name, values in case.tuning.grid.items()}
    answers = tuning(hand, case.stimulus, grid, [last], size=case.size, progress=False)
    written = np.maximum(answers.along(last, case.parameter), 0)
    trained = np.maximum(case.tuning.along(case.layer, case.parameter)[case.family], 0)

    def alike(order: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.nan_to_num([np.corrcoef(one, other)[0, 1] for one, other in zip(trained, written[order])])

    rng, count = case.rng(), len(trained)
    unlike = np.mean([alike(rng.permutation(count)).mean() for _ in range(SHUFFLES)])
    return alike(np.arange(count)), float(unlike)


def _factors(written: np.ndarray, trained: np.ndarray) -> np.ndarray:
    """(units,): by what answers (n, h, w, units) are multiplied to be nearest to others; not negative."""
    written, trained = written.astype(np.float64), trained.astype(np.float64)
    own = np.maximum(np.square(written).sum((0, 1, 2)), 1e-12)
    return np.maximum((written * trained).sum((0, 1, 2)) / own, 0).astype(np.float32)


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


def _changed(network: Network, layer: str, pictures: jax.Array, intact: np.ndarray) -> np.ndarray:
    """(pictures,): how far a layer's activations are from those of the network as it is, as a sum of squares."""
    return np.square(_answers(network, layer, pictures) - intact).reshape(len(intact), -1).sum(1)


def _answers(network: Network, layer: str, pictures: jax.Array) -> np.ndarray:
    """A layer's activations to pictures, of which a patched network needs all at once."""
    return np.asarray(network.activations(pictures, layer)[layer], np.float64)
