"""Which part of a picture matters: a mask for transparent pictures."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.network import Forward, Network
from jaxcircuits.vis.arguments import as_network, as_objective, as_recipe, as_seeds
from jaxcircuits.vis.failure import likely_cause
from jaxcircuits.vis.keys import picture_keys
from jaxcircuits.vis.loss import Batch, chance, scores
from jaxcircuits.vis.numbers import Structure, divided
from jaxcircuits.vis.objectives import Objective
from jaxcircuits.vis.objectives.base import check_finite
from jaxcircuits.vis.objectives.pictures import as_pictures
from jaxcircuits.vis.optimize import cast
from jaxcircuits.vis.recipe import Recipe
from jaxcircuits.vis.settings import compiled

if TYPE_CHECKING:
    from jaxtyping import Float, Num

VIEWS = 16
"""Random views over which gradients are averaged."""


def relevance(
    network: Network | str,
    objective: Objective | str,
    images: Float[np.ndarray, "pictures height width channels"],
    recipe: Recipe | str | None = None,
    seed: int = 0,
) -> Float[np.ndarray, "pictures height width"]:
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

    Raises:
      InputError: as `render` does, for pictures that are not of that kind, and where it is not finite.
    """
    network = as_network(network)
    recipe, objective = as_recipe(network, recipe), as_objective(network, objective)
    pictures = _checked(network, recipe, images)
    objective = objective.rows(len(pictures))
    objective.check(network, recipe)
    check_finite(objective)
    structure, numbers = divided(recipe)
    keys = picture_keys(objective, as_seeds(seed, len(pictures)))
    batch = Batch(cast(network.params, recipe.dtype), *jax.device_put((numbers, objective, keys)))
    pictures = jax.device_put(pictures)
    steps = [jax.device_put(np.full(len(pictures), recipe.steps + i, np.int32)) for i in range(VIEWS)]
    seen = (jax.device_get(_gradient(network.forward, structure, batch, pictures, step)) for step in steps)
    gradients = functools.reduce(np.add, seen)
    for i in np.flatnonzero(~np.isfinite(gradients).all((1, 2))).tolist():
        cause = likely_cause(network, objective.take([i]), recipe, 0)
        raise InputError(f"relevance for {objective.label(i)} is not finite: {cause}")
    smooth = np.stack([_smooth(g, 0.02 * min(g.shape)) for g in gradients])
    top = np.percentile(smooth, 99, axis=(1, 2), keepdims=True)
    return np.clip(smooth / np.maximum(top, 1e-12), 0, 1).astype(np.float32)


def transparent(
    images: Num[np.ndarray, "pictures height width channels"], alpha: Num[np.ndarray, "pictures height width"]
) -> Num[np.ndarray, "pictures height width 4"]:
    """Pictures (N, H, W, 3) with alpha (N, H, W) as a fourth channel.

    Raises:
      InputError: where the shapes do not fit.
    """
    images, alpha = np.asarray(images), np.asarray(alpha)
    if images.ndim != 4 or images.shape[-1] < 3 or alpha.shape != images.shape[:3]:
        raise InputError(f"pictures {images.shape} with alpha {alpha.shape}; expected (N, H, W, 3) and (N, H, W)")
    return np.concatenate([images[..., :3], alpha[..., None]], -1)


@functools.partial(compiled, static_argnums=(0, 1))
def _gradient(forward: Forward, structure: Structure, batch: Batch, pictures: jax.Array, step: jax.Array) -> jax.Array:
    """(N, H, W)"""
    drawn = chance(structure, pictures.shape[1:3], batch.objective.group, batch.numbers, batch.keys, step)
    gradient = jax.grad(lambda pictures: scores(forward, structure, batch, pictures, drawn).sum())(pictures)
    return jnp.abs(gradient).sum(-1)


def _checked(network: Network, recipe: Recipe, images: np.ndarray) -> np.ndarray:
    """Drawn pictures as float32 (N, H, W, channels); transparent ones have their alpha."""
    pictures = as_pictures(images)
    channels = recipe.parametrization.channels(network.convention.channels)
    if pictures.shape[-1] != channels:
        raise InputError(f"pictures with {pictures.shape[-1]} channels; {recipe.parametrization} draws {channels}")
    return pictures


def _smooth(values: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of (H, W), the edge repeated."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(values, sigma, mode="nearest")
