"""The progress bar of a pass over pictures: how many, how fast, time left."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class LookingProgress:
    """A bar on stderr for as long as its `with` block lasts; silent where stderr is no terminal or notebook.

    Args:
      title: stands before it.
      total: pictures of the pass.
      enabled: whether to show it; or a function that is told (pictures seen, pictures in all), in place of a bar.
    """

    def __init__(self, title: str, total: int, enabled: bool | Callable[[int, int], None] = True):
        console = Console(stderr=True)
        self._told = enabled if callable(enabled) else None
        self._total, self._began = total, None
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} pictures  {task.fields[rate]}  left"),
            TimeRemainingColumn(compact=True),
            console=console,
            disable=not (enabled is True and (console.is_terminal or console.is_jupyter)),
        )
        self._task = self._bar.add_task(title, total=total, rate="compiling")

    def __enter__(self) -> LookingProgress:
        self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.stop()

    def update(self, seen: int) -> None:
        """Shows that so many pictures have been seen."""
        if self._told:
            self._told(seen, self._total)
            return
        # The first call comes after compiling: the rate is counted from there.
        now = time.monotonic()
        began, before = self._began = self._began or (now, seen)
        rate = f"{(seen - before) / (now - began):.3g} pictures/s" if seen > before else "compiled"
        self._bar.update(self._task, completed=seen, rate=rate)
