"""Operations of a program that a TPU computes faster otherwise, the same to rounding.

A TPU's arrays lie in tiles of 128 channels and its products are of 128 x 128, so that

* a strided convolution of a picture's few channels, and above all its gradient, leaves nearly all of them idle: it is
  computed by blocks of cells (`blocks.py`);
* sums over neighboring channels, those of local response normalization, are products with a banded matrix of ones.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxcircuits.network.blocks import by_blocks
from jaxcircuits.network.channel_sums import is_along_channels
from jaxcircuits.network.run import Exchange
from jaxcircuits.network.trace import Operation, Program

FEW = 4
"""At most as many channels are taken for a picture's: RGB and alpha."""

WIDEST_BAND = 2048
"""Channels of the largest band; most of its matrix is zeros, and their number grows with the square."""


@functools.lru_cache(maxsize=256)
def exchanged_on_tpu(program: Program, drawing: bool = False) -> dict[int, Exchange]:
    """The operations of a program that are computed otherwise where it is compiled for a TPU.

    Those inside kept calls are left as they are: another computation would take the call apart.

    Args:
      program: the model.
      drawing: its gradient by the pictures is wanted, and no forward-mode derivative.

    Returns:
      Value -> its other computation.
    """
    found = {}
    for operation in program.operations:
        if operation.name == "conv_general_dilated" and _is_strided(operation, program):
            found[operation.outputs[0]] = _by(operation, functools.partial(by_blocks, wide_gradient=drawing))
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
        and all(low < window for (low, _), window in zip(params["padding"], _window(operation, program)))
    )


def _window(operation: Operation, program: Program) -> list[int]:
    kernel = program.avals[operation.inputs[1]].shape
    return [kernel[axis] for axis in operation.params["dimension_numbers"].rhs_spec[2:]]


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
