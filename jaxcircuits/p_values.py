"""P-values from draws of chance, and of many questions that are asked at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

TIE = 1e-6
"""Values that differ by this part of the larger are equal: rounding is no evidence."""


def among(value: float, draws: Sequence[float] | np.ndarray) -> float:
    """The share of values that are at least as large as one, itself counted among them.

    Args:
      value: what was found.
      draws: (n,), the same by chance: of shuffles, or of the others that it is compared with.

    Returns:
      From 1 / (1 + n) to 1; what is no number counts as large. It is the p-value of what could have been any of them
      (Phipson and Smyth, Permutation p-values should never be zero, 2010).
    """
    drawn = np.asarray(draws, np.float64)
    tie = TIE * np.maximum(np.abs(drawn), abs(value))
    smaller = drawn < value - np.where(np.isfinite(tie), tie, 0)
    return float((1 + np.sum(~smaller)) / (1 + drawn.size))


def holm(p_values: Sequence[float]) -> np.ndarray:
    """P-values corrected for all of them having been looked at (Holm, A simple sequentially rejective procedure, 1979).

    Args:
      p_values: (n,).

    Returns:
      (n,): the chance that any one with as small a value would be there if nothing were, at most 1.
    """
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)), 1)
    return adjusted
