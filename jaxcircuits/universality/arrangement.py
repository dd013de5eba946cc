"""Whether parts lie where a unit's weights want them: above and below the place where it answers.

Zoom In (Olah et al., Distill 2020), "Cars": windows excite a car unit from above, wheels from below.

The place is the cell where the unit answers most, which is where inputs suit its weights best. So the figure is above 0
for most units, of any weights, on pictures of anything: it says something where it is larger than that of other units,
each at its own place on the same pictures, and larger than on pictures that do not show the thing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

STRONGEST = 100
"""Inputs of a unit over which weights and activations are compared."""
FLAT = 1e-3
"""Of a unit's largest weight: where weights differ by less above and below, the unit has no kernel of its own."""
RESAMPLES = 1000


def below_less_above(weights: Float[np.ndarray, "units h w channels"]) -> Float[np.ndarray, "units channels"]:
    """How much larger a unit's weights are below the middle of the window than above it, summed over either half.

    Args:
      weights: of units. The middle row of an odd number belongs to neither half.

    Returns:
      float (units, channels), in the weights' own units.
    """
    half = weights.shape[1] // 2
    return weights[:, weights.shape[1] - half :].sum((1, 2)) - weights[:, :half].sum((1, 2))


def has_kernel(weights: Float[np.ndarray, "units h w channels"]) -> Bool[np.ndarray, " units"]:
    """Whether units read above otherwise than below, which those of a 1x1 or pooling branch do not.

    Args:
      weights: of units, expanded to one window.

    Returns:
      bool (units,).
    """
    slope = np.abs(below_less_above(weights)).max(1, initial=0.0)
    return slope > FLAT * np.abs(weights).max((1, 2, 3), initial=0.0)


def halves_of_windows(
    inputs: Float[np.ndarray, "H W channels"], window: tuple[int, int], cells: tuple[int, int]
) -> tuple[Float[np.ndarray, "h w channels"], Float[np.ndarray, "h w channels"]]:
    """Mean activations in the upper and in the lower half of the window of every cell of a later layer.

    Args:
      inputs: activations of the layer that is read.
      window: height and width that a cell reads, in cells of that layer.
      cells: height and width of the later layer's map, which may be coarser.

    Returns:
      Above and below, float64 (height, width, channels) of the later map; beyond the border activations are 0.
    """
    height, width = window
    half = height // 2
    padded = np.pad(inputs.astype(np.float64), ((height, height), (width, width), (0, 0)))
    total = np.pad(padded.cumsum(0).cumsum(1), ((1, 0), (1, 0), (0, 0)))
    # Where each window begins, so that its middle is that of the cell.
    rows, columns = (
        np.ceil((np.arange(count) + 0.5) * size / count - extent / 2).astype(int) + extent
        for count, size, extent in zip(cells, inputs.shape, window)
    )

    def mean(first: np.ndarray) -> np.ndarray:
        top, bottom = total[first], total[first + half]
        sums = bottom[:, columns + width] - bottom[:, columns] - top[:, columns + width] + top[:, columns]
        return sums / max(half * width, 1)

    return mean(rows), mean(rows + height - half)


def arrangement(
    weights: Float[np.ndarray, "units h w channels"],
    inputs: Float[np.ndarray, "pictures H W channels"],
    answers: Float[np.ndarray, "pictures h w units"],
) -> Float[np.ndarray, "pictures units"]:
    """How well the places of inputs in pictures agree with the places where units' weights want them.

    For each picture and unit, over the unit's `STRONGEST` inputs: the correlation of how much more active an input is
    below than above the cell where the unit answers most, with how much larger its weights are below than above.

    Args:
      weights: of the units, from the layer that is read.
      inputs: activations of that layer.
      answers: of the units. Each unit has its own cell in each picture.

    Returns:
      float (pictures, units), from -1 to 1; 0 where nothing varies. The cell is chosen by the unit's own weights:
      compare units or pictures with one another, not with 0 (see the module).
    """
    norms = np.linalg.norm(weights, axis=(1, 2))
    strongest = np.argsort(-norms, axis=1, kind="stable")[:, :STRONGEST]
    wanted = np.take_along_axis(below_less_above(weights), strongest, 1)
    result = []
    for one, answer in zip(inputs, answers):
        above, below = halves_of_windows(one, weights.shape[1:3], answer.shape[:2])
        at = answer.reshape(-1, answer.shape[-1]).argmax(0)
        slope = (below - above).reshape(-1, one.shape[-1])[at]
        result.append(_correlation(np.take_along_axis(slope, strongest, 1), wanted))
    return np.stack(result)


def difference_interval(
    first: Float[np.ndarray, " pictures"], second: Float[np.ndarray, " others"], seed: int = 0
) -> tuple[float, float]:
    """The percentile bootstrap's 95 % interval of a difference of two means (Efron, 1979).

    Args:
      first, second: values of two sets of pictures, each resampled by itself.
      seed: of the resamples.

    Returns:
      Low and high.
    """
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(0, len(values), (RESAMPLES, len(values)))].mean(1) for values in (first, second)]
    low, high = np.quantile(means[0] - means[1], (0.025, 0.975))
    return float(low), float(high)


def _correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson's, over the last axis; 0 where either does not vary."""
    first, second = (values - values.mean(-1, keepdims=True) for values in (first, second))
    scale = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    return np.where(scale > 1e-12, (first * second).sum(-1) / np.maximum(scale, 1e-12), 0.0)
