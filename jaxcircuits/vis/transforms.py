"""Random views that a picture must survive: geometric transforms, folded into one resample.

Each transform draws a 3x3 matrix for one picture from one key; the product of all is sampled once, bilinearly. The
size of the view is static (it follows from pads and jitters alone), so nothing recompiles.

`LUCID` draws from the distributions of Lucid's `standard_transforms` and deviates from it in four ways:

* each picture has draws of its own, where Lucid draws once a step for the whole batch;
* scaling zooms within a canvas of fixed size (140 px for a picture of 128), where Lucid's view changes size with the
  scale (125 to 154 px); the scale of the content is the same, the outermost cells that the network sees differ;
* everything outside the picture is the grey of the padding, where Lucid's rotation fills corners with black;
* one bilinear interpolation, where Lucid interpolates twice (scaling, rotation): slightly sharper.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxcircuits.vis.resample import resample

Size = tuple[int, int]


class Transform:
    """A random geometric transform of one picture; hashable, without arrays. By itself it changes nothing."""

    def size(self, size: Size) -> Size:
        """Height and width of the view, from those of the picture."""
        return size

    def matrix(self, key: jax.Array) -> jax.Array:
        """A random (3, 3) matrix from view to picture coordinates: (y, x, 1) in pixels from the centre."""
        return jnp.eye(3)

    def reach(self) -> float:
        """Upper bound of how far apart, in view pixels along one axis, picture pixels one pixel apart come to lie."""
        return 1.0


@dataclasses.dataclass(frozen=True)
class Pad(Transform):
    """Adds `pixels` of mid-grey on every side."""

    pixels: int

    def size(self, size: Size) -> Size:
        return size[0] + 2 * self.pixels, size[1] + 2 * self.pixels


@dataclasses.dataclass(frozen=True)
class Jitter(Transform):
    """Crops `pixels` from height and width at a random whole-pixel offset from 0 to `pixels`."""

    pixels: int

    def size(self, size: Size) -> Size:
        return size[0] - self.pixels, size[1] - self.pixels

    def matrix(self, key: jax.Array) -> jax.Array:
        offset = jax.random.randint(key, (2,), 0, self.pixels + 1) - self.pixels / 2
        return jnp.eye(3).at[:2, 2].set(offset)


@dataclasses.dataclass(frozen=True)
class Scale(Transform):
    """Zooms about the centre by one of `scales`, chosen at random; more than 1 makes things larger."""

    scales: tuple[float, ...]

    def matrix(self, key: jax.Array) -> jax.Array:
        zoom = 1 / jax.random.choice(key, jnp.asarray(self.scales))
        return jnp.diag(jnp.stack([zoom, zoom, jnp.ones(())]))

    def reach(self) -> float:
        return max(self.scales)


@dataclasses.dataclass(frozen=True)
class Rotate(Transform):
    """Turns counterclockwise about the centre by one of `degrees`, chosen at random."""

    degrees: tuple[float, ...]

    def matrix(self, key: jax.Array) -> jax.Array:
        angle = jnp.deg2rad(jax.random.choice(key, jnp.asarray(self.degrees, jnp.float32)))
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        return jnp.eye(3).at[:2, :2].set(jnp.array([[cos, sin], [-sin, cos]]))

    def reach(self) -> float:
        return max(abs(math.cos(math.radians(d))) + abs(math.sin(math.radians(d))) for d in self.degrees)


LUCID: tuple[Transform, ...] = (
    Pad(12),
    Jitter(8),
    Scale(tuple(1 + (i - 5) / 50 for i in range(11))),
    Rotate((*range(-10, 11), 0, 0, 0, 0, 0)),
    Jitter(4),
)
"""Lucid's `standard_transforms`: scales 0.90 to 1.10, -10 to 10 degrees with 0 six times as likely as the others."""


def view_size(transforms: Sequence[Transform], size: Size) -> Size:
    """Height and width of the view of a picture of `size`."""
    for transform in transforms:
        size = transform.size(size)
    return size


def random_view(transforms: Sequence[Transform], key: jax.Array, picture: jax.Array) -> jax.Array:
    """One random view of one picture.

    Args:
      transforms: applied in order; none gives the picture itself.
      key: of this view.
      picture: (H, W, C).

    Returns:
      (h, w, C) with (h, w) = `view_size`; 0.5 where the view looks past the picture's edge.
    """
    if not transforms:
        return picture
    to_picture = jnp.eye(3)
    for transform, k in zip(transforms, jax.random.split(key, len(transforms))):
        # A point of the view goes through the last transform first.
        to_picture = to_picture @ transform.matrix(k)
    reach = math.prod(transform.reach() for transform in transforms)
    return resample(picture, to_picture, view_size(transforms, picture.shape[:2]), reach)
