"""What the commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Any

import typer

from jaxcircuits.printing import say, show
from jaxcircuits.zoo import ZOO

__all__ = ["NetworkName", "Stopped", "say", "show", "stoppable"]

NetworkName = Annotated[str, typer.Argument(help=f"One of {', '.join(ZOO)}, or a converted .safetensors file.")]


class Stopped(Exception):
    """Ctrl-C, as an exception that the command line's library leaves alone; its text says what is kept."""


def stoppable(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command, with `Stopped` in place of `KeyboardInterrupt`."""

    @functools.wraps(command)
    def stopped(*arguments: Any, **options: Any) -> Any:
        try:
            return command(*arguments, **options)
        except KeyboardInterrupt as interrupt:
            raise Stopped(str(interrupt)) from None

    return stopped
