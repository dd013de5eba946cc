"""The zoo's networks: Flax NNX modules that mark the published nodes themselves."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
from flax import nnx
from flax.typing import PathParts

from jaxcircuits.naming import scope
from jaxcircuits.zoo import Architecture


@dataclasses.dataclass(frozen=True)
class ZooModel:
    """A network of the zoo without its arrays.

    Attributes:
      architecture: what it runs.
      graphdef: of its module, in evaluation mode.
      paths: of its variables.
    """

    architecture: Architecture
    graphdef: nnx.GraphDef
    paths: tuple[PathParts, ...]

    def __call__(self, params: Any, x: jax.Array) -> dict[str, jax.Array]:
        """Runs the module on (N, H, W, channels), with `by_layer` of its tensors."""
        values = {path: params["/".join(map(str, path[:-1]))][path[-1]] for path in self.paths}
        with scope(""):
            return {self.architecture.output: nnx.merge(self.graphdef, nnx.from_flat_state(values))(x)}


@functools.lru_cache(maxsize=16)
def zoo_model(architecture: Architecture) -> ZooModel:
    """The adapter of a zoo architecture; builds no arrays.

    Args:
      architecture: such as `jaxcircuits.zoo.SQUEEZENET`.

    Returns:
      The model; its parameters are what `by_layer` makes of the architecture's tensors.
    """
    module = architecture.abstract()
    module.eval()
    graphdef, state = nnx.split(module)
    return ZooModel(architecture, graphdef, tuple(path for path, _ in nnx.to_flat_state(state)))


def by_layer(tensors: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """`LAYER/kernel` and `LAYER/bias` -> values, as a zoo model's parameters: {LAYER: {"kernel": ..., "bias": ...}}."""
    params: dict[str, dict[str, Any]] = {}
    for name, values in tensors.items():
        layer, kind = name.rsplit("/", 1)
        params.setdefault(layer, {})[kind] = values
    return params
