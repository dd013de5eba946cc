"""Which value of the stimulus pictures look like, judged by their edges and not by the network."""

from __future__ import annotations

import numpy as np

from jaxcircuits.arguments.case import Case
from jaxcircuits.errors import InputError
from jaxcircuits.evidence import likeness
from jaxcircuits.evidence.stimulus import drawing

REACH = 12
"""Pixels by which the stimulus may lie beside the middle, on either side."""


def fitted_values(case: Case, pictures: np.ndarray) -> np.ndarray:
    """The value (N,) of the stimulus that each picture (N, H, W, channels) looks most like, whatever else varies."""
    side = min(case.size, *(length - 2 * REACH for length in pictures.shape[1:3]))
    if side < 16:
        raise InputError(f"pictures of {pictures.shape[1:3]} pixels are too small to look for a stimulus in them")
    axes = case.tuning.grid
    # The shade does not tell: edges have no sign.
    kept = [name for name in axes if axes[name].ndim == 1]
    drawn = drawing(case.stimulus, list(axes), case.size, False)
    mesh = np.meshgrid(*(axes[name] for name in kept), indexing="ij")
    points = {name: part.ravel().astype(np.float32) for name, part in zip(kept, mesh)}
    for name in axes:
        if name not in kept:
            points[name] = np.repeat(axes[name][-1:].astype(np.float32), mesh[0].size, axis=0)
    templates = np.asarray(drawn.draw(points, None))
    edge = (case.size - side) // 2
    templates = templates[:, edge : edge + side, edge : edge + side]
    middle = [max((length - side - 2 * REACH) // 2, 0) for length in pictures.shape[1:3]]
    cut = pictures[:, middle[0] : middle[0] + side + 2 * REACH, middle[1] : middle[1] + side + 2 * REACH]
    scores = likeness(cut, templates).reshape(len(pictures), *mesh[0].shape)
    axis = kept.index(case.parameter) + 1
    best = scores.max(tuple(i for i in range(1, scores.ndim) if i != axis))
    return case.values[best.argmax(1)]
