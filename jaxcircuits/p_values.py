"""P-values of many questions that are asked at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


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
