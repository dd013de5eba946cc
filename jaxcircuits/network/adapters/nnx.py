"""Flax NNX modules: on a copy, each gets a class of its own kind that says where it stands when it is called."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any

import jax
from flax import nnx

from jaxcircuits.naming import named
from jaxcircuits.network.adapters.causes import running
from jaxcircuits.network.adapters.frameworks import expect

PATH = "_jaxcircuits_path"
"""Attribute of a marked module. It is static, so that it goes with the module through `nnx.jit`, `nnx.remat` and
`nnx.scan`, and two blocks of one shape are not taken for one another by JAX's caches of traces."""


@dataclasses.dataclass(frozen=True)
class NNXModel:
    """A Flax NNX module in evaluation mode, without its arrays."""

    graphdef: nnx.GraphDef
    call_kwargs: tuple[tuple[str, Any], ...] = ()

    def __call__(self, params: Any, x: jax.Array) -> Any:
        """Runs the module on (N, ...) and returns what it returns; a traced run is marked with its layers."""
        module = nnx.merge(self.graphdef, params)
        for path, part in nnx.iter_modules(module):
            # The copy is this call's alone: neither the user's module nor its class is touched.
            object.__setattr__(part, "__class__", _marked(type(part)))
            object.__setattr__(part, PATH, "/".join(map(str, path)))
        return module(x, **dict(self.call_kwargs))

    def signature(self) -> inspect.Signature:
        """Of a call, the module first."""
        return inspect.signature(self.graphdef.nodes[0].type.__call__)


def nnx_model(module: nnx.Module, call_kwargs: dict[str, Any]) -> tuple[NNXModel, Any]:
    """Splits a module into its adapter and its arrays.

    Args:
      module: with trained parameters; it is left as it is.
      call_kwargs: handed to every call.

    Returns:
      The model, in evaluation mode (`module.eval()`), and its variables as plain nested dicts.

    Raises:
      InputError: where it is no NNX module.
    """
    expect(module, "nnx")
    copy = nnx.clone(module)
    copy.eval()
    graphdef, state = nnx.split(copy)
    return NNXModel(graphdef, tuple(sorted(call_kwargs.items()))), nnx.to_pure_dict(state)


class _Marked(nnx.Module):
    """What the marked classes add to a module: what it sows is named where it is sown."""

    def __init_subclass__(cls, **kwargs):
        # NNX's own registration alone: a user's base class may count its subclasses, and these are none of them.
        nnx.Pytree.__init_subclass__.__func__(cls, **kwargs)

    def sow(self, variable_type, name, value, *args, **kwargs):
        value = named(_join(vars(self).get(PATH, ""), name), value)
        # Outside of `nnx.capture` a module would keep the value as a variable, and change while it is traced.
        return hasattr(self, "__captures__") and super().sow(variable_type, name, value, *args, **kwargs)

    def perturb(self, name, value, *args, **kwargs):
        value = named(_join(vars(self).get(PATH, ""), name), value)
        return super().perturb(name, value, *args, **kwargs) if hasattr(self, "__captures__") else value


@functools.cache
def _marked(cls: type) -> type:
    """A subclass that computes the same, and marks what its calls compute."""
    if issubclass(cls, _Marked):
        return cls
    namespace = {name: _marking(name, method) for name, method in _methods(cls)}
    namespace |= {key: getattr(cls, key) for key in ("__module__", "__qualname__", "_pytree__nodes")}
    pytree = {"pytree": cls._pytree__is_pytree}
    return types.new_class(cls.__name__, (_Marked, cls), pytree, lambda own: own.update(namespace))


def _methods(cls: type) -> Iterator[tuple[str, Any]]:
    """What a caller may run: `__call__` and the public methods, inherited ones included, but none of NNX's own."""
    own = {name for base in cls.__mro__ if base not in nnx.Module.__mro__ for name in vars(base)}
    for name in sorted(own):
        method = inspect.getattr_static(cls, name)
        bound = callable(method) and hasattr(type(method), "__get__") and not isinstance(method, type)
        public = name == "__call__" or not (name.startswith("_") or hasattr(nnx.Module, name))
        if bound and public and not isinstance(method, (staticmethod, classmethod)):
            yield name, method


def _marking(name: str, method: Any) -> Callable:
    @functools.wraps(method)
    def call(self, *args, **kwargs):
        run = method.__get__(self, type(self))
        path = vars(self).get(PATH)
        if path is None:  # made during the call
            return run(*args, **kwargs)
        with running(path):
            value = run(*args, **kwargs)
        if name != "__call__":
            return named(_join(path, name), value)
        # What the network itself returns is named by the graph.
        return named(path, value, type(self).__name__) if path else value

    return call


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name
