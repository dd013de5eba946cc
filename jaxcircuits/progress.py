"""Progress: a bar in a terminal, a line in a notebook, now and then a line in a file."""

from __future__ import annotations

import math
import sys
import threading
import time
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from jaxcircuits.printing import plain

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


class Pace:
    """How fast pictures come, and how long the others will take: by all that came, so that it does not jump.

    Args:
      before: work that was done before, in pictures.
    """

    def __init__(self, before: float = 0.0):
        self._before, self.began = before, time.monotonic()
        self._first: tuple[float, float] | None = None

    def tell(self, done: float, total: float) -> str:
        """What to say when that many pictures are done of so many; the first call comes after compiling."""
        now = time.monotonic()
        began, first = self._first = self._first or (now, done)
        if done <= first or now <= began:
            return "compiled"
        rate = (done - first) / (now - began)
        return f"{_number(rate)} pictures/s  {duration((total - done) / rate)} left"

    def ending(self, finished: int, stopped: bool) -> str:
        """What to say at the end, when so many are finished, those from before included."""
        count, how = round(finished - self._before), "stopped after" if stopped else "in"
        return f"{count} picture{'s' * (count != 1)} {how} {duration(time.monotonic() - self.began)}"


def view(title: str, enabled: bool = True) -> View:
    """Where progress is shown: on stderr, or in a notebook's cell; nowhere unless it is `enabled`."""
    if not enabled:
        return _Nowhere()
    console = Console(stderr=True)
    if console.is_jupyter:
        return _Notebook(title)
    return _Terminal(title, console) if console.is_terminal else _File(title)


def _number(value: float) -> str:
    """Three digits, or all before the point: `0.25`, `47.8`, `3000`."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def duration(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = max(math.ceil(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class _Nowhere:
    def show(self, done: float, text: str) -> None:
        pass

    def close(self, text: str) -> None:
        pass


class _Terminal:
    def __init__(self, title: str, console: Console):
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[text]}", markup=False),
        )
        self._bar = Progress(*columns, console=console)
        self._task = self._bar.add_task(plain(title), total=1.0, text="")
        self._bar.start()

    def show(self, done: float, text: str) -> None:
        self._bar.update(self._task, completed=done, text=plain(text))

    def close(self, text: str) -> None:
        self._bar.stop()


class _Notebook:
    """One line of a cell's output, written over; without widgets, so that it needs no extension."""

    def __init__(self, title: str):
        from IPython.display import Pretty, display

        self._title, self._line, self._last = plain(title), Pretty, time.monotonic()
        self._handle = display(Pretty(f"{self._title}: compiling"), display_id=True)

    def show(self, done: float, text: str) -> None:
        if self._handle and time.monotonic() - self._last >= NOTEBOOK_PERIOD:
            self._last = time.monotonic()
            blocks = round(20 * done)
            self._handle.update(self._line(f"{self._title} [{'#' * blocks}{'.' * (20 - blocks)}] {text}"))

    def close(self, text: str) -> None:
        if self._handle:
            self._handle.update(self._line(f"{self._title}: {text}"))


class _File:
    """Lines at growing intervals, so that a log of days is not long and one of a minute says something.

    What takes longer than the first interval before it is shown again, as compiling may, is said by a timer.
    """

    def __init__(self, title: str):
        self._title, (self._wait, self._most) = title, FILE_PERIODS
        self._next, self._said, self._text = time.monotonic() + self._wait, False, ""
        self._lock = threading.Lock()
        self._timer = threading.Timer(self._wait, self._late)
        self._timer.daemon = True
        self._timer.start()

    def show(self, done: float, text: str) -> None:
        with self._lock:
            self._text = text
            if time.monotonic() >= self._next:
                self._say()

    def close(self, text: str) -> None:
        self._timer.cancel()
        with self._lock:
            if self._said:
                print(plain(f"{self._title}  {text}"), file=sys.stderr, flush=True)

    def _late(self) -> None:
        with self._lock:
            if self._text and not self._said:
                self._say()

    def _say(self) -> None:
        print(plain(f"{self._title}  {self._text}"), file=sys.stderr, flush=True)
        self._wait = min(2 * self._wait, self._most)
        self._next, self._said = time.monotonic() + self._wait, True
