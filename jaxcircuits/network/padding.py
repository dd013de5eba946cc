"""Arrays with more or fewer cells along one axis."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax


def padded(x: jax.Array, axis: int, low: int, high: int, fill: float = 0) -> jax.Array:
    """An array with `fill` before and after it along an axis.

    Args:
      x: any array.
      axis: of it, counted from the first.
      low, high: cells before and after; less than none crop.
      fill: their value.

    Returns:
      The array, with `low + high` more cells along the axis.
    """
    config = [(low, high, 0) if i == axis else (0, 0, 0) for i in range(x.ndim)]
    return lax.pad(x, jnp.asarray(fill, x.dtype), config)
