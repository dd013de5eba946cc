"""Models of every kind behind one signature: (params, network input) -> output, marked with its layers while traced.

Adapters are hashable and compare by what they compute, so that two networks of one architecture share their compiled
programs. The parts of a model that no wanted layer needs are left to XLA to drop.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

from jaxcircuits.network.adapters.causes import failure
from jaxcircuits.network.adapters.frameworks import expect
from jaxcircuits.network.adapters.function import FunctionModel, function_model
from jaxcircuits.network.adapters.linen import LinenModel, linen_model
from jaxcircuits.network.adapters.nnx import NNXModel, nnx_model
from jaxcircuits.network.adapters.zoo import by_layer, zoo_model

__all__ = [
    "FunctionModel",
    "LinenModel",
    "NNXModel",
    "by_layer",
    "equinox_model",
    "failure",
    "function_model",
    "hashable",
    "keras_model",
    "linen_model",
    "nnx_model",
    "torch_model",
    "zoo_model",
]


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


def keras_model(module: Any, call_kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """See `keras.keras_model`; Keras is imported only where a Keras model is given."""
    expect(module, "keras")
    from jaxcircuits.network.adapters import keras

    return keras.keras_model(module, call_kwargs)


def equinox_model(module: Any, call_kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """See `equinox.equinox_model`; Equinox is imported only where an Equinox module is given."""
    expect(module[0] if isinstance(module, tuple) and module else module, "equinox")
    from jaxcircuits.network.adapters import equinox

    return equinox.equinox_model(module, call_kwargs)


def torch_model(module: Any, size: tuple[int, int], channels: int) -> tuple[Any, Any]:
    """See `torch.torch_model`; PyTorch is imported only where a PyTorch module is given."""
    expect(module, "torch")
    from jaxcircuits.network.adapters import torch

    return torch.torch_model(module, size, channels)
