"""How much pictures look like a stimulus, by their edges alone: a judge that asks no network.

A picture's edges are a field of directions without sign: the gradient of its lightness as a complex number, squared so
that light on dark and dark on light are the same, of the gradient's length. The likeness of a picture to a stimulus is
the largest correlation of the two fields over shifts, from -1 to 1; edges beside the stimulus make it smaller only
where it has its own ground.

Squared gradients: Bigun and Granlund, Optimal Orientation Detection of Linear Symmetry, ICCV 1987.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Num

STEP = 2
"""Pixels of a cell of the fields."""
BLUR = 2.0
"""Standard deviation, in pixels, of the blur before gradients are taken: strokes and edges become alike."""


def likeness(
    pictures: Float[np.ndarray | jax.Array, "pictures height width channels"],
    stimuli: Num[np.ndarray | jax.Array, "stimuli h w channels"],
) -> Float[np.ndarray, "pictures stimuli"]:
    """How much each picture looks like each stimulus, wherever in the picture.

    Args:
      pictures: (N, H, W, channels) in [0, 1].
      stimuli: (M, h, w, channels), not larger than the pictures; what is gray in them counts nothing.

    Returns:
      float32 (N, M), from -1 to 1; 0 for pictures without edges.

    Raises:
      InputError: where the stimuli are larger than the pictures.
    """
    if stimuli.shape[1] > pictures.shape[1] or stimuli.shape[2] > pictures.shape[2]:
        raise InputError(f"stimuli of {stimuli.shape[1:3]} pixels; pictures of {pictures.shape[1:3]} hold none of them")
    templates = _fields(jnp.asarray(stimuli, jnp.float32))
    return np.concatenate([np.asarray(_likeness(jnp.asarray(picture[None]), templates)) for picture in pictures])


@jax.jit
def _fields(pictures: jax.Array) -> jax.Array:
    """(N, h, w, 2): real and imaginary part of squared gradients, of the gradients' length."""
    radius = int(3 * BLUR)
    kernel = jnp.exp(-0.5 * (jnp.arange(-radius, radius + 1) / BLUR) ** 2)
    kernel = kernel / kernel.sum()
    x = pictures.mean(-1)
    x = jnp.pad(x, ((0, 0), (radius, radius), (radius, radius)), mode="edge")
    blur = functools.partial(jnp.convolve, v=kernel, mode="valid")
    x = jax.vmap(jax.vmap(blur))(x)
    x = jax.vmap(jax.vmap(blur, 1, 1))(x)
    dy, dx = jnp.gradient(x, axis=(1, 2))
    dy, dx = dy[:, ::STEP, ::STEP], dx[:, ::STEP, ::STEP]
    length = jnp.sqrt(dx**2 + dy**2)
    there = jnp.maximum(length, 1e-6)
    return jnp.stack([(dx**2 - dy**2) / there, 2 * dx * dy / there], -1)


@jax.jit
def _likeness(pictures: jax.Array, templates: jax.Array) -> jax.Array:
    field = _fields(pictures)
    energy = jnp.square(field).sum(-1, keepdims=True)
    length = jnp.sqrt(jnp.square(templates).sum((1, 2, 3)))
    # What a template looks at: its edges and what lies near them.
    near = jnp.sqrt(jnp.square(templates).sum(-1, keepdims=True))
    window = jnp.ones((1, 5, 5, 1))
    near = jax.lax.conv_general_dilated(near, window.transpose(1, 2, 3, 0), (1, 1), "SAME", dimension_numbers=_NHWC)
    near = (near > 0.02 * near.max((1, 2, 3), keepdims=True)).astype(jnp.float32)
    along = _correlated(field, templates)
    within = _correlated(energy, near)
    floor = 1e-4 * length**2
    score = along / (length * jnp.sqrt(jnp.maximum(within, floor)) + 1e-12)
    return score.max((1, 2))


_NHWC = ("NHWC", "HWIO", "NHWC")


def _correlated(field: jax.Array, templates: jax.Array) -> jax.Array:
    """(N, shifts, shifts, M)."""
    return jax.lax.conv_general_dilated(field, jnp.moveaxis(templates, 0, -1), (1, 1), "VALID", dimension_numbers=_NHWC)
