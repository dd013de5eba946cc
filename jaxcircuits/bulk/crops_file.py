"""The file of a shard of crops: safetensors with pictures as WebP; what is read is checked before it is believed."""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import os
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
import numpy as np
from PIL import Image

from jaxcircuits.errors import InputError
from jaxcircuits.evidence.crops import SIDE
from jaxcircuits.files import conforming, parse_json, read_tensors
from jaxcircuits.files.tensors import Stored
from jaxcircuits.images.decode import picture

FORMAT = "jaxcircuits crops 1"
HEAT = 28
"""Side of the map of where a unit fires in a crop."""
QUALITY = 90
LARGEST = 2**30
"""Bytes of a file."""
LONGEST = 2**24
"""Characters of the description."""
COLUMNS = 16_383 // SIDE
"""Pictures beside each other: the sides of WebP have at most 16,383 pixels, and the sides of crops at most `SIDE`."""
MOST_PIXELS = 2**24
"""Of the crops of a unit together."""

_Name = Annotated[str, msgspec.Meta(max_length=10_000)]
Told = tuple[float, _Name, _Name]
"""Of a crop: its activation, and the picture's name and class."""


class _Band(msgspec.Struct):
    """What a file says of an interval."""

    low: float
    high: float
    share: float | None
    crops: list[Told]


@dataclasses.dataclass(frozen=True, eq=False)
class Crop:
    """What a unit saw in one picture.

    Attributes:
      image: uint8 (h, w, 3).
      heat: float32 (HEAT, HEAT), where it fires, by its activation; all zero for layers without positions.
      value: its activation.
      picture, label: the picture's name and class; empty where it has none.
    """

    image: np.ndarray
    heat: np.ndarray
    value: float
    picture: str
    label: str


@dataclasses.dataclass(frozen=True, eq=False)
class CropBand:
    """Crops from one interval of activation, see `evidence.bands`; `share` is None for the strongest."""

    low: float
    high: float
    share: float | None
    crops: tuple[Crop, ...]


def crops_bytes(layer: str, found: dict[int, Sequence[CropBand]]) -> bytes:
    """The file's content.

    Args:
      layer: its name.
      found: unit -> its crops; all of one size.
    """
    from safetensors.numpy import save

    tensors, about = {}, {}
    for unit, bands in found.items():
        about[str(unit)] = [
            {"low": band.low, "high": band.high, "share": band.share, "crops": told(band.crops)} for band in bands
        ]
        tensors |= packed(unit, [crop for band in bands for crop in band.crops])
    return save(tensors, {"format": FORMAT, "layer": layer, "about": json.dumps(about)})


def read_crops(path: str | os.PathLike, unit: int) -> tuple[CropBand, ...]:
    """Reads one unit's crops.

    Raises:
      InputError: for a file that is damaged, is something else or does not have the unit.
    """
    tensors, metadata = read_tensors(path, "a file of crops", LARGEST, FORMAT)
    try:
        about = parse_json(metadata.get("about", "null"), "what a file of crops holds", LONGEST)
        bands = conforming(about, dict[str, list[_Band]], "what a file of crops holds").get(str(unit))
        if bands is None:
            raise InputError("it is not there")
        crops = iter(unpacked(unit, tensors, [crop for band in bands for crop in band.crops]))
    except InputError as error:
        raise InputError(f"{path}: cannot be read as crops of unit {unit} ({error})") from None
    return tuple(
        CropBand(band.low, band.high, band.share, tuple(itertools.islice(crops, len(band.crops)))) for band in bands
    )


def told(crops: Sequence[Crop]) -> list[Told]:
    """What a file says of crops in words: of each its activation, and the picture's name and class."""
    return [(crop.value, crop.picture, crop.label) for crop in crops]


def packed(unit: int, crops: Sequence[Crop]) -> dict[str, np.ndarray]:
    """The tensors of a unit's crops, all of one size: `UNIT/images`, side by side, and `UNIT/heat`."""
    if not crops:
        return {}
    heat = np.stack([crop.heat for crop in crops]).astype(np.float16)
    return {f"{unit}/images": webp([crop.image for crop in crops]), f"{unit}/heat": heat}


def unpacked(unit: int, tensors: Mapping[str, Stored], said: Sequence[Told]) -> list[Crop]:
    """The crops that `packed` packed, of which `told` told that; raises `InputError` where they are not there."""
    if not said:
        return []
    if not {f"{unit}/images", f"{unit}/heat"} <= tensors.keys():
        raise InputError("pictures are missing")
    heat = tensors[f"{unit}/heat"].load()
    if heat.shape != (len(said), HEAT, HEAT) or heat.dtype != np.float16:
        raise InputError(f"heat is {heat.dtype} {heat.shape}; expected float16 {(len(said), HEAT, HEAT)}")
    images = pictures_of(tensors[f"{unit}/images"].load(), len(said))
    return [Crop(*one) for one in zip(images, np.nan_to_num(heat.astype(np.float32)), *zip(*said))]


def webp(images: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures (h, w, 3) of one size as one file, in rows of `COLUMNS`: its bytes."""
    columns, file = min(len(images), COLUMNS), io.BytesIO()
    filled = [*images, *[np.zeros_like(images[0])] * (-len(images) % columns)]
    rows = [np.concatenate(filled[i : i + columns], 1) for i in range(0, len(filled), columns)]
    Image.fromarray(np.concatenate(rows)).save(file, "WEBP", quality=QUALITY)
    return np.frombuffer(file.getvalue(), np.uint8)


def pictures_of(data: np.ndarray, count: int) -> np.ndarray:
    """The pictures of `webp`, (count, h, w, 3); raises `InputError` for anything else."""
    if data.dtype != np.uint8:
        raise InputError(f"pictures are {data.dtype}; expected uint8")
    with picture(data.tobytes(), ("WEBP",)) as image:
        columns = min(count, COLUMNS)
        rows = -(-count // columns)
        if image.width * image.height > MOST_PIXELS or image.width % columns or image.height % rows:
            raise InputError(f"{image.width} x {image.height} px for {count} pictures")
        pixels = np.asarray(image.convert("RGB")).reshape(rows, image.height // rows, columns, -1, 3)
        return pixels.swapaxes(1, 2).reshape(rows * columns, *pixels.shape[1::2], 3)[:count]
