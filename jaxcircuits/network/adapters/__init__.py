"""Models of every kind behind one signature: (params, network input, layer names) -> {name: activation}.

Adapters are hashable and compare by what they compute, so that two networks of one architecture share their
compiled programs. The parts of a model that no wanted layer needs are left to XLA to drop.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import threading
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxcircuits.errors import InputError
from jaxcircuits.zoo import Architecture, InputConvention, Layer

Activations = dict[str, jax.Array]

_CAPTURING = threading.RLock()
"""`nnx.capture` changes the modules' classes while it runs, so that two threads would undo each other's captures."""


@dataclasses.dataclass(frozen=True)
class NNXModel:
    """A Flax NNX module without its arrays; captures the output of every submodule."""

    graphdef: nnx.GraphDef
    call_kwargs: tuple[tuple[str, Any], ...] = ()

    def __call__(self, params: Any, x: jax.Array, layers: tuple[str, ...] | None) -> Activations:
        model = nnx.merge(self.graphdef, params)
        model.eval()
        if "layers" in inspect.signature(type(model).__call__).parameters:
            return model(x, layers=layers, **dict(self.call_kwargs))
        with _CAPTURING:
            forward = nnx.capture(model, nnx.Intermediate, method_outputs=nnx.Intermediate)
            output, captured = forward(x, **dict(self.call_kwargs))
        return _select(output, {path: variable.get_value() for path, variable in nnx.to_flat_state(captured)}, layers)

    def ops(self, params: Any, x: jax.Array) -> dict[str, str]:
        """Layer name -> class name of the module that makes it."""
        model = nnx.merge(self.graphdef, params)
        return {_name(path): type(module).__name__ for path, module in nnx.iter_modules(model)}


@dataclasses.dataclass(frozen=True)
class LinenModel:
    """A Flax Linen module; captures the output of every submodule."""

    module: Any
    call_kwargs: tuple[tuple[str, Any], ...] = ()

    def __call__(self, params: Any, x: jax.Array, layers: tuple[str, ...] | None) -> Activations:
        output, captured = self._apply(params, x, capture_intermediates=True)
        return _select(output, _flat(captured.get("intermediates", {})), layers)

    def ops(self, params: Any, x: jax.Array) -> dict[str, str]:
        """Layer name -> class name of the module that makes it."""
        names = {}

        def note(module, method):
            names[_name(module.path)] = type(module).__name__
            return False

        jax.eval_shape(functools.partial(self._apply, capture_intermediates=note), params, x)
        return names

    def _apply(self, params, x, capture_intermediates):
        kwargs = dict(self.call_kwargs)
        return self.module.apply(
            params, x, capture_intermediates=capture_intermediates, mutable=["intermediates"], **kwargs
        )


@dataclasses.dataclass(frozen=True)
class FunctionModel:
    """A plain function (params, x) -> {name: activation}, or one array."""

    function: Callable[[Any, jax.Array], Any]

    def __call__(self, params: Any, x: jax.Array, layers: tuple[str, ...] | None) -> Activations:
        return _select(self.function(params, x), {}, layers)

    def ops(self, params: Any, x: jax.Array) -> dict[str, str]:
        """Nothing is known of how a function's activations came about."""
        return {}


@dataclasses.dataclass(frozen=True, eq=False)
class Unhashable:
    """A model that holds something unhashable, such as a NumPy array among its settings: equal to itself only."""

    model: Any

    def __call__(self, *args: Any) -> Any:
        return self.model(*args)

    def ops(self, params: Any, x: jax.Array) -> dict[str, str]:
        """See the model's."""
        return self.model.ops(params, x)


def hashable(model: Any) -> Any:
    """The model, or `Unhashable` around it."""
    try:
        hash(model)
    except TypeError:
        return Unhashable(model)
    return model


def nnx_model(module: nnx.Module, call_kwargs: dict[str, Any]) -> tuple[NNXModel, Any]:
    """Splits a module into its adapter and its arrays, as plain nested dicts."""
    graphdef, state = nnx.split(module)
    return NNXModel(graphdef, tuple(sorted(call_kwargs.items()))), nnx.to_pure_dict(state)


@functools.lru_cache(maxsize=16)
def zoo_model(architecture: Architecture) -> NNXModel:
    """The adapter of a zoo architecture; builds no arrays."""
    from jaxcircuits.zoo.module import InceptionV1

    return NNXModel(nnx.graphdef(nnx.eval_shape(lambda: InceptionV1(architecture, rngs=nnx.Rngs(0)))))


def by_layer(tensors: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """`LAYER/kernel` and `LAYER/bias` -> values, as a zoo model's parameters: {LAYER: {"kernel": ..., "bias": ...}}."""
    params: dict[str, dict[str, Any]] = {}
    for name, values in tensors.items():
        layer, kind = name.rsplit("/", 1)
        params.setdefault(layer, {})[kind] = values
    return params


def discover_layers(model: Any, params: Any, convention: InputConvention) -> dict[str, Layer]:
    """Runs a model abstractly at its native size to learn its layers, in the order in which they are computed.

    Raises:
      InputError: where the model fails on its native size, or returns nothing to look at.
    """
    x = jax.ShapeDtypeStruct((1, *convention.size, convention.channels), jnp.float32)
    try:
        jaxpr, shapes = jax.make_jaxpr(lambda p, x: model(p, x, None), return_shape=True)(params, x)
        ops = model.ops(params, x)
    except Exception as error:
        first_line = str(error).strip().split("\n")[0]
        raise InputError(
            f"the model fails on a picture of shape {x.shape[1:]} ({type(error).__name__}: {first_line}); "
            "state its native size and channels with InputConvention(size=(height, width), channels=...)"
        ) from error
    made_at = {id(var): i for i, eqn in enumerate(jaxpr.jaxpr.eqns) for var in eqn.outvars}
    # A jaxpr lists a dict's values by sorted name; what no equation makes, such as the input itself, comes first.
    order = {name: made_at.get(id(var), -1) for name, var in zip(sorted(shapes), jaxpr.jaxpr.outvars)}
    layers = {}
    for name in sorted(shapes, key=lambda name: order[name]):
        if len(shapes[name].shape) >= 2 and jnp.issubdtype(shapes[name].dtype, jnp.floating):
            layers[name] = Layer(name, ops.get(name, ""), (), shapes[name].shape[-1])
    if not layers:
        raise InputError("the model returns nothing to look at: no floating-point array (N, ..., channels)")
    return layers


def _select(output: Any, captured: dict[tuple, Any], layers: tuple[str, ...] | None) -> Activations:
    """Names what a call returned and captured, and picks the wanted ones."""
    if isinstance(output, dict):
        named = dict(output)
    else:
        named = {}
        for path, values in captured.items():
            for i, value in enumerate(values if isinstance(values, tuple) else (values,)):
                # A module that is called more than once has several outputs.
                named[_name(path) + (f":{i}" if i else "")] = value
        named["output"] = output
    named = {name: value for name, value in named.items() if isinstance(value, jax.Array)}
    return named if layers is None else {name: named[name] for name in layers}


def _name(path: tuple) -> str:
    """`("blocks", 0, "conv", "__call__")` -> `blocks/0/conv`."""
    parts = [str(part) for part in path if part != "__call__"]
    return "/".join(parts) if parts else "output"


def _flat(tree: Any, path: tuple = ()) -> dict[tuple, Any]:
    if not hasattr(tree, "items"):
        return {path: tree}
    return {key: value for name, branch in tree.items() for key, value in _flat(branch, (*path, name)).items()}
