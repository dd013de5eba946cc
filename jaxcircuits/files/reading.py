"""The one way in for files: regular ones only, of a size that is looked at before anything is read.

Files are handed from person to person; a path may be a pipe that never ends, a device that never does either, or a
sparse file of terabytes.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from jaxcircuits.errors import InputError
from jaxcircuits.files.writing import kind_of

T = TypeVar("T")

TEXT_BYTES = 2**20
"""Most that a recipe, a list of labels or another text for people has."""


@contextlib.contextmanager
def opened(path: str | os.PathLike, what: str, most: int, least: int = 1) -> Iterator[io.BufferedReader]:
    """A regular file, open for reading from its beginning.

    Args:
      path: of the file; links are followed.
      what: it is expected to be, for messages, such as "a weight file".
      most: bytes that such a file has at most.
      least: bytes that it has at least.

    Raises:
      InputError: where there is none, it is something else than a file, or has another size; also where the system
        cannot read it, while it is open.
    """
    try:
        # Without waiting: a pipe that nobody writes to would keep the program until somebody does.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise InputError(f"{os.fspath(path)}: there is no such file") from None
    except (OSError, ValueError) as error:  # ValueError: of a path that holds a NUL
        raise InputError(f"{os.fspath(path)}: cannot be read ({getattr(error, 'strerror', error)})") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise InputError(f"{os.fspath(path)}: is {kind_of(status.st_mode)}; expected {what}")
    with open(descriptor, "rb") as file:
        if status.st_size < least:
            said = "the file is empty" if not status.st_size else f"{status.st_size:,} bytes, too few"
            raise InputError(f"{os.fspath(path)}: {said}; expected {what}")
        if status.st_size > most:
            raise InputError(f"{os.fspath(path)}: {status.st_size:,} bytes; expected {what} of at most {most:,}")
        try:
            yield file
        except OSError as error:
            raise InputError(f"{os.fspath(path)}: cannot be read ({error.strerror or error})") from error


def check_file(path: str | os.PathLike, what: str, most: int) -> int:
    """The size of a regular file, for libraries that open it by themselves; raises `InputError` as `opened` does."""
    with opened(path, what, most) as file:
        return os.fstat(file.fileno()).st_size


def read_bytes(path: str | os.PathLike, what: str, most: int) -> bytes:
    """All of a file; arguments and errors as of `opened`. What grows while it is read is cut at `most`."""
    with opened(path, what, most) as file:
        return file.read(most)


def read_text(path: str | os.PathLike, what: str, most: int = TEXT_BYTES) -> str:
    """A UTF-8 text file, without the mark that some systems begin one with; arguments and errors as of `opened`."""
    try:
        return read_bytes(path, what, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{os.fspath(path)}: not a text file in UTF-8 ({error.reason}); expected {what}") from None


def read_as(path: str | os.PathLike, what: str, most: int, parse: Callable[[str], T]) -> T:
    """What a text file holds, by a function of its text; bad input to that names the file too."""
    text = read_text(path, what, most)
    try:
        return parse(text)
    except InputError as error:
        raise InputError(f"{os.fspath(path)}: {error}") from None


@contextlib.contextmanager
def damaged(what: str, *errors: type[Exception]) -> Iterator[None]:
    """Says in one line that `what` is damaged where a library stumbles over it with one of `errors`."""
    try:
        yield
    except InputError:
        raise
    except errors as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{what}: damaged or cut short ({said})") from error


def named(path: str | os.PathLike) -> str:
    """The last part of a path as text that any file can hold: bytes that are no UTF-8 are spelled out."""
    return Path(path).name.encode("utf-8", "backslashreplace").decode()
