"""What a motif's score is compared with: scores of weights whose arrangement was destroyed.

A p-value answers one question: how often would weights without the motif, otherwise alike, score as high? So

- everything is compared with its own shuffles. A unit of two strong inputs and a unit of five hundred weak ones score
  differently without any structure, and are not put into one pool;
- what is no part of the motif is kept: `within_margins` keeps how strong every channel and every unit is, where a score
  asks which channel is which; `within_places` keeps where in its window a unit reads most, where a score asks which
  way its weights lie;
- who looks at many and reports the best has to compare with the best of many: `against_search`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from jaxcircuits.brief import Brief
from jaxcircuits.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float

TIE = 1e-6
"""Scores that differ by this part of the larger are equal: rounding is no evidence."""
POWER = 1 / 8
"""Of the mean that says how strong a unit or a channel is, see `margins`."""
SWEEPS = 100
"""Of alternate scaling, at most; weights without zeros need a few."""
MARGIN_ERROR = 1e-5
"""By which part of itself any margin may be off after alternate scaling."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Scored(Brief):
    """A motif's score among those of shuffled weights.

    Attributes:
      score: of the weights.
      null: (shuffles,): scores of the same unit, channel or family in shuffled weights, each searched in the same way.
      adjusted_p_value: the p-value corrected for the search, see `against_search`: how often the best of all that were
        searched stands out as much in shuffled weights. It holds for everything in a list at once, so also for the
        first of a list sorted best first, which `p_value` does not. The same as `p_value` where one was searched.
    """

    score: float
    null: Float[np.ndarray, " shuffles"]
    adjusted_p_value: float

    @property
    def p_value(self) -> float:
        """How often shuffled weights score as high, counting the weights themselves: at least 1 / (1 + shuffles).

        It is for one that was chosen before looking. The first of hundreds, sorted, has a small one by chance.
        """
        return p_value(self.score, self.null)

    @property
    def z(self) -> float:
        """By how many standard deviations of the null the score lies above its mean; 0 where all are equal."""
        above, spread = float(self.score - self.null.mean()), float(self.null.std())
        if abs(above) <= TIE * abs(self.score):
            return 0.0
        return above / spread if spread else float(np.copysign(np.inf, above))


def p_value(score: float, null: np.ndarray) -> float:
    """How often scores of shuffled weights, (shuffles,), are as high, counting the weights themselves."""
    return float((1 + np.sum(null >= score - TIE * abs(score))) / (1 + len(null)))


def against_search(scores: np.ndarray, nulls: np.ndarray) -> np.ndarray:
    """P-values corrected for having searched through many.

    Each one's scores, of the weights and of their shuffles, are brought to mean 0 and standard deviation 1, so that
    those whose chance differs can be compared. The corrected p-value is how often the one that then stands out most in
    shuffled weights does so as much: the probability that noise alone gives anything so good (family-wise error;
    Westfall and Young, Resampling-Based Multiple Testing, 1993, single-step maxT). The weights count among their own
    shuffles, so it holds for any number of these.

    Args:
      scores: (searched,), of the weights.
      nulls: (shuffles, searched), each row of one shuffle.

    Returns:
      (searched,), each at least 1 / (1 + shuffles).
    """
    every = np.concatenate([scores[None], nulls]).astype(np.float64)
    spread = every.std(0)
    differ = spread > TIE * np.abs(every).max(0)
    found, *chance = (every - every.mean(0)) / np.where(differ, spread, np.inf)
    highest = np.sort(np.max(chance, axis=1))
    as_high = len(highest) - np.searchsorted(highest, found - TIE * np.abs(found))
    return (1 + as_high) / (1 + len(highest))


def best_first(scores: np.ndarray, adjusted: np.ndarray) -> np.ndarray:
    """The order of a list, (searched,): by the corrected p-value, and where that is equal the higher score first."""
    return np.lexsort((-scores, adjusted))


def shuffled(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Weights whose slices stay as they are, but lie at random.

    A slice is what a unit reads of one channel. Each unit's slices go to other channels, in an order of its own, and
    each is mirrored and turned by quarters at random; so a unit keeps the sizes, signs and shapes of its weights and
    loses which channel they are for and how they lie to one another. A channel that a unit does not read at all (of
    another group of the convolution, or silent) it does not read in shuffled weights either.

    Args:
      weights: (units, h, w, channels).
      rng: the source of randomness.

    Returns:
      The shuffled weights, of the same shape.
    """
    units, height, width, channels = weights.shape
    slices = weights.transpose(0, 3, 1, 2).reshape(units * channels, height * width)
    unread = ~slices.any(1).reshape(units, channels)
    # Both list what a unit reads first, one in the order of channels and one at random, and then what it does not.
    places = np.argsort(unread, axis=1, kind="stable")
    chosen = np.argsort(np.where(unread, 2, rng.random(unread.shape)), axis=1, kind="stable")
    order = np.empty_like(places)
    np.put_along_axis(order, places, chosen + channels * np.arange(units)[:, None], axis=1)
    poses = _poses(height, width)
    moved = slices[order.reshape(-1, 1), poses[rng.integers(len(poses), size=len(slices))]]
    return np.ascontiguousarray(moved.reshape(units, channels, height, width).transpose(0, 2, 3, 1))


def within_margins(weights: np.ndarray) -> Callable[[np.random.Generator], np.ndarray]:
    """Shuffles that keep how strong every channel and every unit is.

    As `shuffled`, but of slices that were freed of their channel's and their unit's strength before and get those of
    where they come to after, by alternate scaling. Without it a channel that all units read strongly would be strong
    for other units at other places, and what units have in common by its strength alone would pass for structure.

    How strong a channel is can only be estimated from its units. Of layers that is exact enough; of a dozen units the
    best of a list gets too large a p-value rather than too small a one.

    Args:
      weights: (units, h, w, channels).

    Returns:
      A function from the source of randomness to shuffled weights of the same shape, whose slices' norms have the
      margins of `margins`.
    """
    norms = _norms(weights)
    wanted = margins(norms)
    # A channel's strength is a mean over n units, found twice, before the shuffle and after. Either takes 1/n of the
    # variance of logarithms; one is the weights' own, the other is given back.
    spread = (1 - 1 / max(len(weights), 2)) ** -0.5
    freed = _resized(weights, norms, with_margins(norms**spread, *map(np.ones_like, wanted)))

    def shuffle(rng: np.random.Generator) -> np.ndarray:
        moved = shuffled(freed, rng)
        norms = _norms(moved)
        return _resized(moved, norms, with_margins(norms, *wanted))

    return shuffle


def within_places(weights: np.ndarray) -> Callable[[np.random.Generator], np.ndarray]:
    """Shuffles that keep how strongly every unit reads each place of its window.

    As `shuffled`, but of slices that were divided by the unit's profile before and are multiplied by it after: the mean
    of its slices' sizes at each place, of the power of `margins`, so that no strong slice rules it. Without it a unit
    that reads along a line would have more to one side than its turned slices by its outline alone.

    Args:
      weights: (units, h, w, channels).

    Returns:
      A function from the source of randomness to shuffled weights of the same shape.
    """
    profile = (np.abs(weights) ** POWER).mean(3, keepdims=True) ** (1 / POWER)
    freed = weights / _safe(profile)
    return lambda rng: shuffled(freed, rng) * profile


def margins(sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How strong each row and each column is: the power mean of its sizes, of power 1/8.

    It is close to the geometric mean, and bears zeros. No single size rules it: one slice twenty times as strong as
    others makes its channel of 25 units 1.15 times as strong, where the root of the mean square would make it 4 times,
    and one that is not read at all makes it 0.7 times as strong.

    Args:
      sizes: (rows, columns), not negative.

    Returns:
      (rows,) and (columns,).
    """
    powers = np.power(sizes, POWER, dtype=np.float64)
    return powers.mean(1) ** (1 / POWER), powers.mean(0) ** (1 / POWER)


def with_margins(sizes: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Scales the rows and columns of a matrix until its margins are as wanted.

    Alternate scaling (Sinkhorn and Knopp, 1967). What is 0 stays 0.

    Args:
      sizes: (rows, columns), not negative.
      rows, columns: the margins wanted, as `margins` returns them.

    Returns:
      (rows, columns).
    """
    powers = np.power(sizes, POWER, dtype=np.float64)
    rows, columns = rows**POWER, columns**POWER
    for _ in range(SWEEPS):
        powers *= columns / _safe(powers.mean(0))
        found = powers.mean(1)
        powers *= (rows / _safe(found))[:, None]
        if np.all(np.abs(found - rows) <= POWER * MARGIN_ERROR * rows):
            break
    return powers ** (1 / POWER)


def null_scores(score: Callable[[np.random.Generator], np.ndarray | float], shuffles: int, seed: int) -> np.ndarray:
    """Scores of that many shuffles, (shuffles, ...), each with a generator of its own that follows from the seed."""
    if shuffles < 1:
        raise InputError(f"shuffles {shuffles}; expected at least 1")
    return np.array([score(rng) for rng in np.random.default_rng(seed).spawn(shuffles)])


def check_weights(weights: np.ndarray) -> np.ndarray:
    """Weights (units, h, w, channels) as float32; raises `InputError` for another shape or values not finite."""
    weights = np.asarray(weights, np.float32)
    if weights.ndim != 4 or not weights.size:
        raise InputError(f"weights of shape {weights.shape}; expected (units, h, w, channels)")
    if not np.isfinite(weights).all():
        raise InputError("weights that are not finite")
    return weights


def _poses(height: int, width: int) -> np.ndarray:
    """(8, cells), or (4, cells) of oblong windows, which turn by halves only: where each cell's value comes from."""
    cells = np.arange(height * width).reshape(height, width)
    turned = [np.rot90(cells, turns) for turns in (range(4) if height == width else (0, 2))]
    return np.stack([pose.ravel() for one in turned for pose in (one, one[:, ::-1])])


def _norms(weights: np.ndarray) -> np.ndarray:
    """(units, channels), of slices."""
    return np.sqrt(np.einsum("uhwc,uhwc->uc", weights, weights))


def _resized(weights: np.ndarray, norms: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Weights whose slices have other norms, both (units, channels)."""
    return weights * (wanted / _safe(norms)).astype(weights.dtype)[:, None, None]


def _safe(values: np.ndarray) -> np.ndarray:
    return np.maximum(values, 1e-30)
