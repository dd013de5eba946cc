"""Statistics of tuning curves round a circle: what is preferred, how selectively, how widely, and what is covered."""

from __future__ import annotations

import numpy as np


def preference(orientations: np.ndarray, tuning: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which orientation each unit likes best, and how much better than the opposite one.

    Args:
      orientations: (count,), radians, evenly around the circle.
      tuning: (count, channels), not negative.

    Returns:
      The circular mean of the tuning curve, radians in [0, 2 pi), and the answer to the best orientation over that to
      the opposite one (infinite where that is 0, and 0 for units that answer nothing), both (channels,). Of an odd
      count the opposite one lies between two, whose mean it is.
    """
    mean = np.angle(np.exp(1j * orientations) @ tuning) % (2 * np.pi)
    mean = np.where(mean < 2 * np.pi, mean, 0.0)  # just below 0 is rounded to a whole turn
    best, count = tuning.argmax(0), len(orientations)
    units = np.arange(tuning.shape[1])
    across = (np.roll(tuning, count // 2, axis=0) + np.roll(tuning, (count + 1) // 2, axis=0)) / 2
    peak, opposite = tuning[best, units], across[best, units]
    with np.errstate(divide="ignore", invalid="ignore"):
        return mean, np.where(peak > 0, peak / opposite, 0.0)


def half_width(orientations: np.ndarray, tuning: np.ndarray) -> np.ndarray:
    """How wide tuning curves are at half their height, between the crossings nearest to the peak.

    Args:
      orientations: (count,), radians, evenly around the circle.
      tuning: (count, channels); values below 0 count as 0.

    Returns:
      (channels,), radians; crossings are interpolated between orientations. 2 pi for a curve that never falls so low,
      that of a silent unit among them, and NaN for one with values that are not numbers.
    """
    tuning = np.maximum(tuning, 0)
    step, peaks = 2 * np.pi / len(orientations), tuning.argmax(0)
    widths = np.zeros(tuning.shape[1])
    for unit, peak in enumerate(peaks):
        for direction in (1, -1):
            curve = np.roll(tuning[:, unit], -peak)[::direction]
            curve, half = np.roll(curve, direction == -1), tuning[peak, unit] / 2
            below = np.flatnonzero(curve < half)
            if below.size:
                first = below[0]
                widths[unit] += step * (first - 1 + (curve[first - 1] - half) / (curve[first - 1] - curve[first]))
            else:
                widths[unit] += np.pi
    return np.where(np.isnan(tuning).any(0), np.nan, widths)


def difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """By how much angles differ, radians in [-pi, pi)."""
    return (first - second + np.pi) % (2 * np.pi) - np.pi


def largest_gap(angles: np.ndarray) -> float:
    """The widest stretch of the circle without any of the angles (radians); 2 pi for one angle or none."""
    if len(angles) == 0:
        return 2 * np.pi
    ordered = np.sort(np.asarray(angles) % (2 * np.pi))
    return float(np.diff(ordered, append=ordered[0] + 2 * np.pi).max())
