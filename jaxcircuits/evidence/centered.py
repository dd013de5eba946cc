"""Examples moved so that what a unit fires at lies in the middle, about which they can be turned and scaled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.evidence.examples import Examples
from jaxcircuits.evidence.layer_examples import Chosen
from jaxcircuits.images import Pictures
from jaxcircuits.network import Network
from jaxcircuits.network.graph import INPUT
from jaxcircuits.network.windows import windows


def strongest_centered(
    network: Network,
    examples: Examples,
    pictures: Pictures,
    layer: str,
    units: Sequence[int] | np.ndarray,
    count: int,
    side: int,
) -> np.ndarray:
    """The strongest examples of units, the place where each fires in the middle.

    Args:
      network: whose units.
      examples: of the layer.
      pictures: those that were shown.
      layer: its name.
      units: their numbers.
      count: examples of each unit; every unit needs as many.
      side: of the squares in pixels; what lies beyond a picture's border is the border's color.

    Returns:
      float32 (units, count, side, side, channels), in [0, 1], at the size at which the pictures were shown.

    Raises:
      InputError: for unknown units, for units with fewer examples, and for pictures other than those that were shown.
    """
    units = network.check_units(layer, units)
    chosen = Chosen(*(part[units, :count] for part in examples[layer].strongest))
    if chosen.pictures.shape[1] < count or (chosen.pictures < 0).any():
        there = int((examples[layer].pictures[units] >= 0).sum(1).min())
        raise InputError(f"{there} examples of units of {layer}; expected {count} or more")
    places = chosen.places.reshape(-1, 2)
    cut = centered(network, pictures, layer, chosen.pictures.ravel(), places, examples.seen.size, side)
    return cut.reshape(len(units), count, *cut.shape[1:])


def centered(
    network: Network,
    pictures: Pictures,
    layer: str,
    numbers: np.ndarray,
    places: np.ndarray,
    size: tuple[int, int],
    side: int,
) -> np.ndarray:
    """Squares of pictures about the middle of what a layer's cells read.

    Args:
      network: whose layer.
      pictures: of which.
      layer: its name; layers whose cells read everything have the picture's middle.
      numbers: (N,), of the pictures.
      places: (N, 2), row and column of each cell.
      size: height and width at which the pictures are shown.
      side: of the squares, in pixels.

    Returns:
      float32 (N, side, side, channels).

    Raises:
      InputError: for pictures that are not there or of another size.
    """
    shown = pictures.at(size, network.convention.channels)
    last = int(np.max(numbers, initial=-1))
    if last >= len(shown):
        raise InputError(f"{pictures!r}: not those that were shown, of which there are {last + 1} or more")
    middles = middle_pixels(network, layer, places, size)
    squares = []
    for number, middle in zip(numbers.tolist(), middles):
        image = shown[number].image
        if image.shape[:2] != tuple(size):
            raise InputError(f"{shown.name(number)} is of {image.shape[:2]} pixels; it was shown at {tuple(size)}")
        rows, columns = (
            np.clip(round(float(at)) - side // 2 + np.arange(side), 0, length - 1) for at, length in zip(middle, size)
        )
        squares.append(image[rows[:, None], columns])
    return np.stack(squares)


def middle_pixels(network: Network, layer: str, places: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The middle of what cells (N, 2) read, in pixels (N, 2); that of the picture where they read everything."""
    found = windows(network, INPUT, layer, size, linear=True)
    if found is None:
        return np.tile([(side - 1) / 2 for side in size], (len(places), 1))
    spans = [[window.span(cell) for cell in places[:, axis].tolist()] for axis, window in enumerate(found)]
    return np.array([[(first + end - 1) / 2 for first, end in of_axis] for of_axis in spans]).T
