"""What stimuli are drawn on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from jaxcircuits.evidence.stimuli.drawing import Vector

if TYPE_CHECKING:
    from jaxtyping import Float

WHITE, GRAY, BLACK = (1.0, 1.0, 1.0), (0.5, 0.5, 0.5), (0.0, 0.0, 0.0)
MIDDLE = (0.0, 0.0)


def canvas(ground: Vector, size: int) -> Float[jax.Array, "size size 3"]:
    """A plain color (3,) or a picture as a picture (size, size, 3)."""
    return jnp.broadcast_to(jnp.asarray(ground, jnp.float32), (size, size, 3))
