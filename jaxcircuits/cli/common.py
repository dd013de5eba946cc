"""What the commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from jaxcircuits.zoo import ZOO

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


def show(table: Table) -> None:
    """Prints a table; into a file or a pipe at its full width, so that no name is cut."""
    console = Console()
    if not console.is_terminal:
        console.width = console.measure(table, options=console.options.update(max_width=1000)).maximum
    console.print(table)


def say(text: str) -> None:
    """Prints a line, or several."""
    Console().print(text, highlight=False, soft_wrap=True)
