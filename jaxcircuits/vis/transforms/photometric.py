"""Transforms that change values: blur, noise, color. Values are not clipped, so that gradients survive."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp

from jaxcircuits.vis.transforms.base import Photometric, Range, check_number, check_range, draw, is_off
from jaxcircuits.vis.transforms.resample import GRAY
from jaxcircuits.vis.transforms.smooth import gaussian_matrix


@dataclasses.dataclass(frozen=True)
class Blur(Photometric):
    """Gaussian blur of random strength; what lies around the picture is gray, as everywhere.

    Attributes:
      sd: range of the standard deviation in pixels.
    """

    sd: Range = (0.1, 2.0)
    numbers = ("sd",)

    def __post_init__(self):
        check_range(self, "sd", 0.01)

    def apply(self, key, picture):
        sd = draw(key, self.sd)
        # All weights together: of a narrow Gaussian those near the center, of a wide one its integral. Neither is more
        # than the whole sum (Poisson's summation formula), and from 0.01 to any width the larger of them is the sum to
        # a part in 10^8.
        near = jnp.exp(-0.5 * (jnp.arange(-8, 9) / sd) ** 2).sum()
        total = jnp.maximum(near, math.sqrt(2 * math.pi) * sd)
        rows, columns = (gaussian_matrix(n, sd) / total for n in picture.shape[:2])
        return GRAY + jnp.einsum("ih,hwc,jw->ijc", rows, picture - GRAY, columns, precision="highest")


@dataclasses.dataclass(frozen=True)
class Noise(Photometric):
    """Adds random numbers to every value, each drawn by itself.

    Attributes:
      normal: standard deviation of normal noise.
      uniform: total width of uniform noise about 0, added to it.
    """

    normal: float = 0.0
    uniform: float = 0.0
    numbers = ("normal", "uniform")

    def __post_init__(self):
        check_number(self, "normal", 0)
        check_number(self, "uniform", 0)

    def apply(self, key, picture):
        of_normal, of_uniform = jax.random.split(key)
        if not is_off(self.normal):
            picture += self.normal * jax.random.normal(of_normal, picture.shape)
        if not is_off(self.uniform):
            picture += self.uniform * jax.random.uniform(of_uniform, picture.shape, minval=-0.5, maxval=0.5)
        return picture


@dataclasses.dataclass(frozen=True)
class Color(Photometric):
    """Changes brightness, contrast and saturation, in this order, each by a random factor from its range.

    The factors are those of torchvision's `ColorJitter`: of the values, of their distance from the picture's mean gray,
    of their distance from the pixel's gray. Gray is the luma of Rec. 601 of three channels, of fewer the mean; a fourth
    channel, alpha, is left as it is.
    """

    brightness: Range = (1.0, 1.0)
    contrast: Range = (1.0, 1.0)
    saturation: Range = (1.0, 1.0)
    numbers = ("brightness", "contrast", "saturation")

    def __post_init__(self):
        for field in ("brightness", "contrast", "saturation"):
            check_range(self, field, 0)

    def apply(self, key, picture):
        of_brightness, of_contrast, of_saturation = jax.random.split(key, 3)
        color, alpha = picture[..., :3], picture[..., 3:]
        color = draw(of_brightness, self.brightness) * color
        color = _blend(_gray(color).mean(), color, draw(of_contrast, self.contrast))
        color = _blend(_gray(color), color, draw(of_saturation, self.saturation))
        return jnp.concatenate([color, alpha], -1)


def _gray(color: jax.Array) -> jax.Array:
    """(H, W, 1)."""
    channels = color.shape[-1]
    weights = jnp.array([0.299, 0.587, 0.114]) if channels == 3 else jnp.full(channels, 1 / channels)
    return (color * weights).sum(-1, keepdims=True)


def _blend(gray: jax.Array, color: jax.Array, factor: jax.Array) -> jax.Array:
    return gray + factor * (color - gray)
