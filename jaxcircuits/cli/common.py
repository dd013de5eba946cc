"""What the commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jaxcircuits.printing import plain, say, show
from jaxcircuits.zoo import ZOO

if TYPE_CHECKING:
    from jaxcircuits.bulk import Hosts

__all__ = [
    "Coordinator",
    "Distributed",
    "NetworkName",
    "Process",
    "Processes",
    "Stopped",
    "met",
    "say",
    "say_damaged",
    "show",
    "stoppable",
]

NetworkName = Annotated[str, typer.Argument(help=f"One of {', '.join(ZOO)}, or a converted .safetensors file.")]

Distributed = Annotated[
    bool, typer.Option("--distributed", help="Share the work with the other processes of a TPU pod or SLURM job.")
]
Coordinator = Annotated[str | None, typer.Option(help="HOST:PORT of process 0, to share without those.")]
Processes = Annotated[int | None, typer.Option(help="How many share the work.")]
Process = Annotated[int | None, typer.Option(help="Which of them this is, from 0 on.")]


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


def say_damaged(files: Sequence[str]) -> None:
    """Names files of finished records that are not what was written."""
    if files:
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        say(f"damaged, and made again where asked for: {plain(files[0])}{more}")


def met(distributed: bool, coordinator: str | None, processes: int | None, process: int | None) -> Hosts:
    """Which of the processes that share a command this one is, by the options that say so."""
    from jaxcircuits import bulk

    parts = (coordinator, processes, process)
    return bulk.meet(*parts) if distributed or any(part is not None for part in parts) else bulk.ALONE
