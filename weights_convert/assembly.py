"""The tensors of an architecture, taken by table from those of a file, each checked before it is allocated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.zoo import Architecture
from weights_convert import naming
from weights_convert.published import FLOATS, Published


def assemble(
    path: Path, published: Mapping[str, Published], architecture: Architecture, names: naming.Naming
) -> dict[str, np.ndarray]:
    """The tensors of an architecture, taken from a file's.

    Args:
      path: for messages.
      published: the file's tensors; those of `naming.UNUSED` are left where they are.
      architecture: whose tensors are wanted.
      names: what the file calls them and how it lays them out.

    Returns:
      name -> float32 array, exactly those of `Architecture.tensors`.

    Raises:
      InputError: for the first tensor that is missing, left over, of another shape or type, or not finite.
    """
    slots = naming.slots(architecture, names)
    missing = [name for name in slots if name not in published]
    if missing:
        raise InputError(f"{path}: lacks {some('tensor', missing)} of {architecture.name}")
    surplus = [name for name in published if name not in slots and not name.startswith(naming.UNUSED)]
    if surplus:
        raise InputError(f"{path}: holds {some('tensor', surplus)}, which {architecture.name} does not have")
    for name, slot in slots.items():
        tensor, expected = published[name], slot.published_shape
        if tensor.shape != expected:
            raise InputError(f"{path}: tensor {name!r} has shape {tensor.shape}; {architecture.name} has {expected}")
        if tensor.dtype not in FLOATS:
            raise InputError(f"{path}: tensor {name!r} has type {tensor.dtype}; expected {', '.join(FLOATS)}")
    tensors = {}
    for name, slot in slots.items():
        tensors[slot.name] = values = slot.arrange(published[name].load())
        bad = values.size - np.count_nonzero(np.isfinite(values))
        if bad:
            raise InputError(f"{path}: tensor {name!r} has {bad:,} of {values.size:,} values that are not finite")
    return tensors


def some(what: str, names: Sequence[str]) -> str:
    """`tensor 'a', 'b'`, or the count and the first few where there are many."""
    if not names:
        return f"no {what}"
    first = ", ".join(map(repr, names[:3]))
    return f"{what} {first}" if len(names) <= 3 else f"{len(names)} {what}s ({first} ...)"
