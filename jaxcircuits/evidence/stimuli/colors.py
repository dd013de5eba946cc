"""Stimuli of color alone: a hue on a ground, and the boundary of two opposite hues.

Hues lie on a circle on which the mean of red, green and blue is the same everywhere, so that what changes with the hue
is not the lightness: 0 is red, 2 pi / 3 green, 4 pi / 3 blue. A hue and that half a turn away add up to gray.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxcircuits.evidence.stimuli import drawing as d
from jaxcircuits.evidence.stimuli.canvas import GRAY, MIDDLE, canvas

if TYPE_CHECKING:
    from jaxtyping import Float


def of_hue(hue: ArrayLike, saturation: ArrayLike = 0.8, lightness: ArrayLike = 0.5) -> Float[jax.Array, " 3"]:
    """A color by its hue.

    Args:
      hue: radians; red, green and blue are a third of a turn apart.
      saturation: from 0, which is gray, to 1, at which a channel reaches 0 or 1.
      lightness: the mean of the three channels, in [0, 1].

    Returns:
      (3,), in [0, 1].
    """
    room = jnp.minimum(lightness, 1 - jnp.asarray(lightness))
    return room * saturation * jnp.cos(hue - jnp.arange(3) * 2 * jnp.pi / 3) + lightness


def hue(
    hue: ArrayLike,
    radius: ArrayLike = 20.0,
    size: int = 96,
    *,
    saturation: ArrayLike = 0.8,
    lightness: ArrayLike = 0.5,
    center: d.Vector = MIDDLE,
    ground: d.Vector = GRAY,
) -> Float[jax.Array, "size size 3"]:
    """A disc of one hue; see `of_hue`.

    Args:
      hue: radians.
      radius: of the disc, in pixels; larger than the picture for a whole one of that hue.
      size: of the picture.
      saturation: of the color.
      lightness: of the color.
      center: of the disc.
      ground: color or picture beneath.

    Returns:
      The picture, (size, size, 3).
    """
    color = of_hue(hue, saturation, lightness)
    return d.paint(canvas(ground, size), d.cover(d.disc(d.place(d.plane(size), center), radius)), color)


def color_contrast(
    orientation: ArrayLike,
    hue: ArrayLike = 0.0,
    size: int = 96,
    *,
    saturation: ArrayLike = 0.8,
    lightness: ArrayLike = 0.5,
    center: d.Vector = MIDDLE,
) -> Float[jax.Array, "size size 3"]:
    """One hue beside the opposite one; see `of_hue`.

    Args:
      orientation: direction in which `hue` lies; the boundary runs through `center` at right angles to it.
      hue: radians.
      size: of the picture.
      saturation: of both colors.
      lightness: of both colors.
      center: on the boundary.

    Returns:
      The picture, (size, size, 3).
    """
    toward, _ = d.place(d.plane(size), center, orientation)
    opposite = of_hue(hue + jnp.pi, saturation, lightness)
    return d.paint(canvas(opposite, size), d.cover(-toward), of_hue(hue, saturation, lightness))
