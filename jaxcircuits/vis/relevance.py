"""Which part of a picture matters: a mask for transparent pictures."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.network import Network
from jaxcircuits.vis.objectives import Objective
from jaxcircuits.vis.objectives.base import picture_keys
from jaxcircuits.vis.programs import Batch, Programs, cast, programs
from jaxcircuits.vis.recipe import Recipe

VIEWS = 16
"""Random views over which gradients are averaged."""


def relevance(
    network: Network, objective: Objective, images: np.ndarray, recipe: Recipe = Recipe(), seed: int = 0
) -> np.ndarray:
    """How much each part of a finished picture matters for its score.

    Mean over random views of the gradient's absolute value, summed over channels, smoothed (a Gaussian of 2 % of the
    picture's side) and divided by its 99th percentile. MACO (Fel et al., 2023) makes its pictures transparent so, with
    gradients gathered on the way to the picture in place of those at its end.

    Args:
      network: that the pictures were drawn for.
      objective: with a row for each picture.
      images: (N, H, W, channels) in [0, 1], such as `rendering.images`.
      recipe: whose random views are taken.
      seed: of the views.

    Returns:
      float32 (N, H, W) in [0, 1]; `transparent(images, relevance)` shows it.
    """
    objective = objective.rows(len(images))
    objective.check(network, recipe)
    # Not for CPUs: the score is traced into a program of its own, which takes their options as little as their loop.
    program = programs(network.forward, recipe, None, on_cpu=False)
    keys = picture_keys(objective, [seed] * len(images))
    batch = Batch(cast(network.params, recipe.dtype), jax.device_put(objective), keys)
    pictures = jnp.asarray(images, jnp.float32)
    steps = [jnp.full(len(pictures), recipe.steps + i, jnp.int32) for i in range(VIEWS)]
    gradients = sum(np.asarray(_gradient(program, batch, pictures, step)) for step in steps)
    smooth = np.stack([_smooth(g, 0.02 * min(g.shape)) for g in gradients])
    top = np.percentile(smooth, 99, axis=(1, 2), keepdims=True)
    return np.clip(smooth / np.maximum(top, 1e-12), 0, 1).astype(np.float32)


def transparent(images: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Pictures (N, H, W, 3) with alpha (N, H, W) as a fourth channel."""
    return np.concatenate([images[..., :3], alpha[..., None]], -1)


@functools.partial(jax.jit, static_argnums=0)
def _gradient(program: Programs, batch: Batch, pictures: jax.Array, step: jax.Array) -> jax.Array:
    """(N, H, W)"""
    gradient = jax.grad(lambda pictures: program.score(batch, pictures, step).sum())(pictures)
    return jnp.abs(gradient).sum(-1)


def _smooth(values: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of (H, W), the edge repeated."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(values, sigma, mode="nearest")
