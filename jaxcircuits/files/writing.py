"""Files are written under a temporary name and renamed: nothing half-written is left under a final name.

What is under a final name outlasts a power cut: the bytes are on the disk before the name is, and the name before the
writer says that it is done (fsync of the file, rename, fsync of the folder; POSIX.1-2017, fsync and rename).

The temporary name of `page.html` is `.page.html.tmp`, and whoever writes under it holds a lock on it (flock). So what a
killed writer left is taken over by the next that writes the same file, and no folder has to be searched for it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from jaxcircuits.errors import InputError


@contextlib.contextmanager
def replacing(path: Path, folders: bool = True) -> Iterator[Path]:
    """A temporary name beside `path`: renamed to it when the block ends well, removed when it does not.

    Args:
      path: of the file.
      folders: make the folders above it where they are missing.

    Raises:
      InputError: where the folder cannot be made or written to, or the name is that of a folder, device, pipe or
        socket, which renaming would put a file in place of.
    """
    check_replaceable(path)
    try:
        if folders:
            make_folder(path.parent)
        with _temporary(path) as temporary:
            yield temporary
            _to_disk(temporary)
            os.replace(temporary, path)
            _to_disk(path.parent)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error


@contextlib.contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """The name beside `path` that is this writer's for as long as the block lasts; what is there afterwards goes."""
    name = path.with_name(f".{path.name}.tmp")
    descriptor = _locked(name)
    if descriptor is None:
        # Another writer has it, or there are no locks. Not the process's number: on a shared folder, processes of two
        # machines may have the same.
        name = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield name
    finally:
        with contextlib.suppress(OSError):
            # Once it is renamed, the name may be another's already.
            if descriptor is None or _is_at(descriptor, name):
                name.unlink()
        if descriptor is not None:
            os.close(descriptor)


def _locked(name: Path) -> int | None:
    """A descriptor of an empty file of that name, new or left, with its lock; None where that cannot be had."""
    try:
        import fcntl

        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found = os.fstat(descriptor)
        # Nobody else's file and no other name of one; and the lock's last holder may have renamed it meanwhile.
        own = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink == 1
        if own and _is_at(descriptor, name):
            os.ftruncate(descriptor, 0)
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def _is_at(descriptor: int, name: Path) -> bool:
    """Whether an open file is the one of that name."""
    return os.path.samestat(os.fstat(descriptor), os.stat(name, follow_symlinks=False))


def check_replaceable(path: Path) -> None:
    """Raises `InputError` where a path is something else than a file or nothing; links are followed."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # nothing there, or nothing that can be: writing says which
        return
    if not stat.S_ISREG(mode):
        raise InputError(f"{path}: is {kind_of(mode)}; expected the name of a file, new or to be replaced")


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it, on the disk too.

    Raises:
      OSError: where it cannot be made.
    """
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in reversed(missing):
        _to_disk(place.parent)


def kind_of(mode: int) -> str:
    """What is there in place of a file, by `st_mode`."""
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFIFO: "a pipe"}
    return kinds.get(stat.S_IFMT(mode), "no file")


def _to_disk(path: Path) -> None:
    """Waits until a file's bytes, or a folder's names, are on the disk; some file systems cannot say so of folders."""
    folder = path.is_dir()
    if folder and not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError) if folder else contextlib.nullcontext():
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
