"""The operations of the zoo's networks, on (N, H, W, C) arrays.

Pools are maxima over shifted slices, not `reduce_window`: the gradient of the latter (select-and-scatter) makes a
whole step to mixed4b 1.6 times slower on a CPU.
"""

from __future__ import annotations

import math
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax

from jaxcircuits.zoo.architecture import LRN

Padding = tuple[tuple[int, int], tuple[int, int]]


def window_padding(
    size: tuple[int, int], kernel: int, stride: int, convention: Literal["SAME", "CAFFE"], pool: bool = False
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
    """Largest value of each window, padded with minus infinity: first along rows, then along columns."""
    for axis in (1, 2):
        windows = _windows(x, axis, kernel, stride, padding[axis - 1], -jnp.inf)
        x = windows[0]
        for window in windows[1:]:
            # The gradient goes to the first of equals, as TensorFlow's does; `maximum` would halve it, at more cost.
            x = jnp.where(window > x, window, x)
    return x


def average_pool(x: jax.Array, kernel: int, stride: int, padding: Padding) -> jax.Array:
    """Mean of each window over the cells that lie inside the picture, as TensorFlow counts them."""
    for axis in (1, 2):
        total = sum(_windows(x, axis, kernel, stride, padding[axis - 1], 0))
        ones = jnp.ones([x.shape[axis] if a == axis else 1 for a in range(4)], x.dtype)
        x = total / sum(_windows(ones, axis, kernel, stride, padding[axis - 1], 0))
    return x


def _windows(x: jax.Array, axis: int, kernel: int, stride: int, padding: tuple[int, int], fill: float):
    """The `kernel` shifted, strided slices along `axis` of which every window takes one cell each."""
    config = [(0, 0, 0)] * x.ndim
    config[axis] = (*padding, 0)
    x = lax.pad(x, jnp.asarray(fill, x.dtype), config)
    count = (x.shape[axis] - kernel) // stride + 1
    return [lax.slice_in_dim(x, shift, shift + (count - 1) * stride + 1, stride, axis) for shift in range(kernel)]


def convolution(x: jax.Array, kernel: jax.Array, stride: int, padding: Padding) -> jax.Array:
    """Cross-correlation of (N, H, W, C) with a kernel (height, width, C, channels)."""
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (stride, stride), padding, dimension_numbers=layout)


def local_response_norm(x: jax.Array, lrn: LRN) -> jax.Array:
    """`x / (bias + alpha * sum(x^2)) ** beta`, the sum over `2 * radius + 1` neighbouring channels.

    The sum is a `reduce_window`, whose gradient is another; by products with a banded matrix both take 2.5 times as
    long on a CPU. In float32 whatever the dtype of `x` (Krizhevsky et al., ImageNet Classification, 2012; `alpha` is
    not divided by the window).
    """
    window, padding = (1, 1, 1, 2 * lrn.radius + 1), ((0, 0), (0, 0), (0, 0), (lrn.radius, lrn.radius))
    total = lax.reduce_window(jnp.square(x.astype(jnp.float32)), 0.0, lax.add, window, (1, 1, 1, 1), padding)
    # The power by way of its logarithm: the gradient then reuses it.
    return (x * jnp.exp(-lrn.beta * jnp.log(lrn.bias + lrn.alpha * total))).astype(x.dtype)
