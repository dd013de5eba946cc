"""Flax NNX modules: on a copy, each gets a class of its own kind that says where it stands when it is called."""

from __future__ import annotations

import copyreg
import dataclasses
import functools
import inspect
import types
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxcircuits.naming import named
from jaxcircuits.network.adapters.frameworks import expect
from jaxcircuits.network.adapters.modules import PATH, join, marking_methods


def _read_only(mapping: Mapping) -> types.MappingProxyType:
    return types.MappingProxyType(mapping)


# Flax's graph definitions hold such mappings, which Python does not pickle by itself.
copyreg.pickle(types.MappingProxyType, lambda mapping: (_read_only, (dict(mapping),)))


@dataclasses.dataclass(frozen=True)
class NNXModel:
    """A Flax NNX module in evaluation mode, without its arrays.

    Attributes:
      graphdef: the module's structure.
      streams: path, shape and whether it holds keys, of each array of its random streams. They are no parameters, and
        start from key 0: what a module draws in evaluation it draws always.
      call_kwargs: handed to every call.
    """

    graphdef: nnx.GraphDef
    streams: tuple[tuple[tuple, tuple[int, ...], bool], ...] = ()
    call_kwargs: tuple[tuple[str, Any], ...] = ()

    def __call__(self, params: Any, x: jax.Array) -> Any:
        """Runs the module on (N, ...) and returns what it returns; a traced run is marked with its layers."""
        streams = {path: _stream(shape, keys) for path, shape, keys in self.streams}
        arrays = nnx.traversals.flatten_mapping(params) | streams
        module = nnx.merge(self.graphdef, nnx.traversals.unflatten_mapping(arrays))
        for path, part in nnx.iter_modules(module):
            # The copy is this call's alone: neither the user's module nor its class is touched.
            object.__setattr__(part, "__class__", _marked(type(part)))
            object.__setattr__(part, PATH, "/".join(map(str, path)))
        return module(x, **dict(self.call_kwargs))

    def signature(self) -> inspect.Signature:
        """Of a call, the module first."""
        root: Any = self.graphdef.nodes[0]  # of the kinds of nodes that Flax lists, one that knows its class
        return inspect.signature(root.type.__call__)


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
    graphdef, random, state = nnx.split(copy, nnx.RngState, ...)
    streams = tuple((path, value.shape, isinstance(value, nnx.RngKey)) for path, value in nnx.to_flat_state(random))
    return NNXModel(graphdef, streams, tuple(sorted(call_kwargs.items()))), nnx.to_pure_dict(state)


def _stream(shape: tuple[int, ...], keys: bool) -> jax.Array:
    """The keys, or the counts, that a random stream starts from."""
    return jnp.broadcast_to(jax.random.key(0), shape) if keys else jnp.zeros(shape, jnp.uint32)


class _Marked(nnx.Module):
    """What the marked classes add to a module: what it sows is named where it is sown."""

    def __init_subclass__(cls, **kwargs):
        # NNX's own registration alone: a user's base class may count its subclasses, and these are none of them.
        nnx.Pytree.__init_subclass__.__func__(cls, **kwargs)

    def sow(self, variable_type, name, value, *args, **kwargs):
        value = named(join(vars(self).get(PATH, ""), name), value)
        # Outside of `nnx.capture` a module would keep the value as a variable, and change while it is traced.
        return hasattr(self, "__captures__") and super().sow(variable_type, name, value, *args, **kwargs)

    def perturb(self, name, value, *args, **kwargs):
        value = named(join(vars(self).get(PATH, ""), name), value)
        return super().perturb(name, value, *args, **kwargs) if hasattr(self, "__captures__") else value


@functools.cache
def _marked(cls: type) -> type:
    """A subclass that computes the same, and marks what its calls compute."""
    if issubclass(cls, _Marked):
        return cls
    namespace = marking_methods(cls, nnx.Module)
    namespace |= {key: getattr(cls, key) for key in ("__module__", "__qualname__", "_pytree__nodes")}
    pytree = {"pytree": cls._pytree__is_pytree}
    return types.new_class(cls.__name__, (_Marked, cls), pytree, lambda own: own.update(namespace))
