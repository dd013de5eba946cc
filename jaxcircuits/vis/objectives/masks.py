"""Where in the picture an objective looks."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.vis.objectives.base import Attributed, Objective, Seen, node
from jaxcircuits.vis.objectives.units import seen_shape
from jaxcircuits.vis.recipe import Recipe


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
        seen = seen._replace(
            activations={name: _under(self.masks, value) for name, value in seen.activations.items()},
            reference={name: _under(self.masks, value) for name, value in seen.reference.items()},
        )
        return self.objective.scores(seen)

    def check(self, network: Network, recipe: Recipe) -> None:
        self.objective.check(network, recipe)
        for layer in self.layers:
            if len(seen_shape(layer, network, recipe)) != 3:
                raise InputError(f"masked wants layers with positions; {layer} has none")
        if not (np.isfinite(self.masks).all() and (self.masks >= 0).all() and self.masks.any((1, 2)).all()):
            raise InputError("a mask with negative or unknown values, or without any positive one")

    def identity(self, i: int) -> str:
        return f"{self.objective.identity(i)}{super().identity(i).removeprefix(','.join(self.layers))}"

    def label(self, i: int) -> str:
        return f"{self.objective.label(i)} (masked)"


def masked(objective: Objective, masks: np.ndarray) -> Objective:
    """An objective that looks at a part of the view: activations are weighted by a mask of mean 1.

    A channel's mean over space becomes its mean under the mask.

    Args:
      objective: of layers with positions.
      masks: (h, w) of any size, not negative, laid over the view and resampled to each layer's map; or (N, h, w).
    """
    array = np.asarray(masks, np.float32)
    array = array[None] if array.ndim == 2 else array
    if array.ndim != 3 or not array.size:
        raise InputError(f"masks of shape {np.shape(masks)}; expected (h, w) or (N, h, w)")
    return Masked(objective, array).rows(max(objective.count, len(array)))


def _under(masks: jax.Array, activations: jax.Array) -> jax.Array:
    """Activations (N, h, w, channels) times masks resampled to (N, h, w) with mean 1; those without positions as is."""
    if activations.ndim != 4:
        return activations
    weights = jax.image.resize(masks, activations.shape[:3], "linear")
    weights = weights / jnp.maximum(weights.mean((1, 2), keepdims=True), 1e-8)
    return activations * weights[..., None].astype(activations.dtype)
