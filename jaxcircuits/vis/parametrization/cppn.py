"""Pictures written as a function from a place to its color."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.vis import color
from jaxcircuits.vis.parametrization.base import Parametrization, Shape, check_count

if TYPE_CHECKING:
    from jaxtyping import Float

PACE = 0.05
"""Weights are this times their parameters: at Adam's rate for pictures, 0.05, they move by 0.0025 a step.

That is half of the rate in Lucid's notebook, at which pictures for a small network went to one saturated color.
"""

MOST_LAYERS = 64
"""Each is compiled by itself."""


@dataclasses.dataclass(frozen=True)
class CPPN(Parametrization):
    """A compositional pattern producing network: a small perceptron from (x, y) to color, smooth at any size.

    Each hidden layer is linear, then `concat(arctan(u) / 0.67, arctan(u)**2 / 0.6)`; the last is linear, then a
    sigmoid, channel by channel. Coordinates have standard deviation one along the longer side. Kernels start from a
    truncated normal of variance 1 / fan-in, biases from N(0, 0.1), the last kernel from zero: an even color. Lucid,
    `optvis/param/cppn.py`; Mordvintsev et al., Differentiable Image Parameterizations, 2018.

    Attributes:
      width: of the hidden layers.
      layers: how many hidden layers.
    """

    width: int = 24
    layers: int = 8

    def __post_init__(self):
        check_count(self, "width")
        check_count(self, "layers", most=MOST_LAYERS)

    def init(self, key: jax.Array, shape: Shape) -> tuple[tuple[jax.Array, jax.Array], ...]:
        """(kernel, bias) of each layer, in units of `PACE`."""
        fan_in = [2] + [2 * self.width] * self.layers
        fan_out = [self.width] * self.layers + [shape[-1]]
        normal = jax.nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal")
        layers = []
        for i, inputs_outputs in enumerate(zip(fan_in, fan_out)):
            key_kernel, key_bias = jax.random.split(jax.random.fold_in(key, i))
            bias = 0.1 * jax.random.normal(key_bias, inputs_outputs[1:], jnp.float32)
            last = i == self.layers
            kernel = jnp.zeros(inputs_outputs, jnp.float32) if last else normal(key_kernel, inputs_outputs, jnp.float32)
            layers.append((kernel / PACE, bias / PACE))
        return tuple(layers)

    def values(
        self, parameters: tuple[tuple[jax.Array, jax.Array], ...], shape: Shape
    ) -> Float[jax.Array, "height width channels"]:
        """The network's outputs before the sigmoid."""
        x = jnp.asarray(coordinates(shape[:2]))
        *hidden, last = parameters
        for layer in hidden:
            angle = jnp.arctan(_linear(x, layer))
            x = jnp.concatenate([angle / 0.67, angle**2 / 0.6], axis=-1)
        return _linear(x, last)

    def picture(
        self, parameters: tuple[tuple[jax.Array, jax.Array], ...], shape: Shape
    ) -> Float[jax.Array, "height width channels"]:
        """The sigmoid of the outputs: colors are not decorrelated."""
        return color.to_gray(self.values(parameters, shape))


def coordinates(size: tuple[int, int]) -> np.ndarray:
    """x and y of each pixel, float32 (H, W, 2): from -sqrt(3) to sqrt(3) along the longer side, square pixels."""
    pitch = 2 * np.sqrt(3) / max(max(size) - 1, 1)
    y, x = (pitch * (np.arange(n) - (n - 1) / 2) for n in size)
    return np.stack(np.broadcast_arrays(x[None, :], y[:, None]), axis=-1).astype(np.float32)


def _linear(x: jax.Array, layer: tuple[jax.Array, jax.Array]) -> jax.Array:
    kernel, bias = layer
    return jnp.dot(x, PACE * kernel, precision=jax.lax.Precision.HIGHEST) + PACE * bias
