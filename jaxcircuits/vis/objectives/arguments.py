"""What objectives are given, as arrays with a row for each picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.network.units import numbers_of

NumberLike = float | Sequence[float] | np.ndarray
"""A number, or one a picture."""

Units = int | Sequence[int] | np.ndarray
"""A unit's number, or one for each picture."""

MOST = 2**20
"""Units that a text may name before it is known which layer it is of."""


def vector_rows(vectors: Sequence[float] | np.ndarray, axes: int) -> np.ndarray:
    """Directions of so many axes as float32 rows; one alone is one row."""
    array = np.asarray(vectors, np.float32)
    array = array[None] if array.ndim == axes else array
    if array.ndim != axes + 1 or not array.size:
        one = "(channels,)" if axes == 1 else "(h, w, channels)"
        raise InputError(f"directions of shape {np.shape(vectors)}; expected {one}, or N of them")
    return array


def number_rows(values: float | Sequence[float]) -> np.ndarray:
    """Numbers as float32 (N,)."""
    return np.atleast_1d(np.asarray(values, np.float32))


def whole_numbers(kind: str, values: int | Sequence | np.ndarray, columns: int) -> np.ndarray:
    """Whole numbers as int32 (N,) for 0 columns, else (N, columns); raises `InputError`, calling them `kind`."""
    array = np.asarray(list(values) if isinstance(values, range) else values)
    array = np.atleast_1d(array) if columns == 0 else np.atleast_2d(array)
    expected_shape = array.ndim == 1 if columns == 0 else array.ndim == 2 and array.shape[1] == columns
    if not array.size or array.dtype.kind not in "iu" or not expected_shape:
        each = "a whole number" if columns == 0 else f"{columns} whole numbers"
        raise InputError(f"{kind} {values!r}; expected {each}, or a sequence with one for each picture")
    if array.min() < -(2**31) or array.max() >= 2**31:
        raise InputError(f"{kind} {int(array[np.argmax(np.abs(array.astype(float)))])}; no layer has that many")
    return array.astype(np.int32)


def row_of(array: np.ndarray, i: int) -> int | list[int] | float | np.ndarray:
    """Row i of an array with one row a picture, or its only row; whole numbers as Python's own."""
    row = array[i if array.shape[0] > 1 else 0]
    return row.tolist() if array.dtype.kind == "i" else row


def layer_and_units(layer: str, units: Units | None) -> tuple[str, np.ndarray]:
    """A layer and its units, which may be named in one: `mixed4b:0-15`."""
    if units is not None:
        return layer, whole_numbers("unit", units, 0)
    name, colon, text = str(layer).rpartition(":")
    if not colon or text.strip() == "all":
        raise InputError(f"no units of {layer!r}; expected LAYER:UNITS such as mixed4b:0-15, or a layer and its units")
    return name, whole_numbers("unit", numbers_of(text, MOST, name), 0)
