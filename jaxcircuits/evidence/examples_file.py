"""The file of a layer's examples: safetensors, whose tensors and metadata are checked before they are believed.

Intervals of activation that no unit reaches are left out of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.evidence import grid
from jaxcircuits.evidence.layer_examples import Chosen, LayerExamples
from jaxcircuits.evidence.tally import NONE, SLOTS

FORMAT = "jaxcircuits examples 1"
_CHOSEN = ("strongest", "weakest", "spread")
_KINDS = {
    "str": lambda value: isinstance(value, str),
    "int": lambda value: isinstance(value, int),
    "tuple[int, int]": lambda value: isinstance(value, list) and [type(side) for side in value] == [int, int],
    "tuple[str, ...]": lambda value: isinstance(value, list) and all(isinstance(name, str) for name in value),
}
"""Whether a value of JSON is of a field's type."""


def layer_bytes(examples: LayerExamples, seen: Mapping[str, Any]) -> bytes:
    """The content of the file of a layer's examples, with what was seen as JSON in the metadata."""
    from safetensors.numpy import save

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
    return save({name: np.ascontiguousarray(array) for name, array in tensors.items()}, metadata)


def read_layer(path: Path, fields: Mapping[str, str]) -> tuple[LayerExamples, dict[str, Any]]:
    """Reads what has the content of `layer_bytes`.

    Args:
      path: of the file.
      fields: name -> type, as written in its class, of what was seen.

    Raises:
      InputError: for a file that is damaged or something else.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise InputError(f"{path}: not a file of examples; expected {FORMAT!r}, not {metadata.get('format')!r}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read as examples ({error})") from None
    try:
        shape = tuple(json.loads(metadata["shape"]))
        seen = json.loads(metadata["seen"])
        first, count = int(metadata["first_interval"]), int(metadata["pictures_seen"])
        layer = metadata["layer"]
        sound = shape and all(isinstance(side, int) and side > 0 for side in shape) and count > 0
        sound = sound and isinstance(seen, dict) and set(seen) == set(fields)
        sound = sound and all(_KINDS[kind](seen[name]) for name, kind in fields.items())
    except (KeyError, ValueError, TypeError):
        sound = False
    if not sound:
        raise InputError(f"{path}: the description of what was seen is damaged")
    _check(path, tensors, shape[-1], seen, first)
    chosen = {name: Chosen(*(tensors[f"{name}/{field}"] for field in Chosen._fields)) for name in _CHOSEN}
    chosen["spread"] = Chosen(
        *(_filled(part, first, rest) for part, rest in zip(chosen["spread"], (np.nan, NONE, NONE)))
    )
    return (
        LayerExamples(
            layer=layer,
            shape=shape,
            histogram=_filled(tensors["histogram"], first, 0),
            peaks=_filled(tensors["peaks"], first, 0),
            pictures_seen=count,
            **{name: tensors[name] for name in ("mean", "variance", "class_means", "class_sizes")},
            **chosen,
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


def _filled(part: np.ndarray, first: int, rest: float) -> np.ndarray:
    """With the intervals that no unit reaches."""
    shape = list(part.shape)
    shape[1] = grid.INTERVALS
    whole = np.full(shape, rest, part.dtype)
    whole[:, first : first + part.shape[1]] = part
    return whole
