"""NumPy's `.npy` arrays from others: a header of the plain form only, and the data that it promises.

NumPy evaluates the header as a Python literal, which a damaged one makes fail in a dozen ways. `numpy.save` writes one
form of it for arrays of plain numbers (numpy.lib.format), and that is what is read.
"""

from __future__ import annotations

import math
import re
from typing import IO, NamedTuple

import numpy as np

from jaxcircuits.errors import InputError

MOST_AXES = 8
LONGEST_HEADER = 2048
LARGEST = 2**40
"""Bytes of data that no file is believed to hold."""

_MAGIC = b"\x93NUMPY"
_FORM = re.compile(
    r"\{'descr': '([<>|=]?[a-zA-Z]\d{0,3})', 'fortran_order': (True|False), "
    r"'shape': \(((?:\d{1,15},(?: \d{1,15})?(?:, \d{1,15})*)?)\), \} *\n"
)


class Header(NamedTuple):
    """What the header of an `.npy` file says.

    Attributes:
      dtype: of plain numbers.
      fortran: whether the first axis runs fastest.
      shape: of the array.
    """

    dtype: np.dtype
    fortran: bool
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes of the data."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(file: IO[bytes], what: str) -> Header:
    """The header of an array; the file is left where the data begins.

    Args:
      file: open, where the array begins.
      what: the file, for messages.

    Raises:
      InputError: for anything but the header of an array of numbers, as `numpy.save` writes it.
    """
    start = file.read(8)
    # Later versions are for headers of more than 64 kB.
    if start[:6] != _MAGIC or start[6:] != b"\x01\x00":
        raise InputError(f"{what}: damaged or cut short: not an array in the format of numpy.save and numpy.savez")
    length = int.from_bytes(file.read(2).ljust(2, b"\xff"), "little")
    if length > LONGEST_HEADER:
        raise InputError(f"{what}: a header of {length:,} bytes; expected that of an array, at most {LONGEST_HEADER:,}")
    found = _FORM.fullmatch(file.read(length).decode("latin-1"))
    try:
        dtype = np.dtype(found[1]) if found else None
    except (TypeError, ValueError):
        dtype = None
    if found is None or dtype is None:
        raise InputError(f"{what}: damaged or cut short: its header is not that of an array of numbers")
    shape = tuple(int(side) for side in found[3].replace(" ", "").split(",") if side)
    if len(shape) > MOST_AXES:
        raise InputError(f"{what}: an array of {len(shape)} axes; expected at most {MOST_AXES}")
    return Header(dtype, found[2] == "True", shape)


def read_data(file: IO[bytes], header: Header, what: str) -> np.ndarray:
    """The data that follows a header, which is checked to be of plain numbers and to end the file.

    Args:
      file: where `read_header` left it.
      header: what that returned.
      what: the file, for messages.

    Raises:
      InputError: where there is more or less, or the elements are Python objects, which are never unpickled.
    """
    if header.dtype.hasobject or not header.dtype.itemsize:
        raise InputError(f"{what}: elements of type {header.dtype}; expected numbers")
    data = file.read(header.size + 1) if header.size < LARGEST else b""
    if len(data) != header.size:
        raise InputError(f"{what}: damaged or cut short: its data is not the {header.size:,} bytes of its header")
    values = np.frombuffer(data, header.dtype)
    return values.reshape(header.shape, order="F" if header.fortran else "C")
