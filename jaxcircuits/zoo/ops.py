"""The operations of the zoo's networks that Flax does not have, on (N, H, W, C) arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax

from jaxcircuits.zoo.architecture import LRN

Padding = tuple[tuple[int, int], tuple[int, int]]


def window_padding(
    size: Sequence[int], kernel: int, stride: int, convention: Literal["SAME", "CAFFE"], pool: bool = False
) -> Padding:
    """Cells to add before and after each spatial axis.

    Args:
      size: height and width of the input.
      kernel, stride: of the window.
      convention: `SAME` (TensorFlow) or `CAFFE`.
      pool: Caffe's strided pools are not padded, but their last window may hang over the edge (its ceil mode).

    Returns:
      ((top, bottom), (left, right)).
    """

    def axis(n: int) -> tuple[int, int]:
        if convention == "SAME":
            total = max((math.ceil(n / stride) - 1) * stride + kernel - n, 0)
            return total // 2, total - total // 2
        if pool and stride > 1:
            return 0, max(math.ceil((n - kernel) / stride) * stride + kernel - n, 0)
        return kernel // 2, kernel // 2

    return axis(size[0]), axis(size[1])


def max_pool(x: jax.Array, kernel: int, stride: int, padding: Padding) -> jax.Array:
    """Largest value of each window, padded with minus infinity."""
    window, strides = (1, kernel, kernel, 1), (1, stride, stride, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, window, strides, ((0, 0), *padding, (0, 0)))


def convolution(x: jax.Array, kernel: jax.Array, stride: int, padding: Padding) -> jax.Array:
    """Cross-correlation of (N, H, W, C) with a kernel (height, width, C, channels)."""
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (stride, stride), padding, dimension_numbers=layout)


def local_response_norm(x: jax.Array, lrn: LRN) -> jax.Array:
    """`x / (bias + alpha * sum(x^2)) ** beta`, the sum over `2 * radius + 1` neighboring channels.

    The sum is a `reduce_window`, whose gradient is another; by products with a banded matrix both take 2.5 times as
    long on a CPU. In float32 whatever the dtype of `x` (Krizhevsky et al., ImageNet Classification, 2012; `alpha` is
    not divided by the window).
    """
    window, padding = (1, 1, 1, 2 * lrn.radius + 1), ((0, 0), (0, 0), (0, 0), (lrn.radius, lrn.radius))
    total = lax.reduce_window(jnp.square(x.astype(jnp.float32)), 0.0, lax.add, window, (1, 1, 1, 1), padding)
    return (x * _inverse_power(lrn.bias + lrn.alpha * total, lrn.beta)).astype(x.dtype)


def _inverse_power(x: jax.Array, power: float) -> jax.Array:
    """`x ** -power`, by roots where they are enough, which take a third less time than logarithms with the gradient."""
    if power == 0.5:
        return lax.rsqrt(x)
    if power == 0.75:
        return (root := lax.rsqrt(x)) * lax.sqrt(root)
    # By way of the logarithm, which the gradient reuses.
    return jnp.exp(-power * jnp.log(x))
