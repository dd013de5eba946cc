"""What a cell of one layer reads of another: receptive fields, exactly, from the windows of the layers between."""

from __future__ import annotations

import functools
import itertools
import math
from typing import NamedTuple

from jaxcircuits.errors import InputError
from jaxcircuits.zoo import INPUT, Architecture, ops


class Window(NamedTuple):
    """Along one axis, cell i of the target reads `size` cells of the source, the first `stride * i + start`.

    Attributes:
      size, stride, start: as said; start depends on the picture's size, since padding does.
      source_cells, target_cells: lengths of the two maps.
    """

    size: int
    stride: int
    start: int
    source_cells: int
    target_cells: int


def window(architecture: Architecture, source: str, target: str, pixels: int) -> Window:
    """The window along an axis of a picture of that length; raises `InputError` where none of the source is read."""
    cells, reach = {INPUT: pixels}, {source: (0, 1, 1)}  # reach: first cell, past the last cell, stride
    for layer in architecture.needed([target]):
        (name, *_) = layer.inputs
        pool = layer.op == "max_pool"
        size = (cells[name], cells[name])
        (before, after), _ = ops.window_padding(size, layer.kernel, layer.stride, architecture.padding, pool)
        cells[layer.name] = (cells[name] + before + after - layer.kernel) // layer.stride + 1
        read = [reach[name] for name in layer.inputs if name in reach]
        if read and layer.name != source:
            first, last = min(r[0] for r in read), max(r[1] for r in read)
            stride = read[0][2]
            first, last = first - before * stride, last + (layer.kernel - 1 - before) * stride
            reach[layer.name] = first, last, stride * layer.stride
    if target not in reach:
        raise InputError(f"{target} is not computed from {source}; expected a layer before it")
    first, last, stride = reach[target]
    return Window(last - first, stride, first, cells[source], cells[target])


@functools.lru_cache(maxsize=256)
def smallest_interior(architecture: Architecture, source: str, target: str) -> tuple[int, int]:
    """Side of the smallest square picture in which a cell of the target feels no border, and which row and column."""
    for pixels in itertools.count(1):
        read = window(architecture, source, target, pixels)
        cell = max(math.ceil(-read.start / read.stride), 0)
        if cell < read.target_cells and read.start + read.stride * cell + read.size <= read.source_cells:
            return pixels, cell
