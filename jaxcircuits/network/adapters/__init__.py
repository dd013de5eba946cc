"""Models of every kind behind one signature: (params, network input) -> output, marked with its layers while traced.

Adapters are hashable and compare by what they compute, so that two networks of one architecture share their compiled
programs. The parts of a model that no wanted layer needs are left to XLA to drop.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import flax.nnx
import jax

from jaxcircuits.naming import named
from jaxcircuits.network.adapters.function import FunctionModel, function_model
from jaxcircuits.network.adapters.linen import LinenModel, linen_model
from jaxcircuits.network.adapters.nnx import NNXModel, nnx_model
from jaxcircuits.zoo import Architecture

__all__ = [
    "FunctionModel",
    "LinenModel",
    "NNXModel",
    "by_layer",
    "function_model",
    "hashable",
    "linen_model",
    "nnx_model",
    "zoo_model",
]


@dataclasses.dataclass(frozen=True)
class ZooModel:
    graphdef: Any

    def __call__(self, params: Any, x: jax.Array) -> Any:
        from jaxcircuits.zoo.architecture import INPUT

        model = flax.nnx.merge(self.graphdef, params)
        architecture = model.architecture
        activations = {INPUT: x}
        for layer in architecture.layers:
            activations[layer.name] = named(
                layer.name, model._run(layer, [activations[name] for name in layer.inputs]), layer.op
            )
        return {architecture.layers[-1].name: activations[architecture.layers[-1].name]}


@dataclasses.dataclass(frozen=True, eq=False)
class Unhashable:
    """A model that holds something unhashable, such as a NumPy array among its settings: equal to itself only."""

    model: Any

    def __call__(self, params: Any, x: jax.Array) -> Any:
        """Runs the model."""
        return self.model(params, x)


def hashable(model: Any) -> Any:
    """The model, or `Unhashable` around it."""
    try:
        hash(model)
    except TypeError:
        return Unhashable(model)
    return model


@functools.lru_cache(maxsize=16)
def zoo_model(architecture: Architecture) -> ZooModel:
    """The adapter of a zoo architecture; builds no arrays."""
    from jaxcircuits.zoo.module import InceptionV1

    return ZooModel(flax.nnx.graphdef(flax.nnx.eval_shape(lambda: InceptionV1(architecture, rngs=flax.nnx.Rngs(0)))))


def by_layer(tensors: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """`LAYER/kernel` and `LAYER/bias` -> values, as a zoo model's parameters: {LAYER: {"kernel": ..., "bias": ...}}."""
    params: dict[str, dict[str, Any]] = {}
    for name, values in tensors.items():
        layer, kind = name.rsplit("/", 1)
        params.setdefault(layer, {})[kind] = values
    return params
