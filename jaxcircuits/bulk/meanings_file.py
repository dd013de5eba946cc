"""The file of a shard of meanings: safetensors with pictures as WebP; what is read is checked before it is believed."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
from collections.abc import Mapping
from typing import Annotated

import msgspec
import numpy as np

from jaxcircuits.bulk.crops_file import LARGEST, LONGEST, Crop, Told, packed, pictures_of, told, unpacked, webp
from jaxcircuits.errors import InputError
from jaxcircuits.files import conforming, parse_json, read_tensors

FORMAT = "jaxcircuits meanings 2"

_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Text = Annotated[str, msgspec.Meta(max_length=10_000)]
_Unit = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]


class _Meaning(msgspec.Struct):
    """What a file says of a meaning."""

    share: _Share
    inputs: list[_Unit]
    crops: list[Told]


class _Known(msgspec.Struct):
    """What a file says of a unit."""

    layer: _Text
    p_value: _Share | None
    why: _Text
    drawn: bool
    meanings: list[_Meaning]


@dataclasses.dataclass(frozen=True, eq=False)
class KeptMeaning:
    """One of the things that a unit stands for.

    Attributes:
      share: of the unit's strongest pictures that belong to it, 0 to 1.
      inputs: units of the layer below that tell it from the others, or that it owes most to; the first the most.
      crops: what the unit saw in the strongest of its pictures.
      drawing: uint8 (h, w, 3); None for a single meaning, which is the unit's own drawing.
    """

    share: float
    inputs: tuple[int, ...]
    crops: tuple[Crop, ...]
    drawing: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class KeptMeanings:
    """What a unit stands for, see `evidence.Meanings`.

    Attributes:
      layer: the layer below, by which meanings are told apart.
      p_value: how often one meaning would look like several, for this unit alone, see `meanings_corrected`; None where
        they could not be told.
      meanings: one or several; none where they could not be told.
      why: they could not be told.
    """

    layer: str
    p_value: float | None
    meanings: tuple[KeptMeaning, ...]
    why: str = ""


def meanings_bytes(layer: str, found: Mapping[int, KeptMeanings]) -> bytes:
    """The file's content.

    Args:
      layer: of the units.
      found: unit -> its meanings; crops are of one size, and so are drawings.
    """
    from safetensors.numpy import save

    tensors, about = {}, {}
    for unit, one in found.items():
        drawings = [meaning.drawing for meaning in one.meanings if meaning.drawing is not None]
        about[str(unit)] = {
            "layer": one.layer,
            "p_value": one.p_value,
            "why": one.why,
            "drawn": bool(drawings),
            "meanings": [
                {"share": meaning.share, "inputs": meaning.inputs, "crops": told(meaning.crops)}
                for meaning in one.meanings
            ],
        }
        tensors |= packed(unit, [crop for meaning in one.meanings for crop in meaning.crops])
        if drawings:
            tensors[f"{unit}/drawings"] = webp(drawings)
    return save(tensors, {"format": FORMAT, "layer": layer, "about": json.dumps(about)})


def read_meanings(path: str | os.PathLike, unit: int) -> KeptMeanings:
    """Reads one unit's meanings.

    Raises:
      InputError: for a file that is damaged, is something else or does not have the unit.
    """
    tensors, metadata = read_tensors(path, "a file of meanings", LARGEST, FORMAT)
    try:
        about = parse_json(metadata.get("about", "null"), "what a file of meanings holds", LONGEST)
        said = conforming(about, dict[str, _Known], "what a file of meanings holds").get(str(unit))
        if said is None:
            raise InputError("it is not there")
        crops = iter(unpacked(unit, tensors, [crop for meaning in said.meanings for crop in meaning.crops]))
        drawings: list[np.ndarray | None] = [None] * len(said.meanings)
        if said.drawn and said.meanings:
            if f"{unit}/drawings" not in tensors:
                raise InputError("drawings are missing")
            drawings = [*pictures_of(tensors[f"{unit}/drawings"].load(), len(said.meanings))]
    except InputError as error:
        raise InputError(f"{path}: cannot be read as meanings of unit {unit} ({error})") from None
    meanings = tuple(
        KeptMeaning(one.share, tuple(one.inputs), tuple(itertools.islice(crops, len(one.crops))), drawing)
        for one, drawing in zip(said.meanings, drawings)
    )
    return KeptMeanings(said.layer, said.p_value, meanings, said.why)
