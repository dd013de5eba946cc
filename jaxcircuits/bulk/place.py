"""The folder of records, on a disk or in an object store: whole files only, and one command at a time."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Set
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from etils import epath

from jaxcircuits.errors import InputError
from jaxcircuits.files import conforming, opened, parse_json, read_bytes, replacing
from jaxcircuits.files.writing import make_folder

if TYPE_CHECKING:
    from typing_extensions import TypeForm

Schema = TypeVar("Schema")

_REMAINS = re.compile(r"\.(.+?)(\.[0-9a-f]{2,8})?\.tmp")
"""Names that `replacing` gives to files that are being written."""

STORES = ("gs://", "s3://", "az://")
"""Object stores; fsspec's library for each (gcsfs, s3fs, adlfs) is installed by those who use it."""

LARGEST_RECORD = 4 * 2**30
"""Bytes of any record; what reads one has a bound of its own."""


class Stamp(NamedTuple):
    """By what a file is known.

    Attributes:
      size: in bytes.
      sha256: of its bytes.
    """

    size: int
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> Stamp:
        return cls(len(data), hashlib.sha256(data).hexdigest())


def is_remote(path: os.PathLike | str) -> bool:
    """Whether a path is a URL, such as `gs://bucket/folder`."""
    return "://" in os.fspath(path)


def root(out: str | os.PathLike) -> epath.Path:
    """The folder of records that a user names.

    Args:
      out: a folder, or the URL of one in an object store.

    Raises:
      InputError: for a URL of a kind that is unknown.
    """
    try:
        return epath.Path(out)
    except KeyError:  # of URLs
        raise InputError(f"{out}: unknown kind of place; expected a folder, {', '.join(STORES)}") from None


@contextlib.contextmanager
def _told(path: epath.Path, done: str) -> Iterator[None]:
    """Turns what goes wrong with a file or folder into one line, whatever an object store's library raises.

    Args:
      path: of the file.
      done: what could not be done to it, such as "read".
    """
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be {done} ({error.strerror or error})") from None
    except Exception as error:
        if not is_remote(path):
            raise
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"{path}: cannot be {done} ({said})") from error


def make(folder: epath.Path) -> None:
    """Makes a folder, and those above it; object stores have none.

    Raises:
      InputError: where it cannot be made.
    """
    if is_remote(folder):
        return
    with _told(folder, "written"):
        make_folder(Path(folder))


def write(path: epath.Path, data: bytes) -> Stamp:
    """Writes a file of which nobody ever sees a part, into a folder that is there; returns what it is known by.

    When it returns, the file and its name have reached the disk: what is written later is not there without it. A
    folder that somebody moves away meanwhile is not made again beside its records.

    Raises:
      InputError: where it cannot be written.
    """
    if not is_remote(path):
        with replacing(Path(path), folders=False) as temporary:
            temporary.write_bytes(data)
        return Stamp.of(data)
    with _told(path, "written"):
        # Object stores show an object when all of it has arrived.
        path.write_bytes(data)
    return Stamp.of(data)


def read(path: epath.Path, what: str, most: int) -> bytes:
    """The content of a regular file of `most` bytes or fewer.

    Args:
      path: of the file.
      what: it is expected to be, for messages.
      most: bytes of such a file.

    Raises:
      InputError: where it is longer, is empty or no regular file, or cannot be read.
    """
    if not is_remote(path):
        return read_bytes(path, what, most)
    with _told(path, "read"):
        if (size := path.stat().length) > most:
            raise InputError(f"{path}: {size:,} bytes; expected {what} of at most {most:,}")
        return path.read_bytes()


def read_json(path: epath.Path, schema: TypeForm[Schema], what: str, most: int) -> Schema:
    """What a file of JSON says, of a stated schema, see `jaxcircuits.files.conforming`.

    Raises:
      InputError: as `read`, and for text that is something else.
    """
    data = read(path, what, most)
    try:
        return conforming(parse_json(data.decode(), what, most), schema, what)
    except (InputError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {error}") from None


@contextlib.contextmanager
def on_disk(path: epath.Path) -> Iterator[Path]:
    """A file where whatever opens files by itself can read it: one of an object store is copied, and the copy removed.

    Raises:
      InputError: where an object cannot be read, or is larger than any record.
    """
    if not is_remote(path):
        yield Path(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / path.name
        local.write_bytes(read(path, "a record", LARGEST_RECORD))
        yield local


def is_sound(
    path: epath.Path, expected: Stamp, listed: Callable[[epath.Path], Set[str]], hashed: bool = True
) -> bool | None:
    """Whether a file is the one that is expected; None where there is none.

    Of an object store only the names are asked for: its objects are whole, and it checks what it holds itself.

    Args:
      path: of the file.
      expected: by which it is known.
      listed: `names`, or what remembers it.
      hashed: read it and compare its hash, not its size alone.
    """
    if is_remote(path):
        return True if path.name in listed(path.parent) else None
    try:
        found = os.stat(path)
        # An index that somebody else wrote may agree with a sparse file of terabytes.
        if not stat.S_ISREG(found.st_mode) or found.st_size != expected.size or found.st_size > LARGEST_RECORD:
            return False
        if not hashed:
            return True
        with opened(path, "a record", LARGEST_RECORD, least=0) as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == expected.sha256
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, InputError):
        return False


def remove(path: epath.Path) -> None:
    """Removes a file, where it is there and can be removed."""
    with contextlib.suppress(InputError), _told(path, "removed"):
        path.unlink()


def names(folder: epath.Path) -> set[str]:
    """Names of the files in a folder; none where there is no folder. Raises `InputError` where it cannot be read."""
    with _told(folder, "read"):
        try:
            return {path.name for path in folder.iterdir()}
        except (FileNotFoundError, NotADirectoryError):
            return set()


def first_there(paths: Iterable[epath.Path]) -> epath.Path | None:
    """The first of some files that there is."""
    return next((path for path in paths if path.name in names(path.parent)), None)


def prepare(folders: Iterable[epath.Path], own: Callable[[str], bool] = lambda name: True) -> None:
    """Makes folders, and removes what killed commands left in them.

    Args:
      folders: which.
      own: whether a file of that name belongs to who asks; by default all in these folders do. Others may be written
        by another command meanwhile.
    """
    for folder in folders:
        make(folder)
        if is_remote(folder):  # an object is there when all of it has arrived
            continue
        for name in names(folder):
            if (temporary := _REMAINS.fullmatch(name)) and (own(temporary[1]) or own(name[1 : -len(".tmp")])):
                remove(folder / name)


@contextlib.contextmanager
def claimed(folder: epath.Path, alone: bool) -> Iterator[None]:
    """Keeps other commands out of a folder for as long as the block lasts, or until the process is gone.

    Locks are shared by the processes of one job (`alone` false); the one that plans it wants the folder alone.
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
                    f"{folder}: another command is at work here; several share one job by --distributed"
                ) from None
        yield
