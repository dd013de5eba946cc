"""Turns about the center: their matrix, and what bounds it."""

from __future__ import annotations

import math
from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.vis.transforms.base import LinearBounds, Range


def turn(angle: jax.Array) -> jax.Array:
    """The (2, 2) matrix from view to picture of a counterclockwise turn by `angle` in radians."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return jnp.array([[cos, sin], [-sin, cos]])


def turn_reach(degrees: float) -> float:
    """The absolute row sum of a turn's matrix."""
    return abs(math.cos(math.radians(degrees))) + abs(math.sin(math.radians(degrees)))


def extremes(degrees: Range, first: float) -> tuple[float, ...]:
    """The angles of a range at which a function that repeats every 90 degrees can be extreme.

    Args:
      degrees: the range.
      first: an angle at which it is extreme wherever the range lies.

    Returns:
      The range's ends, and of `first` and what lies quarter turns from it the least two inside: more tell nothing new.
    """
    low, high = degrees
    least = math.ceil((low - first) / 90)
    most = min(math.floor((high - first) / 90), least + 1)
    return (low, high, *(first + 90 * k for k in range(least, most + 1)))


def turn_bounds(degrees: Iterable[float]) -> LinearBounds:
    """Bounds of turns by these angles; never quite none, so that a turn by other numbers finds its program."""
    angles = np.deg2rad([*degrees])
    cos, sin = np.abs(np.cos(angles)), max(np.abs(np.sin(angles)).max(), 1e-9)
    return LinearBounds(1, np.full(2, cos.min()), np.array([[cos.max(), sin], [sin, cos.max()]]))
