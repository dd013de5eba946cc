"""Tensors in files: safetensors from others, read whole and checked, and the one fingerprint of tensors.

The format (github.com/huggingface/safetensors, Format): the length of a JSON header in 8 bytes, the header, then the
tensors' bytes end to end. Its library keeps the last of two tensors of one name, and opens a file once a tensor; here
the header is read by the rules for all JSON, and the bytes once.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxcircuits.errors import InputError, shown
from jaxcircuits.files.data import parse_json
from jaxcircuits.files.reading import read_bytes

DTYPES = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
}
"""Those that NumPy has; tensors of others are listed and cannot be loaded."""

WIDTHS = {"BF16": 2, "F8_E5M2": 1, "F8_E4M3": 1}
"""Bytes of an element of the others."""

MOST_TENSORS = 10_000
MOST_AXES = 8
MOST_HEADER = 16 * 2**20
"""Bytes: with the labels of a network of 21,000 classes it has one or two million."""


@dataclasses.dataclass(frozen=True)
class Stored:
    """One tensor of a file.

    Attributes:
      dtype: by the file's name, such as `F32`.
      shape: of the tensor.
      data: its bytes.
    """

    dtype: str
    shape: tuple[int, ...]
    data: memoryview

    def load(self) -> np.ndarray:
        """The values, read-only; raises `InputError` for a type that NumPy lacks."""
        if self.dtype not in DTYPES:
            raise InputError(f"a tensor of type {self.dtype}; expected one of {', '.join(DTYPES)}")
        return np.frombuffer(self.data, DTYPES[self.dtype]).reshape(self.shape)


def read_tensors(
    path: str | os.PathLike, what: str, most: int, format: str | None = None
) -> tuple[dict[str, Stored], dict[str, str]]:
    """The tensors and the metadata of a safetensors file.

    Args:
      path: of the file.
      what: it is expected to be, for messages.
      most: bytes of such a file.
      format: that its metadata have to name, of this package's own files.

    Returns:
      name -> tensor in the file's order, and the metadata.

    Raises:
      InputError: for a file that is damaged or something else: also for a name twice, for tensors that overlap or
        leave gaps, and for absurdly many.
    """
    data = read_bytes(path, what, most)
    where = f"safetensors file {os.fspath(path)}"

    def bad(said: str) -> InputError:
        return InputError(f"{where}: damaged or cut short ({said}); expected {what}")

    size = int.from_bytes(data[:8], "little")
    if len(data) < 10 or size > min(MOST_HEADER, len(data) - 8):
        raise bad(f"a header of {size:,} bytes")
    many = data.count(b'"data_offsets"', 0, 8 + size)
    if many > MOST_TENSORS:
        raise InputError(f"{where}: {many:,} tensors; expected at most {MOST_TENSORS:,}")
    try:
        header = parse_json(data[8 : 8 + size].decode(), what, MOST_HEADER)
    except (InputError, UnicodeDecodeError) as error:
        raise bad(f"{error}") from None
    if not isinstance(header, dict) or len(header) > MOST_TENSORS:
        raise bad(f"{len(header):,} tensors" if isinstance(header, dict) else "a header that is no object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise bad("metadata that is not text")
    if format is not None and metadata.get("format") != format:
        raise InputError(f"{os.fspath(path)}: not {what}; expected {format!r}, not {shown(metadata.get('format'))}")
    body = memoryview(data)[8 + size :]
    tensors, place = {}, 0
    listed = {name: _entry(entry) for name, entry in header.items()}
    for name, entry in sorted(listed.items(), key=lambda item: item[1][2:] if item[1] else (0, 0)):
        if entry is None:
            raise bad(f"tensor {name[:60]!r} is not described")
        dtype, shape, begin, end = entry
        if begin != place or end > len(body):
            raise bad(f"tensor {name[:60]!r} lies outside, or over another")
        tensors[name], place = Stored(dtype, shape, body[begin:end]), end
    if place != len(body):
        raise bad(f"{len(body) - place:,} bytes belong to no tensor")
    return tensors, metadata


def tensor_bytes(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """The content of a safetensors file: the same bytes for the same tensors, which its library does not promise.

    Args:
      tensors: name -> array, of a type in `DTYPES`; they are written by name.
      metadata: texts.

    Returns:
      What `read_tensors` and the format's library read.
    """
    of_type = {np.dtype(code): name for name, code in DTYPES.items()}
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    parts, place = [], 0
    for name, array in sorted(tensors.items()):
        array = np.asarray(array, array.dtype.newbyteorder("<"))
        parts.append(array.tobytes())
        offsets = [place, place + len(parts[-1])]
        header[name] = {"dtype": of_type[array.dtype], "shape": list(array.shape), "data_offsets": offsets}
        place = offsets[1]
    text = json.dumps(header).encode()
    # As the library does it, so that what reads the file as it lies has its numbers where they belong.
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def _entry(entry: Any) -> tuple[str, tuple[int, ...], int, int] | None:
    """(type, shape, begin, end) of a header's entry; None where it is none."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        return None
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not (isinstance(dtype, str) and _are_sizes(shape) and len(shape) <= MOST_AXES):
        return None
    if not (_are_sizes(offsets) and len(offsets) == 2):
        return None
    width = np.dtype(DTYPES[dtype]).itemsize if dtype in DTYPES else WIDTHS.get(dtype)
    if width is None or offsets[1] - offsets[0] != math.prod(shape) * width:
        return None
    return dtype, tuple(shape), *offsets


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**48 for value in values)


def fingerprint(tensors: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over the names, shapes and values of tensors, whatever file they came from.

    Args:
      tensors: name -> array; floats of any precision count by their float32 values.

    Returns:
      64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        values = tensors[name]
        digest.update(f"{name} {values.shape}\n".encode())
        whole = np.issubdtype(values.dtype, np.integer) or values.dtype == bool
        digest.update(np.ascontiguousarray(values, None if whole else "<f4").data)
    return digest.hexdigest()
