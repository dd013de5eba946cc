"""What stimuli are drawn on."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxcircuits.evidence.stimuli.drawing import Vector

WHITE, GREY, BLACK = (1.0, 1.0, 1.0), (0.5, 0.5, 0.5), (0.0, 0.0, 0.0)
MIDDLE = (0.0, 0.0)


def canvas(ground: Vector, size: int) -> jax.Array:
    """A plain colour (3,) or a picture as a picture (size, size, 3)."""
    return jnp.broadcast_to(jnp.asarray(ground, jnp.float32), (size, size, 3))
