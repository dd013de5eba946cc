"""What a motif's score is compared with: scores of weights whose arrangement was destroyed.

A p-value answers one question: how often would weights without the motif, otherwise alike, score as high? So

- everything is compared with its own shuffles. A unit of two strong inputs and a unit of five hundred weak ones score
  differently without any structure, and are not put into one pool;
- what is no part of the motif is kept. A shuffle that exchanges a unit's slices keeps what is the unit's, such as the
  size of its kernel and how many strong inputs it has; one that exchanges a channel's slices keeps what is the
  channel's, such as its mean, its spatial profile and its spread. No shuffle of slices keeps both, so that motifs of
  several units are compared with the higher of both scores, see `null_scores`;
- who looks at many and reports the best has to compare with the best of many: `against_search`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxcircuits.brief import Brief
from jaxcircuits.errors import InputError
from jaxcircuits.p_values import TIE, among

if TYPE_CHECKING:
    from jaxtyping import Float

POWER = 1 / 8
"""Of the mean over a unit's slices that says how strongly it reads a place; no single strong slice rules it."""
ROUNDS = 100
"""Of the fit of strengths, at most; weights in which every unit reads every channel need one."""
LOG_ERROR = 1e-5
"""By how much the logarithm of a strength may still change when the fit ends."""

Shuffle = Callable[[np.random.Generator], np.ndarray]
"""From the source of randomness to shuffled weights, (units, h, w, channels)."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Scored(Brief):
    """A motif's score among those of shuffled weights.

    Attributes:
      score: of the weights.
      null: (shuffles,): scores of the same unit, channel or family in shuffled weights, each searched in the same way;
        where weights are shuffled in several ways, the highest, see `null_scores`.
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
        return among(self.score, self.null)

    @property
    def z(self) -> float:
        """By how many standard deviations of the null the score lies above its mean; 0 where all are equal."""
        above, spread = float(self.score - self.null.mean()), float(self.null.std())
        if abs(above) <= TIE * abs(self.score):
            return 0.0
        return above / spread if spread else float(np.copysign(np.inf, above))


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


def across(weights: np.ndarray) -> list[Shuffle]:
    """Both shuffles that destroy how units and channels are matched, for `null_scores`.

    Args:
      weights: (units, h, w, channels).

    Returns:
      `within_units` and `within_channels`. Of one unit or one channel the first alone, since exchanging a channel's
      slices leaves nothing unmatched then.
    """
    several = len(weights) > 1 and weights.shape[3] > 1
    return [within_units(weights), within_channels(weights)] if several else [within_units(weights)]


def within_units(weights: np.ndarray) -> Shuffle:
    """Shuffles that keep all that is a unit's, and how strong every channel is.

    As `shuffled`, but of slices that were divided by their channel's strength before and are multiplied by that of the
    channel they come to after, see `strengths`.

    Args:
      weights: (units, h, w, channels).

    Returns:
      A function from the source of randomness to shuffled weights of the same shape.
    """
    channels = strengths(_norms(weights))[1].astype(weights.dtype)
    freed = weights / channels
    return lambda rng: shuffled(freed, rng) * channels


def within_channels(weights: np.ndarray) -> Shuffle:
    """Shuffles that keep all that is a channel's, and how strong every unit is.

    Each channel's slices go to other units, in an order of its own and as they lie, so that a channel keeps the mean,
    the profile over the window and the spread of its slices exactly; units lose which slices they have together. A
    slice is divided by its unit's strength before and multiplied by that of the unit it comes to after, see
    `strengths`. Only units that read the channel exchange slices, and only those whose weights fill the same rectangle
    of the window, since a layer may have kernels of several sizes.

    Args:
      weights: (units, h, w, channels).

    Returns:
      A function from the source of randomness to shuffled weights of the same shape.
    """
    norms = _norms(weights)
    units = strengths(norms)[0].astype(weights.dtype)[:, None, None, None]
    freed = weights / units
    # Slices of one kind may take one another's places.
    kinds = np.where(norms > 0, _rectangles(weights)[:, None], -1)
    places = np.argsort(kinds, axis=0, kind="stable")

    def shuffle(rng: np.random.Generator) -> np.ndarray:
        # Both list slices by kind, one in the order of units and one at random; what is not read stays where it is.
        chosen = np.argsort(np.where(norms > 0, kinds + rng.random(kinds.shape), -1), axis=0, kind="stable")
        order = np.empty_like(places)
        np.put_along_axis(order, places, chosen, axis=0)
        return np.take_along_axis(freed, order[:, None, None], axis=0) * units

    return shuffle


def within_places(weights: np.ndarray) -> Shuffle:
    """Shuffles that keep how strongly every unit reads each place of its window.

    As `shuffled`, but of slices that were divided by the unit's profile before and are multiplied by it after: the mean
    size of its weights at each place, of the power `POWER`, over those that are not 0, whose number would rule it
    otherwise. Without it a unit that reads along a line would have more to one side than its turned slices by its
    outline alone.

    Args:
      weights: (units, h, w, channels).

    Returns:
      A function from the source of randomness to shuffled weights of the same shape.
    """
    number = np.maximum(np.count_nonzero(weights, axis=3, keepdims=True), 1)
    profile = ((np.abs(weights) ** POWER).sum(3, keepdims=True) / number) ** (1 / POWER)
    freed = weights / _safe(profile)
    return lambda rng: shuffled(freed, rng) * profile


def with_random_signs(weights: np.ndarray) -> Shuffle:
    """Shuffles in which every slice is as it is or negated, at random; all sizes stay where they are.

    Args:
      weights: (units, h, w, channels).

    Returns:
      A function from the source of randomness to shuffled weights of the same shape.
    """
    slices = (len(weights), 1, 1, weights.shape[3])
    return lambda rng: weights * rng.choice(np.array([-1, 1], weights.dtype), slices)


def strengths(norms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How strong each unit and each channel is.

    The norm of a slice is taken as the product of both, by least squares of logarithms over the slices that are read,
    so that neither the number of those that are not nor a few strong ones rule it. Estimates from few slices differ by
    chance. They are therefore drawn toward their mean by the part of their variance that chance explains (James and
    Stein, Estimation with Quadratic Loss, 1961, positive part), up to none where all are equally strong.

    Args:
      norms: (units, channels), of slices; 0 for those that are not read.

    Returns:
      (units,) and (channels,), each of geometric mean 1 over those that have slices, and 1 for others.
    """
    read = norms > 0
    logs = np.log(norms, out=np.zeros(norms.shape), where=read)
    numbers = np.maximum(read.sum(1), 1), np.maximum(read.sum(0), 1)
    units, channels = np.zeros(len(norms)), np.zeros(norms.shape[1])
    for _ in range(ROUNDS):
        before = units
        channels = ((logs - units[:, None]) * read).sum(0) / numbers[1]
        units = ((logs - channels) * read).sum(1) / numbers[0]
        if np.abs(units - before).max() < LOG_ERROR:
            break
    rest = np.square((logs - units[:, None] - channels) * read).sum()
    noise = rest / max(read.sum() - read.any(1).sum() - read.any(0).sum() + 1, 1)
    found = []
    for values, number, present in zip((units, channels), numbers, (read.any(1), read.any(0))):
        values = np.where(present, values - values[present].mean() if present.any() else 0, 0)
        variance = np.square(values).sum() / max(present.sum() - 1, 1)
        by_chance = noise * np.mean(1 / number[present]) if present.any() else 0
        found.append(np.exp(values * max(0, 1 - by_chance / _safe(variance))))
    return found[0], found[1]


def null_scores(
    score: Callable[[np.ndarray], np.ndarray | float], ways: Sequence[Shuffle], shuffles: int, seed: int
) -> np.ndarray:
    """Scores of shuffled weights; of weights shuffled in several ways, the highest.

    If what one way keeps explains the scores of the weights, these are no higher than that way's by more than chance,
    and therefore no higher than the highest. So the p-value is not too small if any of the ways keeps what is no part
    of the motif, and on weights that have nothing to keep it is larger than it need be.

    Args:
      score: weights (units, h, w, channels) -> scores (...).
      ways: how weights are shuffled.
      shuffles: how often, in each way.
      seed: of the shuffles.

    Returns:
      (shuffles, ...), each with a generator of its own that follows from the seed.

    Raises:
      InputError: for less than one shuffle.
    """
    if shuffles < 1:
        raise InputError(f"shuffles {shuffles}; expected at least 1")
    generators = np.random.default_rng(seed).spawn(shuffles)
    return np.array([np.stack([np.asarray(score(way(rng))) for way in ways]).max(0) for rng in generators])


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


def _rectangles(weights: np.ndarray) -> np.ndarray:
    """(units,), a number that is equal for units whose weights fill the same rectangle of the window."""
    read = weights != 0
    rows, columns = np.any(read, axis=(2, 3)), np.any(read, axis=(1, 3))
    sides = [filled.argmax(1) for filled in (rows, rows[:, ::-1], columns, columns[:, ::-1])]
    return np.unique(np.stack(sides, axis=1), axis=0, return_inverse=True)[1].ravel()


def _safe(values: np.ndarray) -> np.ndarray:
    return np.maximum(values, 1e-30)
