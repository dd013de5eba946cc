"""The file of a layer's examples: safetensors, whose tensors and metadata are checked before they are believed.

Intervals of activation that no unit reaches are left out of it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.evidence import grid
from jaxcircuits.evidence.layer_examples import Chosen, LayerExamples
from jaxcircuits.evidence.tally import NONE, SLOTS
from jaxcircuits.files import conforming, parse_json, read_tensors, tensor_bytes

FORMAT = "jaxcircuits examples 1"

MOST_BYTES = 4 * 2**30
"""A layer of 2,048 units with 1,000 classes has 100 MB."""

LONGEST = 2**24
"""Characters of the description, which names every class."""

MOST = 2**16
"""Of the sides of a layer's activation, and of a picture."""

_NUMBERS = ("shape", "pictures_seen", "first_interval")
_Side = Annotated[int, msgspec.Meta(ge=1, le=MOST)]


class _Description(msgspec.Struct):
    """What a file says of its layer."""

    layer: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    shape: Annotated[tuple[_Side, ...], msgspec.Meta(min_length=1, max_length=8)]
    pictures_seen: Annotated[int, msgspec.Meta(ge=1, le=2**48)]
    first_interval: Annotated[int, msgspec.Meta(ge=0, le=grid.INTERVALS)]


_CHOSEN = ("strongest", "weakest", "spread")
_KINDS = {
    "str": lambda value: isinstance(value, str),
    "int": lambda value: _is_count(value),
    "tuple[int, int]": lambda value: (
        isinstance(value, list)
        and [type(side) for side in value] == [int, int]
        and 0 < min(value) <= max(value) <= MOST
    ),
    "tuple[str, ...]": lambda value: isinstance(value, list) and all(isinstance(name, str) for name in value),
}
"""Whether a value of JSON is of a field's type."""


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**48


def layer_bytes(examples: LayerExamples, seen: Mapping[str, Any]) -> bytes:
    """The content of the file of a layer's examples, with what was seen as JSON in the metadata."""
    reached = np.flatnonzero(examples.histogram.any(0) | examples.peaks.any(0))
    first, last = int(reached[0]), int(reached[-1]) + 1
    tensors = {"histogram": examples.histogram[:, first:last], "peaks": examples.peaks[:, first:last]}
    for name in ("mean", "variance", "class_means", "class_sizes"):
        tensors[name] = getattr(examples, name)
    for name in _CHOSEN:
        part = getattr(examples, name)
        for field, array in part._asdict().items():
            tensors[f"{name}/{field}"] = array[:, first:last] if name == "spread" else array
    metadata = {
        "format": FORMAT,
        "layer": examples.layer,
        "shape": json.dumps(examples.shape),
        "pictures_seen": str(examples.pictures_seen),
        "first_interval": str(first),
        "seen": json.dumps(seen),
    }
    return tensor_bytes(tensors, metadata)


def read_layer(path: Path, fields: Mapping[str, str]) -> tuple[LayerExamples, dict[str, Any]]:
    """Reads what has the content of `layer_bytes`.

    Args:
      path: of the file.
      fields: name -> type, as written in its class, of what was seen.

    Raises:
      InputError: for a file that is damaged or something else.
    """
    stored, metadata = read_tensors(path, "a file of examples", MOST_BYTES, FORMAT)
    try:
        described = {name: parse_json(metadata.get(name, "null"), f"{name} of examples", LONGEST) for name in _NUMBERS}
        described["layer"] = metadata.get("layer")
        found = conforming(described, _Description, "description")
        seen = parse_json(metadata.get("seen", "null"), "what was seen", LONGEST)
        sound = isinstance(seen, dict) and set(seen) == set(fields)
        if not sound or not all(_KINDS[kind](seen[name]) for name, kind in fields.items()):
            raise InputError("its fields are others")
        tensors = {name: tensor.load() for name, tensor in stored.items()}
    except InputError as error:
        raise InputError(f"{path}: the description of what was seen is damaged ({error})") from None
    layer, shape, count, first = found.layer, found.shape, found.pictures_seen, found.first_interval
    _check(path, tensors, shape[-1], seen, first)
    if said := _nonsense(tensors, shape, seen):
        raise InputError(f"{path}: damaged: {said}")
    chosen = {name: Chosen(*(tensors[f"{name}/{field}"] for field in Chosen._fields)) for name in _CHOSEN}
    spread = Chosen(*(_filled(part, first, rest) for part, rest in zip(chosen["spread"], (np.nan, NONE, NONE))))
    return (
        LayerExamples(
            layer=layer,
            shape=shape,
            strongest=chosen["strongest"],
            weakest=chosen["weakest"],
            spread=spread,
            histogram=_filled(tensors["histogram"], first, 0),
            peaks=_filled(tensors["peaks"], first, 0),
            mean=tensors["mean"],
            variance=tensors["variance"],
            class_means=tensors["class_means"],
            pictures_seen=count,
            class_sizes=tensors["class_sizes"],
        ),
        seen,
    )


def _check(path: Path, tensors: Mapping[str, np.ndarray], units: int, seen: Mapping[str, Any], first: int) -> None:
    """That the tensors are those of a layer with so many units."""
    reached = tensors["histogram"].shape[-1] if "histogram" in tensors else 0
    classes = len(seen["classes"])
    expected = {
        "histogram": (np.int64, (units, reached)),
        "peaks": (np.int64, (units, reached)),
        "mean": (np.float64, (units,)),
        "variance": (np.float64, (units,)),
        "class_means": (np.float64, (units, classes)),
        "class_sizes": (np.int64, (classes,)),
    }
    for name in _CHOSEN:
        own = (units, reached, SLOTS) if name == "spread" else (units, seen["count"])
        expected[f"{name}/values"] = (np.float32, own)
        expected[f"{name}/pictures"] = (np.int64, own)
        expected[f"{name}/places"] = (np.int32, (*own, 2))
    found = {name: (array.dtype.type, array.shape) for name, array in tensors.items()}
    for name in sorted(expected.keys() | found.keys()):
        if found.get(name) != expected.get(name):
            have, want = (
                f"{kind.__name__} {shape}" if kind else "nothing"
                for kind, shape in (found.get(name, (None, None)), expected.get(name, (None, None)))
            )
            raise InputError(f"{path}: {name} is {have}; expected {want}")
    if not (first >= 0 and first + reached <= grid.INTERVALS):
        raise InputError(f"{path}: intervals {first} to {first + reached}; there are {grid.INTERVALS}")


def _nonsense(tensors: Mapping[str, np.ndarray], shape: tuple[int, ...], seen: Mapping[str, Any]) -> str:
    """What no pass over pictures says; empty where there is nothing of the kind."""
    places = max(math.prod(shape[:-1]), 1)
    # Of a token beside the grid the row is -1, see `Chosen`.
    most, least = (shape[:2], 0) if len(shape) == 3 else ((places, places), NONE)
    for name in _CHOSEN:
        values, pictures, at = (tensors[f"{name}/{field}"] for field in Chosen._fields)
        there = pictures != NONE
        if not ((pictures[there] >= seen["start"]) & (pictures[there] < seen["stop"])).all():
            return f"{name} pictures that were not shown"
        if not (np.isfinite(values) == there).all():
            return f"{name} activations that are not finite"
        if not ((at[there] >= least) & (at[there] < most)).all() or (at[there][..., 1] < 0).any():
            return f"{name} places outside of {' x '.join(map(str, shape[:-1]))}"
    if not (tensors["strongest/pictures"][:, :1] != NONE).all() or not seen["count"]:
        return "units without a strongest picture"
    for name in ("histogram", "peaks", "variance", "class_sizes"):
        if (tensors[name] < 0).any():
            return f"{name} below 0"
    if not tensors["histogram"].any(1).all() or not np.isfinite(tensors["mean"]).all():
        return "units of no activations"
    return ""


def _filled(part: np.ndarray, first: int, rest: float) -> np.ndarray:
    """With the intervals that no unit reaches."""
    shape = list(part.shape)
    shape[1] = grid.INTERVALS
    whole = np.full(shape, rest, part.dtype)
    whole[:, first : first + part.shape[1]] = part
    return whole
