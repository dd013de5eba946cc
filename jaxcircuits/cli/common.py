"""What the commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jaxcircuits.errors import InputError
from jaxcircuits.memory import keep_memory
from jaxcircuits.printing import plain, say, show
from jaxcircuits.zoo import ZOO

if TYPE_CHECKING:
    from jaxcircuits.bulk import Hosts
    from jaxcircuits.images import Pictures

__all__ = [
    "SOURCES",
    "Coordinator",
    "Distributed",
    "NetworkName",
    "Process",
    "Processes",
    "Stopped",
    "computing",
    "met",
    "opened",
    "say",
    "say_damaged",
    "show",
    "stoppable",
]

NetworkName = Annotated[
    str, typer.Argument(help=f"{', '.join(ZOO)}; a converted .safetensors file; keras:NAME; or MODULE:FUNCTION.")
]

SCENES = "scenes:"
SOURCES = (
    "A folder of pictures, with or without class folders; tfds:NAME[:CONFIG]; or scenes:COUNT, scenes like slide's."
)

Distributed = Annotated[
    bool, typer.Option("--distributed", help="Share the work with the other processes of a TPU pod or SLURM job.")
]
Coordinator = Annotated[str | None, typer.Option(help="HOST:PORT of process 0, to share the work elsewhere.")]
Processes = Annotated[int | None, typer.Option(help="Number of processes that share the work.")]
Process = Annotated[int | None, typer.Option(help="Number of this process, from 0 on.")]


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


def computing(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command, in a process that keeps the memory that it frees: it is told so before JAX starts its threads."""

    @functools.wraps(command)
    def computed(*arguments: Any, **options: Any) -> Any:
        keep_memory()
        return command(*arguments, **options)

    return computed


def opened(images: str, split: str | None) -> Pictures:
    """The pictures of a command: what `open_pictures` finds by name, or scenes of the box's own world."""
    from jaxcircuits.images import Scenes, open_pictures

    if not images.startswith(SCENES):
        return open_pictures(images, split)
    from jaxcircuits.slide import scenes

    count = images.removeprefix(SCENES)
    if not count.isdecimal() or not 0 < int(count) < 2**31:
        raise InputError(f"--images {images!r}; expected {SCENES}COUNT, such as {SCENES}2000")
    return open_pictures(Scenes(scenes.scene, int(count), seed=1, classes=scenes.CLASSES))


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
