"""What a unit saw where it fired: parts of pictures, at the resolution that they came in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from jaxcircuits.errors import InputError
from jaxcircuits.evidence.examples import Examples
from jaxcircuits.images import Pictures, contact_sheet
from jaxcircuits.images.decode import fitted
from jaxcircuits.images.sources import Unreadable
from jaxcircuits.network import Network
from jaxcircuits.network.graph import INPUT
from jaxcircuits.network.reach import Reach
from jaxcircuits.network.tokens import grid
from jaxcircuits.network.windows import windows

SIDE = 112
"""Pixels to which crops are brought in sheets, the longer side."""


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
        left, top, right, bottom = fitted(*image.shape[:2], size, pictures.fit)
    rows = top + np.array([part[0], part[2]]) * (bottom - top) / size[0]
    columns = left + np.array([part[1], part[3]]) * (right - left) / size[1]
    (above, below), (before, behind) = (np.round(ends).astype(int) for ends in (rows, columns))
    cut = image[above : max(below, above + 1), before : max(behind, before + 1)]
    return cut / np.float32(255) if cut.dtype == np.uint8 else cut


def sheet(network: Network, examples: Examples, pictures: Pictures, layer: str, unit: int) -> Image.Image:
    """What a unit saw in its strongest pictures, strongest first, with its activations.

    Of tokens that read everything the whole picture, with the part outlined that they stand for.

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
    chosen, size = examples[layer].strongest, examples.seen.size
    network.check_units(layer, [unit])
    if len(pictures) < examples.seen.stop:
        raise InputError(f"{pictures!r}: not those that were shown, of which there are {examples.seen.stop} or more")
    crops, captions = [], []
    for value, picture, place in zip(*(part[unit] for part in chosen)):
        if picture >= 0:
            part = field(network, layer, tuple(place.tolist()), size)
            shown = _scaled(crop(pictures, int(picture), part, size), part)
            stands_for = patch(network, layer, tuple(place.tolist()), size) if part == (0, 0, *size) else None
            crops.append(shown if stands_for is None else _outlined(shown, stands_for))
            captions.append(f"{value:.4g}")
    return contact_sheet(np.stack(crops), captions)


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


def _outlined(image: np.ndarray, part: tuple[float, ...]) -> np.ndarray:
    """With a part of it framed in white between black lines."""
    drawn = Image.fromarray(np.round(image * 255).astype(np.uint8))
    draw, (height, width) = ImageDraw.Draw(drawn), image.shape[:2]
    top, left, bottom, right = (round(share * side) for share, side in zip(part, (height, width) * 2))
    for margin, color in ((-1, "black"), (0, "white"), (1, "black")):
        draw.rectangle((left + margin, top + margin, right - 1 - margin, bottom - 1 - margin), outline=color)
    return np.asarray(drawn, np.float32) / 255
