"""Orientations of a family's units relative to one another, read off their weights.

A turn by a known angle that makes one unit into another says by how much their orientations differ. All such
differences together are a problem of angular synchronization (Singer, Angular Synchronization by Eigenvectors, 2011).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from jaxcircuits.circuits.motifs.equivariance import best_permutations
from jaxcircuits.circuits.motifs.null import Scored, across, check_weights, null_scores
from jaxcircuits.circuits.motifs.transforms import rotation
from jaxcircuits.errors import InputError
from jaxcircuits.p_values import among

if TYPE_CHECKING:
    from jaxtyping import Float, Integer, Num


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Orientations(Scored):
    """How units lie around the circle.

    Attributes:
      score: how far the differences found at all turns agree with one orientation a unit: 1 where they all do.
      null: (shuffles,): scores of shuffled weights, the higher of two shuffles, see `equivariance`.
      radians: (units,), clockwise as seen, in [0, 2 pi); the first unit's is 0, since weights have no absolute
        orientation.
    """

    radians: Float[np.ndarray, " units"]


def orientations(
    weights: Num[np.ndarray, "units h w sources"],
    *,
    steps: int = 12,
    sources: Integer[np.ndarray, " sources"] | None = None,
    shuffles: int = 20,
    seed: int = 0,
) -> Orientations:
    """Finds a family's orientations from its weights alone: no picture, and no channel matched to another.

    Weights are turned by every multiple of 360 / steps degrees and matched as in `equivariance`, no unit with itself.

    Args:
      weights: of the family, (units, h, w, channels); larger windows turn with less loss, so weights expanded from a
        few layers before serve better than those of a 5x5 kernel.
      steps: turns of a circle.
      sources: where each channel goes, where it goes to the same for all turns: `np.arange(3)` for weights to the
        input. None: to be found, at every turn anew.
      shuffles: of the weights, for the null.
      seed: of the shuffles.

    Returns:
      The `Orientations`.

    Raises:
      InputError: for weights of another shape, fewer than 3 units, fewer than 3 steps.
    """
    weights = check_weights(weights)
    if len(weights) < 3 or steps < 3:
        raise InputError(f"{len(weights)} units and {steps} steps; expected at least 3 of either")
    score, radians = _synchronized(weights, steps, sources)
    null = null_scores(lambda shuffled: _synchronized(shuffled, steps, sources)[0], across(weights), shuffles, seed)
    return Orientations(
        score=score,
        null=null,
        adjusted_p_value=among(score, null),
        radians=(radians - radians[0]) % (2 * np.pi),
    )


def _synchronized(weights: np.ndarray, steps: int, sources: np.ndarray | None) -> tuple[float, np.ndarray]:
    """Agreement of all differences, and the orientations."""
    # Entry (i, k) points by the turn that makes unit i into unit k, as strongly as they match.
    differences = np.zeros((len(weights), len(weights)), complex)
    for step in range(1, steps):
        turn = 2 * np.pi * step / steps
        found = best_permutations(weights, rotation(np.degrees(turn)), sources, exchange=True)
        differences[np.arange(len(found.units)), found.units] += np.maximum(found.cosines, 0) * np.exp(1j * turn)
    differences += differences.conj().T
    # Its leading eigenvector is exp(-i orientation).
    radians = -np.angle(np.linalg.eigh(differences)[1][:, -1])
    expected = np.exp(1j * (radians - radians[:, None]))
    return float(np.real(differences * expected.conj()).sum() / max(np.abs(differences).sum(), 1e-12)), radians
