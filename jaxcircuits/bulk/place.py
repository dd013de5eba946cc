"""The folder of a drawing, on a disk or in an object store: whole files only, and one command at a time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from etils import epath

from jaxcircuits.errors import InputError
from jaxcircuits.files import replacing


def is_remote(path: os.PathLike | str) -> bool:
    """Whether a path is a URL, such as `gs://bucket/folder`."""
    return "://" in os.fspath(path)


def make(folder: epath.Path) -> None:
    """Makes a folder, and those above it; object stores have none.

    Raises:
      InputError: where it cannot be made.
    """
    try:
        if not is_remote(folder):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror or error})") from None


def write(path: epath.Path, data: bytes) -> None:
    """Writes a file of which nobody ever sees a part, into a folder that is there.

    A folder that somebody moves away meanwhile is not made again beside its pictures.

    Raises:
      InputError: where it cannot be written.
    """
    if not is_remote(path):
        with replacing(Path(path), folders=False) as temporary:
            temporary.write_bytes(data)
        return
    try:
        # Object stores show an object when all of it has arrived.
        path.write_bytes(data)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error


def names(folder: epath.Path) -> set[str]:
    """Names of the files in a folder; none where there is no folder."""
    try:
        return {path.name for path in folder.iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        return set()


def remove_remains(folder: epath.Path) -> None:
    """Removes temporary files that a killed command left."""
    for name in names(folder):
        if name.startswith(".") and name.endswith(".tmp"):
            with contextlib.suppress(OSError):
                (folder / name).unlink()


@contextlib.contextmanager
def claimed(folder: epath.Path, alone: bool) -> Iterator[None]:
    """Keeps other commands out of a folder for as long as the block lasts, or until the process is gone.

    Locks are shared by the processes of one drawing (`alone` false); the one that plans it wants the folder alone.
    Where the system or the file system has no locks, and in an object store, nobody is kept out.

    Raises:
      InputError: where another command has the folder.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(ImportError, OSError):
            import fcntl

            descriptor = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    f"{folder}: another command draws here; several share a drawing by --distributed"
                ) from None
        yield
