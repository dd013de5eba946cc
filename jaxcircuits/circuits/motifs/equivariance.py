"""Equivariance: a family whose units are one another's turned, mirrored, zoomed or recolored copies.

Olah et al., Naturally Occurring Equivariance in Neural Networks (Distill 2020): where a layer is equivariant, doing
something to the weights of its units and permuting the channels that they read gives the weights of other units.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from jaxcircuits.circuits.motifs.null import Scored, across, against_search, check_weights, null_scores
from jaxcircuits.circuits.motifs.transforms import Transform, rotation
from jaxcircuits.errors import InputError
from jaxcircuits.p_values import among

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Integer, Num

ROUNDS = 20
"""Rounds of the search from one start, at most; it ends as soon as nothing changes."""
LARGEST = 2**31
"""Bytes of the largest array that is made."""
STAYS = 1e6
"""What it costs that a unit stays where it is, where none may."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Equivariance(Scored):
    """The permutations that best explain transformed weights.

    Attributes:
      score: mean cosine between units' transformed weights and those of the units that they become; 1 where the
        weights are exactly equivariant.
      null: (shuffles,): scores of shuffled weights, the higher of two shuffles, see `equivariance`.
      units: (units,): the transformed unit i is most like unit `units[i]`, ...
      sources: (channels,): ... where what it reads of channel j is read of channel `sources[j]`.
      cosines: (units,): of each unit with what it becomes.
    """

    units: Int[np.ndarray, " units"]
    sources: Integer[np.ndarray, " sources"]
    cosines: Float[np.ndarray, " units"]

    @property
    def order(self) -> int:
        """After how many transforms every unit is itself again: 8 for eight units that turn into one another."""
        return int(np.lcm.reduce(_cycle_lengths(self.units)))


def equivariance(
    weights: Num[np.ndarray, "units h w sources"],
    transform: Transform,
    *,
    sources: Integer[np.ndarray, " sources"] | None = None,
    exchange: bool = False,
    shuffles: int = 20,
    seed: int = 0,
) -> Equivariance:
    """Finds the permutation of units, and of the channels they read, that best explains transformed weights.

    Two assignment problems in turn, each solved exactly (Jonker and Volgenant), from a start for every unit that the
    strongest unit could become.

    The score is compared with the higher of two shuffles' scores. One exchanges every unit's slices among channels, in
    random poses, and keeps what is the unit's, such as a mean of one sign. The other exchanges every channel's slices
    among units, and keeps what is the channel's: a mean or a profile of its own makes all units alike under any
    transform that leaves it as it is, and is no evidence. Of one channel only the first is used.
    Neither keeps units' and channels' means that are in the same weights. Where both are large beside the rest,
    p-values are too small.

    Args:
      weights: (units, h, w, channels), such as `expanded_weights` returns; of a family, or of a whole layer.
      transform: `rotation(degrees)`, `reflection()`, `zoom(factor)`, `hue(degrees)`.
      sources: where each channel goes; `np.arange(3)` for weights to the input, or the `units` found for the layer
        before. None: to be found.
      exchange: no unit may stay where it is; else a turn by little is best explained by nobody moving.
      shuffles: of the weights, for the null.
      seed: of the shuffles.

    Returns:
      The `Equivariance`.

    Raises:
      InputError: for weights of another shape, `sources` that is no permutation of the channels, and more units
        than can be searched without `sources`.
    """
    weights = check_weights(weights)
    if sources is not None:
        sources = np.asarray(sources)
        if not np.array_equal(np.sort(sources), np.arange(weights.shape[3])):
            raise InputError(f"sources of shape {sources.shape}; expected a permutation of {weights.shape[3]} channels")
    if exchange and len(weights) < 2:
        raise InputError("1 unit; expected several, that exchange places")
    score, units, found, cosines = best_permutations(weights, transform, sources, exchange)

    def of_shuffled(weights: np.ndarray) -> float:
        return best_permutations(weights, transform, sources, exchange).score

    null = null_scores(of_shuffled, across(weights), shuffles, seed)
    return Equivariance(
        score=score,
        null=null,
        adjusted_p_value=among(score, null),
        units=units,
        sources=found,
        cosines=cosines,
    )


def rotation_order(
    weights: Num[np.ndarray, "units h w sources"],
    *,
    sources: Integer[np.ndarray, " sources"] | None = None,
    shuffles: int = 20,
    seed: int = 0,
) -> tuple[int, dict[int, Equivariance]]:
    """Into how many steps a family of units divides the circle.

    For every order k up to the number of units, weights are turned by 360 / k degrees. The permutation that explains
    them must bring every unit back after k turns.

    Args:
      weights: of the family, see `equivariance`.
      sources: see `equivariance`.
      shuffles: of the weights, for the null.
      seed: of the shuffles.

    Returns:
      The largest such k that stands out more than any order does in any shuffle (1 where there is none; noise gives
      another with a probability of 1 / (1 + shuffles) at most), and each order's `Equivariance`, whose
      `adjusted_p_value` is corrected for the orders tried.
    """
    found = {
        k: equivariance(weights, rotation(360 / k), sources=sources, exchange=True, shuffles=shuffles, seed=seed)
        for k in range(2, len(weights) + 1)
    }
    adjusted = against_search(
        np.array([result.score for result in found.values()]), np.stack([result.null for result in found.values()], 1)
    )
    found = {
        k: dataclasses.replace(result, adjusted_p_value=float(p)) for (k, result), p in zip(found.items(), adjusted)
    }
    least = 1 / (1 + shuffles)
    fits = [
        k
        for k, result in found.items()
        if (_cycle_lengths(result.units) == k).all() and result.adjusted_p_value <= least
    ]
    return max(fits, default=1), found


class Permutations(NamedTuple):
    """What a transform does to units and channels.

    Attributes:
      score: mean cosine of a transformed unit with that which it becomes.
      units: (units,), which that is.
      channels: (channels,), where each channel goes.
      cosines: (units,), of each.
    """

    score: float
    units: np.ndarray
    channels: np.ndarray
    cosines: np.ndarray


def best_permutations(
    weights: np.ndarray, transform: Transform, sources: np.ndarray | None, exchange: bool
) -> Permutations:
    """The permutations that suit best; for `exchange` no unit becomes itself, so there have to be two or more."""
    units, channels = len(weights), weights.shape[3]
    before, after = (_normalized(w) for w in (transform(weights), weights))
    stays = STAYS * np.eye(units) if exchange else 0
    if sources is not None:
        of_units = np.tensordot(before, after[..., sources], ((1, 2, 3), (1, 2, 3)))
        permuted = _assign(of_units - stays)
        cosines = of_units[np.arange(units), permuted]
        return Permutations(float(cosines.mean()), permuted, sources, cosines)
    if 4 * (units * channels) ** 2 > LARGEST:
        raise InputError(f"{units} units that read {channels} channels; give fewer units, or sources")
    # How like each channel of a transformed unit is to each channel of each unit: (units, channels, units, channels).
    likeness = np.tensordot(before, after, ((1, 2), (1, 2)))
    strongest = int(np.square(weights).sum((1, 2, 3)).argmax())
    each_unit, each_channel = np.arange(units), np.arange(channels)
    best = None
    for start in range(units):
        if exchange and start == strongest:
            continue
        order, permuted = _assign(likeness[strongest, :, start]), np.full(units, -1)
        for _ in range(ROUNDS):
            old = permuted
            of_units, of_order = likeness[:, each_channel, :, order].sum(0), order
            permuted = _assign(of_units - stays)
            if (old == permuted).all():
                break
            order = _assign(likeness[each_unit, :, permuted].sum(0))
        # Neither assignment makes it worse, so the last is the best of this start.
        cosines = of_units[each_unit, permuted]
        score = float(cosines.mean())
        if best is None or score > best.score:
            best = Permutations(score, permuted, of_order, cosines)
    if best is None:
        raise ValueError("1 unit cannot become another")
    return best


def _assign(likeness: np.ndarray) -> np.ndarray:
    return linear_sum_assignment(likeness, maximize=True)[1]


def _normalized(weights: np.ndarray) -> np.ndarray:
    norms = np.sqrt(np.square(weights).sum((1, 2, 3), keepdims=True))
    return weights / np.maximum(norms, 1e-12)


def _cycle_lengths(permutation: np.ndarray) -> np.ndarray:
    """The length of the cycle that each element is in."""
    lengths, at = np.zeros(len(permutation), int), np.arange(len(permutation))
    for step in range(1, len(permutation) + 1):
        at = permutation[at]
        lengths[(at == np.arange(len(permutation))) & (lengths == 0)] = step
    return lengths
