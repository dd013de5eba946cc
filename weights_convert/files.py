"""Weight files of others: how large they may be, their hashes, their beginnings."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

from jaxcircuits.errors import InputError
from jaxcircuits.files import check_file, named, opened

MOST_BYTES = 128 * 2**20
"""Size beyond which a file is not read, or the files of a folder together: the largest published one has 54 MB."""

MOST_FILES = 1000
"""Of a folder, whatever they are: the published one has 116."""

WHAT = "a weight file"


def digest(path: Path, algorithm: str = "sha256") -> str:
    """The hash of a file in hexadecimal; of a folder, SHA-256 over its files' sorted `NAME HASH` lines."""
    if path.is_dir():
        lines = sorted(f"{named(file)} {digest(file)}\n" for file in files_of(path))
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    with opened(path, WHAT, MOST_BYTES, least=0) as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def files_of(folder: Path) -> list[Path]:
    """The files of a folder by name; pipes, devices and folders in it are left alone.

    Raises:
      InputError: where they are too many, or too large together, for one network's weights.
    """
    entries = list(itertools.islice(folder.iterdir(), MOST_FILES + 1))
    files = sorted(entry for entry in entries if entry.is_file())
    size = sum(file.stat().st_size for file in files)
    if len(entries) > MOST_FILES or size > MOST_BYTES:
        much = f"more than {MOST_FILES:,} files" if len(entries) > MOST_FILES else f"files of {size:,} bytes"
        raise InputError(f"{folder}: {much}; expected the weights of one network, at most {MOST_BYTES:,} bytes")
    return files


def check_size(path: Path) -> None:
    """Raises `InputError` for what is no file, is empty, or is larger than any weight file."""
    check_file(path, WHAT, MOST_BYTES)


def head(path: Path, count: int) -> bytes:
    """The first `count` bytes of a file, by which its format is told."""
    with opened(path, WHAT, MOST_BYTES, least=0) as file:
        return file.read(count)
