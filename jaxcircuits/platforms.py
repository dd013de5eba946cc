"""For which kind of device programs are traced: a TPU computes some things faster otherwise, the same to rounding.

The choice is made while a program is traced, by JAX's default backend. `jax.lax.platform_dependent` would make it when
the program is lowered, and would have both ways traced, differentiated and batched on every device.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

import jax

_FOR_TPU: contextvars.ContextVar[bool | None] = contextvars.ContextVar("for_tpu", default=None)


def on_tpu() -> bool:
    """Whether what is traced now is for a TPU."""
    told = _FOR_TPU.get()
    return jax.default_backend() == "tpu" if told is None else told


def by_platform(*arguments: Any, tpu: Callable[..., Any], default: Callable[..., Any]) -> Any:
    """`tpu(*arguments)` in a program for a TPU, `default(*arguments)` in any other."""
    return (tpu if on_tpu() else default)(*arguments)


@contextlib.contextmanager
def traced_for_tpu() -> Iterator[None]:
    """Inside, programs are traced for a TPU, whatever devices there are: to compile for one, or to test what it does.

    What `jax.jit` has traced before is not traced again.
    """
    token = _FOR_TPU.set(True)
    try:
        yield
    finally:
        _FOR_TPU.reset(token)
