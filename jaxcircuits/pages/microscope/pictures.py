"""Pictures of the site: WebP sheets of many pictures each, and tiny maps of weights and heat inside the pages."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from jaxcircuits.files import replacing
from jaxcircuits.pages.colors import heat
from jaxcircuits.pages.templating import data_url

THUMB = 72
"""Side of the drawings in walls and lists, in pixels."""
COLUMNS = 16
PER_SHEET = COLUMNS * COLUMNS
QUALITY = 72
"""Of WebP; what is lost below 70 are the fine lines that drawings are made of."""
EFFORT = 6
"""That WebP takes for a small file, of 0 to 6."""
CROP = 104
"""Longer side of an example at most, in pixels."""
MASK = 28
"""Side of the map of where a unit fires, in pixels; shown smoothly enlarged."""
BORDER = 2
"""Pixels around each picture on a unit's sheet."""
DIM = 0.62
"""How dark a place is where the unit does not fire at all."""


class Sprite(NamedTuple):
    """Where a picture is on a sheet.

    Attributes:
      left, top: of the picture in pixels.
      width, height: of the picture.
      sheet_width, sheet_height: of the sheet.
    """

    left: int
    top: int
    width: int
    height: int
    sheet_width: int
    sheet_height: int

    @property
    def style(self) -> str:
        """CSS that shows it in a box of its proportions, whatever the box's size; all but the file's address."""
        across, down = self.sheet_width - self.width, self.sheet_height - self.height
        x = 100 * self.left / across if across else 0
        y = 100 * self.top / down if down else 0
        size = f"{100 * self.sheet_width / self.width:.6g}% {100 * self.sheet_height / self.height:.6g}%"
        return f"background-position:{x:.6g}% {y:.6g}%;background-size:{size};aspect-ratio:{self.width}/{self.height}"


class Thumb(NamedTuple):
    """Where a unit's small drawing is: the sheet's file, and column and row on it."""

    file: str
    column: int
    row: int


class Thumbs:
    """Small drawings of a layer's units, in sheets of `PER_SHEET`, in the order of the units."""

    def __init__(self, units: Sequence[int]):
        self._place = {unit: i for i, unit in enumerate(units)}
        self._there: set[int] = set()

    def write(self, folder: Path, drawing: Callable[[int], np.ndarray | None]) -> None:
        """Writes the sheets; `drawing` maps a unit to its picture (h, w, 3), uint8, or to None."""
        units = list(self._place)
        for first in range(0, len(units), PER_SHEET):
            part = units[first : first + PER_SHEET]
            sheet = Image.new("RGB", (COLUMNS * THUMB, -(-len(part) // COLUMNS) * THUMB), "#8a8a8a")
            for i, unit in enumerate(part):
                picture = drawing(unit)
                if picture is not None:
                    self._there.add(unit)
                    sheet.paste(square(picture, THUMB), (i % COLUMNS * THUMB, i // COLUMNS * THUMB))
            if self._there.intersection(part):
                write_webp(folder / f"drawings{first // PER_SHEET}.webp", sheet)

    @property
    def sheets(self) -> list[int]:
        """The numbers of the sheets that there are."""
        return sorted({self._place[unit] // PER_SHEET for unit in self._there})

    def place(self, unit: int) -> Thumb | None:
        """Where a unit's drawing is; None where there is none."""
        if unit not in self._there:
            return None
        number, place = divmod(self._place[unit], PER_SHEET)
        return Thumb(f"drawings{number}.webp", place % COLUMNS, place // COLUMNS)


def square(picture: np.ndarray, side: int) -> Image.Image:
    """The central square of a picture (h, w, 3), at that side."""
    image = Image.fromarray(picture)
    edge = min(image.size)
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    return image.resize((side, side), Image.Resampling.LANCZOS, box=(left, top, left + edge, top + edge))


def bounded(picture: np.ndarray, side: int) -> Image.Image:
    """A picture with its longer side of `side` pixels at most; small ones are left as they are."""
    image = Image.fromarray(picture)
    if max(image.size) > side:
        scale = side / max(image.size)
        width, height = (max(round(n * scale), 1) for n in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    return image


def strip(images: Sequence[Image.Image], width: int = 1024) -> tuple[Image.Image, list[Sprite]]:
    """Pictures of any sizes on one sheet, row by row.

    Args:
      images: one or more.
      width: of the sheet, in pixels, at least where one picture is not wider.

    Returns:
      The sheet, and where each picture is.
    """
    places, x, y, row, reach = [], 0, 0, 0, 0
    # Each has a border of its own colors, so that no neighbor shows through at its edge where it is enlarged.
    bordered = [np.pad(np.asarray(image), ((BORDER, BORDER), (BORDER, BORDER), (0, 0)), "edge") for image in images]
    for pixels in bordered:
        if x and x + pixels.shape[1] > width:
            x, y, row = 0, y + row, 0
        places.append((x, y))
        x, row = x + pixels.shape[1], max(row, pixels.shape[0])
        reach = max(reach, x)
    sheet = Image.new("RGB", (reach, y + row), "#8a8a8a")
    for pixels, place in zip(bordered, places):
        sheet.paste(Image.fromarray(pixels), place)
    return sheet, [
        Sprite(left + BORDER, top + BORDER, *image.size, *sheet.size) for image, (left, top) in zip(images, places)
    ]


def write_webp(path: Path, image: Image.Image) -> int:
    """Writes a picture; returns the bytes."""
    file = io.BytesIO()
    image.save(file, "WEBP", quality=QUALITY, method=EFFORT)
    with replacing(path) as temporary:
        temporary.write_bytes(file.getvalue())
    return file.tell()


def weights_url(maps: Sequence[np.ndarray], scale: float) -> str:
    """Weights as one picture, a pixel each, in the house's colors, as a `data:` URL.

    Args:
      maps: (h, w), all of one shape; side by side, with one empty place behind them.
      scale: the weight of the strongest color.
    """
    beside = np.concatenate([*maps, np.zeros_like(maps[0])], axis=1)
    return _png_url(Image.fromarray(heat(beside, scale if scale > 0 else 1.0)))


def masks_url(heats: Sequence[np.ndarray | None]) -> tuple[str, list[int | None]]:
    """Where a unit fires in several pictures, as one sheet that darkens where it does not.

    Each is in proportion to the largest activation over its own picture: where is shown, how much is said in numbers.

    Args:
      heats: activations over each picture, (rows, columns); None for none.

    Returns:
      A `data:` URL of the sheet, the masks side by side and one empty place; empty where there are none. The place of
      each on it.
    """
    there = [h for h in heats if h is not None]
    if not there:
        return "", [None] * len(heats)
    sheet = Image.new("LA", (MASK * (len(there) + 1), MASK))
    places: list[int | None] = []
    count = 0
    for h in heats:
        if h is None:
            places.append(None)
            continue
        share = np.clip(np.asarray(h, np.float32) / max(float(h.max()), np.finfo(np.float32).tiny), 0, 1)
        alpha = Image.fromarray(np.round(255 * DIM * (1 - np.sqrt(share))).astype(np.uint8))
        alpha = alpha.resize((MASK, MASK), Image.Resampling.BILINEAR)
        sheet.paste(Image.merge("LA", (Image.new("L", alpha.size), alpha)), (MASK * count, 0))
        places.append(count)
        count += 1
    file = io.BytesIO()
    sheet.convert("RGBA").save(file, "WEBP", quality=30, alpha_quality=60, method=4)
    return data_url("webp", file.getvalue()), places


def _png_url(image: Image.Image) -> str:
    file = io.BytesIO()
    image.quantize(min(256, image.width * image.height), dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    plain = io.BytesIO()
    image.save(plain, "PNG", optimize=True)
    smaller = min(file.getvalue(), plain.getvalue(), key=len)
    return data_url("png", smaller)
