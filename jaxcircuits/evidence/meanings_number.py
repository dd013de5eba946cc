"""How many heaps rows fall into, judged by whether there is a valley between them.

k-means finds two clusters in anything. So there are two heaps only where the density along the line between the two
centers has a valley: the dip test, which asks nothing else of a single heap than that it has one peak there. A single
heap may be skewed, heavy-tailed, sparse and linearly correlated. A heap that bends, as the attributions of a pose that
goes round do, may have two peaks along a line and be divided; and rows are taken to be independent, which copies of a
picture are not.

- Clusters are of directions, as pictures excite a unit more or less. The dip is measured in directions and in the rows
  themselves, and the larger p-value counts: parts that come and go each for itself have one peak in the rows, at none
  of them, and may have several in directions.
- A row is projected on the line between the centers that the other rows have; its own part in a center would move it
  toward that, and so part what is not apart wherever there are more channels than rows.
- A cluster of less than a tenth of the rows is no heap: they are set aside, and the others divided again. Rows much
  shorter than the others, whose direction is mostly noise, have no say.

Each of two heaps is then divided in the same way (dip-means, Kalogeratos and Likas, 2012, is similar).
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.evidence.clarity import kmeans
from jaxcircuits.evidence.dip import dip, dip_p_value

LEVEL = 0.05
"""The p-value up to which a heap is divided."""
LEAST_SHARE, LEAST_ROWS = 0.1, 3
"""A heap has so large a share of all rows, and so many."""
SHORT = 0.1
"""Of the median length: shorter rows have no say."""
MEASURED = ("directions", "rows")
"""What the dip is measured in."""


class Heaps(NamedTuple):
    """Rows in one heap or several.

    Attributes:
      labels: int (n,), the heap of each row; heap 0 is the largest.
      dips: float64 (MEASURED,), of all rows along the line between the two centers.
      p_values: float64 (MEASURED,), how often a single heap has such dips, at most.
    """

    labels: np.ndarray
    dips: np.ndarray
    p_values: np.ndarray


class _Division(NamedTuple):
    """Rows divided in two: numbers of the rows of either part, dips and p-values as in `Heaps`."""

    parts: tuple[np.ndarray, np.ndarray]
    dips: np.ndarray
    p_values: np.ndarray


def heaps(rows: np.ndarray, *, most: int = 4, draws: int = 999, seed: int = 0) -> Heaps:
    """Finds how many heaps the directions of rows fall into, and which row lies in which.

    The p-values are of one set of rows; where many are looked at, correct them, see `corrected`.

    Args:
      rows: (n, d), of any length but 0.
      most: heaps, at most.
      draws: samples for the dip test; no p-value is below 1 / (1 + draws).
      seed: of k-means, which is started ten times each, and of the draws.

    Returns:
      The `Heaps`. There are several where both p-values are at most 0.05; each of them is divided further where both of
      its own are, the clearest division first.

    Raises:
      InputError: for too few rows, and where scikit-learn is not installed.
    """
    means = kmeans()
    from threadpoolctl import threadpool_limits

    given = np.asarray(rows, np.float64)
    if not 2 <= most < len(given):
        raise InputError(f"up to {most} heaps of {len(given)} rows; expected from 2 to fewer than there are rows")
    if draws < 1:
        raise InputError(f"draws {draws}; expected at least 1")
    lengths = np.linalg.norm(given, axis=1)
    heard = np.flatnonzero(lengths >= SHORT * np.median(lengths))
    least = max(LEAST_ROWS, int(np.ceil(LEAST_SHARE * len(given))))

    def divided(numbers: np.ndarray) -> _Division | None:
        return _divided(means, given, numbers, least, draws, seed)

    # Of so few rows threads take longer to meet than to compute.
    with threadpool_limits(1):
        first = divided(heard)
        found, open_ones = [heard], {0: first}
        while len(found) < most:
            clear = {k: one for k, one in open_ones.items() if one is not None and one.p_values.max() <= LEVEL}
            if not clear:
                break
            k = min(clear, key=lambda k: (clear[k].p_values.max(), -clear[k].dips.min()))
            found[k], other = clear[k].parts
            found.append(other)
            open_ones |= {k: divided(found[k]), len(found) - 1: divided(other)}
    labels = _nearest(directions(given), found)
    # The largest first; of equals the one of the earlier row.
    sizes = np.bincount(labels, minlength=len(found))
    order = np.lexsort(([np.flatnonzero(labels == k)[0] for k in range(len(found))], -sizes))
    none = np.full(len(MEASURED), 0.5 / len(given)), np.ones(len(MEASURED))
    dips, p_values = none if first is None else (first.dips, first.p_values)
    return Heaps(np.argsort(order)[labels], dips, p_values)


def corrected(p_values: np.ndarray) -> np.ndarray:
    """p-values of many units, corrected for their number: the false discovery rate of Benjamini and Hochberg (1995).

    Args:
      p_values: (units,), of all units that were looked at; NaN for those that could not be judged.

    Returns:
      float64 (units,): the share of wrong ones, at most, among the units that have as small a value or a smaller one.
    """
    from scipy import stats  # slow to load, and the commands load this module

    given = np.asarray(p_values, np.float64)
    adjusted, there = np.full(given.shape, np.nan), ~np.isnan(given)
    if there.any():
        adjusted[there] = stats.false_discovery_control(given[there])
    return adjusted


def _divided(means: Any, rows: np.ndarray, numbers: np.ndarray, least: int, draws: int, seed: int) -> _Division | None:
    """Some of the rows divided in two; None where there are no two parts that are large enough."""
    every = numbers
    while len(numbers) >= 2 * least:
        across = directions(rows[numbers])
        second = _halves(means, across, seed)
        sizes = int((~second).sum()), int(second.sum())
        if min(sizes) >= least:
            dips = np.array([dip(_projected(measured, second)) for measured in (across, rows[numbers])])
            p_values = np.array([dip_p_value(one, len(numbers), draws=draws, seed=seed) for one in dips])
            # What was set aside goes where it is nearest.
            labels = _nearest(directions(rows[every]), _places(every, [numbers[~second], numbers[second]]))
            return _Division((every[labels == 0], every[labels == 1]), dips, p_values)
        if not min(sizes):
            return None
        numbers = numbers[second == (sizes[1] > sizes[0])]
    return None


def _halves(means: Any, rows: np.ndarray, seed: int) -> np.ndarray:
    """Which rows are of the second of two clusters."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # Rows that are all alike are one cluster.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return means(2, n_init=10, random_state=seed).fit_predict(_spanned(rows)) == 1


def _spanned(rows: np.ndarray) -> np.ndarray:
    """Rows in the space that they span, where they are as far apart, in fewer numbers."""
    return np.linalg.qr(rows.T).R.T if rows.shape[1] > len(rows) else rows


def _projected(rows: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Rows (n, d) on the line from the first cluster's center to the second's, each without itself in these: (n,)."""
    rows = rows - rows.mean(0)
    products = rows @ rows.T
    own = np.diag(products)
    sums = [products @ ~second, products @ second]
    sizes = [(~second).sum(), second.sum()]
    to_first = np.where(second, sums[0] / sizes[0], (sums[0] - own) / (sizes[0] - 1))
    to_second = np.where(second, (sums[1] - own) / (sizes[1] - 1), sums[1] / sizes[1])
    return to_second - to_first


def _places(every: np.ndarray, parts: list[np.ndarray]) -> list[np.ndarray]:
    """Where among some numbers, in ascending order, others of them are."""
    return [np.searchsorted(every, part) for part in parts]


def _nearest(rows: np.ndarray, parts: list[np.ndarray]) -> np.ndarray:
    """int (n,): the part that each row is in, or for a row in none the one whose center is nearest."""
    labels = (rows @ directions(np.stack([rows[part].mean(0) for part in parts])).T).argmax(1)
    for k, part in enumerate(parts):
        labels[part] = k
    return labels


def directions(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1; zero ones stay so."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30)
