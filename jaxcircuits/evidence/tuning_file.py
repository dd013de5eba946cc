"""The file of a tuning: safetensors, whose tensors and metadata are checked before they are believed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from jaxcircuits.errors import LARGEST, InputError
from jaxcircuits.files import conforming, parse_json, read_tensors, replacing

FORMAT = "jaxcircuits tuning 1"
MOST_BYTES = 2**33
"""As many as a tuning may have, see `jaxcircuits.evidence.tuning`."""
LONGEST = 2**24
"""Characters of the description, which holds arguments that are no single numbers."""

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
_Side = Annotated[int, msgspec.Meta(ge=1, le=2**24)]


class _Description(msgspec.Struct, forbid_unknown_fields=True):
    """What a file says of its tensors."""

    network: str
    stimulus: str
    place: Literal["maximum", "center"]
    fixed: dict[str, Any]
    size: tuple[_Side, _Side]
    axes: Annotated[list[_Name], msgspec.Meta(max_length=64)]
    layers: Annotated[list[_Name], msgspec.Meta(min_length=1)]


def write_tuning(path: Path, fields: Mapping[str, Any]) -> Path:
    """Writes the fields of a `Tuning`; returns the path."""
    from safetensors.numpy import save

    tensors = {f"answers/{layer}": np.ascontiguousarray(values) for layer, values in fields["answers"].items()}
    tensors |= {f"grid/{name}": np.ascontiguousarray(values) for name, values in fields["grid"].items()}
    described = {name: fields[name] for name in ("network", "stimulus", "place")}
    described |= {"fixed": dict(fields["fixed"]), "size": list(fields["size"])}
    described |= {"axes": list(fields["grid"]), "layers": list(fields["answers"])}
    with replacing(path) as temporary:
        temporary.write_bytes(save(tensors, {"format": FORMAT, "tuning": json.dumps(described)}))
    return path


def read_tuning(path: Path) -> dict[str, Any]:
    """Reads what `write_tuning` wrote, as the fields of a `Tuning`.

    Raises:
      InputError: for a file that is damaged or something else.
    """
    stored, metadata = read_tensors(path, "a file of tuning", MOST_BYTES, FORMAT)
    try:
        plain = parse_json(metadata.get("tuning", "null"), "the description of a tuning", LONGEST)
        found = conforming(plain, _Description, "the description of a tuning")
        tensors = {name: tensor.load() for name, tensor in stored.items()}
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    expected = [f"answers/{layer}" for layer in found.layers] + [f"grid/{name}" for name in found.axes]
    if sorted(expected) != sorted(tensors):
        raise InputError(f"{path}: has tensors {', '.join(sorted(tensors))}; expected {', '.join(sorted(expected))}")
    grid = {name: tensors[f"grid/{name}"] for name in found.axes}
    answers = {name: tensors[f"answers/{name}"] for name in found.layers}
    for name, values in grid.items():
        numbers = values.dtype.kind in "fi" and values.ndim >= 1 and values.size and np.isfinite(values).all()
        if not numbers or np.abs(values.astype(np.float64)).max() > LARGEST:
            raise InputError(f"{path}: values of {name} are no numbers along an axis, one or more")
    lengths = tuple(len(values) for values in grid.values())
    for name, values in answers.items():
        axes = values.shape[1:] == lengths and values.ndim == len(lengths) + 1
        if values.dtype != np.float32 or not axes or not values.size:
            kind = f"{values.dtype} {values.shape}"
            raise InputError(f"{path}: answers of {name} are {kind}; expected float32 (units, *{lengths})")
    return {
        "network": found.network,
        "stimulus": found.stimulus,
        "fixed": found.fixed,
        "size": found.size,
        "place": found.place,
        "grid": grid,
        "answers": answers,
    }
