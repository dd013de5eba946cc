"""What is done to weights before they are compared with those of other units: turned, mirrored, zoomed, recolored.

Weights are (units, h, w, channels), as `expanded_weights` returns them. Each transform is linear, and acts on positions
or on channels.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

import numpy as np
from scipy import sparse

from jaxcircuits.errors import InputError

Transform = Callable[[np.ndarray], np.ndarray]
"""Weights (units, h, w, channels) -> weights of the same shape."""


def rotation(degrees: float) -> Transform:
    """Turns weights about their middle, clockwise as seen.

    Args:
      degrees: exact for multiples of 90, bilinear between cells otherwise; nothing lies beyond the window.

    Returns:
      The `Transform`.
    """
    turn = np.radians(degrees)
    return _by_positions(np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]))


def reflection(degrees: float = 0.0) -> Transform:
    """Mirrors weights in a line through their middle.

    Args:
      degrees: of the direction that is reversed, clockwise from +x as seen: 0 exchanges left and right.

    Returns:
      The `Transform`.
    """
    twice = 2 * np.radians(degrees)
    return _by_positions(-np.array([[np.cos(twice), np.sin(twice)], [np.sin(twice), -np.cos(twice)]]))


def zoom(factor: float) -> Transform:
    """Enlarges weights about their middle by a factor, bilinear between cells.

    Args:
      factor: above 1 enlarges; what leaves the window is lost.

    Returns:
      The `Transform`.

    Raises:
      InputError: for a factor that is not positive.
    """
    if not factor > 0:
        raise InputError(f"zoom by {factor}; expected a positive factor")
    return _by_positions(np.eye(2) * factor)


def hue(degrees: float) -> Transform:
    """Turns the colors of weights to red, green and blue about the gray axis; 120 degrees turn red into green.

    Args:
      degrees: of the turn.

    Returns:
      The `Transform`, for weights with 3 channels: those of the first layer, or expanded to the input.
    """
    turn = np.radians(degrees)
    gray = np.ones(3) / np.sqrt(3)
    cross = np.array([[0, -gray[2], gray[1]], [gray[2], 0, -gray[0]], [-gray[1], gray[0], 0]])
    # Rodrigues' formula.
    matrix = np.cos(turn) * np.eye(3) + np.sin(turn) * cross + (1 - np.cos(turn)) * np.outer(gray, gray)

    def apply(weights: np.ndarray) -> np.ndarray:
        if weights.shape[-1] != 3:
            raise InputError(f"weights to {weights.shape[-1]} channels; hues need weights to red, green and blue")
        return weights @ matrix.T.astype(weights.dtype)

    return apply


def _by_positions(matrix: np.ndarray) -> Transform:
    """Moves what lies at (x, y) from the middle to `matrix @ (x, y)`."""
    backward = np.linalg.inv(matrix).round(12)
    frozen = tuple(map(tuple, backward))

    def apply(weights: np.ndarray) -> np.ndarray:
        units, height, width, channels = weights.shape
        moved = _resampling(height, width, frozen) @ weights.transpose(1, 2, 0, 3).reshape(height * width, -1)
        return moved.reshape(height, width, units, channels).transpose(2, 0, 1, 3).astype(weights.dtype)

    return apply


@functools.lru_cache(maxsize=64)
def _resampling(height: int, width: int, backward: tuple[tuple[float, float], ...]) -> sparse.csr_array:
    """(cells, cells): each new cell as a bilinear mixture of four old ones."""
    middle = np.array([(width - 1) / 2, (height - 1) / 2])[:, None]
    rows, columns = np.indices((height, width)).reshape(2, -1)
    x, y = (np.array(backward) @ (np.stack([columns, rows]) - middle) + middle).round(9)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    parts = []
    for column, row in itertools.product((left, left + 1), (top, top + 1)):
        share = (1 - np.abs(x - column)) * (1 - np.abs(y - row))
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        parts.append((share[inside], np.flatnonzero(inside), (row * width + column)[inside]))
    share, new, old = (np.concatenate(part) for part in zip(*parts))
    return sparse.csr_array((share, (new, old)), shape=(height * width, height * width))
