"""How results print: a line of their fields, arrays by their types and shapes, what is long by its beginning."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

ENTRIES, LETTERS = 4, 60
"""Of a collection and of a text that are shown."""


class Brief:
    """Base of dataclasses (`repr=False`) that hold more numbers than one wants to read."""

    def __repr__(self) -> str:
        assert dataclasses.is_dataclass(self)
        fields = (
            f"{field.name}={brief(getattr(self, field.name))}" for field in dataclasses.fields(self) if field.repr
        )
        return f"{type(self).__name__}({', '.join(fields)})"


def brief(value: Any) -> str:
    """A value in a few words, such as `float32 (64, 7, 7)`."""
    if isinstance(value, (np.ndarray, jax.Array)):
        return brief(value.tolist()) if value.ndim < 2 and value.size <= ENTRIES else f"{value.dtype} {value.shape}"
    if isinstance(value, Mapping):
        entries = [f"{brief(key)}: {brief(value[key])}" for key in itertools.islice(value, ENTRIES)]
        return f"{{{_of_all(entries, len(value))}}}"
    if isinstance(value, (tuple, list)):
        entries = [brief(one) for one in value[:ENTRIES]]
        ends = "()" if isinstance(value, tuple) else "[]"
        return f"{ends[0]}{_of_all(entries, len(value))}{ends[1]}"
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}"
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 4]} ..."


def _of_all(entries: list[str], count: int) -> str:
    return ", ".join(entries) + (f", ... {count} in all" if count > len(entries) else "")
