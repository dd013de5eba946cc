"""Gaussian weights as a matrix: a blur of any strength is two products, exact and with a cheap gradient."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def gaussian_matrix(n: int, sd: float | jax.Array) -> jax.Array:
    """(n, n) weights exp(-(i - j)^2 / (2 sd^2)), not normalized."""
    i = jnp.arange(n)
    return jnp.exp(-0.5 * ((i[:, None] - i[None, :]) / sd) ** 2)
