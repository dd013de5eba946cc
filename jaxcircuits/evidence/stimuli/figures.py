"""Synthetic objects made of parts, for circuits that put parts together: heads that face somewhere, and cars.

The conventions are those of `jaxcircuits.evidence.stimuli`. The parts can be put in wrong places, which a detector of
the whole should mind and a detector of a part should not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxcircuits.evidence.stimuli import drawing as d
from jaxcircuits.evidence.stimuli.canvas import GRAY, MIDDLE, canvas

if TYPE_CHECKING:
    from jaxtyping import Float, Num

SNOUT, EAR, EYE = 0.15, -2.25, -0.75
"""Directions from the middle of a head that faces right to its parts."""
NECK = 2.0
"""Direction from the middle of a head that faces right to its neck: down and back."""
LEFT, RIGHT = -1.0, 1.0
ABOVE, BELOW = -1.0, 1.0
BEHIND, NONE, IN_FRONT = 1.0, 0.0, -1.0
HOUND, CAT = 0.0, 1.0
FROM_ABOVE = -math.pi / 2
"""Direction from which light falls."""

BROWN, DARK, LIGHT, GLASS = (0.6, 0.42, 0.25), (0.08, 0.07, 0.07), (0.95, 0.95, 0.92), (0.75, 0.88, 0.95)
RED = (0.75, 0.15, 0.12)


def head(
    facing: ArrayLike = RIGHT,
    radius: ArrayLike = 18.0,
    nod: ArrayLike = 0.0,
    size: int = 96,
    *,
    kind: ArrayLike = HOUND,
    neck: ArrayLike = NONE,
    parts: Sequence[ArrayLike] | Num[jax.Array | np.ndarray, " 3"] = (SNOUT, EAR, EYE),
    fur: ArrayLike = 0.15,
    grain: ArrayLike = 0.0,
    shading: ArrayLike = 0.0,
    light: ArrayLike = FROM_ABOVE,
    center: d.Vector = MIDDLE,
    color: d.Vector = BROWN,
    ground: d.Vector = GRAY,
) -> Float[jax.Array, "size size 3"]:
    """The head of a furry animal in profile: skull, snout with a nose, ear, eye, and a neck or none.

    Args:
      facing: `RIGHT` (1), or `LEFT` (-1), which is its mirror image.
      radius: of the skull.
      nod: radians by which the snout is lowered.
      size: of the picture.
      kind: `HOUND` (0), with a long snout and a dark ear that lies back, or `CAT` (1), with a short snout and two
        pointed ears.
      neck: `NONE` (0), `BEHIND` the snout where it belongs (1), or `IN_FRONT`, below the snout (-1).
      parts: directions from the middle to snout, ear and eye, as in a head that faces right; other directions than
        the default scramble it.
      fur: depth of the fur's texture.
      grain: shifts the fur's texture.
      shading: how much lighter the side toward the light is than the middle, as a fraction.
      light: direction from which it falls.
      center: of the skull.
      color: of the fur; a hound's ear is darker.
      ground: color or picture beneath.

    Returns:
      The picture, (size, size, 3).
    """
    center, (snout, ear, eye) = jnp.asarray(center), parts
    x, y = d.place(d.plane(size), center)
    points = d.place((x * facing, y), MIDDLE, nod, radius)
    strands = d.wave(points, 1.2, 0.28, 1.5 * d.wave(points, 0.1, 0.7, grain) + grain)
    lit = _lit((x / radius, y / radius), shading, light)
    coat = jnp.clip(jnp.asarray(color) * ((1 + fur * strands) * lit)[..., None], 0.0, 1.0)

    def toward(angle: ArrayLike, reach: ArrayLike) -> jax.Array:
        return jnp.asarray(reach) * jnp.stack([jnp.cos(angle), jnp.sin(angle)])

    def cover(distance: jax.Array) -> jax.Array:
        return d.cover(distance * radius)

    # The neck's mirror image about the vertical is the wrong one.
    nape = toward(NECK, 1.0) * jnp.stack([jnp.sign(neck + 0.5), jnp.ones_like(neck, jnp.float32)])
    shown = jnp.abs(neck)
    picture = canvas(ground, size)
    picture = d.paint(picture, shown * cover(d.segment(points, 0.4 * nape, 2.6 * nape, 1.0)), coat)
    picture = d.paint(picture, cover(d.disc(points)), coat)
    muzzle = d.segment(points, toward(snout, 0.7), toward(snout, 1.6 - 0.6 * kind), 0.76)
    picture = d.paint(picture, cover(muzzle), coat)
    nose = d.disc(d.place(points, toward(snout, 1.88 - 0.55 * kind)), 0.26 - 0.06 * kind)
    picture = d.paint(picture, cover(nose), DARK)
    flap = d.segment(points, toward(ear, 0.8), toward(ear, 1.45), 0.66)
    tips = [d.triangle(d.place(points, toward(ear + turn, 0.7), ear + turn), 0.95, 0.9) for turn in (0.15, 1.05)]
    ears = jnp.where(kind == CAT, jnp.minimum(*tips), flap)
    picture = d.paint(picture, cover(ears), jnp.where(kind == CAT, 0.8, 0.45) * coat)
    eyeball = d.disc(d.place(points, toward(eye, 0.5)), 0.3)
    picture = d.paint(picture, cover(eyeball), LIGHT)
    return d.paint(picture, cover(eyeball + 0.14), DARK)


def car(
    windows: ArrayLike = ABOVE,
    wheels: ArrayLike = BELOW,
    length: ArrayLike = 60.0,
    tilt: ArrayLike = 0.0,
    size: int = 96,
    *,
    facing: ArrayLike = RIGHT,
    shading: ArrayLike = 0.0,
    light: ArrayLike = FROM_ABOVE,
    center: d.Vector = MIDDLE,
    color: d.Vector = RED,
    glass: d.Vector = GLASS,
    ground: d.Vector = GRAY,
) -> Float[jax.Array, "size size 3"]:
    """A car from the side: windows above a body above wheels, or the same parts elsewhere.

    Args:
      windows: `ABOVE` (-1) or `BELOW` (1) the body.
      wheels: `ABOVE` (-1) or `BELOW` (1) the body.
      length: of the body.
      tilt: radians, clockwise.
      size: of the picture.
      facing: side to which the cabin lies farther, `LEFT` (-1) or `RIGHT` (1).
      shading: of the body, as for `head`.
      light: of the body, as for `head`.
      center: of the body.
      color: of the body.
      glass: of the windows.
      ground: color or picture beneath.

    Returns:
      The picture, (size, size, 3).
    """
    unit = length / 2
    # The light keeps its side however the car is turned and faces.
    lit = _lit(d.place(d.plane(size), center, 0.0, 0.6 * unit), shading, light)
    paint = jnp.clip(jnp.asarray(color) * lit[..., None], 0.0, 1.0)
    x, y = d.place(d.plane(size), center, tilt, unit)
    x = x * facing

    def cover(distance: jax.Array) -> jax.Array:
        return d.cover(distance * unit)

    picture = canvas(ground, size)
    cabin = x - 0.08, y * windows - 0.36
    picture = d.paint(picture, cover(d.box(cabin, 1.2, 0.5, 0.16)), paint)
    for middle in (-0.27, 0.27):
        picture = d.paint(picture, cover(d.box((cabin[0] - middle, cabin[1] - 0.02), 0.42, 0.3, 0.06)), glass)
    picture = d.paint(picture, cover(d.box((x, y), 2.0, 0.5, 0.14)), paint)
    for middle in (-0.55, 0.55):
        wheel = d.disc((x - middle, y * wheels - 0.28), 0.27)
        picture = d.paint(picture, cover(wheel), DARK)
        picture = d.paint(picture, cover(wheel + 0.15), (0.7, 0.7, 0.7))
    return picture


def _lit(points: d.Plane, shading: ArrayLike, light: ArrayLike) -> jax.Array:
    """Factors of brightness on a round body about the origin, of radius 1, lit from the direction `light`."""
    return 1 + jnp.asarray(shading) * jnp.clip(jnp.cos(light) * points[0] + jnp.sin(light) * points[1], -1.0, 1.0)
