"""The progress bar of a drawing: units done, steps, pictures a second, time left."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class RenderProgress:
    """A bar on stderr for as long as its `with` block lasts; silent where stderr is no terminal or notebook."""

    def __init__(self, title: str, pictures: int, steps: int, enabled: bool = True):
        console = Console(stderr=True)
        self._steps = max(steps, 1)
        self._first: tuple[float, int] | None = None
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[units]}/{task.fields[of]} units  step {task.fields[step]}"),
            TextColumn("{task.fields[rate]}  left"),
            TimeRemainingColumn(compact=True),
            console=console,
            disable=not (enabled and (console.is_terminal or console.is_jupyter)),
        )
        self._task = self._bar.add_task(
            title, total=pictures * self._steps, units=0, of=pictures, step=f"0/{steps}", rate="compiling"
        )

    def __enter__(self) -> RenderProgress:
        self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.stop()

    def update(self, done: int, drawing: int, step: int) -> None:
        """Shows that `done` pictures are finished and `drawing` more are at `step`."""
        work = done * self._steps + drawing * step
        # The first call comes after compiling: pictures a second are counted from there.
        now = time.monotonic()
        began, before = self._first = self._first or (now, work)
        rate = f"{(work - before) / self._steps / (now - began):.3g} pictures/s" if work > before else "compiled"
        self._bar.update(self._task, completed=work, units=done, step=f"{step}/{self._steps}", rate=rate)
