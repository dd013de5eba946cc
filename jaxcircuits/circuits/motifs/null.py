"""What a motif's score is compared with: scores of weights whose arrangement was destroyed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from jaxcircuits.errors import InputError


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Scored:
    """A motif's score among those of shuffled weights.

    Attributes:
      score: of the weights.
      null: scores of shuffled weights, each searched in the same way.
    """

    score: float
    null: np.ndarray

    @property
    def p_value(self) -> float:
        """How often shuffled weights score as high, counting the weights themselves: at least 1 / (1 + shuffles)."""
        return float((1 + np.sum(self.null >= self.score)) / (1 + len(self.null)))

    @property
    def z(self) -> float:
        """By how many standard deviations of the null the score lies above its mean."""
        spread = float(self.null.std())
        return float(self.score - self.null.mean()) / spread if spread else float("inf")


def shuffled(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Weights whose slices stay as they are, but lie at random.

    A slice is what a unit reads of one channel. Each unit's slices go to other channels, in an order of its own, and
    each is mirrored and turned by quarters at random; so a unit keeps the sizes, signs and shapes of its weights and
    loses which channel they are for and how they lie to one another.

    Args:
      weights: (units, h, w, channels).
      rng: the source of randomness.

    Returns:
      The shuffled weights, of the same shape.
    """
    units, height, width, channels = weights.shape
    order = rng.permuted(np.tile(np.arange(channels), (units, 1)), axis=1)
    result = np.take_along_axis(weights, order[:, None, None, :], axis=3)
    pose = rng.integers(8, size=(units, channels))
    for number in range(8):
        unit, channel = np.nonzero(pose == number)
        slices = result[unit, :, :, channel]
        if number % 2:
            slices = slices[:, :, ::-1]
        turns = number // 2 if height == width else 2 * (number // 4)  # oblong slices turn by halves
        result[unit, :, :, channel] = np.rot90(slices, turns, axes=(1, 2))
    return result


def null_scores(score: Callable[[np.random.Generator], float], shuffles: int, seed: int) -> np.ndarray:
    """Scores of that many shuffles, (shuffles,), each with a generator of its own that follows from the seed."""
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
