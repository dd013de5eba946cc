"""The progress of a drawing: a bar in a terminal, a line in a notebook, now and then a line in a file."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

NOTEBOOK_PERIOD = 0.5
"""Seconds between two changes of a notebook's line."""

FILE_PERIODS = (30.0, 600.0)
"""Seconds after which a file gets its first line, and at most between two; in between each wait is twice the last."""


class View(Protocol):
    """Where progress is shown."""

    def show(self, done: float, text: str) -> None:
        """Shows the part that is done, from 0 to 1, and what to say of it."""

    def close(self, text: str) -> None:
        """The last that is shown."""


class RenderProgress:
    """Progress on stderr, or in a notebook's cell, for as long as its `with` block lasts.

    Args:
      title: stands before it.
      pictures: how many there are to draw.
      steps: of each.
      enabled: whether to show it; or a function that is told what `update` is told, in place of that.
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
        self._told = enabled if callable(enabled) else None
        self._title, self._pictures, self._steps = title, pictures, max(steps, 1)
        self._before = finished * self._steps
        self._work, self._text = self._before, ""
        self._began = self._first = time.monotonic()
        self._compiled: int | None = None
        self._view = _view(title) if enabled is True else _Nowhere()
        self._view.show(self._before / max(pictures * self._steps, 1), self._say(finished, 0, "compiling"))

    def __enter__(self) -> RenderProgress:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        drawn = (self._work - self._before) / self._steps
        ending = "stopped after" if kind is not None else "in"
        self._view.close(f"{drawn:.3g} pictures {ending} {_duration(time.monotonic() - self._began)}")

    def update(self, done: int, drawing: int, steps: int) -> None:
        """Shows that `done` pictures are finished and that the `drawing` others have taken `steps` steps together."""
        if self._told:
            self._told(done, drawing, steps)
            return
        self._work, now = done * self._steps + steps, time.monotonic()
        if self._compiled is None:
            # The first call comes after compiling: pictures a second are counted from there.
            self._compiled, self._first = self._work, now
        total, drawn, seconds = self._pictures * self._steps, self._work - self._compiled, now - self._first
        if drawn > 0 and seconds > 0:
            # Of all that was drawn, not of the last moment: layers differ, and the time left should not jump.
            left = (total - self._work) * seconds / drawn
            pace = f"{drawn / self._steps / seconds:.3g} pictures/s  {_duration(left)} left"
        else:
            pace = "compiled"
        step = steps // drawing if drawing else self._steps
        self._view.show(self._work / max(total, 1), self._say(done, step, pace))

    def _say(self, done: int, step: int, pace: str) -> str:
        return f"{done}/{self._pictures} units  step {step}/{self._steps}  {pace}"


class _Nowhere:
    def show(self, done: float, text: str) -> None:
        pass

    def close(self, text: str) -> None:
        pass


class _Terminal:
    def __init__(self, title: str, console: Console):
        self._bar = Progress(TextColumn(title), BarColumn(), TextColumn("{task.fields[text]}"), console=console)
        self._task = self._bar.add_task("", total=1.0, text="")
        self._bar.start()

    def show(self, done: float, text: str) -> None:
        self._bar.update(self._task, completed=done, text=text)

    def close(self, text: str) -> None:
        self._bar.stop()


class _Notebook:
    """One line of a cell's output, written over; without widgets, so that it needs no extension."""

    def __init__(self, title: str):
        from IPython.display import Pretty, display

        self._title, self._line, self._last = title, Pretty, time.monotonic()
        self._handle = display(Pretty(f"{title}: compiling"), display_id=True)

    def show(self, done: float, text: str) -> None:
        if self._handle and time.monotonic() - self._last >= NOTEBOOK_PERIOD:
            self._last = time.monotonic()
            blocks = round(20 * done)
            self._handle.update(self._line(f"{self._title} [{'#' * blocks}{'.' * (20 - blocks)}] {text}"))

    def close(self, text: str) -> None:
        if self._handle:
            self._handle.update(self._line(f"{self._title}: {text}"))


class _File:
    """Lines at growing intervals, so that a log of days is not long and one of a minute says something."""

    def __init__(self, title: str):
        self._title, (self._wait, self._most) = title, FILE_PERIODS
        self._next, self._said = time.monotonic() + self._wait, False

    def show(self, done: float, text: str) -> None:
        now = time.monotonic()
        if now >= self._next:
            print(f"{self._title}  {text}", file=sys.stderr, flush=True)
            self._wait = min(2 * self._wait, self._most)
            self._next, self._said = now + self._wait, True

    def close(self, text: str) -> None:
        if self._said:
            print(f"{self._title}  {text}", file=sys.stderr, flush=True)


def _view(title: str) -> View:
    console = Console(stderr=True)
    if console.is_jupyter:
        return _Notebook(title)
    return _Terminal(title, console) if console.is_terminal else _File(title)


def _duration(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = max(math.ceil(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
