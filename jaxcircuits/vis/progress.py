"""The progress bar of a drawing: units done, steps, pictures a second, time left."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class RenderProgress:
    """A bar on stderr for as long as its `with` block lasts; silent where stderr is no terminal or notebook.

    Args:
      title: stands before it.
      pictures: how many there are to draw.
      steps: of each.
      enabled: whether to show it; or a function that is told what `update` is told, in place of a bar.
      finished: how many of the pictures were there before.
    """

    def __init__(
        self,
        title: str,
        pictures: int,
        steps: int,
        enabled: bool | Callable[[int, int, int], None] = True,
        finished: int = 0,
    ):
        console = Console(stderr=True)
        self._told = enabled if callable(enabled) else None
        self._steps = max(steps, 1)
        self._first: tuple[float, int] | None = None
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[units]}/{task.fields[of]} units  step {task.fields[step]}"),
            TextColumn("{task.fields[rate]}  left"),
            TimeRemainingColumn(compact=True),
            console=console,
            disable=not (enabled is True and (console.is_terminal or console.is_jupyter)),
        )
        self._task = self._bar.add_task(
            title,
            completed=finished * self._steps,
            total=pictures * self._steps,
            units=finished,
            of=pictures,
            step=f"0/{steps}",
            rate="compiling",
        )

    def __enter__(self) -> RenderProgress:
        self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.stop()

    def update(self, done: int, drawing: int, steps: int) -> None:
        """Shows that `done` pictures are finished and that the `drawing` others have taken `steps` steps together."""
        if self._told:
            self._told(done, drawing, steps)
            return
        work = done * self._steps + steps
        # The first call comes after compiling: pictures a second are counted from there.
        now = time.monotonic()
        began, before = self._first = self._first or (now, work)
        rate = f"{(work - before) / self._steps / (now - began):.3g} pictures/s" if work > before else "compiled"
        step = f"{steps // drawing if drawing else self._steps}/{self._steps}"
        self._bar.update(self._task, completed=work, units=done, step=step, rate=rate)
