"""Flax Linen modules: an interceptor of their methods says where each stands when it is called."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import flax.core
import flax.linen as nn
import jax

from jaxcircuits.errors import InputError
from jaxcircuits.naming import named
from jaxcircuits.network.adapters.frameworks import expect
from jaxcircuits.network.adapters.modules import join, running

PATHS = "jaxcircuits_paths"
"""A collection of variables without arrays: where each module stands. `nn.jit` keeps one trace for all modules whose
settings and variables have one structure; with their paths in it, each has its own."""


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class _Path:
    path: str


@dataclasses.dataclass(frozen=True)
class LinenModel:
    """A Flax Linen module."""

    module: nn.Module
    call_kwargs: tuple[tuple[str, Any], ...] = ()

    def __call__(self, params: Any, x: jax.Array) -> Any:
        """Runs the module on (N, ...) and returns what it returns; a traced run is marked with its layers."""
        variables = {**params, PATHS: _paths(params.values())}
        with nn.intercept_methods(_marking()):
            output, state = self.module.apply(variables, x, mutable=["intermediates"], **dict(self.call_kwargs))
        for path, sown in jax.tree.leaves_with_path(
            state.get("intermediates", {}), is_leaf=lambda branch: not hasattr(branch, "items")
        ):
            for value in sown if isinstance(sown, tuple) else (sown,):
                named("/".join(key.key for key in path), value)
        return output

    def signature(self) -> inspect.Signature:
        """Of a call, the module first."""
        return inspect.signature(type(self.module).__call__)


def linen_model(module: nn.Module, variables: Any, call_kwargs: dict[str, Any]) -> tuple[LinenModel, Any]:
    """The adapter of a module, and its arrays.

    Args:
      module: a `flax.linen.Module`.
      variables: what `module.init` gave or training made of it, with its collections: `{"params": ...}`.
      call_kwargs: handed to every call, such as `train=False`.

    Returns:
      The model, and its variables as plain nested dicts, without what an earlier run has sown.

    Raises:
      InputError: where it is no Linen module, or the variables are no collections.
    """
    expect(module, "linen")
    if not hasattr(variables, "items") or not all(hasattr(tree, "items") for tree in variables.values()):
        raise InputError('the variables are no collections of variables; expected {"params": ...}, as init gives them')
    variables = {name: tree for name, tree in flax.core.unfreeze(variables).items() if name != "intermediates"}
    return LinenModel(module, tuple(sorted(call_kwargs.items()))), variables


def _paths(collections: Iterable[Any], path: str = "") -> dict[str, Any]:
    """The tree of the modules that have variables, each with its path."""
    inner: dict[str, list] = {}
    for collection in collections:
        for name, branch in collection.items():
            if hasattr(branch, "items"):
                inner.setdefault(name, []).append(branch)
    trees = {name: _paths(branches, join(path, name)) for name, branches in inner.items()}
    return {PATHS: _Path(path), **trees}


def _marking() -> Callable:
    """An interceptor for one run: it knows the calls that are under way."""
    calls: list[tuple[str, str]] = []

    def mark(call, args, kwargs, context):
        module, method = context.module, context.method_name
        if module.scope is None:
            # Made outside `setup`, without parameters: it has no path, and counts as part of its caller.
            return call(*args, **kwargs)
        path = "/".join(module.path)
        # A call of `super()`, or by a lifted transform, of what is already running: one layer, named once.
        again = (path, method) in calls
        calls.append((path, method))
        try:
            with running(path):
                value = call(*args, **kwargs)
        finally:
            calls.pop()
        if method == "__call__":
            # What the network itself returns is named by the graph.
            return named(path, value, type(module).__name__) if path and not again else value
        public = method.isidentifier() and not method.startswith("_") and method != "setup"
        return named(join(path, method), value) if public and not again else value

    return mark
