"""Readers of files that hold named arrays: NumPy's `.npz`, and safetensors."""

from __future__ import annotations

import contextlib
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxcircuits.errors import InputError
from weights_convert.files import head, reading
from weights_convert.published import Contents, Published

PICKLED = (
    "a Python pickle, which can run code when it is opened and so is never opened; in PyTorch save the weights with "
    "safetensors.torch.save_file(model.state_dict(), 'weights.safetensors') and convert that file"
)
PICKLE_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")

SAFETENSORS_DTYPES = {"F16": "float16", "F32": "float32", "F64": "float64"}


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
    """A `zipfile.ZipFile`; raises `InputError` where it, or an array in it, is damaged or something else."""
    # What zipfile raises for damage, and NumPy for what is not an array.
    errors = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError)
    with reading(f"zip file {path}", *errors), zipfile.ZipFile(path) as archive:
        yield archive


def _npy(path: Path, archive: zipfile.ZipFile, name: str) -> Published:
    with archive.open(name) as member:
        # Version 1 only: the header of the later ones may be as long as it likes.
        if np.lib.format.read_magic(member) != (1, 0):
            raise InputError(f"{path}: member {name!r} is not an array in the format that numpy.savez writes")
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)

    def load() -> np.ndarray:
        with open_zip(path) as archive, archive.open(name) as member:
            return np.lib.format.read_array(member, allow_pickle=False)

    return Published(shape, str(dtype), load)


def read_safetensors(path: Path) -> Contents | None:
    """The tensors of a safetensors file (github.com/huggingface/safetensors), or None for another kind of file."""
    # The length of a JSON header, then its brace.
    if head(path, 9)[8:] != b"{":
        return None
    with open_safetensors(path) as file:
        return Contents({name: _tensor(path, file, name) for name in sorted(file.keys())})


@contextlib.contextmanager
def open_safetensors(path: Path) -> Iterator[Any]:
    """A `safetensors.safe_open` file; raises `InputError` where it is damaged or something else."""
    from safetensors import SafetensorError, safe_open

    with reading(f"safetensors file {path}", SafetensorError), safe_open(path, framework="np") as file:
        yield file


def _tensor(path: Path, file: Any, name: str) -> Published:
    declared = file.get_slice(name)
    dtype = declared.get_dtype()

    def load() -> np.ndarray:
        with open_safetensors(path) as file:
            return file.get_tensor(name)

    return Published(tuple(declared.get_shape()), SAFETENSORS_DTYPES.get(dtype, str(dtype)), load)
