"""Pictures as files: one folder a layer, one PNG or WebP file a unit, one contact sheet."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from etils import epath
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from jaxcircuits.bulk import place
from jaxcircuits.bulk.drawing_plan import DrawingPlan, recipe_hash
from jaxcircuits.bulk.index import Index
from jaxcircuits.bulk.product import entry_name
from jaxcircuits.errors import InputError
from jaxcircuits.files import parse_json
from jaxcircuits.images import decode
from jaxcircuits.images.sheet import contact_sheet, shown, to_image
from jaxcircuits.network import Network
from jaxcircuits.vis import Rendering
from jaxcircuits.vis.captions import unit_caption

SHEET = "sheet.png"
SHEET_PIXELS = 2**25
"""Pictures are shown smaller on a sheet that would have more pixels."""

LARGEST_SHEET = 2**30
LARGEST_PICTURE = 2**28
LARGEST_MARK = 2**16
"""Bytes of a file that is read."""

MODES = ("L", "RGB", "RGBA")
"""Of drawings' files, as Pillow calls them: 8 bits a channel, gray, color, or color and alpha."""

DESCRIPTION = 0x010E
"""The EXIF tag ImageDescription."""


@dataclasses.dataclass(frozen=True)
class Pictures:
    """`LAYER/UNIT.png` (four digits or more), `LAYER/sheet.png` and `LAYER/recipe.json` below a folder.

    Attributes:
      root: the network's folder.
      plan: what belongs there.
      index: of what is finished.
      network: whose classes have labels.
    """

    root: epath.Path
    plan: DrawingPlan
    index: Index
    network: Network

    @functools.cached_property
    def folders(self) -> dict[str, list[int]]:
        """Folder -> its units by number."""
        folders: dict[str, list[int]] = {}
        for shard in self.plan.shards:
            folders.setdefault(shard.folder, []).extend(shard.units)
        return {folder: sorted(units) for folder, units in folders.items()}

    def _captions(self, folder: str, units: Sequence[int]) -> list[str]:
        """What is written below a sheet's pictures: numbers, those of classes with their labels."""
        shard = next(shard for shard in self.plan.shards if shard.folder == folder)
        if shard.directions:
            return [str(unit) for unit in units]
        return [unit_caption(self.network, shard.layer, unit) for unit in units]

    def prepare(self) -> None:
        """Makes the folders, with the recipe in each."""
        recipe = self.plan.recipe.to_json().encode() + b"\n"
        own = ("recipe.json", SHEET)
        folders = (self.root / folder for folder in self.folders)
        place.prepare(folders, lambda name: name in own or name[:1].isdigit())
        for folder in self.folders:
            if "recipe.json" not in place.names(self.root / folder):
                place.write(self.root / folder / "recipe.json", recipe)

    def occupied(self, shards: Sequence[int]) -> epath.Path | None:
        """A picture, or what stands in its place, where one of some shards would go."""
        there = {folder: place.names(self.root / folder) for folder in self.folders}
        for shard in (self.plan.shards[i] for i in shards):
            for unit in shard.units:
                for path in (self._file(shard.folder, unit), self._mark(shard.folder, unit)):
                    if path.name in there[shard.folder]:
                        return path
        return None

    def failed(self) -> dict[str, str]:
        """`FOLDER/UNIT` of the pictures that are not finite -> why."""
        failed = {}
        there = self._there()
        for folder, units in self.folders.items():
            marks = {unit: self._mark(folder, unit) for unit in units}
            failed |= {
                f"{folder}/{unit}": place.read(mark, "why there is no picture", LARGEST_MARK)
                .decode(errors="replace")
                .strip()
                for unit, mark in marks.items()
                if self._name(mark) in there
            }
        return failed

    def write(self, index: int, drawn: Rendering) -> None:
        """Writes a shard's pictures, and the sheet of its layer when that is complete.

        In place of a picture that is not finite `UNIT.failed.txt` says why, and counts as finished.
        """
        shard = self.plan.shards[index]
        images = shown(drawn.images, drawn.transparent)
        files = {}
        for i, (unit, picture, score) in enumerate(zip(shard.units, images, drawn.scores, strict=True)):
            if i in drawn.failures:
                mark = self._mark(shard.folder, unit)
                files[self._name(mark)] = place.write(mark, f"{drawn.failures[i]}\n".encode())
                continue
            facts = {
                "network": self.plan.network,
                "layer": shard.layer,
                "unit": unit,
                "seed": self.plan.seed,
                "score": score,
                "recipe": recipe_hash(self.plan.recipe),
                "weights": self.plan.weights,
            }
            if shard.directions:
                facts["directions"] = shard.directions
            data = encoded(picture, self.plan.format, {name: str(value) for name, value in facts.items()})
            path = self._file(shard.folder, unit)
            files[self._name(path)] = place.write(path, data)
        self.index.add(entry_name(index), self.plan.of(index), files)
        there = self._there()
        own = self.folders[shard.folder]
        if self._units(shard.folder, there) and all(self._settled(shard.folder, unit, there) for unit in own):
            self._write_sheet(shard.folder)

    def complete(self) -> list[epath.Path]:
        """Writes the sheets that lack pictures; returns the paths of all."""
        there = self._there()
        return [self._write_sheet(folder) for folder in self.folders if self._units(folder, there)]

    def _write_sheet(self, folder: str) -> epath.Path:
        path = self.root / folder / SHEET
        # Looked at again after writing: other processes may have finished pictures meanwhile.
        while self._on_sheet(path) != (units := self._units(folder, self._there())):
            side = math.sqrt(SHEET_PIXELS / len(units) / math.prod(self.plan.recipe.size))
            size = self.plan.recipe.size
            pictures = [_read(self._file(folder, unit), size, min(side, 1)) for unit in units]
            if len({picture.shape for picture in pictures}) > 1:
                raise InputError(f"{self.root / folder}: pictures of unlike channels; expected those of one drawing")
            sheet = contact_sheet(np.stack(pictures), self._captions(folder, units))
            place.write(path, encoded(sheet, "png", {"units": json.dumps(units)}))
        return path

    def _on_sheet(self, path: epath.Path) -> list[int]:
        """The units on a sheet; none where it is missing or damaged."""
        if path.name not in place.names(path.parent):
            return []
        try:
            with decode.picture(place.read(path, "a sheet", LARGEST_SHEET), ("PNG",)) as sheet:
                units = parse_json(str(sheet.info.get("units", "[]")), "units of a sheet", LARGEST_SHEET)
                # Reads all of the file, and compares each part with its checksum.
                sheet.verify()
            return units
        except InputError:
            return []

    def _there(self) -> set[str]:
        """The files of finished shards, by their paths below the root."""
        return {path for entry in self.index.entries().values() for path in entry.files}

    def _units(self, folder: str, there: set[str]) -> list[int]:
        """The planned units of a folder whose pictures are there."""
        return [unit for unit in self.folders[folder] if self._name(self._file(folder, unit)) in there]

    def _settled(self, folder: str, unit: int, there: set[str]) -> bool:
        """Whether a unit need not be drawn."""
        return any(self._name(path) in there for path in (self._file(folder, unit), self._mark(folder, unit)))

    def _name(self, path: epath.Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _mark(self, folder: str, unit: int) -> epath.Path:
        return self.root / folder / f"{unit:04d}.failed.txt"

    def _file(self, folder: str, unit: int) -> epath.Path:
        return self.root / folder / f"{unit:04d}.{self.plan.format}"


def encoded(picture: np.ndarray | Image.Image, kind: str, facts: Mapping[str, str]) -> bytes:
    """A picture as a file of 8 bits a channel, with what is known of it.

    Args:
      picture: (H, W, channels) in [0, 1], or an image.
      kind: `png`, with the facts as its text fields; or `webp` at quality 90, with them as JSON in EXIF's description.
      facts: name -> value.
    """
    image = picture if isinstance(picture, Image.Image) else to_image(picture)
    file = io.BytesIO()
    if kind == "webp":
        exif = Image.Exif()
        exif[DESCRIPTION] = json.dumps(dict(facts))
        image.save(file, "WEBP", quality=90, exif=exif)
    else:
        info = PngInfo()
        for name, value in facts.items():
            info.add_text(name, value)
        image.save(file, "PNG", pnginfo=info)
    return file.getvalue()


@contextlib.contextmanager
def opened(path: epath.Path, size: tuple[int, int]) -> Iterator[Image.Image]:
    """A drawing's file as an image, for as long as the block lasts: a PNG or WebP, whoever wrote it.

    Args:
      path: of the file.
      size: height and width that it has.

    Raises:
      InputError: where it is none of that size, also while it is decoded.
    """
    data = place.read(path, "a picture", LARGEST_PICTURE)
    try:
        with decode.picture(data, ("PNG", "WEBP")) as image:
            if image.size != size[::-1]:
                raise InputError(f"{image.width}x{image.height} pixels; expected {size[1]}x{size[0]}")
            if image.mode not in MODES:
                raise InputError(f"pixels of mode {image.mode}; expected {', '.join(MODES)}")
            yield image
    except InputError as error:
        raise InputError(f"{path}: cannot be read ({error})") from None


def _read(path: epath.Path, size: tuple[int, int], scale: float) -> np.ndarray:
    """A picture (H, W, channels) in [0, 1] of the given height and width, made smaller where the scale is below 1."""
    with opened(path, size) as image:
        if scale < 1:
            image = image.resize([max(int(n * scale), 1) for n in image.size], Image.Resampling.BOX)
        pixels = np.asarray(image, np.float32) / 255
    return pixels if pixels.ndim == 3 else pixels[..., None]
