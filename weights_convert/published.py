"""What a reader makes of a foreign file: its tensors as published, not yet loaded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from jaxcircuits.zoo import Architecture

FLOATS = ("float16", "float32", "float64")
"""Types of values that are read."""


@dataclasses.dataclass(frozen=True)
class Published:
    """One tensor of a foreign file, whose shape is known before anything is allocated for it.

    Attributes:
      shape: as the file declares it.
      dtype: its NumPy name, such as `float32`.
      load: reads the values, an array of that shape; raises `InputError` where the file does not hold them.
    """

    shape: tuple[int, ...]
    dtype: str
    load: Callable[[], np.ndarray]


def nothing_to_check(architecture: Architecture) -> None:
    """For files that hold tensors only."""


@dataclasses.dataclass(frozen=True)
class Contents:
    """A foreign file.

    Attributes:
      tensors: published name -> tensor.
      check: raises `InputError` where the file says of its own structure what contradicts an architecture.
      metadata: texts that the file holds beside its tensors; empty where its kind has none.
    """

    tensors: dict[str, Published]
    check: Callable[[Architecture], None] = nothing_to_check
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)
