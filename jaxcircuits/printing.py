"""The one way to print: what came from outside is text, never markup, and its control characters are shown.

Paths, names of networks and layers, labels, servers' messages and the texts of files go to terminals and logs through
here. A name may hold escape sequences that clear a screen, turn text around (Unicode TR36, section 2.5) or forge a
line.
"""

from __future__ import annotations

import inspect
import io
import sys
import warnings
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.table import Table

LONGEST_LINE = 4000
"""Characters; of longer lines the middle is left out."""


def plain(text: object, longest: int = LONGEST_LINE) -> str:
    r"""Text as one line that a terminal only shows: `\x1b`, `\n`, `\u202e` and their like are spelled out.

    Args:
      text: anything; `str` of it is taken.
      longest: characters that are left.

    Returns:
      Printable characters and spaces only.
    """
    whole = str(text)
    if len(whole) > longest:
        whole = f"{whole[: longest // 2]} ... {whole[len(whole) - longest // 2 :]}"
    return "".join(char if char.isprintable() else _spelled(char) for char in whole)


def say(text: str) -> None:
    """Prints a line on stdout, or several; none is wrapped, cut or colored."""
    _print(text, sys.stdout)


def tell(text: object, program: str = "jaxcircuits") -> None:
    """Prints one line on stderr, after the program's name: an error, or what a person should know."""
    _print(f"{program}: {plain(text)}", sys.stderr)


def warn(text: str, kind: type[Warning] = UserWarning) -> None:
    """Warns of something in the user's own call: the line that is named is theirs, however deep in here it is found."""
    package, level = str(Path(__file__).parent), 1
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename.startswith(package):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, kind, stacklevel=level)


def show(table: Table) -> None:
    """Prints a table, its cells as text; into a file or a pipe at its full width, so that no name is cut."""
    terminal = Console()
    console = Console(file=io.StringIO(), width=terminal.width, markup=False, emoji=False, highlight=False)
    if not terminal.is_terminal:
        console.width = console.measure(table, options=console.options.update(max_width=1000)).maximum
    with console.capture() as drawn:
        console.print(table)
    say(drawn.get().removesuffix("\n"))


def _print(text: str, stream: IO[str]) -> None:
    for line in text.split("\n"):
        # Streams of old systems lack letters; a missing one must not end a command.
        encoding = getattr(stream, "encoding", None) or "utf-8"
        print(plain(line).encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


def _spelled(char: str) -> str:
    return char.encode("unicode_escape").decode() if ord(char) < 0x10000 else f"\\U{ord(char):08x}"
