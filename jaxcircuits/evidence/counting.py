"""How many activations lie in each of the intervals of `jaxcircuits.evidence.grid`, unit by unit.

Processors and GPUs add ones at their places. A TPU would do that one activation after the other, so it multiplies: an
interval's number is written as 16 i + j, and of two arrays that say of every activation which i and which j it has, the
product over activations counts every pair. By its compiler, 12.8 million activations take 0.9 ms on a v5e.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from jaxcircuits.evidence import grid
from jaxcircuits.platforms import by_platform

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, UInt32

LOW = 16
HIGH = -(-grid.INTERVALS // LOW)
EXACT = 2**24
"""Ones that float32 adds up exactly."""


def counted(
    counts: UInt32[jax.Array, " cells"], x: Float[jax.Array, "n places units"], real: Bool[jax.Array, " n"]
) -> UInt32[jax.Array, " cells"]:
    """Adds activations to the counts of their units and intervals.

    Args:
      counts: uint32 (units * INTERVALS,), unit by unit.
      x: float32 (n, places, units), of n pictures.
      real: which pictures count.

    Returns:
      The new counts, modulo 2 ** 32.
    """
    return by_platform(counts, x, real, tpu=by_products, default=by_addition)


def by_addition(counts: jax.Array, x: jax.Array, real: jax.Array) -> jax.Array:
    """See `counted`; each one is added where it belongs."""
    silent = ~real[:, None, None]
    # What is not real is counted as zeros, which are taken off again: ones need not be made for every activation.
    cells = jnp.where(silent, grid.ZERO, grid.interval(x)) + jnp.arange(x.shape[-1]) * grid.INTERVALS
    # Along one axis: over two, XLA's scatter takes three times as long; unsigned, so that none can count from the end.
    counts = counts.at[cells.reshape(-1).astype(jnp.uint32)].add(1, mode="promise_in_bounds")
    return counts.at[grid.ZERO :: grid.INTERVALS].add(-(silent.sum() * x.shape[1]).astype(counts.dtype))


def by_products(counts: jax.Array, x: jax.Array, real: jax.Array) -> jax.Array:
    """See `counted`; zeros and ones are exact in bfloat16, and their sums in float32 up to `EXACT`."""
    # What is not real has no digit.
    numbers = jnp.where(real[:, None, None], grid.interval(x), -1).reshape(-1, x.shape[-1])
    for begin in range(0, len(numbers), EXACT):
        part = numbers[begin : begin + EXACT, :, None]
        high, low = (
            (digit == jnp.arange(base)).astype(jnp.bfloat16) for digit, base in ((part // LOW, HIGH), (part % LOW, LOW))
        )
        found = jnp.einsum("auh,aul->uhl", high, low, preferred_element_type=jnp.float32)
        counts += found.reshape(x.shape[-1], -1)[:, : grid.INTERVALS].reshape(-1).astype(counts.dtype)
    return counts
