"""Max-pools by shifted slices, one axis after the other, which say the same as windows; TPUs keep what is written.

The gradient of `reduce_window` is a select-and-scatter, which makes a whole step to mixed4b of InceptionV1 1.6 times
slower on a CPU. By a TPU's compiler the slices are what takes longer (`benchmarks/PLAN.md`).

Of equals in a window the gradient goes to the one in the leftmost column, and there to the topmost; TensorFlow's and
XLA's own go to the topmost row first. Behind a ReLU it makes no difference where the equals are its zeros, which have
no gradient to hand on.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxcircuits.network.padding import padded
from jaxcircuits.network.run import Exchange
from jaxcircuits.network.trace import Operation, Program

LARGEST_WINDOW = 5
"""Side of the largest max-pool that is written as shifted slices."""


class Window(NamedTuple):
    """Of a pool along one axis.

    Attributes:
      axis: of the array.
      size: cells of a window.
      stride: cells from one window to the next.
      padding: cells before and after the array.
    """

    axis: int
    size: int
    stride: int
    padding: tuple[int, int]


@functools.lru_cache(maxsize=256)
def max_pools(program: Program, drawing: bool = False) -> dict[int, Exchange]:
    """The max-pools of a program by slices.

    Args:
      program: the model.
      drawing: its gradient by the pictures is wanted, and no forward-mode derivative: it is written down then.

    Returns:
      Value -> its other computation.
    """

    def along(x: jax.Array, window: Window) -> jax.Array:
        if drawing:
            return _with_gradient(x, window, x.shape[window.axis])  # pyright: ignore[reportReturnType]
        return _largest(x, window)

    def pooled(operation: Operation, read) -> jax.Array:
        return functools.reduce(along, windows(operation), read(operation.inputs[0]))

    return {
        operation.outputs[0]: Exchange(operation.reads, functools.partial(pooled, operation))
        for operation in program.flat
        if operation.name == "reduce_window_max" and is_plain(operation)
    }


def is_plain(operation: Operation) -> bool:
    """Whether a pool has windows of a few cells, without dilation, and padding that crops nothing."""
    params = operation.params
    dilated = any(n != 1 for key in ("base_dilation", "window_dilation") for n in params[key])
    return (
        not dilated
        and max(params["window_dimensions"]) <= LARGEST_WINDOW
        and min(n for pair in params["padding"] for n in pair) >= 0
    )


def windows(operation: Operation) -> Iterator[Window]:
    """The windows of a pool, along each axis where they are more than a cell."""
    params = operation.params
    for axis, (size, stride, padding) in enumerate(
        zip(params["window_dimensions"], params["window_strides"], params["padding"])
    ):
        if size > 1 or stride > 1 or any(padding):
            yield Window(axis, size, stride, tuple(padding))


def slices(x: jax.Array, fill: float, window: Window) -> list[jax.Array]:
    """The shifted, strided slices of which every window takes one cell each; `fill` lies beyond the array."""
    axis, size, stride, padding = window
    x = padded(x, axis, *padding, fill)
    count = (x.shape[axis] - size) // stride + 1
    return [lax.slice_in_dim(x, shift, shift + (count - 1) * stride + 1, stride, axis) for shift in range(size)]


def _largest(x: jax.Array, window: Window) -> jax.Array:
    return _chosen(x, window)[0]


def _chosen(x: jax.Array, window: Window) -> tuple[jax.Array, jax.Array]:
    """The largest of each window, and which cell of it that is: of equals the first along this axis.

    The gradient goes to that one; `maximum` would halve it, at more cost.
    """
    largest, *others = slices(x, -jnp.inf, window)
    which = jnp.zeros(largest.shape, jnp.int8)
    for k, other in enumerate(others, 1):
        larger = other > largest
        largest, which = jnp.where(larger, other, largest), jnp.where(larger, jnp.int8(k), which)
    return largest, which


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _with_gradient(x: jax.Array, window: Window, cells: int) -> jax.Array:
    """`_largest` of an array with so many cells along the axis.

    Its gradient is written down: that of slices would pad each and add them, and take twice as long.
    """
    return _largest(x, window)


def _forward(x, window, cells):
    return _chosen(x, window)


def _backward(window, cells, which, gradient):
    axis, size, stride, (low, _) = window
    # Cell stride * j + r of the padded array, 0 <= r < stride, is the cell r + stride * t of window j - t. So j and r
    # are axes of their own, and each t reads one slice of what the windows chose and of their gradients.
    most = math.ceil(size / stride) - 1
    gradient, which = padded(gradient, axis, most, most), padded(which, axis, most, most, -1)
    count = gradient.shape[axis] - most
    r = jnp.arange(stride, dtype=which.dtype).reshape(-1, *(1,) * (which.ndim - axis - 1))
    total = jnp.zeros((), gradient.dtype)
    for t in range(most + 1):
        of, chose = (
            jnp.expand_dims(lax.slice_in_dim(values, most - t, most - t + count, axis=axis), axis + 1)
            for values in (gradient, which)
        )
        total += jnp.where(chose == r + stride * t, of, 0)
    total = total.reshape(*gradient.shape[:axis], count * stride, *gradient.shape[axis + 1 :])
    return (padded(total, axis, -low, cells + low - count * stride),)


_with_gradient.defvjp(_forward, _backward)
