"""What a unit saw where it fired: parts of pictures, at the resolution that they came in."""

from __future__ import annotations

import numpy as np
from PIL import Image

from jaxcircuits.errors import InputError
from jaxcircuits.evidence.examples import Examples
from jaxcircuits.evidence.layer_examples import Chosen
from jaxcircuits.images import Pictures, contact_sheet
from jaxcircuits.images.decode import fitted
from jaxcircuits.images.sources import Unreadable
from jaxcircuits.network import Network
from jaxcircuits.network.graph import INPUT
from jaxcircuits.network.windows import Window, windows

SIDE = 112
"""Pixels to which crops are brought in sheets, the longer side."""


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


def sheet(network: Network, examples: Examples, pictures: Pictures, layer: str, unit: int) -> Image.Image:
    """What a unit saw in its strongest pictures, strongest first, with its activations.

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
    return sheet_of(network, layer, pictures, Chosen(*(part[unit] for part in chosen)), size)


def sheet_of(network: Network, layer: str, pictures: Pictures, chosen: Chosen, size: tuple[int, int]) -> Image.Image:
    """What cells of a layer saw in given pictures, with activations.

    Args:
      network: whose layer.
      layer: its name.
      pictures: those that were shown.
      chosen: (n,) of them, one or more; -1 for none.
      size: height and width at which they were shown.

    Returns:
      An RGB image.

    Raises:
      InputError: where a picture cannot be read any more.
    """
    crops, captions = [], []
    for value, picture, place in zip(*chosen):
        if picture >= 0:
            part = field(network, layer, tuple(place.tolist()), size)
            crops.append(_scaled(crop(pictures, int(picture), part, size), part))
            captions.append(f"{value:.4g}")
    return contact_sheet(np.stack(crops), captions)


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
