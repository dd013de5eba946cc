"""Equinox modules of one picture: run on several by `jax.vmap`, each of a copy with a class that marks its calls."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
from typing import Any

import equinox as eqx
import jax
import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.naming import named
from jaxcircuits.network.adapters.frameworks import expect
from jaxcircuits.network.adapters.modules import PATH, join, marking_methods


@dataclasses.dataclass(frozen=True)
class EquinoxModel:
    """An Equinox module in inference mode, and its state, without their arrays."""

    tree: Any
    names: tuple[str, ...]
    constants: tuple[Any, ...]
    call_kwargs: tuple[tuple[str, Any], ...] = ()

    def __call__(self, params: Any, x: jax.Array) -> Any:
        """Runs the module on each of (N, ...) and returns what it returns; a traced run is marked with its layers."""
        leaves = [params[name] if name else value for name, value in zip(self.names, self.constants)]
        module, state = jax.tree.unflatten(self.tree, leaves)
        module = _with_paths(module, "")
        kwargs = dict(self.call_kwargs)
        if _needs_key(module) and "key" not in kwargs:
            # In inference mode nothing is drawn with it.
            kwargs["key"] = jax.random.key(0)
        if state is None:
            return jax.vmap(lambda picture: module(picture, **kwargs))(x)
        return jax.vmap(lambda picture: module(picture, state, **kwargs)[0])(x)

    def signature(self) -> inspect.Signature:
        """Of a call, the module first."""
        module, _ = jax.tree.unflatten(self.tree, self.constants)
        return inspect.signature(type(module).__call__)


def equinox_model(module: Any, call_kwargs: dict[str, Any]) -> tuple[EquinoxModel, dict[str, jax.Array]]:
    """Splits a module into its adapter and its arrays.

    Args:
      module: with trained parameters, called with one picture, `module(x)` or `module(x, key=key)`; or a tuple of a
        module and its `eqx.nn.State`, called as `module(x, state)`. It is left as it is.
      call_kwargs: handed to every call.

    Returns:
      The model, in inference mode, and its arrays by their paths, such as `layers/0/weight`.

    Raises:
      InputError: where it is no Equinox module, or keeps a state that is not there.
    """
    module, state = module if isinstance(module, tuple) and len(module) == 2 else (module, None)
    expect(module, "equinox")
    if state is None and any(map(_is_index, jax.tree.leaves(module, is_leaf=_is_index))):
        raise InputError(
            f"{type(module).__name__} keeps a state; hand over (module, state), as make_with_state made it"
        )
    if state is not None and not isinstance(state, eqx.nn.State):
        raise InputError(f"a state of type {type(state).__name__}; expected an equinox.nn.State")
    leaves, tree = jax.tree.flatten_with_path((eqx.nn.inference_mode(module), state))
    arrays = [isinstance(leaf, (jax.Array, np.ndarray, jax.ShapeDtypeStruct)) for _, leaf in leaves]
    names = tuple(_name(path) if is_array else "" for (path, _), is_array in zip(leaves, arrays))
    constants = tuple(None if is_array else leaf for (_, leaf), is_array in zip(leaves, arrays))
    params = {name: jax.numpy.asarray(leaf) for name, (_, leaf) in zip(names, leaves) if name}
    return EquinoxModel(tree, names, constants, tuple(sorted(call_kwargs.items()))), params


class _Marked(eqx.Module):
    """What the marked classes add to a module: where it stands."""

    _jaxcircuits_path: str = eqx.field(static=True, kw_only=True, default="")

    def __init_subclass__(cls, **kwargs):
        # A user's base class may count its subclasses, and these are none of them.
        pass


@functools.cache
def _marked(cls: type) -> type | None:
    """A subclass that computes the same, and marks what its calls compute; None for what is no layer."""
    methods = marking_methods(cls, eqx.Module, _named)
    own = cls.__module__.startswith("equinox.")
    # What wraps a module, such as `filter_jit`, stands for it, and what holds no computation, such as an index of a
    # state, is known by its exact class.
    if not methods or (own and (cls.__module__.startswith("equinox._") or "__call__" not in methods)):
        return None
    namespace = methods | {key: getattr(cls, key) for key in ("__module__", "__qualname__", "__doc__")}
    if not hasattr(cls, "__post_init__"):
        namespace["__init__"] = cls.__init__
    return types.new_class(cls.__name__, (_Marked, cls), {}, lambda new: new.update(namespace))


def _with_paths(value: Any, path: str) -> Any:
    """A copy of a module, or of a container of modules, in which every module knows its path."""
    if isinstance(value, eqx.Module):
        cls = _marked(type(value))
        copy = object.__new__(cls or type(value))
        for name, field in vars(value).items():
            inner = path if cls is None else join(path, name)
            object.__setattr__(copy, name, _with_paths(field, inner))
        if cls is not None:
            object.__setattr__(copy, PATH, path)
        return copy
    if type(value) in (list, tuple):
        return type(value)(_with_paths(item, join(path, str(i))) for i, item in enumerate(value))
    if type(value) is dict:
        return {key: _with_paths(item, join(path, str(key))) for key, item in value.items()}
    return value


def _named(path: str, value: Any, kind: str) -> Any:
    """`named`, for what a module returns beside its state."""
    if isinstance(value, tuple) and any(isinstance(item, eqx.nn.State) for item in value):
        activations = iter(named(path, [item for item in value if not isinstance(item, eqx.nn.State)], kind))
        return tuple(item if isinstance(item, eqx.nn.State) else next(activations) for item in value)
    return named(path, value, kind)


def _needs_key(module: Any) -> bool:
    key = inspect.signature(type(module).__call__).parameters.get("key")
    return key is not None and key.default is key.empty


def _is_index(value: Any) -> bool:
    return isinstance(value, eqx.nn.StateIndex)


def _name(path: tuple) -> str:
    """The name of an array of (module, state)."""
    (which, *parts) = (str(getattr(key, "name", getattr(key, "key", getattr(key, "idx", key)))) for key in path)
    return "/".join(parts if which == "0" else ("state", *parts))
