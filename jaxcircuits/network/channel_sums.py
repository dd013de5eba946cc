"""Sums over neighboring channels, those of local response normalization, where they are computed otherwise.

XLA's `reduce_window` asks of every value whether it lies within the array. By shifted slices of a padded array, which
processors add several values at a time, a normalization and its gradient take half to two thirds as long on a CPU. A
sum's gradient is a sum, and is written down: that of slices would pad and add, and take ten times as long.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import lax

from jaxcircuits.network.padding import padded
from jaxcircuits.network.run import Exchange
from jaxcircuits.network.trace import Operation, Program

WIDEST = 16
"""Channels of a window, at most; each is a slice of its own in the program."""


@functools.lru_cache(maxsize=256)
def sums_by_slices(program: Program) -> dict[int, Exchange]:
    """The sums over neighboring channels of a program by slices. They have gradients, but no forward-mode derivatives.

    Args:
      program: the model.

    Returns:
      Value -> its other computation.
    """
    return {
        operation.outputs[0]: Exchange(operation.reads, functools.partial(_summed, operation))
        for operation in program.flat
        if is_along_channels(operation, program) and operation.params["window_dimensions"][-1] <= WIDEST
    }


def is_along_channels(operation: Operation, program: Program) -> bool:
    """Whether an operation adds up windows along the last axis alone, with a step of 1."""
    if operation.name != "reduce_window_sum":
        return False
    params = operation.params
    return (
        jnp.issubdtype(program.avals[operation.inputs[0]].dtype, jnp.floating)
        and all(size == 1 for size in params["window_dimensions"][:-1])
        and all(tuple(pad) == (0, 0) for pad in params["padding"][:-1])
        and all(n == 1 for name in ("window_strides", "base_dilation", "window_dilation") for n in params[name])
    )


def _summed(operation: Operation, read) -> jax.Array:
    params = operation.params
    return by_slices(read(operation.inputs[0]), params["window_dimensions"][-1], tuple(params["padding"][-1]))


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def by_slices(x: jax.Array, window: int, padding: tuple[int, int]) -> jax.Array:
    """Sums over windows along the last axis.

    Args:
      x: (..., n), what is summed.
      window: values in a sum.
      padding: zeros before and after.

    Returns:
      (..., n + padding - window + 1).
    """
    low, high = padding
    axis = x.ndim - 1
    x = padded(x, axis, low, high)
    count = x.shape[axis] - window + 1
    slices = (lax.slice_in_dim(x, i, i + count, axis=axis) for i in range(window))
    return functools.reduce(jnp.add, slices)


def _forward(x, window, padding):
    return by_slices(x, window, padding), None


def _backward(window, padding, _, gradient):
    # Value j is in the sums from j + low - window + 1 to j + low.
    low, high = padding
    return (by_slices(gradient, window, (window - 1 - low, window - 1 - high)),)


by_slices.defvjp(_forward, _backward)
