"""Facets: one unit drawn by what, in a layer below, excites it.

A unit of many meanings is drawn as a mixture of them, or as the strongest. A facet asks for one: that what the unit's
answer owes to a layer below points in a given direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.vis.objectives.arguments import vector_rows
from jaxcircuits.vis.objectives.base import Objective, check_finite, node
from jaxcircuits.vis.objectives.seen import Attributed, Seen
from jaxcircuits.vis.recipe import Recipe

if TYPE_CHECKING:
    from jaxtyping import Num


@node("layer")
class Facet(Objective):
    """See `facet`."""

    objective: Objective
    layer: str
    vectors: np.ndarray

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.objective.layers, self.layer)))

    @property
    def attributed(self) -> tuple[Attributed, ...]:
        return (Attributed(self.layer, self.objective),)

    def scores(self, seen: Seen) -> jax.Array:
        (attribution,) = seen.attributions
        owed = attribution.sum(tuple(range(1, attribution.ndim - 1)))
        return self.objective.scores(seen._replace(attributions=())) + jnp.sum(owed * self.vectors, -1)

    def check(self, network: Network, recipe: Recipe) -> None:
        self.objective.check(network, recipe)
        channels = network.layer(self.layer).channels
        if self.vectors.shape[-1] != channels:
            raise InputError(f"a facet of {self.vectors.shape[-1]} numbers; {self.layer} has {channels} channels")
        check_finite(self)
        for read in self.objective.layers:
            if not network.graph.follows(self.layer, read):
                raise InputError(f"{read} is not computed from {self.layer}; expected a layer before it for the facet")

    def label(self, i: int) -> str:
        return f"{self.objective.label(i)} by {self.layer}"

    def identity(self, i: int) -> str:
        return f"{self.objective.identity(i)}{super().identity(i).removeprefix(':'.join(self.layers))}"


def facet(
    objective: Objective, layer: str, vectors: Sequence[float] | Num[np.ndarray, "*pictures channels"]
) -> Objective:
    """A unit by one of its facets: `f(g(x)) + w' (g(x) * grad f(g(x)))`, f the objective, g the layer, w the vector.

    The second term is a direction's share of what f owes to the layer, as gradient times activation summed over
    positions, which draws clearer pictures than the direction in the activation alone. The gradient is held constant.
    Goh et al., Multimodal Neurons in Artificial Neural Networks, Distill, 2021, where w is a linear probe of a theme.

    >>> found = evidence.meanings(network, "mixed4e:440", pictures)
    >>> render(network, facet(channel("mixed4e", [440] * found.count), found.layer, 3 * found.probes))

    Args:
      objective: of one picture and of layers that are computed from `layer`, such as `channel`.
      layer: a name of `network.layers`.
      vectors: (channels,) of that layer, or (N, channels) for N pictures; their length says how much the facet counts
        beside the objective.

    Raises:
      InputError: for other objectives, and vectors of another shape or number.
    """
    if not objective.layers or objective.group > 1 or objective.reference is not None or objective.attributed:
        raise InputError(
            f"a facet of {objective.label(0)}; expected what layers answer to one picture, such as channel or neuron"
        )
    rows = vector_rows(vectors, 1)
    return Facet(objective, layer, rows).rows(max(objective.count, len(rows)))
