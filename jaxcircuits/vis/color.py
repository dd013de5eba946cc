"""Colour: from decorrelated channels to RGB."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

CORRELATION_SQRT = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], np.float32)
"""Square root of the covariance of ImageNet's RGB values; columns are brightness, blue-yellow, green-magenta."""


def to_rgb(channels: jax.Array) -> jax.Array:
    """Decorrelated channels (..., 3), any real values, to RGB in [0, 1].

    Multiplies by `CORRELATION_SQRT`, divided by its largest column norm (0.462), then takes the sigmoid (Lucid,
    `optvis/param/color.py`; Olah et al., Feature Visualization, 2017, on preconditioning).
    """
    matrix = CORRELATION_SQRT / np.linalg.norm(CORRELATION_SQRT, axis=0).max()
    # By hand, since a matrix product may run in lower precision on accelerators.
    return jax.nn.sigmoid(sum(channels[..., i, None] * matrix[:, i] for i in range(3)))


def to_gray(channels: jax.Array) -> jax.Array:
    """Any real values to [0, 1] by the sigmoid, for networks that read one channel or other than three."""
    return jax.nn.sigmoid(jnp.asarray(channels))
