"""Readers of files that hold named arrays: NumPy's `.npz`, and safetensors."""

from __future__ import annotations

import contextlib
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.files import damaged, npy, opened, read_tensors
from jaxcircuits.files.tensors import DTYPES
from weights_convert.files import MOST_BYTES, WHAT, head
from weights_convert.published import Contents, Published

PICKLED = (
    "a Python pickle, which can run code when it is opened and so is never opened; in PyTorch save the weights with "
    "safetensors.torch.save_file(model.state_dict(), 'weights.safetensors') and convert that file"
)
PICKLE_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")

MOST_MEMBERS = 10_000
"""Of a zip archive; published ones have some hundreds."""

_END, _LOCATOR, _END_SIZE = b"PK\x05\x06", b"PK\x06\x07", 22


def read_npz(path: Path) -> Contents | None:
    """The arrays of an `.npz` (numpy.lib.format), or None for another kind of file; object arrays stay closed."""
    if head(path, 2) in PICKLE_STARTS:
        raise InputError(f"{path}: {PICKLED}")
    if head(path, 4) != b"PK\x03\x04":
        return None
    with open_zip(path) as archive:
        names = archive.namelist()
        if any(name.endswith(".pkl") for name in names):
            raise InputError(f"{path}: {PICKLED}")
        return Contents({name.removesuffix(".npy"): _npy(path, archive, name) for name in names})


@contextlib.contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """A `zipfile.ZipFile`.

    Raises:
      InputError: where it, or an array in it, is damaged or something else, has absurdly many members, or one twice.
    """
    # What zipfile raises for damage.
    errors = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError, OverflowError)
    with opened(path, WHAT, MOST_BYTES) as file, damaged(f"zip file {path}", *errors):
        _check_directory(path, file)
        with zipfile.ZipFile(file) as archive:
            names = Counter(name.removesuffix(".npy") for name in archive.namelist())
            twice = [name for name, count in names.items() if count > 1]
            if twice:
                raise InputError(f"zip file {path}: member {twice[0]!r} is there twice")
            yield archive


def _check_directory(path: Path, file) -> None:
    """Refuses a directory of more members than `MOST_MEMBERS` by its size, before an object is made of each.

    APPNOTE.TXT of the ZIP format, section 4.3.16; the 64-bit form (4.3.15) is for archives that are refused anyway.
    """
    size = file.seek(0, 2)
    file.seek(max(size - _END_SIZE - 2**16, 0))
    end = file.read()
    place = end.rfind(_END)
    if place >= 0 and place + _END_SIZE <= len(end):
        (listed,) = struct.unpack_from("<I", end, place + 12)
        # An entry has 46 bytes and its name.
        if listed > 46 * 2 * MOST_MEMBERS or _LOCATOR in end[max(place - 20, 0) : place]:
            raise InputError(f"zip file {path}: a directory of {listed:,} bytes; expected the arrays of one network")
    file.seek(0)


def _npy(path: Path, archive: zipfile.ZipFile, name: str) -> Published:
    where = f"{path}: member {name!r}"
    with archive.open(name) as member:
        header = npy.read_header(member, where)

    def load() -> np.ndarray:
        with open_zip(path) as archive, archive.open(name) as member:
            return npy.read_data(member, npy.read_header(member, where), where)

    return Published(header.shape, str(header.dtype), load)


def read_safetensors(path: Path) -> Contents | None:
    """The tensors of a safetensors file (github.com/huggingface/safetensors), or None for another kind of file."""
    # The length of a JSON header, then its brace.
    if head(path, 9)[8:] != b"{":
        return None
    tensors, metadata = read_tensors(path, WHAT, MOST_BYTES)
    published = {
        name: Published(tensor.shape, str(np.dtype(DTYPES.get(tensor.dtype, "V"))), tensor.load)
        for name, tensor in sorted(tensors.items())
    }
    return Contents(published, metadata=metadata)
