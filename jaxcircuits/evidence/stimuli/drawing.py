"""Antialiased drawing by signed distances, as pure functions of arrays: they jit, vmap and differentiate.

A figure is a distance in pixels from every pixel's center to the figure's edge, negative inside. Coordinates are
pixels from the middle of the picture, x to the right and y down, so angles run clockwise as seen.

The distances to segment, box and arc follow Quilez, 2D distance functions (iquilezles.org/articles/distfunctions2d).
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

Plane = tuple[jax.Array, jax.Array]
"""The x and the y of every pixel, each (size, size)."""

Vector = ArrayLike | Sequence[float]
"""A point (2,), or a color (3,) or picture (size, size, 3): an array, or numbers."""


def plane(size: int) -> Plane:
    """Coordinates of the centers of all pixels of a square picture, each (size, size), origin in the middle."""
    axis = jnp.arange(size, dtype=jnp.float32) - (size - 1) / 2
    x, y = jnp.meshgrid(axis, axis)
    return x, y


def place(points: Plane, center: Vector = (0.0, 0.0), rotation: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Plane:
    """Coordinates as a figure sees them that was scaled, turned clockwise by `rotation` and moved to `center`.

    Args:
      points: of the picture.
      center: (x, y) where the figure's origin lies, in pixels.
      rotation: radians, clockwise as seen.
      scale: pixels to one unit of the figure.

    Returns:
      The figure's coordinates, in its units.
    """
    center = jnp.asarray(center)
    x, y = points[0] - center[0], points[1] - center[1]
    cos, sin = jnp.cos(rotation) / scale, jnp.sin(rotation) / scale
    return cos * x + sin * y, cos * y - sin * x


def cover(distance: jax.Array) -> jax.Array:
    """How much of each pixel lies inside, in [0, 1], for an edge at distance 0 (distances in pixels)."""
    return jnp.clip(0.5 - distance, 0.0, 1.0)


def paint(picture: jax.Array, covered: jax.Array, color: Vector) -> jax.Array:
    """Lays a color over a picture (H, W, 3) where it is covered (H, W); `color` is (3,) or a picture itself."""
    return picture + covered[..., None] * (jnp.asarray(color) - picture)


def length(x: jax.Array, y: jax.Array) -> jax.Array:
    """Length of a vector; faster than `hypot`, whose care for overflow nothing here needs."""
    return jnp.sqrt(x * x + y * y)


def disc(points: Plane, radius: ArrayLike = 1.0) -> jax.Array:
    """Distance to a disc about the origin."""
    return length(*points) - radius


def ring(points: Plane, radius: ArrayLike, width: ArrayLike) -> jax.Array:
    """Distance to a circle about the origin, drawn `width` wide."""
    return jnp.abs(length(*points) - radius) - width / 2


def segment(points: Plane, start: Vector, end: Vector, width: ArrayLike) -> jax.Array:
    """Distance to a line with round ends from `start` to `end`, both (x, y)."""
    start, end = jnp.asarray(start, jnp.float32), jnp.asarray(end, jnp.float32)
    along = end - start
    x, y = points[0] - start[0], points[1] - start[1]
    t = jnp.clip((x * along[0] + y * along[1]) / jnp.maximum(along @ along, 1e-6), 0.0, 1.0)
    return length(x - t * along[0], y - t * along[1]) - width / 2


def arc(points: Plane, radius: ArrayLike, extent: ArrayLike, width: ArrayLike) -> jax.Array:
    """Distance to the part of a circle about the origin that bulges toward +x, with round ends.

    Args:
      points: where.
      radius: of the circle.
      extent: angle that the arc spans in all, radians, below 2 pi.
      width: of the stroke.

    Returns:
      Distances, (H, W).
    """
    x, y = points[0], jnp.abs(points[1])
    cos, sin = jnp.cos(extent / 2), jnp.sin(extent / 2)
    beside = jnp.abs(length(x, y) - radius)
    beyond = length(x - radius * cos, y - radius * sin)
    return jnp.where(cos * y < sin * x, beside, beyond) - width / 2


def spiral(points: Plane, pitch: ArrayLike, turns: ArrayLike, width: ArrayLike) -> jax.Array:
    """Distance, along the radius, to an Archimedean spiral that starts in the origin and winds clockwise.

    Args:
      points: where.
      pitch: from one turn to the next.
      turns: whole number of turns.
      width: of the stroke.

    Returns:
      Distances, (H, W).
    """
    angle = jnp.arctan2(points[1], points[0]) / (2 * jnp.pi) % 1.0
    turn = length(*points) / pitch - angle
    return jnp.abs(turn - jnp.clip(jnp.round(turn), 0, turns - 1)) * pitch - width / 2


def box(points: Plane, width: ArrayLike, height: ArrayLike, corner: ArrayLike = 0.0) -> jax.Array:
    """Distance to an upright box about the origin, its corners rounded with radius `corner`."""
    x, y = jnp.abs(points[0]) - width / 2 + corner, jnp.abs(points[1]) - height / 2 + corner
    outside = length(jnp.maximum(x, 0.0), jnp.maximum(y, 0.0))
    return outside + jnp.minimum(jnp.maximum(x, y), 0.0) - corner


def triangle(points: Plane, height: ArrayLike, base: ArrayLike) -> jax.Array:
    """Distance to an isosceles triangle that points toward +x, the middle of its base in the origin.

    Exact to the nearest side's line, and so too small beyond a corner.
    """
    x, y = points[0], jnp.abs(points[1])
    side = length(jnp.asarray(height), jnp.asarray(base / 2))
    return jnp.maximum(-x, (height * (y - base / 2) + base / 2 * x) / side)


def wave(points: Plane, orientation: ArrayLike, wavelength: ArrayLike, phase: ArrayLike = 0.0) -> jax.Array:
    """A plane sine wave in [-1, 1] that advances toward `orientation` (radians, clockwise from +x)."""
    along = jnp.cos(orientation) * points[0] + jnp.sin(orientation) * points[1]
    return jnp.sin(2 * jnp.pi * along / wavelength + phase)
