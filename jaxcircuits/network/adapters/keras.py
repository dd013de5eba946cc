"""Keras 3 models on its JAX backend: while one runs here, its layers' calls say where they stand."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import keras

from jaxcircuits.errors import InputError
from jaxcircuits.naming import named
from jaxcircuits.network.adapters.frameworks import expect
from jaxcircuits.network.adapters.modules import join, running

_LOCK = threading.Lock()
_RUNNING = threading.local()
"""`.paths`: id of a layer -> its path, of the model that runs in this thread."""


@dataclasses.dataclass(frozen=True)
class KerasModel:
    """A Keras model in evaluation mode; equal to itself only."""

    module: keras.Layer
    weights: tuple[str, ...]
    call_kwargs: tuple[tuple[str, Any], ...] = ()

    def __call__(self, params: Any, x: jax.Array) -> Any:
        """Runs the model on (N, ...) and returns what it returns; a traced run is marked with its layers."""
        values = [(variable, params[name]) for name, variable in zip(self.weights, _weights(self.module).values())]
        with running(""), keras.StatelessScope(state_mapping=values), _marking(self.module):
            return self.module(x, **{"training": False, **dict(self.call_kwargs)})

    def signature(self) -> inspect.Signature:
        """Of a call, the model first."""
        return inspect.signature(type(self.module).call)


def keras_model(module: keras.Layer, call_kwargs: dict[str, Any]) -> tuple[KerasModel, dict[str, jax.Array]]:
    """The adapter of a functional, sequential or subclassed model, and its weights.

    Args:
      module: a built model; it is left as it is.
      call_kwargs: handed to every call.

    Returns:
      The model, in evaluation mode, and copies of its weights by their paths, such as `block1_conv1/kernel`. Layers
      have Keras' names, `outer/inner` where models are nested; those of a class of one's own, which Keras numbers
      anew in every process, have their attributes' names, `blocks/0/conv`.

    Raises:
      InputError: where it is no Keras model, is not built, or Keras does not run on JAX.
    """
    expect(module, "keras")
    if keras.backend.backend() != "jax":
        raise InputError(
            f"Keras runs on {keras.backend.backend()}; set the environment variable KERAS_BACKEND=jax before Keras is "
            "imported"
        )
    if not module.built:
        raise InputError(
            f"{type(module).__name__} has no weights yet; call it once on a picture before its weights are loaded"
        )
    # Copies, since training goes on by giving the variables' own buffers away.
    params = {name: jnp.array(variable.value) for name, variable in _weights(module).items()}
    return KerasModel(module, tuple(params), tuple(sorted(call_kwargs.items()))), params


def _layers(module: keras.Layer, path: str = "") -> Iterator[tuple[str, keras.Layer]]:
    """Every layer within a layer, with its path, inner ones first; one that is there twice is named twice."""
    children = module._flatten_layers(include_self=False, recursive=False)
    if _is_assembled(module):
        named_children = [(str(child.name), child) for child in children]
    else:
        attributes: dict[int, str] = {}
        for name, value in sorted(vars(module).items(), key=lambda item: item[0].startswith("_")):
            if name != "_layers":
                _find(value, name, attributes)
        named_children = [(attributes.get(id(child), str(child.name)), child) for child in children]
    for name, child in named_children:
        if not isinstance(child, keras.layers.InputLayer):
            yield from _layers(child, join(path, name))
            yield join(path, name), child


def _is_assembled(module: keras.Layer) -> bool:
    """Whether a model was put together of named layers, as opposed to one that keeps them as attributes."""
    of_keras = type(module).__module__.partition(".")[0] == "keras"
    return of_keras or isinstance(module, keras.Sequential) or hasattr(module, "operations")


def _find(value: Any, path: str, found: dict[int, str]) -> None:
    """Notes where layers are among an attribute's values."""
    if isinstance(value, keras.Layer):
        found.setdefault(id(value), path)
    elif isinstance(value, dict):
        for key, item in value.items():
            _find(item, join(path, str(key)), found)
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            _find(item, join(path, str(i)), found)


def _weights(module: keras.Layer) -> dict[str, Any]:
    """Path -> variable, each under the innermost layer that has it."""
    variables, seen = {}, set()
    for path, layer in (*_layers(module), ("", module)):
        for variable in layer.weights:
            if id(variable) not in seen:
                seen.add(id(variable))
                name, count = join(path, variable.name), 0
                while name in variables:
                    count += 1
                    name = f"{join(path, variable.name)}_{count}"
                variables[name] = variable
    return variables


class _Call:
    """A layer's `call`, marked in the threads in which the layer has a path."""

    def __init__(self, layer: keras.Layer):
        self.call, self.kind, self.key = layer.call, type(layer).__name__, id(layer)
        self.users = 0
        functools.update_wrapper(self, layer.call)

    def __call__(self, *args, **kwargs):
        path = getattr(_RUNNING, "paths", {}).get(self.key)
        if path is None:
            return self.call(*args, **kwargs)
        with running(path):
            value = self.call(*args, **kwargs)
        return named(path, value, self.kind)


@contextlib.contextmanager
def _marking(module: keras.Layer) -> Iterator[None]:
    """Lets the layers of a model mark what they compute, in this thread, as long as it runs.

    Each gets a `call` of its own for that time, which does nothing new in other threads; the last run that ends, of
    several at once, takes it away.
    """
    layers = {id(layer): (path, layer) for path, layer in reversed(list(_layers(module)))}
    with _LOCK:
        for _, layer in layers.values():
            call = layer.__dict__.get("call")
            if not isinstance(call, _Call):
                call = layer.__dict__["call"] = _Call(layer)
            call.users += 1
    before = getattr(_RUNNING, "paths", {})
    _RUNNING.paths = {key: path for key, (path, _) in layers.items()}
    try:
        yield
    finally:
        _RUNNING.paths = before
        with _LOCK:
            for _, layer in layers.values():
                call = layer.__dict__["call"]
                call.users -= 1
                if not call.users:
                    _restore(layer, call.call)


def _restore(layer: keras.Layer, call: Callable[..., Any]) -> None:
    del layer.__dict__["call"]
    if layer.call != call:  # it was an attribute before
        layer.__dict__["call"] = call
