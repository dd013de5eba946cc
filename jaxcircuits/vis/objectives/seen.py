"""What an objective looks at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import jax
import numpy as np

from jaxcircuits.network.tokens import Grid

if TYPE_CHECKING:
    from jaxtyping import Float

    from jaxcircuits.vis.objectives.base import Objective

Rows = jax.Array | np.ndarray
"""Data with one row a picture: NumPy's where it is made, JAX's in a program that is traced."""

INPUT = "input"
"""In place of a layer's name: the picture itself, before it is padded, jittered, scaled and rotated."""


class Seen(NamedTuple):
    """What an objective looks at; of one picture, or of N with a leading axis.

    Attributes:
      activations: layer -> (h, w, channels) or (channels,), of one random view of the picture.
      picture: (H, W, channels) in [0, 1], before the view; a transparent one has its alpha as last channel.
      reference: as `activations`, of the same view of the objective's `reference`; empty where it has none.
      attributions: of each of the objective's `attributed`, the activation of its layer times the gradient of its
        objective there, (h, w, channels) or (channels,); the gradient is held constant.
      grids: layer of tokens -> the grid that they make; tokens have activations (tokens, channels).
    """

    activations: Mapping[str, Float[jax.Array, "... channels"]]
    picture: Float[jax.Array, "*pictures height width channels"]
    reference: Mapping[str, Float[jax.Array, "... channels"]]
    attributions: tuple[Float[jax.Array, "... channels"], ...] = ()
    grids: Mapping[str, Grid] = {}

    def __getitem__(self, layer: str) -> Float[jax.Array, "... channels"]:
        """The activation of a layer; the picture for `INPUT`."""
        return self.picture if layer == INPUT else self.activations[layer]


class Attributed(NamedTuple):
    """What an objective wants attributed to a layer.

    Attributes:
      layer: a name of `network.layers`.
      objective: whose score is attributed; it reads layers that are computed from that one.
    """

    layer: str
    objective: Objective
