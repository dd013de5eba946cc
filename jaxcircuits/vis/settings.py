"""JAX's settings for drawing: the same pictures whatever the process around it has set.

A drawing's parameters, transforms and optimizer are float32 by design and its objectives are written for JAX's standard
promotion of types, so its programs are traced under these settings, also where the process enables 64 bits, forbids
promotion, or forbids broadcasting to more axes.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax


@contextlib.contextmanager
def standard() -> Iterator[None]:
    """JAX's standard settings of types and shapes, in this thread for as long as the block lasts."""
    with jax.enable_x64(False), jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


class compiled:
    """`jax.jit` under `standard` settings.

    Args:
      function: pure.
      **options: of `jax.jit`.
    """

    def __init__(self, function: Callable[..., Any], **options: Any):
        self._compiled = jax.jit(function, **options)
        functools.update_wrapper(self, function)

    def __call__(self, *arguments: Any) -> Any:
        with standard():
            return self._compiled(*arguments)

    def lower(self, *arguments: Any) -> jax.stages.Lowered:
        """See `jax.jit`; to be compiled under `standard` settings too."""
        with standard():
            return self._compiled.lower(*arguments)
