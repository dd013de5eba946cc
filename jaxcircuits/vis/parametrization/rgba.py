"""Pictures that are transparent where they do not matter."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from jaxcircuits.vis.parametrization.base import Parametrization, Shape, check_part, check_shape, fold_in
from jaxcircuits.vis.parametrization.fourier import Fourier

if TYPE_CHECKING:
    from jaxtyping import Float

BACKGROUND = Fourier(sd=0.5)
"""Whose random starts lie behind a transparent picture."""

ALPHA_STREAM = 2**32 - 2
"""Folded into a picture's key for the start of its alpha channel; steps, which are folded in too, never get there."""


@dataclasses.dataclass(frozen=True)
class RGBA(Parametrization):
    """A picture with a last channel alpha, seen over another random picture at each step.

    Colors and alpha are pictures of one kind, each with parameters of its own: `of` for C channels and for one. The
    network sees `alpha * color + (1 - alpha) * background`; the background is a random Fourier picture, sd 0.5 before
    color, as in Lucid's `collapse_alpha_random`. Where the background does as well the objective has no use for alpha:
    take a penalty on its mean, such as Lucid's. Mordvintsev et al., Differentiable Image Parameterizations, 2018.

    Attributes:
      of: how colors and alpha are written.
    """

    of: Parametrization = Fourier()

    def __post_init__(self):
        check_part("of", self.of, (RGBA,))

    @property
    def group(self) -> int:
        """That of the parametrization it is made of."""
        return self.of.group

    def init(self, key: jax.Array, shape: Shape) -> tuple[Any, Any]:
        """Parameters of the colors and of alpha."""
        return self.of.init(key, shape), self.of.init(fold_in(key, ALPHA_STREAM), _alpha(shape))

    def picture(self, parameters: tuple[Any, Any], shape: Shape) -> Float[jax.Array, "*group height width channels"]:
        """Colors and alpha, (H, W, C + 1)."""
        colors, alpha = parameters
        return jnp.concatenate([self.of.picture(colors, shape), self.of.picture(alpha, _alpha(shape))], axis=-1)

    def from_picture(self, picture: Float[jax.Array, "*group height width channels"], shape: Shape) -> tuple[Any, Any]:
        """Parameters for a picture with C + 1 channels, or with C: that one is opaque."""
        if picture.shape[-1] == shape[-1]:
            picture = jnp.concatenate([picture, jnp.ones_like(picture[..., :1])], axis=-1)
        check_shape(picture, self.picture_shape(shape))
        colors, alpha = picture[..., :-1], picture[..., -1:]
        return self.of.from_picture(colors, shape), self.of.from_picture(alpha, _alpha(shape))

    def view(
        self, key: jax.Array, picture: Float[jax.Array, "height width channels"]
    ) -> Float[jax.Array, "height width colors"]:
        """The picture over a random background."""
        colors, alpha = picture[..., :-1], picture[..., -1:]
        height, width, channels = colors.shape
        shape = (height, width, channels)
        background = BACKGROUND.picture(BACKGROUND.init(key, shape), shape)
        return alpha * colors + (1 - alpha) * background

    def channels(self, channels: int) -> int:
        """One more than the network's."""
        return channels + 1


def _alpha(shape: Shape) -> Shape:
    height, width, _ = shape
    return height, width, 1
