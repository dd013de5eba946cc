"""Operations of a program that a TPU computes faster otherwise, the same to rounding.

A TPU's arrays lie in tiles of 128 channels and its products are of 128 x 128, so that

* a strided convolution of a picture's few channels, and above all its gradient, leaves nearly all of them idle. Cells
  that one step of the window passes are put side by side as channels first, and the window moves by one: a 7x7 window
  with a step of 2 over 3 channels becomes a 4x4 window over 12;
* sums over neighboring channels, those of local response normalization, are products with a banded matrix of ones.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from jaxcircuits.network.channel_sums import is_along_channels
from jaxcircuits.network.run import Exchange
from jaxcircuits.network.trace import Operation, Program

FEW = 4
"""At most as many channels are taken for a picture's: RGB and alpha."""

WIDEST_BAND = 2048
"""Channels of the largest band; most of its matrix is zeros, and their number grows with the square."""


@functools.lru_cache(maxsize=256)
def exchanged_on_tpu(program: Program) -> dict[int, Exchange]:
    """The operations of a program that are computed otherwise where it is compiled for a TPU.

    Those inside kept calls are left as they are: another computation would take the call apart.

    Args:
      program: the model.

    Returns:
      Value -> its other computation.
    """
    found = {}
    for operation in program.operations:
        if operation.name == "conv_general_dilated" and _is_strided(operation, program):
            found[operation.outputs[0]] = _by(operation, by_blocks)
        elif is_along_channels(operation, program) and program.avals[operation.inputs[0]].shape[-1] <= WIDEST_BAND:
            # What is rounded to bfloat16 before and after need not be added up more finely.
            coarse = program.avals[program.image].dtype == jnp.bfloat16
            sums = functools.partial(by_band, precision="default" if coarse else "high")
            found[operation.outputs[0]] = _by(operation, sums)
    return found


def _by(operation: Operation, function: Callable[..., jax.Array]) -> Exchange:
    return Exchange(operation.reads, lambda read: function(*map(read, operation.inputs), params=operation.params))


def _is_strided(operation: Operation, program: Program) -> bool:
    params = operation.params
    channels = program.avals[operation.inputs[0]].shape[params["dimension_numbers"].lhs_spec[1]]
    return (
        channels <= FEW
        and params["feature_group_count"] == params["batch_group_count"] == 1
        and all(gap == 1 for gap in (*params["lhs_dilation"], *params["rhs_dilation"]))
        and max(params["window_strides"]) > 1
        and min(n for pair in params["padding"] for n in pair) >= 0
    )


def by_blocks(x: jax.Array, kernel: jax.Array, params: dict) -> jax.Array:
    """A strided convolution as one with a step of 1 over blocks.

    Args:
      x: the input.
      kernel: of the convolution.
      params: of `conv_general_dilated`; without dilation and groups.

    Returns:
      What the convolution returns.
    """
    axes, strides = params["dimension_numbers"], params["window_strides"]
    x = jnp.transpose(x, (axes.lhs_spec[0], *axes.lhs_spec[2:], axes.lhs_spec[1]))
    kernel = jnp.transpose(kernel, (*axes.rhs_spec[2:], axes.rhs_spec[1], axes.rhs_spec[0]))
    for axis, (stride, (low, high)) in enumerate(zip(strides, params["padding"])):
        window, size = kernel.shape[axis], x.shape[axis + 1]
        count = (size + low + high - window) // stride + 1
        blocks = math.ceil(window / stride)
        kernel = _padded(kernel, axis, 0, blocks * stride - window)
        # As far as the last window reaches; a row or column that none of them reads is cropped.
        beyond = (count + blocks - 1) * stride - size - low
        x = _padded(x, axis + 1, low, beyond)
    x, kernel = _in_blocks(x, strides, 1), _in_blocks(kernel, strides, 0)
    spatial = "".join(map(str, range(len(strides))))
    settings = {name: params[name] for name in ("precision", "preferred_element_type")}
    answer = lax.conv_general_dilated(
        x,
        kernel,
        (1,) * len(strides),
        "VALID",
        dimension_numbers=(f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"),
        **settings,
    )
    order = (axes.out_spec[0], *axes.out_spec[2:], axes.out_spec[1])
    return jnp.transpose(answer, tuple(map(order.index, range(len(order)))))


def _padded(x: jax.Array, axis: int, low: int, high: int) -> jax.Array:
    """Zeros before and after along an axis; less than none crop."""
    config = [(low, high, 0) if i == axis else (0, 0, 0) for i in range(x.ndim)]
    return lax.pad(x, jnp.zeros((), x.dtype), config)


def _in_blocks(x: jax.Array, strides: tuple[int, ...], first: int) -> jax.Array:
    """The cells of each block as channels; spatial axes from `first` on, then channels, then whatever follows."""
    count, channels = len(strides), first + len(strides)
    blocks = [size // stride for size, stride in zip(x.shape[first:], strides)]
    apart = [n for pair in zip(blocks, strides) for n in pair]
    x = x.reshape(*x.shape[:first], *apart, *x.shape[channels:])
    spatial = range(first, first + 2 * count)
    order = (*range(first), *spatial[::2], *spatial[1::2], *range(first + 2 * count, x.ndim))
    x = x.transpose(order)
    merged = math.prod(x.shape[channels : channels + count + 1])
    return x.reshape(*x.shape[:channels], merged, *x.shape[channels + count + 1 :])


def by_band(x: jax.Array, params: dict, precision: str = "high") -> jax.Array:
    """Sums over windows along the last axis, by a product.

    Args:
      x: what is summed.
      params: of `reduce_window_sum`, whose windows lie along the last axis.
      precision: of the product: `high` keeps 16 bits of float32, `default` 8.

    Returns:
      What the sum returns.
    """
    size, (low, high) = params["window_dimensions"][-1], params["padding"][-1]
    count = x.shape[-1] + low + high - size + 1
    away = jnp.arange(x.shape[-1])[:, None] + low - jnp.arange(count)
    return jnp.matmul(x, ((away >= 0) & (away < size)).astype(x.dtype), precision=precision)
