"""Adversarial changes of pictures: small in L2 norm, chosen to raise a loss.

Networks trained against them answer to what is seen, and their gradients show it (Madry et al., Toward Deep Learning
Models Resistant to Adversarial Attacks, 2018; Engstrom et al., Adversarial Robustness as a Prior for Learned
Representations, 2019).
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

RADIUS = 1.5
"""L2 norm of the changes that training defends against, over a picture (96, 96, 3) in [0, 1]."""
STEPS = 2
STEP = 0.75
"""Length of a step, as a fraction of the radius."""


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """What training lowers and an attack raises: (N, classes) and (N,) -> (N,).

    Labels are not smoothed: that would make a class's logit the same for all pictures of others, so that no gradient
    leads from noise to the class.
    """
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def attacked(
    loss: Callable[[jax.Array], jax.Array], pictures: jax.Array, radius: ArrayLike, steps: int = STEPS
) -> jax.Array:
    """Pictures changed to raise a loss, by projected gradient ascent from the pictures themselves.

    Args:
      loss: of pictures (N, H, W, C), a scalar.
      pictures: (N, H, W, C) in [0, 1].
      radius: L2 norm that each picture's change may have at most.
      steps: of the ascent, each of length `STEP * radius`.

    Returns:
      (N, H, W, C) in [0, 1].
    """

    def norms(change: jax.Array) -> jax.Array:
        return jnp.sqrt(jnp.sum(jnp.square(change), axis=(1, 2, 3), keepdims=True))

    def ascend(_: int, found: jax.Array) -> jax.Array:
        gradient = jax.grad(loss)(found)
        change = found + STEP * radius * gradient / jnp.maximum(norms(gradient), 1e-12) - pictures
        change *= jnp.minimum(1.0, radius / jnp.maximum(norms(change), 1e-12))
        # Nearer to the picture, which lies in [0, 1] itself: the ball is not left.
        return jnp.clip(pictures + change, 0.0, 1.0)

    return jax.lax.fori_loop(0, steps, ascend, pictures)
