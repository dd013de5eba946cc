"""Pictures written pixel by pixel."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from jaxcircuits.vis.parametrization.base import Parametrization, Shape, check_number

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclasses.dataclass(frozen=True)
class Pixels(Parametrization):
    """One number a pixel and decorrelated channel, drawn from N(0, sd); pictures come out noisy.

    Lucid, `optvis/param/spatial.py`; Olah et al., Feature Visualization, 2017, on why frequencies are better.

    Attributes:
      sd: standard deviation of the start.
    """

    sd: float = 0.01
    numbers = ("sd",)

    def __post_init__(self):
        check_number(self, "sd")

    def init(self, key: jax.Array, shape: Shape) -> Float[jax.Array, "height width channels"]:
        """Values (H, W, C)."""
        return self.sd * jax.random.normal(key, shape, jnp.float32)

    def values(
        self, parameters: Float[jax.Array, "height width channels"], shape: Shape
    ) -> Float[jax.Array, "height width channels"]:
        """The parameters themselves."""
        return parameters

    def from_values(
        self, values: Float[jax.Array, "height width channels"], shape: Shape
    ) -> Float[jax.Array, "height width channels"]:
        """The values themselves."""
        return values
