"""Color: from decorrelated channels to RGB, and back."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

CORRELATION_SQRT = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], np.float32)
"""Square root of the covariance of ImageNet's RGB values; columns are brightness, blue-yellow, green-magenta."""

CLIP = (0.005, 0.995)
"""What a given picture is clipped to before the sigmoid is inverted: black and white lie infinitely far off."""


def to_picture(channels: jax.Array) -> jax.Array:
    """Any real values (..., C) to a picture in [0, 1]: three channels by `to_rgb`, any other number by `to_gray`."""
    return to_rgb(channels) if channels.shape[-1] == 3 else to_gray(channels)


def from_picture(picture: jax.Array) -> jax.Array:
    """The channels that `to_picture` turns into a picture (..., C), clipped to `CLIP`."""
    return from_rgb(picture) if picture.shape[-1] == 3 else from_gray(picture)


def to_rgb(channels: jax.Array) -> jax.Array:
    """Decorrelated channels (..., 3), any real values, to RGB in [0, 1].

    Multiplies by `CORRELATION_SQRT`, divided by its largest column norm (0.462), then takes the sigmoid (Lucid,
    `optvis/param/color.py`; Olah et al., Feature Visualization, 2017, on preconditioning).
    """
    return jax.nn.sigmoid(_mixed(channels, _matrix()))


def from_rgb(rgb: jax.Array) -> jax.Array:
    """The decorrelated channels that `to_rgb` turns into RGB (..., 3), clipped to `CLIP`."""
    return _mixed(from_gray(rgb), np.linalg.inv(_matrix().astype(np.float64)).astype(np.float32))


def to_gray(channels: jax.Array) -> jax.Array:
    """Any real values to [0, 1] by the sigmoid, for networks that read one channel or other than three."""
    return jax.nn.sigmoid(jnp.asarray(channels))


def from_gray(picture: jax.Array) -> jax.Array:
    """The values whose sigmoid is a picture, clipped to `CLIP`."""
    picture = jnp.clip(jnp.asarray(picture, jnp.float32), *CLIP)
    return jnp.log(picture / (1 - picture))


def _matrix() -> np.ndarray:
    return CORRELATION_SQRT / np.linalg.norm(CORRELATION_SQRT, axis=0).max()


def _mixed(channels: jax.Array, matrix: np.ndarray) -> jax.Array:
    """`matrix` times the channels. As a product, since a CPU would compute a sum anew for each of its readers."""
    return jnp.dot(channels, matrix.T, precision=jax.lax.Precision.HIGHEST)
