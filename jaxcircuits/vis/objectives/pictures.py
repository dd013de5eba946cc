"""What the picture itself should be like: terms that are added to, or taken from, an objective of the network.

Penalties are positive numbers to subtract, summed over pixels as in Lucid, so that its weights carry over. They read
the picture before the view; `layer=` reads a layer's activation instead.

>>> channel("mixed4b", 3) - 0.25 * total_variation() - 0.05 * L1(constant=0.5)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.vis.objectives.base import Objective, OfLayer, check_finite, node
from jaxcircuits.vis.objectives.positions import seen_shape
from jaxcircuits.vis.objectives.seen import INPUT, Seen
from jaxcircuits.vis.recipe import Recipe

if TYPE_CHECKING:
    from jaxtyping import Float

LEAST = 1e-6
"""Under square roots, whose gradient has no value at 0."""


@node("layer")
class TotalVariation(OfLayer):
    """See `total_variation`."""

    layer: str

    def score(self, seen: Seen) -> jax.Array:
        values = seen[self.layer].astype(jnp.float32)
        return jnp.abs(jnp.diff(values, axis=0)).sum() + jnp.abs(jnp.diff(values, axis=1)).sum()

    def check(self, network: Network, recipe: Recipe) -> None:
        if self.layer != INPUT and len(seen_shape(self.layer, network, recipe)) != 3:
            raise InputError(f"total_variation wants a layer with positions; {self.layer} has none")


@node("layer")
class Norm1(OfLayer):
    """See `L1`."""

    layer: str
    constant: np.ndarray

    def score(self, seen: Seen) -> jax.Array:
        return jnp.abs(seen[self.layer].astype(jnp.float32) - self.constant).sum()


@node("layer")
class Norm2(OfLayer):
    """See `L2`."""

    layer: str
    constant: np.ndarray

    def score(self, seen: Seen) -> jax.Array:
        return jnp.sqrt(LEAST + jnp.square(seen[self.layer].astype(jnp.float32) - self.constant).sum())


class _OfPicture(Objective):
    """Base of objectives that read the picture alone."""

    alpha = False

    @property
    def layers(self) -> tuple[str, ...]:
        return ()

    def check(self, network: Network, recipe: Recipe) -> None:
        channels = network.convention.channels
        if self.alpha and recipe.parametrization.channels(channels) == channels:
            raise InputError(
                f"{type(self).__name__.lower()} reads a picture's alpha, and {recipe.parametrization} has none; "
                "use Recipe(parametrization=RGBA())"
            )
        check_finite(self)


@node()
class BlurInput(_OfPicture):
    """See `blur_input_each_step`."""

    def score(self, seen: Seen) -> jax.Array:
        return _roughness(seen.picture)


@node()
class BlurAlpha(_OfPicture):
    """See `blur_alpha_each_step`."""

    alpha = True

    def score(self, seen: Seen) -> jax.Array:
        return _roughness(seen.picture[..., -1:])


@node()
class MeanAlpha(_OfPicture):
    """See `mean_alpha`."""

    alpha = True

    def score(self, seen: Seen) -> jax.Array:
        return seen.picture[..., -1].mean()


@node("width")
class BoundaryComplexity(_OfPicture):
    """See `boundary_complexity`."""

    constant: np.ndarray
    width: int

    def score(self, seen: Seen) -> jax.Array:
        picture, width = seen.picture, self.width
        border = np.ones(picture.shape[:2], np.float32)
        border[width:-width, width:-width] = 0
        distance = (_blur(picture, 5) - picture) ** 2 + 0.8 * (picture - self.constant) ** 2
        return (distance * border[..., None]).sum()

    def check(self, network: Network, recipe: Recipe) -> None:
        super().check(network, recipe)
        if not 1 <= self.width <= min(recipe.size) // 2:
            raise InputError(
                f"width {self.width!r}; expected pixels from 1 to half the picture, {min(recipe.size) // 2}"
            )


@node()
class InputDifference(_OfPicture):
    """See `input_diff`."""

    pictures: np.ndarray

    def score(self, seen: Seen) -> jax.Array:
        channels = self.pictures.shape[-1]
        return jnp.sqrt(jnp.square(seen.picture[..., :channels] - self.pictures).mean() + LEAST)

    def check(self, network: Network, recipe: Recipe) -> None:
        check_pictures(self.pictures, network, recipe)


def total_variation(layer: str = INPUT) -> Objective:
    """Sum of absolute differences between neighbors: noise (Simonyan et al., 2014, Mahendran and Vedaldi, 2015)."""
    return TotalVariation(layer)


def L1(layer: str = INPUT, constant: float | Sequence[float] = 0) -> Objective:
    """Sum of absolute differences from a constant.

    Args:
      layer: a name of `network.layers`, or the picture.
      constant: 0.5 is mid-gray; or one for each picture.
    """
    return Norm1(layer, np.atleast_1d(np.asarray(constant, np.float32)))


def L2(layer: str = INPUT, constant: float | Sequence[float] = 0) -> Objective:
    """Root of the sum of squared differences from a constant; arguments as for `L1`."""
    return Norm2(layer, np.atleast_1d(np.asarray(constant, np.float32)))


def blur_input_each_step() -> Objective:
    """Half the squared difference between the picture and its 3x3 blur; `- k *` it blurs a little at every step.

    The blur is held constant in the gradient (Lucid; Nguyen et al., 2015).
    """
    return BlurInput()


def blur_alpha_each_step() -> Objective:
    """Like `blur_input_each_step`, of the alpha channel: `- 0.1 *` it keeps the outline smooth."""
    return BlurAlpha()


def mean_alpha() -> Objective:
    """Mean opacity; `objective * (1 - mean_alpha())` draws no more than the objective needs.

    Mordvintsev et al., Differentiable Image Parameterizations, Distill, 2018. Wants `Recipe(parametrization=RGBA())`.
    """
    return MeanAlpha()


def boundary_complexity(width: int = 20, constant: float | Sequence[float] = 0.5) -> Objective:
    """How much a picture's border differs from its 5x5 blur and from a constant, summed (Lucid; subtract it).

    Args:
      width: of the border, in pixels.
      constant: the border's value in [0, 1]; or one for each picture.
    """
    return BoundaryComplexity(np.atleast_1d(np.asarray(constant, np.float32)), width)


def input_diff(pictures: Float[np.ndarray, "*pictures height width channels"]) -> Objective:
    """Root mean square difference from given pictures.

    Args:
      pictures: (H, W, channels) in [0, 1] of the recipe's size, or (N, H, W, channels).
    """
    return InputDifference(as_pictures(pictures))


def as_pictures(pictures: np.ndarray) -> np.ndarray:
    """float32 (N, H, W, channels) of one picture or several in [0, 1]."""
    array = np.asarray(pictures)
    if array.dtype.kind != "f" and not jnp.issubdtype(array.dtype, np.floating):
        hint = "; divide bytes by 255" if array.dtype == np.uint8 else ""
        raise InputError(f"pictures of type {array.dtype}; expected floats in [0, 1]{hint}")
    array = array.astype(np.float32)
    array = array[None] if array.ndim == 3 else array
    if array.ndim != 4 or not array.size:
        raise InputError(f"pictures of shape {np.shape(pictures)}; expected (H, W, channels) or (N, H, W, channels)")
    if not (array.min() >= 0 and array.max() <= 1):
        raise InputError(f"pictures with values from {array.min():g} to {array.max():g}; expected 0 to 1")
    return array


def check_pictures(pictures: np.ndarray, network: Network, recipe: Recipe) -> None:
    """Raises `InputError` for pictures of another shape than those that the recipe draws."""
    shape = recipe.shape(network.convention.channels)
    if pictures.shape[1:] != shape:
        raise InputError(
            f"pictures of shape {pictures.shape[1:]} beside drawn ones of shape {shape}; resize them, "
            f"or draw with Recipe(size={pictures.shape[1:3]})"
        )


def _roughness(picture: jax.Array) -> jax.Array:
    return 0.5 * jnp.square(picture - jax.lax.stop_gradient(_blur(picture, 3))).sum()


def _blur(picture: jax.Array, width: int) -> jax.Array:
    """Mean over a window of odd width, whose outermost cells count half; the picture's edge cuts the window."""
    weights = np.full((width, width), 0.5, np.float32)
    weights[1:-1, 1:-1] = 1

    def window_sum(values):
        return jax.lax.conv(values[:, None], jnp.asarray(weights)[None, None], (1, 1), "SAME")[:, 0]

    sums = window_sum(picture.transpose(2, 0, 1))
    return (sums / window_sum(jnp.ones((1, *picture.shape[:2])))).transpose(1, 2, 0)
