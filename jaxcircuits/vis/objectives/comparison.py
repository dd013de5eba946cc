"""Given pictures as the goal: what a layer sees in them, drawn (inversion), exaggerated (caricature), or kept.

The given pictures go through the same random views as the drawn ones, so that cells correspond.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.network import Network
from jaxcircuits.vis.objectives.base import Objective, OfLayer, node
from jaxcircuits.vis.objectives.pictures import as_pictures, check_pictures
from jaxcircuits.vis.objectives.seen import Seen
from jaxcircuits.vis.objectives.units import aligned
from jaxcircuits.vis.recipe import Recipe

if TYPE_CHECKING:
    from jaxtyping import Float


class _Compared(OfLayer):
    """Base of objectives that compare a layer's activation with that for a given picture."""

    layer: str
    pictures: np.ndarray

    @property
    def reference(self) -> np.ndarray:
        return self.pictures

    def check(self, network: Network, recipe: Recipe) -> None:
        network.layer(self.layer)
        check_pictures(self.pictures, network, recipe)


@node("layer")
class ActivationDifference(_Compared):
    """See `activation_difference`."""

    layer: str
    pictures: np.ndarray

    def score(self, seen: Seen) -> jax.Array:
        goal = seen.reference[self.layer].astype(jnp.float32)
        difference = seen.activations[self.layer].astype(jnp.float32) - goal
        return (difference**2).sum() / ((goal**2).sum() + 1e-8)


@node("layer")
class Caricature(_Compared):
    """See `caricature`."""

    layer: str
    pictures: np.ndarray
    power: np.ndarray

    def score(self, seen: Seen) -> jax.Array:
        goal = seen.reference[self.layer].astype(jnp.float32)
        return aligned(seen.activations[self.layer], goal, self.power)


def activation_difference(layer: str, pictures: Float[np.ndarray, "*pictures height width channels"]) -> Objective:
    """Squared difference between a layer's activation and that for a given picture, as a part of the latter's square.

    0 where the layer cannot tell them apart, 1 for a silent layer. `-activation_difference(...)` alone inverts the
    layer (Mahendran and Vedaldi, 2015); subtracted from another objective it keeps a picture's content.

    Args:
      layer: a name of `network.layers`.
      pictures: (H, W, channels) in [0, 1] of the recipe's size, or (N, H, W, channels).
    """
    return ActivationDifference(layer, as_pictures(pictures))


def caricature(
    layer: str, pictures: Float[np.ndarray, "*pictures height width channels"], power: float | Sequence[float] = 1
) -> Objective:
    """What a layer sees in a picture, exaggerated: mean over positions of `dot * max(0.1, cos) ** power`.

    Dot product and cosine are those of the two activations at a position (Lucid's feature-inversion caricatures).

    Args:
      layer: a name of `network.layers`, with positions.
      pictures: (H, W, channels) in [0, 1] of the recipe's size, or (N, H, W, channels).
      power: of the cosine, or one for each picture; larger keeps nearer to the picture.
    """
    objective = Caricature(layer, as_pictures(pictures), np.atleast_1d(np.asarray(power, np.float32)))
    return objective.rows(objective.count)
