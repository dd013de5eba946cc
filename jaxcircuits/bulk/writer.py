"""Encoding and writing beside the next batch's computation."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class Writer:
    """One thread that writes while the next batch is drawn; leaving its `with` block waits for it.

    At most one piece of work waits, so that finished pictures do not pile up in memory.
    """

    def __init__(self):
        self._pool = ThreadPoolExecutor(1, "writer")
        self._last: Future | None = None

    def submit(self, work: Callable[..., None], *arguments: Any) -> None:
        """Has work done, after what was submitted before; raises what that raised."""
        if self._last:
            self._last.result()
        self._last = self._pool.submit(work, *arguments)

    def check(self) -> None:
        """Raises what the last work raised, if it has; called often, so that a full disk is known at once."""
        if self._last and self._last.done():
            self._last.result()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._pool.shutdown()
        if self._last and (kind is None or not issubclass(kind, Exception)):
            self._last.result()
