"""How often a unit answers how much: its density of activation, and whether its tail falls off exponentially.

Cammarata et al., Curve Detectors, Distill, 2020: the logarithm of a curve unit's density falls off on a straight line
with its activation. A straight line is an exponential; whether one is seen is said by a number, the tail's shape.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from jaxcircuits.errors import InputError, whole
from jaxcircuits.evidence import grid
from jaxcircuits.evidence.layer_examples import LayerExamples

if TYPE_CHECKING:
    from jaxtyping import Float, Num


@dataclasses.dataclass(frozen=True)
class Tail:
    """A unit's activations above a threshold, as an exponential.

    Intervals are of the bootstrap over pictures: activations of one picture are alike, so that pictures, not places,
    are what there is many of.

    Attributes:
      threshold: from which on.
      count: activations above it.
      pictures: that have any.
      rate: of the exponential: density falls by e over 1 / rate; maximum likelihood.
      rate_interval: its ends.
      shape: of the generalized Pareto distribution with the same mean and variance: 0 for an exponential, above 0 for a
        heavier tail, below for one that ends (Hosking and Wallis, 1987).
      shape_interval: its ends; a tail is exponential as far as can be told where 0 lies in it.
      distance: of Kolmogorov and Smirnov, the largest difference between the two distribution functions, from 0 to 1.
    """

    threshold: float
    count: int
    pictures: int
    rate: float
    rate_interval: tuple[float, float]
    shape: float
    shape_interval: tuple[float, float]
    distance: float


def tail(
    values: Num[np.ndarray, "pictures ..."],
    threshold: float,
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Tail:
    """Fits an exponential to what lies above a threshold, and says how well it fits.

    Args:
      values: one unit's activations, (pictures, ...), at all places of each picture.
      threshold: in the unit's own measure, chosen before looking, such as a quantile of its positive activations.
      resamples: of the pictures, for the intervals.
      level: of the intervals.
      seed: of the resamples.

    Returns:
      The `Tail`.

    Raises:
      InputError: for activations that are not finite, and fewer than ten above the threshold or in fewer than five
        pictures.
    """
    values = np.asarray(values, np.float64)
    if values.ndim < 1 or not np.isfinite(values).all():
        raise InputError(f"activations of shape {values.shape}; expected finite numbers (pictures, ...)")
    if not 0 < level < 1:
        raise InputError(f"level {level!r}; expected a part between 0 and 1")
    whole(resamples, "resamples", 1)
    excess = np.maximum(values.reshape(len(values), -1) - threshold, 0)
    # Of each picture: how many, their sum and their sum of squares, of which all else follows.
    sums = np.stack([(excess > 0).sum(1), excess.sum(1), np.square(excess).sum(1)], 1)
    sums = sums[sums[:, 0] > 0]
    count = int(sums[:, 0].sum())
    if count < 10 or len(sums) < 5:
        raise InputError(f"{count} activations above {threshold:g}, in {len(sums)} pictures; expected 10 and 5 or more")
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=resamples)
    rates, shapes = _fitted(drawn @ sums)
    (rate,), (shape,) = _fitted(sums.sum(0)[None])
    ends = (1 - level) / 2, (1 + level) / 2
    ordered = np.sort(excess[excess > 0])
    fitted = -np.expm1(-rate * ordered)
    steps = np.arange(count + 1) / count
    return Tail(
        float(threshold),
        count,
        len(sums),
        float(rate),
        tuple(np.quantile(rates, ends).tolist()),
        float(shape),
        tuple(np.quantile(shapes, ends).tolist()),
        float(max(np.abs(fitted - steps[1:]).max(), np.abs(fitted - steps[:-1]).max())),
    )


def log_density(
    examples: LayerExamples, unit: int
) -> tuple[Float[np.ndarray, "intervals 2"], Float[np.ndarray, " intervals"]]:
    """The decimal logarithm of a unit's density at all places of all pictures, over the intervals of `evidence.grid`.

    Args:
      examples: of the unit's layer.
      unit: which.

    Returns:
      The intervals' lower and upper ends (intervals, 2), and the logarithms (intervals,): the share of activations in
      an interval over its length, both for the intervals that hold any, but for 0 and the two that are open.

    Raises:
      InputError: for a unit that the layer does not have.
    """
    counts = examples.histogram[whole(unit, f"unit of {examples.layer}", 0, len(examples.histogram) - 1)]
    ends = grid.bounds()
    width = ends[:, 1] - ends[:, 0]
    chosen = (counts > 0) & (width > 0) & np.isfinite(width)
    return ends[chosen], np.log10(counts[chosen] / counts.sum() / width[chosen])


def _fitted(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rates and shapes (n,) for counts, sums and sums of squares of excesses (n, 3)."""
    count, total, squares = sums.T
    mean = total / count
    variance = np.maximum(squares / count - mean**2, np.finfo(np.float64).tiny)
    return 1 / mean, (1 - mean**2 / variance) / 2
