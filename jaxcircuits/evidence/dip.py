"""The dip test: whether numbers have more than one peak, whatever the shape of a single one.

Hartigan and Hartigan, The dip test of unimodality, 1985. The dip is how far the distribution of numbers is from the
nearest one with a single peak: the largest difference of the two distribution functions. Of all distributions with one
peak the uniform one has the largest dips, so a p-value from its samples holds for skewed and for heavy-tailed ones too.
"""

from __future__ import annotations

import functools

import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.p_values import among

APART = 1e-9
"""Of the range: numbers that are nearer are put so far apart."""


def dip(values: np.ndarray) -> float:
    """The dip of numbers.

    Args:
      values: (n,), four or more. Equal ones are one narrow peak, so of counts or rounded numbers every value is one.

    Returns:
      From 1 / (2 n) to 1 / 4; the least for fewer than four numbers and where all are the same.

    Raises:
      InputError: for numbers that are not finite.
    """
    x = np.sort(np.asarray(values, np.float64))
    if not np.isfinite(x).all():
        raise InputError("a dip of numbers that are not finite")
    count, least = len(x), 1.0
    if count < 4 or x[0] == x[-1]:
        return 0.5 / max(count, 1)
    # An atom is the limit of ever narrower peaks; one of no width would have no slope.
    apart = APART * np.arange(count)
    x = np.maximum.accumulate((x - x[0]) / (x[-1] - x[0]) - apart) + apart
    low, high, largest = 0, count - 1, least
    while True:
        # The nearest distribution function is convex below the mode and concave above it; the mode's interval shrinks.
        below, above = _hull(x, low, high, 1), _hull(x, low, high, -1)
        corners = np.union1d(below, above)
        gaps = np.interp(x[corners], x[above], above) - np.interp(x[corners], x[below], below) + 1
        widest = int(gaps.argmax())
        if gaps[widest] <= largest:
            break
        at = corners[widest]
        inner = (at, above[above >= at][0]) if at in below else (below[below <= at][-1], at)
        largest = max(largest, _off(x, below[below <= inner[0]], 1), _off(x, above[above >= inner[1]], -1))
        if inner == (low, high):
            break
        low, high = int(inner[0]), int(inner[1])
    return float(largest / (2 * count))


def dip_p_value(found: float, count: int, *, draws: int, seed: int = 0) -> float:
    """How often as many numbers with a single peak have such a dip, at most.

    Args:
      found: the dip.
      count: of the numbers.
      draws: samples of the uniform distribution; no p-value is below 1 / (1 + draws).
      seed: of them.

    Returns:
      The p-value.
    """
    return among(found, _of_uniform(count, draws, seed))


@functools.lru_cache(maxsize=512)
def _of_uniform(count: int, draws: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.array([dip(sample) for sample in rng.random((draws, count))])


def _hull(x: np.ndarray, low: int, high: int, sign: int) -> np.ndarray:
    """Corners of the largest convex function below the points (x[i], i), sign 1, or the least concave one above, -1."""
    corners: list[int] = []
    for i in range(low, high + 1):
        while len(corners) > 1:
            first, last = corners[-2], corners[-1]
            if sign * ((x[last] - x[first]) * (i - last) - (x[i] - x[last]) * (last - first)) > 0:
                break
            corners.pop()
        corners.append(i)
    return np.array(corners)


def _off(x: np.ndarray, corners: np.ndarray, sign: int) -> float:
    """How far the points between corners lie off the line through these, and a step more; 1 for a single corner."""
    if len(corners) < 2:
        return 1.0
    between = np.arange(corners[0], corners[-1] + 1)
    return float((sign * (between - np.interp(x[between], x[corners], corners))).max() + 1)
