"""Synthetic stimuli: figures by their parameters, on a plain ground or laid over a picture.

Every function returns one picture (size, size, 3) with values in [0, 1] where its colors are, and is pure and
traceable in everything but `size`: vmap it over an orientation and it is a tuning experiment (Cammarata et al., Curve
Detectors, Distill 2020). Lengths are pixels, angles radians clockwise from +x with y down.

All take
  center: (x, y) from the middle of the picture;
  color: (3,) of the figure;
  ground: (3,), or a picture (size, size, 3) to draw on;
  size: height and width of the picture.

    lines and shapes   curve, circle, spiral, s_curve, line, corner, patch, dots
    textures           grating, high_low_frequency
    colors             hue, color_contrast
    objects            head, car
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxcircuits.evidence.stimuli import drawing as d
from jaxcircuits.evidence.stimuli.canvas import BLACK, GRAY, MIDDLE, WHITE, canvas
from jaxcircuits.evidence.stimuli.colors import color_contrast, hue, of_hue
from jaxcircuits.evidence.stimuli.figures import ABOVE, BEHIND, BELOW, IN_FRONT, LEFT, NONE, RIGHT, car, head

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = [
    "ABOVE",
    "BEHIND",
    "BELOW",
    "BLACK",
    "GRAY",
    "IN_FRONT",
    "LEFT",
    "MIDDLE",
    "NONE",
    "RIGHT",
    "WHITE",
    "canvas",
    "car",
    "circle",
    "color_contrast",
    "corner",
    "curve",
    "dots",
    "grating",
    "head",
    "high_low_frequency",
    "hue",
    "line",
    "of_hue",
    "patch",
    "s_curve",
    "spiral",
]


def curve(
    orientation: ArrayLike,
    radius: ArrayLike = 20.0,
    width: ArrayLike = 4.0,
    size: int = 96,
    *,
    extent: ArrayLike = 2.1,
    center: d.Vector = MIDDLE,
    color: d.Vector = WHITE,
    ground: d.Vector = GRAY,
) -> Float[jax.Array, "size size 3"]:
    """A part of a circle.

    Args:
      orientation: direction in which it bulges.
      radius: of the circle; the curvature is its inverse.
      width: of the stroke.
      size: of the picture.
      extent: angle that the arc spans.
      center: of the figure, half-way between the arc's middle and its chord.
      color: of the stroke.
      ground: color or picture beneath.

    Returns:
      The picture, (size, size, 3).
    """
    points = d.place(d.plane(size), center, orientation)
    points = points[0] + radius * (1 + jnp.cos(extent / 2)) / 2, points[1]
    return d.paint(canvas(ground, size), d.cover(d.arc(points, radius, extent, width)), color)


def circle(
    radius: ArrayLike = 20.0,
    width: ArrayLike = 4.0,
    size: int = 96,
    *,
    center: d.Vector = MIDDLE,
    color: d.Vector = WHITE,
    ground: d.Vector = GRAY,
) -> Float[jax.Array, "size size 3"]:
    """A whole circle, stroked `width` wide."""
    distance = d.ring(d.place(d.plane(size), center), radius, width)
    return d.paint(canvas(ground, size), d.cover(distance), color)


def spiral(
    orientation: ArrayLike,
    pitch: ArrayLike = 12.0,
    width: ArrayLike = 4.0,
    size: int = 96,
    *,
    turns: ArrayLike = 2,
    handedness: ArrayLike = 1.0,
    center: d.Vector = MIDDLE,
    color: d.Vector = WHITE,
    ground: d.Vector = GRAY,
) -> Float[jax.Array, "size size 3"]:
    """An Archimedean spiral of `turns` turns `pitch` apart; it leaves its middle toward `orientation`.

    With `handedness` 1 it winds clockwise outwards, with -1 the other way.
    """
    x, y = d.place(d.plane(size), center, orientation)
    distance = d.spiral((x, y * handedness), pitch, turns, width)
    return d.paint(canvas(ground, size), d.cover(distance), color)


def s_curve(
    orientation: ArrayLike,
    radius: ArrayLike = 14.0,
    width: ArrayLike = 4.0,
    size: int = 96,
    *,
    extent: ArrayLike = 2.6,
    handedness: ArrayLike = 1.0,
    center: d.Vector = MIDDLE,
    color: d.Vector = WHITE,
    ground: d.Vector = GRAY,
) -> Float[jax.Array, "size size 3"]:
    """Two arcs of opposite sense that meet in the middle; `handedness` -1 mirrors it."""

    def half(x: jax.Array, y: jax.Array) -> jax.Array:
        # From the joint in the origin along a circle about (0, -radius).
        joint = jnp.stack([jnp.zeros_like(radius, jnp.float32), jnp.negative(radius)])
        points = d.place((x, y), joint, (jnp.pi - extent) / 2)
        return d.arc(points, radius, extent, width)

    x, y = d.place(d.plane(size), center, orientation)
    y = y * handedness
    return d.paint(canvas(ground, size), d.cover(jnp.minimum(half(x, y), half(-x, -y))), color)


def line(
    orientation: ArrayLike,
    length: ArrayLike = 60.0,
    width: ArrayLike = 4.0,
    size: int = 96,
    *,
    center: d.Vector = MIDDLE,
    color: d.Vector = WHITE,
    ground: d.Vector = GRAY,
) -> Float[jax.Array, "size size 3"]:
    """A straight line that runs along `orientation`, about `center`."""
    return corner(orientation, jnp.pi, length / 2, width, size, center=center, color=color, ground=ground)


def corner(
    orientation: ArrayLike,
    opening: ArrayLike = jnp.pi / 2,
    length: ArrayLike = 30.0,
    width: ArrayLike = 4.0,
    size: int = 96,
    *,
    center: d.Vector = MIDDLE,
    color: d.Vector = WHITE,
    ground: d.Vector = GRAY,
) -> Float[jax.Array, "size size 3"]:
    """Two lines from one point: the first runs toward `orientation`, the second `opening` clockwise of it."""
    points = d.place(d.plane(size), center, orientation)
    second = length * jnp.stack([jnp.cos(opening), jnp.sin(opening)])
    first = length * jnp.array([1.0, 0.0])
    distance = jnp.minimum(d.segment(points, MIDDLE, first, width), d.segment(points, MIDDLE, second, width))
    return d.paint(canvas(ground, size), d.cover(distance), color)


def grating(
    orientation: ArrayLike,
    wavelength: ArrayLike = 8.0,
    phase: ArrayLike = 0.0,
    size: int = 96,
    *,
    color: d.Vector = WHITE,
    ground: d.Vector = BLACK,
) -> Float[jax.Array, "size size 3"]:
    """A sine grating between two colors that fills the picture; its waves advance toward `orientation`."""
    return d.paint(canvas(ground, size), 0.5 + 0.5 * d.wave(d.plane(size), orientation, wavelength, phase), color)


def dots(
    orientation: ArrayLike,
    spacing: ArrayLike = 14.0,
    radius: ArrayLike = 4.0,
    size: int = 96,
    *,
    center: d.Vector = MIDDLE,
    color: d.Vector = WHITE,
    ground: d.Vector = GRAY,
) -> Float[jax.Array, "size size 3"]:
    """A square lattice of discs that fills the picture, one of them at `center`."""
    x, y = d.place(d.plane(size), center, orientation)
    x, y = ((u + spacing / 2) % spacing - spacing / 2 for u in (x, y))
    return d.paint(canvas(ground, size), d.cover(d.disc((x, y), radius)), color)


def high_low_frequency(
    orientation: ArrayLike,
    high: ArrayLike = 4.0,
    low: ArrayLike = 16.0,
    size: int = 96,
    *,
    grain: ArrayLike = 0.7,
    phase: ArrayLike = 0.0,
    center: d.Vector = MIDDLE,
    color: d.Vector = WHITE,
    ground: d.Vector = BLACK,
) -> Float[jax.Array, "size size 3"]:
    """A fine texture beside a coarse one (Schubert et al., High-Low Frequency Detectors, Distill 2021).

    Args:
      orientation: direction in which the fine half lies; the boundary runs through `center` at right angles to it.
      high: wavelength of the fine half.
      low: wavelength of the coarse half.
      size: of the picture.
      grain: orientation of the texture, a plaid of two waves at right angles.
      phase: of the waves.
      center: on the boundary.
      color: one of the two colors of the texture.
      ground: the other.

    Returns:
      The picture, (size, size, 3).
    """
    points = d.plane(size)
    toward, _ = d.place(points, center, orientation)
    fine = d.cover(-toward)
    plaid = [
        d.wave(points, grain, wavelength, phase) * d.wave(points, grain + jnp.pi / 2, wavelength, phase)
        for wavelength in (low, high)
    ]
    texture = 0.5 + 0.5 * (plaid[0] + fine * (plaid[1] - plaid[0]))
    return d.paint(canvas(ground, size), texture, color)


def patch(
    radius: ArrayLike = 20.0,
    size: int = 96,
    *,
    center: d.Vector = MIDDLE,
    color: d.Vector = WHITE,
    ground: d.Vector = GRAY,
) -> Float[jax.Array, "size size 3"]:
    """A filled disc: a color in the middle of another."""
    return d.paint(canvas(ground, size), d.cover(d.disc(d.place(d.plane(size), center), radius)), color)
