"""What a unit saw where it fired: parts of pictures, at the resolution that they came in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from jaxcircuits.errors import InputError
from jaxcircuits.evidence.examples import Examples
from jaxcircuits.images import Pictures, contact_sheet
from jaxcircuits.images.decode import fitted
from jaxcircuits.images.sources import Unreadable
from jaxcircuits.network import Network
from jaxcircuits.network.graph import INPUT
from jaxcircuits.network.stream import answers
from jaxcircuits.network.windows import Window, windows

SIDE = 112
"""Pixels to which crops are brought in sheets, the longer side."""
LEVEL = 0.5
"""The share of the strongest activation at which the line around where a unit fires is drawn."""
LINE = (1.0, 0.55, 0.0)
"""The line's color."""


def field(network: Network, layer: str, place: tuple[int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The part of a picture that a cell reads: its receptive field, moved into the picture where it hangs over.

    Args:
      network: whose layer.
      layer: its name.
      place: row and column of the cell.
      size: height and width at which the picture is shown, in pixels.

    Returns:
      Top, left, bottom and right in pixels; all of the picture where cells read everything.
    """
    found = windows(network, INPUT, layer, size, linear=True)
    if found is None:
        return 0, 0, *size
    spans = [_inside(window, cell, length) for window, cell, length in zip(found, place, size)]
    return spans[0][0], spans[1][0], spans[0][1], spans[1][1]


def crop(pictures: Pictures, index: int, part: tuple[int, int, int, int], size: tuple[int, int]) -> np.ndarray:
    """Part of a picture, of a file at its own resolution.

    Args:
      pictures: where it is from.
      index: its number.
      part: top, left, bottom and right, in pixels of the picture as it is shown.
      size: height and width at which it is shown.

    Returns:
      float32 (H, W, channels), in [0, 1].

    Raises:
      InputError: where the picture cannot be read.
    """
    try:
        image, _ = pictures.source.read(index, None, pictures.fit, pictures.channels)
    except Unreadable as error:
        raise InputError(f"{pictures.name(index)}: cannot be read ({error})") from None
    left, top, right, bottom = 0, 0, image.shape[1], image.shape[0]
    if pictures.source.resizes:
        left, top, right, bottom = fitted(*image.shape[:2], size, pictures.fit)
    rows = top + np.array([part[0], part[2]]) * (bottom - top) / size[0]
    columns = left + np.array([part[1], part[3]]) * (right - left) / size[1]
    (above, below), (before, behind) = (np.round(ends).astype(int) for ends in (rows, columns))
    cut = image[above : max(below, above + 1), before : max(behind, before + 1)]
    return cut / np.float32(255) if cut.dtype == np.uint8 else cut


class View(NamedTuple):
    """A part of a picture that a cell of a unit reads, and where in it the unit fires.

    Attributes:
      image: float32 (h, w, 3) in [0, 1], the longer side of `SIDE` pixels.
      heat: float32 (h, w), the unit's activation at these pixels over that of the cell, from 0 on; between the centers
        of its cells' receptive fields it is interpolated.
      value: the cell's activation.
    """

    image: np.ndarray
    heat: np.ndarray
    value: float


def views(
    network: Network,
    pictures: Pictures,
    layer: str,
    unit: int,
    numbers: Sequence[int] | np.ndarray,
    places: np.ndarray,
    size: tuple[int, int],
) -> list[View]:
    """What a unit saw at places of pictures, and where around them it fires.

    Args:
      network: whose unit.
      pictures: that were shown.
      layer, unit: which.
      numbers: (n,), of pictures.
      places: int (n, 2), row and column of a cell in each.
      size: height and width at which they were shown, see `Shown`.

    Raises:
      InputError: for an unknown layer or unit, and where a picture cannot be read any more.
    """
    network.check_units(layer, [unit])
    shown_at = pictures.at(network.convention.size, network.convention.channels)
    seen = np.stack([shown_at[int(number)].image for number in numbers])
    maps = np.concatenate([np.asarray(part)[..., unit] for part in answers(network, layer, seen)])
    return [view_at(network, pictures, layer, *one, size) for one in zip(numbers, places, maps)]


def view_at(
    network: Network,
    pictures: Pictures,
    layer: str,
    number: int,
    place: np.ndarray,
    fires: np.ndarray,
    size: tuple[int, int],
) -> View:
    """What a unit saw at one place of a picture, of which its activations are known.

    Args:
      network: whose unit.
      pictures: that were shown.
      layer: the unit's.
      number: of the picture.
      place: int (2,), row and column of a cell.
      fires: the unit's activation to the picture, (h, w), or a number for layers without positions.
      size: height and width at which it was shown, see `Shown`.

    Raises:
      InputError: where the picture cannot be read any more.
    """
    part = field(network, layer, tuple(place.tolist()), size)
    image = _scaled(crop(pictures, int(number), part, size), part)
    value = float(fires[tuple(place)] if fires.ndim == 2 else fires)
    heat = np.zeros(image.shape[:2], np.float32)
    if fires.ndim == 2 and value > 0:
        rows, columns = (_interpolation(network, layer, axis, part, size, heat.shape) for axis in (0, 1))
        heat = np.maximum(rows @ (fires / value) @ columns.T, 0).astype(np.float32)
    return View(image, heat, value)


def outlined(view: View) -> np.ndarray:
    """A view with a line around where the unit fires at `LEVEL` of the cell's activation or more.

    Returns:
      float32 (h, w, 3) in [0, 1].
    """
    inside = view.heat >= LEVEL
    # Beyond the picture's edge nothing is known: no line is drawn along it.
    edge = inside & ~ndimage.binary_erosion(inside, border_value=1)
    halo = ndimage.binary_dilation(inside) & ~inside
    image = np.where(halo[..., None], 0.4 * view.image, view.image)
    return np.where(edge[..., None], np.float32(LINE), image).astype(np.float32)


def sheet(network: Network, examples: Examples, pictures: Pictures, layer: str, unit: int) -> Image.Image:
    """What a unit saw in its strongest pictures, strongest first, with its activations and lines around where it fires.

    The line is where its activation is half of that at the place that is shown.

    Args:
      network: whose unit.
      examples: of the layer.
      pictures: those that were shown.
      layer, unit: which.

    Returns:
      An RGB image.

    Raises:
      InputError: for an unknown layer or unit, and where a picture cannot be read any more.
    """
    chosen = examples[layer].strongest
    network.check_units(layer, [unit])
    if len(pictures) < examples.seen.stop:
        raise InputError(f"{pictures!r}: not those that were shown, of which there are {examples.seen.stop} or more")
    there = chosen.pictures[unit] >= 0
    places = chosen.places[unit][there]
    found = views(network, pictures, layer, unit, chosen.pictures[unit][there], places, examples.seen.size)
    captions = [f"{value:.4g}" for value in chosen.values[unit][there]]
    return contact_sheet(np.stack([outlined(view) for view in found]), captions)


def _interpolation(
    network: Network,
    layer: str,
    axis: int,
    part: tuple[int, int, int, int],
    size: tuple[int, int],
    shape: tuple[int, int],
) -> np.ndarray:
    """(pixels, cells): how much each cell of a map counts at each pixel of a part, along one axis."""
    found = windows(network, INPUT, layer, size, linear=True)
    cells = network.shapes(size, [layer])[layer][axis]
    if found is None:  # cells read everything: they are taken to lie evenly
        stride = size[axis] / cells
        centers = (np.arange(cells) + 0.5) * stride
    else:
        window = found[axis]
        centers = window.start + window.stride * np.arange(cells) + window.size / 2
    first, last = part[axis], part[axis + 2]
    pixels = first + (np.arange(shape[axis]) + 0.5) * (last - first) / shape[axis]
    return np.stack([np.interp(pixels, centers, cell) for cell in np.eye(cells)], axis=1)


def _inside(window: Window, cell: int, length: int) -> tuple[int, int]:
    first = window.start + window.stride * cell
    span = min(window.size, length)
    first = min(max(first, 0), length - span)
    return first, first + span


def _scaled(image: np.ndarray, part: tuple[int, int, int, int]) -> np.ndarray:
    """At the part's proportions, with the longer side of `SIDE` pixels."""
    sides = np.array([part[2] - part[0], part[3] - part[1]])
    height, width = np.maximum(np.round(sides * SIDE / sides.max()).astype(int), 1)
    pixels = np.round(image * 255).astype(np.uint8)
    drawn = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    drawn = drawn.convert("RGB").resize((int(width), int(height)), Image.Resampling.BICUBIC)
    return np.asarray(drawn, np.float32) / 255
