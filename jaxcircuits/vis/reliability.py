"""How far a picture can be trusted: does the unit answer to it as to the pictures that the network was made for?

A drawing that excites its unit less than photographs do has not found what the unit looks for; Geirhos et al., Don't
trust your eyes: on the (un)reliability of feature visualizations, 2023, show how far drawings can mislead.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.images import Pictures
from jaxcircuits.images.pictures import floats
from jaxcircuits.network import Forward, Network
from jaxcircuits.network.tokens import grids
from jaxcircuits.vis.arguments import as_network, as_objective
from jaxcircuits.vis.objectives import Objective, Seen
from jaxcircuits.vis.objectives.base import check_finite
from jaxcircuits.vis.recipe import Recipe
from jaxcircuits.vis.settings import compiled

TOGETHER = 32
"""Photographs that are read and seen at once."""

if TYPE_CHECKING:
    from jaxtyping import Float


def percentiles(
    network: Network | str,
    objective: Objective | str,
    images: Float[np.ndarray, "pictures height width channels"],
    photographs: Float[np.ndarray, "photographs _ _ channels"]
    | Iterable[Float[np.ndarray, "photographs _ _ channels"]]
    | Pictures,
) -> Float[np.ndarray, " pictures"]:
    """Where each drawn picture's score stands among those of photographs, for the same unit.

    Args:
      network: that the pictures were drawn for.
      objective: with a row for each picture.
      images: drawn pictures, float (N, H, W, channels) in [0, 1], such as `rendering.images`.
      photographs: (M, H, W, channels) in [0, 1], or batches of them, of the size that the network was trained on; or
        `Pictures`, which are brought to that size, and those left out that cannot be read.

    Returns:
      (N,), in percent: 100 where the unit answers more to its drawing than to any photograph. All are shown plainly,
      without random views.

    Raises:
      InputError: for an objective that looks at several pictures, at given ones or at attributions, or rows that do
        not pair up.
    """
    network = as_network(network)
    objective = as_objective(network, objective)
    check_finite(objective)
    if objective.group > 1 or objective.reference is not None or objective.attributed:
        raise InputError(
            "an objective of several pictures, or of attributions, has no percentile; expected one such as channel"
        )
    pictures = network.check_pictures(images)
    objective = objective.rows(len(pictures))
    objective.check(network, Recipe(size=pictures.shape[1:3], transforms=()))
    rows = jax.device_put(objective)
    drawn = np.diagonal(_scores(network.forward, network.params, rows, pictures))
    if isinstance(photographs, Pictures):
        photographs = _read(network, photographs)
    batches = [photographs] if isinstance(photographs, (np.ndarray, jax.Array)) else photographs
    seen = [_scores(network.forward, network.params, rows, network.check_pictures(batch)) for batch in batches]
    found = np.concatenate([drawn[None], *seen])
    for i in np.flatnonzero(~np.isfinite(found).all(0)).tolist():
        where = "its drawing" if not np.isfinite(found[0, i]) else "a photograph"
        raise InputError(f"{objective.label(i)} has no percentile: its score for {where} is not finite")
    return 100 * (found[1:] < drawn).mean(0)


def _read(network: Network, pictures: Pictures) -> Iterator[np.ndarray]:
    """Pictures at a network's size, in batches, in [0, 1]."""
    for batch in pictures.at(network.convention.size, network.convention.channels).batches(TOGETHER):
        images = batch.images[batch.read]
        if len(images):
            yield floats(images)


@functools.partial(compiled, static_argnums=0)
def _scores(forward: Forward, params, objective: Objective, pictures: jax.Array) -> jax.Array:
    """Scores (M, N) of M pictures for the N rows of an objective."""
    activations = forward(params, pictures, objective.layers) if objective.layers else {}
    of_tokens = grids(forward, params, activations, pictures.shape[1:3])

    def score(row, activations, picture):
        one = jax.tree.map(lambda leaf: leaf[None], row)
        activations, picture = jax.tree.map(lambda leaf: leaf[None], (activations, picture))
        return one.scores(Seen(activations, picture, {}, grids=of_tokens))[0]

    of_rows = jax.vmap(score, (0, None, None))
    return jnp.asarray(jax.vmap(of_rows, (None, 0, 0))(objective, activations, pictures))
