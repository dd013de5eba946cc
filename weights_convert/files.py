"""Files that are not trusted: bounded, hashed, and with one clear line where they are damaged."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

from jaxcircuits.errors import InputError

MOST_BYTES = 128 * 2**20
"""Size beyond which a file is not read: the largest published one has 54 MB."""


def digest(path: Path, algorithm: str = "sha256") -> str:
    """The hash of a file in hexadecimal; of a folder, SHA-256 over its files' sorted `NAME HASH` lines."""
    if path.is_dir():
        lines = sorted(f"{file.name} {digest(file)}\n" for file in path.iterdir() if file.is_file())
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def check_size(path: Path) -> None:
    """Raises `InputError` for a file that does not exist, is empty, or is larger than any weight file."""
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    size = path.stat().st_size
    if not size:
        raise InputError(f"{path}: the file is empty")
    if size > MOST_BYTES:
        raise InputError(f"{path}: {size:,} bytes; expected a weight file of at most {MOST_BYTES:,}")


def head(path: Path, count: int) -> bytes:
    """The first `count` bytes of a file, by which its format is told."""
    with path.open("rb") as file:
        return file.read(count)


@contextlib.contextmanager
def reading(what: str, *errors: type[Exception]) -> Iterator[None]:
    """Says in one line that `what` is damaged where a library stumbles over it with one of `errors`."""
    try:
        yield
    except InputError:
        raise
    except errors as error:
        raise InputError(f"{what}: damaged or cut short ({' '.join(str(error).split())})") from error
