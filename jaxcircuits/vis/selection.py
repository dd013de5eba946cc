"""One of several numbers, by an index that is data: without a gather, for TPUs, which are slow at them."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def selected(values: jax.Array, index: jax.Array) -> jax.Array:
    """`values[index]` as the sum of what a comparison leaves of the values, which is exact.

    Args:
      values: (n,).
      index: a whole number from 0 to n - 1.

    Returns:
      A scalar. Differentiable with respect to `values`.
    """
    return jnp.where(jnp.arange(len(values)) == index, values, 0).sum()
