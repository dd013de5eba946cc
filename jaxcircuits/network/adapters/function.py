"""Plain functions of parameters and pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax

from jaxcircuits.network.adapters.frameworks import expect
from jaxcircuits.network.adapters.modules import running


@dataclasses.dataclass(frozen=True)
class FunctionModel:
    """A plain function; what it computes on the way it may name itself, with `jaxcircuits.naming.named`."""

    function: Callable[[Any, jax.Array], Any]

    def __call__(self, params: Any, x: jax.Array) -> Any:
        """Runs the function on (N, ...) and returns what it returns."""
        with running(""):
            return self.function(params, x)


def function_model(function: Callable[[Any, jax.Array], Any], params: Any) -> tuple[FunctionModel, Any]:
    """The adapter of a function, and its parameters.

    Args:
      function: (params, network input) -> an array, or a dict or other pytree of arrays.
      params: pytree of arrays, handed to it.

    Returns:
      The model, and the parameters as they came.

    Raises:
      InputError: where it cannot be called, or is a module that has its own way in.
    """
    expect(function, "function")
    return FunctionModel(function), params
