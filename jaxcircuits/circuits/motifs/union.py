"""Union over cases: one unit excited by two that are for different cases, whose paths inhibit one another.

Olah et al., Zoom In (Distill 2020), "Oriented dog heads": units for heads that face left and units for heads that face
right, each inhibited by what excites the other, and a unit for heads that face either way excited by both.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from jaxcircuits.circuits.motifs.null import (
    Scored,
    against_search,
    best_first,
    check_weights,
    null_scores,
    with_random_signs,
)
from jaxcircuits.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Num


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class UnionOverCases(Scored):
    """A unit and the two cases that it unites.

    Attributes:
      score: geometric mean of the two excitations, times the cross-inhibition.
      null: (shuffles,): the same unit's best scores where the signs of the cases' slices are random.
      unit: that is excited by both cases, of the last layer.
      cases: the two units, of the layer between.
      excitation: of the unit by each case: norm of the positive weights over that of all the unit's weights.
      cross_inhibition: how much of the cases' weights is opposed, 0 to 0.5: in the same place, to the same channel,
        one positive and the other negative, either way round.
      sources: the channel that most excites the first case and inhibits the second, and the other way round.
    """

    unit: int
    cases: tuple[int, int]
    excitation: tuple[float, float]
    cross_inhibition: float
    sources: tuple[int, int]


def unions(
    first: Num[np.ndarray, "cases h w sources"],
    second: Num[np.ndarray, "units next_h next_w cases"],
    *,
    count: int = 10,
    strongest: int = 16,
    shuffles: int = 100,
    seed: int = 0,
) -> list[UnionOverCases]:
    """Finds units that unite two cases, best first, by weights alone.

    A unit's score is compared with its own where each case's slices excite or inhibit at random: every slice of `first`
    is negated or not, and `second` stays as it is. So both layers keep which channels are read, how strongly, and where
    in the window. A small p-value says that among the cases which excite the unit two are more opposed than their
    slices' sizes explain. It does not say that the unit prefers opposed cases: where many of a layer are opposed, units
    that read any of them have small ones. Cases or channels whose weights are mostly of one sign are less opposed than
    random signs make them, and the p-value is then too large rather than too small. The list is selected, so it is
    sorted by what holds for its first: the `adjusted_p_value`, over all units, and then the score.

    Args:
      first: weights of the cases, (cases, h, w, channels), such as `expanded_weights` from mixed4a to mixed4b.
      second: weights of the units that may unite them, (units, h, w, cases), from mixed4b to mixed4c.
      count: units to return, at most, each with its best pair of cases.
      strongest: inputs of a unit among which its cases are looked for.
      shuffles: of the first weights, for the null; no p-value is below 1 / (1 + shuffles).
      seed: of the shuffles.

    Returns:
      The `UnionOverCases`.

    Raises:
      InputError: for weights of another shape, or of layers that do not fit.
    """
    first, second = check_weights(first), check_weights(second)
    if second.shape[3] != len(first):
        raise InputError(f"second weights read {second.shape[3]} channels; the first are of {len(first)} units")
    if not 2 <= strongest <= len(first):
        raise InputError(f"strongest {strongest}; expected 2 to {len(first)} of the units between")
    cross = cross_inhibition(first)
    best, cases, excitation = _best_pairs(cross, second, strongest)

    def of_shuffled(first: np.ndarray) -> np.ndarray:
        return _best_pairs(cross_inhibition(first), second, strongest)[0]

    nulls = null_scores(of_shuffled, [with_random_signs(first)], shuffles, seed)
    adjusted = against_search(best, nulls)
    found = []
    for unit in best_first(best, adjusted)[:count].tolist():
        one, other = cases[unit].tolist()
        found.append(
            UnionOverCases(
                score=float(best[unit]),
                null=nulls[:, unit],
                adjusted_p_value=float(adjusted[unit]),
                unit=unit,
                cases=(one, other),
                excitation=tuple(excitation[unit].tolist()),
                cross_inhibition=float(cross[one, other]),
                sources=(_opposed_most(first[one], first[other]), _opposed_most(first[other], first[one])),
            )
        )
    return found


def cross_inhibition(weights: Num[np.ndarray, "units h w sources"]) -> Float[np.ndarray, "units units"]:
    """How much units' weights are opposed: where one is excited, the other is inhibited, and the other way round.

    Args:
      weights: (units, h, w, channels).

    Returns:
      (units, units), symmetric: with p and n the positive and negative parts of each unit's weights, brought to norm
      1, sqrt((p_i . n_j)(n_i . p_j)); 0.5 for weights that are each other's negative with as much of either sign.
    """
    flat = weights.reshape(len(weights), -1)
    flat = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    opposed = np.maximum(flat, 0) @ np.maximum(-flat, 0).T
    return np.sqrt(opposed * opposed.T)


def _best_pairs(cross: np.ndarray, second: np.ndarray, strongest: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each unit's best score (units,), the two cases (units, 2) and how they excite it (units, 2)."""
    norm = np.linalg.norm(second.reshape(len(second), -1), axis=1)
    excitation = np.linalg.norm(np.maximum(second, 0), axis=(1, 2)) / np.maximum(norm, 1e-12)[:, None]
    inputs = np.argsort(-excitation, axis=1)[:, :strongest]
    strength = np.take_along_axis(excitation, inputs, axis=1)
    scores = np.sqrt(strength[:, :, None] * strength[:, None]) * cross[inputs[:, :, None], inputs[:, None]]
    scores *= ~np.eye(strongest, dtype=bool)
    flat = scores.reshape(len(second), -1)
    pair = np.stack(np.unravel_index(flat.argmax(1), (strongest, strongest)), axis=1)
    return flat.max(1), np.take_along_axis(inputs, pair, axis=1), np.take_along_axis(strength, pair, axis=1)


def _opposed_most(excited: np.ndarray, inhibited: np.ndarray) -> int:
    """The channel that most excites one unit where it inhibits the other; both (h, w, channels)."""
    return int((np.maximum(excited, 0) * np.maximum(-inhibited, 0)).sum((0, 1)).argmax())
