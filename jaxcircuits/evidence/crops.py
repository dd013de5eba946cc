"""What a unit saw where it fired: parts of pictures, at the resolution that they came in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from jaxcircuits.errors import InputError
from jaxcircuits.evidence.examples import Examples
from jaxcircuits.evidence.layer_examples import Chosen
from jaxcircuits.images import Pictures, contact_sheet
from jaxcircuits.images.decode import fitted
from jaxcircuits.images.pictures import floats
from jaxcircuits.images.sources import Unreadable
from jaxcircuits.network import Network
from jaxcircuits.network.graph import INPUT
from jaxcircuits.network.reach import Reach
from jaxcircuits.network.stream import answers
from jaxcircuits.network.tokens import grid
from jaxcircuits.network.windows import windows

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
      place: row and column of the cell, or of the token in its grid; (-1, its number) of one beside it.
      size: height and width at which the picture is shown, in pixels.

    Returns:
      Top, left, bottom and right in pixels; all of the picture where cells read everything.
    """
    found = windows(network, INPUT, layer, size, linear=True)
    reaches = [window.reach for window in found] if found else None
    tokens = None if found else grid(network.forward, network.params, layer, size)
    if tokens is not None and tokens.reach and place[0] >= 0:
        reaches = tokens.reach
    return _part(reaches, place, size) if reaches else (0, 0, *size)


def patch(network: Network, layer: str, place: tuple[int, int], size: tuple[int, int]) -> tuple[float, ...] | None:
    """The part of a picture that a token stands for, as a share of its sides.

    Args:
      network, layer, place, size: see `field`.

    Returns:
      Top, left, bottom and right, from 0 to 1; None for layers that are maps or have no positions, and for tokens
      beside the grid.
    """
    tokens = grid(network.forward, network.params, layer, size)
    if tokens is None or place[0] < 0:
        return None
    row, column = place
    return row / tokens.rows, column / tokens.columns, (row + 1) / tokens.rows, (column + 1) / tokens.columns


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
        left, top, right, bottom = fitted(image.shape[0], image.shape[1], size, pictures.fit)
    rows = top + np.array([part[0], part[2]]) * (bottom - top) / size[0]
    columns = left + np.array([part[1], part[3]]) * (right - left) / size[1]
    (above, below), (before, behind) = (np.round(ends).astype(int) for ends in (rows, columns))
    cut = image[above : max(below, above + 1), before : max(behind, before + 1)]
    return floats(cut)


class View(NamedTuple):
    """A part of a picture that a cell of a unit reads, and where in it the unit fires.

    Attributes:
      image: float32 (h, w, 3) in [0, 1], the longer side of `SIDE` pixels.
      heat: float32 (h, w), the unit's activation at these pixels over that of the cell, from 0 on; between the centers
        of its cells' receptive fields it is interpolated. Tokens have none: what they stand for is framed.
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
      layer: its name.
      unit: its number.
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
      fires: the unit's activation to the picture, (h, w), (tokens,), or a number for layers without positions.
      size: height and width at which it was shown, see `Shown`.

    Raises:
      InputError: where the picture cannot be read any more.
    """
    at, spread = tuple(place.tolist()), fires.ndim == 2
    part = field(network, layer, at, size)
    image = _scaled(crop(pictures, int(number), part, size), part)
    stands_for = patch(network, layer, at, size) if part == (0, 0, *size) else None
    if stands_for is not None:
        image = _framed(image, stands_for)
    tokens = grid(network.forward, network.params, layer, size) if fires.ndim == 1 else None
    if tokens is not None and place[0] < 0:
        if not 0 <= place[1] < len(fires):
            raise InputError(f"token {place[1]} of {layer}; there are {len(fires)}")
        fires = fires[place[1]]
    elif tokens is not None:
        fires = fires[tokens.first :][: tokens.rows * tokens.columns].reshape(tokens.rows, tokens.columns)
    if fires.ndim == 2 and not (0 <= at[0] < fires.shape[0] and 0 <= at[1] < fires.shape[1]):
        raise InputError(f"place {at} of {layer}; its map has {fires.shape[0]} x {fires.shape[1]} cells")
    value = float(fires[at] if fires.ndim == 2 else fires)
    heat = np.zeros((image.shape[0], image.shape[1]), np.float32)
    if spread and value > 0:
        rows, columns = (_interpolation(network, layer, axis, part, size, heat.shape) for axis in (0, 1))
        heat = np.maximum(rows @ (fires / value) @ columns.T, 0).astype(np.float32)
    return View(image, heat, value)


def outlined(view: View) -> np.ndarray:
    """A view with a line around where the unit fires at `LEVEL` of the cell's activation or more.

    Returns:
      float32 (h, w, 3) in [0, 1].
    """
    from scipy import ndimage  # slow to load, and the commands load this module

    inside = view.heat >= LEVEL
    # Beyond the picture's edge nothing is known: no line is drawn along it.
    edge = np.logical_and(inside, np.logical_not(ndimage.binary_erosion(inside, border_value=1)))
    halo = np.logical_and(ndimage.binary_dilation(inside), ~inside)
    image = np.where(halo[..., None], 0.4 * view.image, view.image)
    return np.where(edge[..., None], np.array(LINE, np.float32), image).astype(np.float32)


def sheet(network: Network, examples: Examples, pictures: Pictures, layer: str, unit: int) -> Image.Image:
    """What a unit saw in its strongest pictures, strongest first, with its activations and lines around where it fires.

    The line is where its activation is half of that at the place that is shown.

    Of tokens that read everything the whole picture, with the part outlined that they stand for.

    Args:
      network: whose unit.
      examples: of the layer.
      pictures: those that were shown.
      layer: its name.
      unit: its number.

    Returns:
      An RGB image.

    Raises:
      InputError: for an unknown layer or unit, and where a picture cannot be read any more.
    """
    chosen = examples[layer].strongest
    network.check_units(layer, [unit])
    examples.check_units(network, layer)
    if len(pictures) < examples.seen.stop:
        raise InputError(f"{pictures!r}: not those that were shown, of which there are {examples.seen.stop} or more")
    shown = pictures.at(network.convention.size, network.convention.channels)
    size = shown.size or shown[0].image.shape[:2]
    if size != examples.seen.size:
        raise InputError(f"{pictures!r}: shown at {size} px; the examples are of {examples.seen.size} px")
    return sheet_of(network, layer, unit, pictures, Chosen(*(part[unit] for part in chosen)), examples.seen.size)


def sheet_of(
    network: Network, layer: str, unit: int, pictures: Pictures, chosen: Chosen, size: tuple[int, int]
) -> Image.Image:
    """What a unit saw in given pictures, as `sheet` shows it.

    Args:
      network: whose unit.
      layer: its name.
      unit: its number.
      pictures: those that were shown.
      chosen: (n,) of them, one or more; -1 for none.
      size: height and width at which they were shown.

    Returns:
      An RGB image.

    Raises:
      InputError: for an unknown layer or unit, and where a picture cannot be read any more.
    """
    there = chosen.pictures >= 0
    found = views(network, pictures, layer, unit, chosen.pictures[there], chosen.places[there], size)
    captions = [f"{value:.4g}" for value in chosen.values[there]]
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
        centers = (np.arange(cells) + 0.5) * size[axis] / cells
    else:
        centers = np.array([np.mean(found[axis].span(cell)) for cell in range(cells)])
    first, last = part[axis], part[axis + 2]
    pixels = first + (np.arange(shape[axis]) + 0.5) * (last - first) / shape[axis]
    return np.stack([np.interp(pixels, centers, cell) for cell in np.eye(cells)], axis=1)


def _part(reaches: Sequence[Reach], place: tuple[int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    spans = []
    for reach, cell, length in zip(reaches, place, size):
        first, end = reach.span(cell)
        span = min(max(end - first, 1), length)
        first = min(max(first, 0), length - span)
        spans.append((first, first + span))
    (top, bottom), (left, right) = spans
    return top, left, bottom, right


def _scaled(image: np.ndarray, part: tuple[int, int, int, int]) -> np.ndarray:
    """At the part's proportions, with the longer side of `SIDE` pixels."""
    sides = np.array([part[2] - part[0], part[3] - part[1]])
    height, width = np.maximum(np.round(sides * SIDE / sides.max()).astype(int), 1)
    pixels = np.round(image * 255).astype(np.uint8)
    drawn = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    drawn = drawn.convert("RGB").resize((int(width), int(height)), Image.Resampling.BICUBIC)
    return np.asarray(drawn, np.float32) / 255


def _framed(image: np.ndarray, part: tuple[float, ...]) -> np.ndarray:
    """With a part of it framed in white between black lines."""
    drawn = Image.fromarray(np.round(image * 255).astype(np.uint8))
    draw, (height, width) = ImageDraw.Draw(drawn), image.shape[:2]
    top, left, bottom, right = (round(share * side) for share, side in zip(part, (height, width) * 2))
    for margin, color in ((-1, "black"), (0, "white"), (1, "black")):
        draw.rectangle((left + margin, top + margin, right - 1 - margin, bottom - 1 - margin), outline=color)
    return np.asarray(drawn, np.float32) / 255
