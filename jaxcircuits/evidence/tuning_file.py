"""The file of a tuning: safetensors, whose tensors and metadata are checked before they are believed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.files import replacing

FORMAT = "jaxcircuits tuning 1"
_TEXTS = ("network", "stimulus", "place")


def write_tuning(path: Path, fields: Mapping[str, Any]) -> Path:
    """Writes the fields of a `Tuning`; returns the path."""
    from safetensors.numpy import save

    tensors = {f"answers/{layer}": np.ascontiguousarray(values) for layer, values in fields["answers"].items()}
    tensors |= {f"grid/{name}": np.ascontiguousarray(values) for name, values in fields["grid"].items()}
    metadata = {"format": FORMAT} | {name: fields[name] for name in _TEXTS}
    plain = {"fixed": dict(fields["fixed"]), "size": list(fields["size"]), "axes": list(fields["grid"])}
    plain["layers"] = list(fields["answers"])
    metadata |= {name: json.dumps(value) for name, value in plain.items()}
    with replacing(path) as temporary:
        temporary.write_bytes(save(tensors, metadata))
    return path


def read_tuning(path: Path) -> dict[str, Any]:
    """Reads what `write_tuning` wrote, as the fields of a `Tuning`.

    Raises:
      InputError: for a file that is damaged or something else.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise InputError(f"{path}: not a file of tuning; expected {FORMAT!r}, not {metadata.get('format')!r}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read as tuning ({error})") from None
    try:
        fields: dict[str, Any] = {name: metadata[name] for name in _TEXTS}
        axes, layers, fixed, size = (json.loads(metadata[name]) for name in ("axes", "layers", "fixed", "size"))
        grid = {name: tensors[f"grid/{name}"] for name in axes}
        answers = {name: tensors[f"answers/{name}"] for name in layers}
        lengths = tuple(len(values) for values in grid.values())
        sound = isinstance(fixed, dict) and [type(side) for side in size] == [int, int]
        sound = sound and len(tensors) == len(grid) + len(answers) and len(answers) > 0
        sound = sound and all(values.dtype.kind in "fi" for values in grid.values())
        sound = sound and all(own.dtype == np.float32 and own.shape[1:] == lengths for own in answers.values())
    except (KeyError, ValueError, TypeError):
        sound = False
    if not sound:
        raise InputError(f"{path}: the description of the tuning does not fit what is in it")
    return fields | {"fixed": fixed, "size": tuple(size), "grid": grid, "answers": answers}
