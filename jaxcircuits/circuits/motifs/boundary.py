"""Boundaries: excited by one family on one side and by another on the other, inhibited the other way round.

Schubert et al., High-Low Frequency Detectors (Distill 2021): units of mixed3a read high-frequency units positively on
one side and negatively on the other, and low-frequency units the other way round.
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
    shuffled,
    within_places,
)

if TYPE_CHECKING:
    from jaxtyping import Int, Num


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Boundary(Scored):
    """A unit that is excited by two families on either side of a boundary.

    Attributes:
      score: 0 to 1, see `boundaries`.
      null: (shuffles,): scores of the same unit's shuffled weights.
      unit: which.
      degrees: direction from the middle to the side where `here` excites, clockwise from +x as seen.
      here, there: channels that excite on that side and inhibit on the other, and the other way round, strongest
        first.
    """

    unit: int
    degrees: float
    here: Int[np.ndarray, " strongest"]
    there: Int[np.ndarray, " strongest"]


def boundaries(
    weights: Num[np.ndarray, "units h w sources"],
    *,
    count: int = 10,
    strongest: int = 5,
    shuffles: int = 200,
    seed: int = 0,
) -> list[Boundary]:
    """Finds units for boundaries between two families, best first, by weights alone.

    A boundary is a slope over the window, cos(t) x + sin(t) y, and v a unit's weights projected on the one that
    explains most of them. The score is that share of the weights' energy, less what the slope at right angles
    explains, times the balance of v's two signs: 1 for two families of equal strength.

    A unit's score is compared with those of its own slices in random poses: the higher of two, for slices as they are
    and for slices resized so that each place of its window is read as strongly as it is, which can only be estimated.
    Which channel a slice is for does not matter to it. So a small p-value says that slices lie to one another as at a
    boundary, whatever made them do so: a unit whose slices are all mixed from a few templates, as those of weights of
    low rank are, has it by the templates' poses alone (of random weights of rank 3, a third of the units are below
    0.05). The list is selected, so it is sorted by what holds
    for its first: the `adjusted_p_value`, over all units, and then the score.

    Args:
      weights: (units, h, w, channels), such as `expanded_weights` from conv2d2 to mixed3a.
      count: units to return, at most.
      strongest: channels of each family to name.
      shuffles: of the weights, for the null; no p-value is below 1 / (1 + shuffles).
      seed: of the shuffles.

    Returns:
      The `Boundary` of each.

    Raises:
      InputError: for weights of another shape.
    """
    weights = check_weights(weights)
    scores, angles, families = _measure(weights)
    ways = [lambda rng: shuffled(weights, rng), within_places(weights)]
    nulls = null_scores(lambda weights: _measure(weights)[0], ways, shuffles, seed)
    adjusted = against_search(scores, nulls)
    found = []
    for unit in best_first(scores, adjusted)[:count].tolist():
        order = np.argsort(-families[unit])
        found.append(
            Boundary(
                score=float(scores[unit]),
                null=nulls[:, unit],
                adjusted_p_value=float(adjusted[unit]),
                unit=unit,
                degrees=float(np.degrees(angles[unit]) % 360),
                here=order[:strongest],
                there=order[::-1][:strongest],
            )
        )
    return found


def _measure(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores (units,), angles (units,) and families (units, channels): the weights projected on the boundary."""
    _, height, width, _ = weights.shape
    rows, columns = np.indices((height, width), np.float32)
    slopes = np.stack([columns - (width - 1) / 2, rows - (height - 1) / 2])
    slopes /= np.maximum(np.linalg.norm(slopes, axis=(1, 2), keepdims=True), 1e-12)
    along = np.einsum("dhw,uhwc->udc", slopes, weights)  # the two are at right angles
    values, vectors = np.linalg.eigh(along @ along.transpose(0, 2, 1))
    direction = vectors[:, :, 1]
    families = np.einsum("ud,udc->uc", direction, along)
    energy = np.square(weights).sum((1, 2, 3))
    positive, negative = (np.square(np.maximum(sign * families, 0)).sum(1) for sign in (1, -1))
    balance = 2 * np.minimum(positive, negative) / np.maximum(positive + negative, 1e-12)
    scores = (values[:, 1] - values[:, 0]) / np.maximum(energy, 1e-12) * balance
    return scores, np.arctan2(direction[:, 1], direction[:, 0]), families
