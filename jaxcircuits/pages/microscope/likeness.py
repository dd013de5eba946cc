"""How alike units of a layer are, by vectors that say what each is like."""

from __future__ import annotations

import numpy as np


def likest(vectors: np.ndarray, place: int, count: int) -> list[tuple[int, float]]:
    """The rows most alike to one row, by cosine: their places and cosines, most alike first."""
    lengths = np.linalg.norm(vectors, axis=1)
    scores = vectors @ vectors[place] / np.maximum(lengths * lengths[place], np.finfo(np.float64).tiny)
    scores[place] = -np.inf
    order = np.argsort(-scores, kind="stable")[:count]
    return [(int(i), float(scores[i])) for i in order if scores[i] > 0]
