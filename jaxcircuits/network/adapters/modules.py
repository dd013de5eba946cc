"""What adapters of frameworks with module classes share: which calls are layers, and their scopes."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from jaxcircuits.naming import named, scope

PATH = "_jaxcircuits_path"
"""Attribute of a marked module. It is static, so that it goes with the module through jit, remat and scan, and two
blocks of one shape are not taken for one another by JAX's caches of traces."""


@contextlib.contextmanager
def running(path: str) -> Iterator[None]:
    """The scope of a module; an error that comes out of it remembers the innermost one."""
    with scope(path):
        try:
            yield
        except Exception as error:
            vars(error).setdefault("module_path", path)
            raise


def join(path: str, name: str) -> str:
    """`name` within the module of that path."""
    return f"{path}/{name}" if path else name


def marking_methods(cls: type, framework: type, mark: Callable[..., Any] = named) -> dict[str, Callable]:
    """The methods that a caller may run, so that they mark what they compute.

    Args:
      cls: a class of modules whose instances have a `PATH`.
      framework: the base class of all modules, whose own methods are left alone.
      mark: (path, value, kind) -> value.

    Returns:
      Name -> method, of `__call__` and the public ones, inherited ones included.
    """
    names = {name for base in cls.__mro__ if base not in framework.__mro__ for name in vars(base)}
    found = {}
    for name in sorted(names):
        method = inspect.getattr_static(cls, name)
        bound = callable(method) and hasattr(type(method), "__get__") and not isinstance(method, type)
        public = name == "__call__" or not (name.startswith("_") or hasattr(framework, name))
        if bound and public and not isinstance(method, (staticmethod, classmethod)):
            found[name] = _marking(name, method, mark)
    return found


def _marking(name: str, method: Any, mark: Callable[..., Any]) -> Callable:
    @functools.wraps(method)
    def call(self, *args, **kwargs):
        run = method.__get__(self, type(self))
        path = vars(self).get(PATH)
        if path is None:  # made during the call
            return run(*args, **kwargs)
        with running(path):
            value = run(*args, **kwargs)
        if name != "__call__":
            return mark(join(path, name), value, "")
        # What the network itself returns is named by the graph.
        return mark(path, value, type(self).__name__) if path else value

    return call
