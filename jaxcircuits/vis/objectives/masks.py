"""Where in the picture an objective looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.network.tokens import Grid, grid
from jaxcircuits.vis.objectives.base import Objective, node, registered
from jaxcircuits.vis.objectives.positions import seen_shape
from jaxcircuits.vis.objectives.seen import Attributed, Rows, Seen
from jaxcircuits.vis.recipe import Recipe

if TYPE_CHECKING:
    from jaxtyping import Num


@node()
class Masked(Objective):
    """See `masked`."""

    objective: Objective
    masks: np.ndarray

    @property
    def group(self) -> int:
        return self.objective.group

    @property
    def layers(self) -> tuple[str, ...]:
        return self.objective.layers

    @property
    def reference(self) -> np.ndarray | None:
        return self.objective.reference

    @property
    def attributed(self) -> tuple[Attributed, ...]:
        return tuple(one._replace(objective=Masked(one.objective, self.masks)) for one in self.objective.attributed)

    def scores(self, seen: Seen) -> jax.Array:
        activations, reference = (
            {name: _under(self.masks, value, seen.grids.get(name)) for name, value in part.items()}
            for part in (seen.activations, seen.reference)
        )
        return self.objective.scores(seen._replace(activations=activations, reference=reference))

    def check(self, network: Network, recipe: Recipe) -> None:
        self.objective.check(network, recipe)
        for layer in self.layers:
            tokens = len(seen_shape(layer, network, recipe)) == 2
            known = tokens and grid(network.forward, network.params, layer, recipe.view_size) is not None
            if not known and len(seen_shape(layer, network, recipe)) != 3:
                raise InputError(f"masked wants layers with positions; {layer} has none")
        if not (np.isfinite(self.masks).all() and (self.masks >= 0).all() and self.masks.any((1, 2)).all()):
            raise InputError("a mask with negative or unknown values, or without any positive one")

    def identity(self, i: int) -> str:
        return f"{self.objective.identity(i)}{super().identity(i).removeprefix(','.join(self.layers))}"

    def label(self, i: int) -> str:
        return f"{self.objective.label(i)} (masked)"


def masked(objective: Objective, masks: Num[np.ndarray, "*pictures h w"]) -> Objective:
    """An objective that looks at a part of the view: activations are weighted by a mask of mean 1.

    A channel's mean over space becomes its mean under the mask. Tokens beside the grid, such as the class's, count as
    outside of any mask.

    Args:
      objective: of layers with positions.
      masks: (h, w) of any size, not negative, laid over the view and resampled to each layer's map; or (N, h, w).
    """
    array = np.asarray(masks, np.float32)
    array = array[None] if array.ndim == 2 else array
    if array.ndim != 3 or not array.size:
        raise InputError(f"masks of shape {np.shape(masks)}; expected (h, w) or (N, h, w)")
    objective = registered(objective)
    count = max(objective.count, len(array))
    return Masked(objective.rows(count), np.broadcast_to(array, (count, *array.shape[1:])))


def _under(masks: Rows, activations: jax.Array, tokens: Grid | None) -> jax.Array:
    """Activations (N, h, w, channels), or (N, tokens, channels), times masks resampled to them with mean 1."""
    if activations.ndim == 3 and tokens is not None:
        of_grid = jax.image.resize(masks, (len(activations), tokens.rows, tokens.columns), "linear")
        behind = activations.shape[1] - tokens.first - tokens.rows * tokens.columns
        weights = jnp.pad(of_grid.reshape(len(activations), -1), ((0, 0), (tokens.first, behind)))
    elif activations.ndim == 4:
        weights = jax.image.resize(masks, activations.shape[:3], "linear")
    else:
        return activations
    axes = tuple(range(1, weights.ndim))
    weights = weights / jnp.maximum(weights.mean(axes, keepdims=True), 1e-8)
    return activations * weights[..., None].astype(activations.dtype)
