"""The file of a layer's wiring: safetensors, whose tensors and metadata are checked before they are believed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Annotated

import msgspec
import numpy as np

from jaxcircuits.circuits.wiring import CLASSES, NONE, Classes, Connections, LayerWiring, Side
from jaxcircuits.errors import InputError
from jaxcircuits.files import conforming, parse_json, read_tensors, tensor_bytes

FORMAT = "jaxcircuits wiring 1"

MOST_BYTES = 4 * 2**30
"""A layer of 2,048 units with 16 inputs and outputs of 11 x 11 cells has 64 MB."""

LONGEST = 2**24
"""Characters of the description, which names every class."""


MOST_UNITS = 2**16
MOST_NUMBER = 2**24
"""Above every unit's number at the other end."""
MOST_CELLS = 2**12
"""Height and width of a connection's weights."""


class _Description(msgspec.Struct):
    """What a file says of its layer."""

    layer: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    units: Annotated[int, msgspec.Meta(ge=1, le=MOST_UNITS)]
    labels: tuple[str, ...]
    reasons: dict[str, str]
    inputs: str | None
    outputs: str | None
    classes: str | None


_KINDS = ("excitatory", "inhibitory")
_SIDES = ("inputs", "outputs")
_DTYPES = {"units": np.int32, "strengths": np.float32, "weights": np.float32}
_CLASSES = {"up": np.int32, "up_effects": np.float32, "down": np.int32, "down_effects": np.float32}


def wiring_bytes(wiring: LayerWiring) -> bytes:
    """The file's content."""
    tensors = {}
    about = {
        "layer": wiring.layer,
        "units": wiring.units,
        "labels": wiring.labels,
        "reasons": wiring.reasons,
        "inputs": wiring.inputs.layer if wiring.inputs else None,
        "outputs": wiring.outputs.layer if wiring.outputs else None,
        "classes": wiring.classes.layer if wiring.classes else None,
    }
    for side in _SIDES:
        found: Side | None = getattr(wiring, side)
        for kind in _KINDS if found else ():
            for name, array in getattr(found, kind)._asdict().items():
                tensors[f"{side}/{kind}/{name}"] = array
    if wiring.classes:
        tensors |= {f"classes/{name}": getattr(wiring.classes, name) for name in _CLASSES}
    return tensor_bytes(tensors, {"format": FORMAT, "about": json.dumps(about)})


def read_wiring(path: str | os.PathLike) -> LayerWiring:
    """Reads what `wiring_bytes` made.

    Raises:
      InputError: for a file that is damaged or something else.
    """
    stored, metadata = read_tensors(path, "a file of wiring", MOST_BYTES, FORMAT)
    try:
        about = conforming(
            parse_json(metadata.get("about", "null"), "the description of the wiring", LONGEST),
            _Description,
            "the description of the wiring",
        )
        tensors = {name: tensor.load() for name, tensor in stored.items()}
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    units, ends = about.units, {name: getattr(about, name) for name in (*_SIDES, "classes")}
    sides = {side: _side(path, tensors, side, ends[side], units) for side in _SIDES}
    classes = None
    if ends["classes"] is not None:
        read = {name: _taken(path, tensors, f"classes/{name}", dtype, 2, units) for name, dtype in _CLASSES.items()}
        if len({array.shape for array in read.values()}) > 1 or read["up"].shape[1] > CLASSES:
            raise InputError(f"{path}: classes of shapes that do not agree")
        classes = Classes(ends["classes"], **read)
    return LayerWiring(about.layer, units, **sides, classes=classes, labels=about.labels, reasons=about.reasons)


def _side(
    path: str | os.PathLike, tensors: Mapping[str, np.ndarray], side: str, layer: str | None, units: int
) -> Side | None:
    if layer is None:
        return None
    kinds = []
    for kind in _KINDS:
        axes = {"units": 2, "strengths": 2, "weights": 4}
        read = {
            name: _taken(path, tensors, f"{side}/{kind}/{name}", dtype, axes[name], units)
            for name, dtype in _DTYPES.items()
        }
        cells = read["weights"].shape[2:]
        if len({array.shape[:2] for array in read.values()}) > 1 or not 0 < min(cells) <= max(cells) <= MOST_CELLS:
            raise InputError(f"{path}: {side}/{kind} of shapes that do not agree")
        kinds.append(Connections(**read))
    if len({kind.weights.shape[2:] for kind in kinds}) > 1:
        raise InputError(f"{path}: {side} of shapes that do not agree")
    return Side(layer, *kinds)


def _taken(
    path: str | os.PathLike, tensors: Mapping[str, np.ndarray], name: str, dtype: type, axes: int, units: int
) -> np.ndarray:
    array = tensors.get(name)
    if array is None or array.dtype != dtype or array.ndim != axes or len(array) != units or not array.shape[1]:
        found = f"{array.dtype} {array.shape}" if array is not None else "nothing"
        raise InputError(f"{path}: {name} is {found}; expected {np.dtype(dtype)} of {units} units and {axes} axes")
    whole = dtype == np.int32
    least = 0 if name.startswith("classes") else NONE
    if not (((array >= least) & (array < MOST_NUMBER)).all() if whole else np.isfinite(array).all()):
        raise InputError(f"{path}: {name} are no numbers of units" if whole else f"{path}: {name} are not all finite")
    return array
