"""How operations get into the table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

OPERATIONS: dict[str, Callable[..., Any]] = {}
"""What an operation of PyTorch's graphs computes, by its name. One that is missing is added in one line, before the
model is taken:

>>> OPERATIONS["aten.logaddexp.default"] = jnp.logaddexp

The function gets the operation's arguments in its order: arrays, numbers, lists. Where the operation has an argument
`dtype`, it comes as JAX's; devices and memory formats do not come.
"""


def operation(*names: str) -> Callable:
    """Decorates what the operations of these names, without their `aten.`, compute."""

    def enter(function: Callable) -> Callable:
        OPERATIONS.update((f"aten.{name}", function) for name in names)
        return function

    return enter


def operations(functions: dict[str, Callable]) -> None:
    """Enters functions by the names of their operations, several of which are divided by spaces."""
    for names, function in functions.items():
        operation(*names.split())(function)
