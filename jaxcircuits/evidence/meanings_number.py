"""How many heaps rows fall into, judged against rows that fall into none.

k-means finds two clusters in anything, and any measure of how well they part is larger than 0. So the silhouette of
each number of clusters is compared with those of rows that are otherwise alike, of two kinds, and there are several
heaps only where both are surpassed:

- one heap as wide: as many rows with the same mean and covariance, spread evenly along the principal axes. It is one
  meaning that varies, as with pose. Of distributions with one peak the even one is the hardest to tell from several
  (Tibshirani, Walther and Hastie, the gap statistic, 2001, whose reference this is but for its width, which is that of
  the covariance rather than of the outermost rows);
- shuffled rows: every channel's values in an order of its own. It is many parts that come and go each for itself, of
  which now one is the largest and now another.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.evidence.clarity import kmeans

LEVEL = 0.05
"""The p-value up to which there is more than one heap."""
REFERENCES = ("one heap", "shuffled")
"""What rows are compared with."""


class Heaps(NamedTuple):
    """Rows in one heap or several.

    Attributes:
      labels: int (n,), the heap of each row; heap 0 is the largest.
      silhouettes: float64 (most - 1,), for 2, 3, ... `most` clusters.
      null: float64 (REFERENCES, draws, most - 1), those of rows of either reference.
      p_values: float64 (REFERENCES,), how often rows of a reference, at the number of clusters where they stand out
        most, stand out as much.
    """

    labels: np.ndarray
    silhouettes: np.ndarray
    null: np.ndarray
    p_values: np.ndarray


def heaps(rows: np.ndarray, *, most: int = 4, draws: int = 99, seed: int = 0) -> Heaps:
    """Finds how many heaps the directions of rows fall into, and which row lies in which.

    Args:
      rows: (n, d), of any length but 0; clusters are of what remains at length 1.
      most: clusters that are tried, from two on.
      draws: of rows of each reference; no p-value is below 1 / (1 + draws).
      seed: of k-means, which is started ten times each, and of the draws.

    Returns:
      The `Heaps`. There are several where the p-value, corrected for the numbers of clusters that were tried, is at
      most 0.05, and then as many as stand out most; otherwise one.

    Raises:
      InputError: for too few rows, and where scikit-learn is not installed.
    """
    means = kmeans()
    from threadpoolctl import threadpool_limits

    given = np.asarray(rows, np.float64)
    rows = directions(given)
    if not 2 <= most < len(rows):
        raise InputError(f"up to {most} clusters of {len(rows)} rows; expected from 2 to fewer than there are rows")
    if draws < 1:
        raise InputError(f"draws {draws}; expected at least 1")
    center = rows.mean(0)
    # The rows' own axes: distances stay, and there are no more of them than rows.
    scores, deviations, axes = _principal(rows - center)
    inside = axes @ center
    # What of the mean lies off the axes lengthens all rows alike.
    off = center @ center - inside @ inside
    along = np.concatenate([inside, [np.sqrt(max(off, 0.0))]])
    references = (
        lambda rng: _about(_even(rng, len(rows), deviations), along),
        lambda rng: directions(rng.permuted(given, axis=0)),
    )
    # Of so few rows threads take longer to meet than to compute.
    with threadpool_limits(1):
        labels, silhouettes = _clustered(means, _about(scores, along), most, seed)
        null = np.array(
            [
                [_clustered(means, draw(rng), most, seed)[1] for rng in np.random.default_rng(seed).spawn(draws)]
                for draw in references
            ]
        )
    every = np.concatenate([np.broadcast_to(silhouettes, (len(null), 1, most - 1)), null], 1)
    standing = (every - every.mean(1, keepdims=True)) / np.maximum(every.std(1, keepdims=True), 1e-12)
    highest = standing.max(2)
    p_values = np.mean(highest >= highest[:, :1] - 1e-9, axis=1)
    best = int(standing[:, 0].min(0).argmax())
    chosen = labels[best] if p_values.max() <= LEVEL else np.zeros(len(rows), int)
    # The largest first; of equals the one of the earlier row.
    sizes, first = np.bincount(chosen), [np.flatnonzero(chosen == k)[0] for k in range(chosen.max() + 1)]
    order = np.lexsort((first, -sizes))
    return Heaps(np.argsort(order)[chosen], silhouettes, null, p_values)


def _principal(centered: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores (n, r), standard deviations (r,) and directions (r, d) of the principal axes."""
    left, sizes, axes = np.linalg.svd(centered, full_matrices=False)
    return left * sizes, sizes / np.sqrt(max(len(centered) - 1, 1)), axes


def _even(rng: np.random.Generator, count: int, deviations: np.ndarray) -> np.ndarray:
    return rng.uniform(-np.sqrt(3), np.sqrt(3), (count, len(deviations))) * deviations


def _about(scores: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Rows of length 1 of scores about a mean, which has one more number than they."""
    return directions(np.concatenate([scores, np.zeros((len(scores), 1))], 1) + along)


def directions(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1; zero ones stay so."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30)


def _clustered(means: Any, rows: np.ndarray, most: int, seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Labels and silhouettes for 2, 3, ... `most` clusters."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import silhouette_score

    if rows.shape[1] > len(rows):
        # In the space that the rows span they are as far apart, in fewer numbers.
        rows = np.linalg.qr(rows.T).R.T
    labels, found = [], []
    for count in range(2, most + 1):
        with warnings.catch_warnings():
            # Of rows that are alike there are fewer clusters than asked for.
            warnings.simplefilter("ignore", ConvergenceWarning)
            of = means(count, n_init=10, random_state=seed).fit_predict(rows)
        labels.append(of)
        found.append(silhouette_score(rows, of) if 1 < len(np.unique(of)) < len(rows) else 0.0)
    return labels, np.array(found)
