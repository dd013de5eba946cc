"""Turns about the centre: their matrix, and what bounds it."""

from __future__ import annotations

import math
from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.vis.transforms.base import LinearBounds


def turn(angle: jax.Array) -> jax.Array:
    """The (2, 2) matrix from view to picture of a counterclockwise turn by `angle` in radians."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return jnp.array([[cos, sin], [-sin, cos]])


def turn_reach(degrees: float) -> float:
    """The absolute row sum of a turn's matrix."""
    return abs(math.cos(math.radians(degrees))) + abs(math.sin(math.radians(degrees)))


def turn_bounds(degrees: Iterable[float]) -> LinearBounds:
    """Of turns by these angles; never quite none, so that a turn by other numbers finds its program."""
    angles = np.deg2rad([*degrees])
    cos, sin = np.abs(np.cos(angles)), max(np.abs(np.sin(angles)).max(), 1e-9)
    return LinearBounds(1, np.full(2, cos.min()), np.array([[cos.max(), sin], [sin, cos.max()]]))
