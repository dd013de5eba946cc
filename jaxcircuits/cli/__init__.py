"""The command line: `jaxcircuits render`, `circuit`, `examples`, `microscope` and others; one file a command."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

PATIENCE = 10
"""Seconds that an orderly end after Ctrl-C may take: writing what is finished."""

STOPPED = "stopped: finished files are kept; the same command does the rest"


def main() -> None:
    """The command: bad input is one line on stderr and exit code 2, Ctrl-C one line and exit code 130."""
    signal.signal(signal.SIGINT, _Interrupt())
    # Nothing is imported before this: whoever stops a command while JAX is being imported is told so too.
    try:
        from jaxcircuits.cli.app import run

        run()
    except KeyboardInterrupt as interrupt:
        _end(str(interrupt) or STOPPED)


class _Interrupt:
    """Ctrl-C raises `KeyboardInterrupt`; what swallows it, as callbacks may, or takes too long, ends all the same."""

    def __init__(self):
        self._before = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self._before or _importing(frame):
            _end(STOPPED)
        if _swallows(frame) and hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, self)
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            return
        self._before = True
        late = threading.Timer(PATIENCE, _end, [STOPPED])
        late.daemon = True
        late.start()
        raise KeyboardInterrupt


def _importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported, which is half done then; nothing has been begun that could be lost."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _swallows(frame: FrameType | None) -> bool:
    """Whether it is within a callback of the garbage collector, which prints an exception and drops it."""
    return frame is not None and frame.f_code.co_name == "_xla_gc_callback"


def _end(said: str) -> NoReturn:
    # Not by Python's own end: a compilation may still run on a thread, for minutes, and that would wait for it, or
    # fall over it.
    os.write(2, f"jaxcircuits: {said}\n".encode())
    sys.stdout.flush()
    os._exit(130)
