"""What a cell of one layer reads of another: receptive fields, exactly, from the windows between them."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.network import rules
from jaxcircuits.network.graph import INPUT
from jaxcircuits.network.reach import NOTHING, Reach, itself
from jaxcircuits.network.receptive_fields import Reaches, through
from jaxcircuits.network.trace import Program

if TYPE_CHECKING:
    from jaxcircuits.network.forward import Located
    from jaxcircuits.network.network import Network

MOST_TRIES = 12
"""Picture sizes that are tried for a cell that feels no border."""


class Window(NamedTuple):
    """What cells of the target read of the source, along one axis.

    Attributes:
      reach: which cells each of them reads.
      source_cells, target_cells: lengths of the two maps.
    """

    reach: Reach
    source_cells: int
    target_cells: int

    @property
    def size(self) -> int:
        """Cells that a cell of the target reads; where that differs from cell to cell, the most."""
        return max(max(end - first for first, end in zip(self.reach.first, self.reach.end)), 1)

    def span(self, cell: int) -> tuple[int, int]:
        """The first cell that a cell reads and the one past its last.

        Beyond the borders too, where padding lies; what reads nothing, between the taps of a transposed convolution,
        has an empty span.
        """
        first, end = self.reach.span(cell)
        nearest = math.floor(self.step * cell)
        return (first, end) if first != NOTHING else (nearest, nearest)

    def first(self, cells: np.ndarray) -> np.ndarray:
        """The first cells that cells read."""
        return np.array([self.span(cell)[0] for cell in np.ravel(cells).tolist()], int).reshape(np.shape(cells))

    def free_cell(self) -> int:
        """The first cell that reads nothing before the border, and as many cells as any."""
        spans = ((cell, *self.span(cell)) for cell in itertools.count())
        return next(cell for cell, first, end in spans if first >= 0 and end - first == self.size)

    def alike(self) -> np.ndarray:
        """The cells of the target that read as `free_cell` does; all, but behind what enlarges a map."""
        return np.arange(self.free_cell() % self.reach.period, self.target_cells, self.reach.period)

    @property
    def step(self) -> float:
        """Cells of the source from one cell of the target to the next."""
        return self.reach.shift / self.reach.period


def windows(network: Network, source: str, target: str, size: Sequence[int], *, linear: bool) -> list[Window] | None:
    """What a cell of the target reads of the source, along rows and along columns.

    Args:
      network: any.
      source: a layer with positions, or `input`.
      target: a layer computed from it.
      size: of the picture.
      linear: of the linearized network, whose normalizations read nothing.

    Returns:
      Two windows; None where cells read everything (behind a flattening, a mean, attention), or where what they read
      is no rectangle. Cells that became channels (space to depth) count as read together from there on.

    Raises:
      InputError: where the target is not computed from the source.
    """
    return _windows(network.forward.at(network.params, size), source, target, linear)


def interior(network: Network, source: str, target: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """A picture size, as small as can be told at once, and a cell of the target that feels no border there.

    Args:
      network: any.
      source: a layer with positions, or `input`.
      target: a layer that reads a window of it.

    Returns:
      Height and width of the picture, and row and column. The native size where other sizes cannot be had, and its
      middle where no cell there is far enough from the border.

    Raises:
      InputError: where the target reads no window.
    """
    native = network.convention.size

    def read(size: tuple[int, int]) -> list[Window]:
        found = windows(network, source, target, size, linear=True)
        if found is None:
            raise InputError(f"{target} has no windows in {source}")
        return found

    before = windows(network, INPUT, source, native, linear=True) if source != INPUT else None
    sizes, steps = [], []
    for axis, window in enumerate(read(native)):
        step = before[axis].step if before else 1.0
        cells = window.span(window.free_cell())[1]
        sizes.append(max(native[axis] + math.ceil((cells - window.source_cells) * step), 1))
        steps.append(max(math.floor(step * window.step / 2), 1))
    tried = [(sizes[0] + i * steps[0], sizes[1] + i * steps[1]) for i in range(MOST_TRIES)]
    for pixels in [*tried, native]:
        try:
            rows, columns = read(pixels)
        except Exception:
            continue  # models of a fixed size have no other
        row, column = rows.free_cell(), columns.free_cell()
        if rows.span(row)[1] <= rows.source_cells and columns.span(column)[1] <= columns.source_cells:
            return pixels, (row, column)
    rows, columns = read(native)
    return native, (rows.target_cells // 2, columns.target_cells // 2)


@functools.lru_cache(maxsize=512)
def followed(program: Program, source: int, positions: tuple[int, ...], linear: bool) -> Mapping[int, Reaches]:
    """What is read of a value by all that is computed from it.

    Args:
      program: a model.
      source: the value.
      positions: its axes of rows and columns.
      linear: of the linearized network.

    Returns:
      Value -> axis -> its `Reach`; None in place of axes where everything is read.
    """
    exchange = rules.linear(program) if linear else {}
    reaches: dict[int, Reaches] = {source: {axis: itself(i) for i, axis in enumerate(positions)}}
    for operation in program.flat:
        for value in operation.outputs:
            if value == source:
                continue
            if value in exchange and operation.name not in ("reduce_window_max", "reduce_max"):
                read = [v for v in exchange[value].reads if v in reaches]
                if read:
                    reaches[value] = reaches[read[0]]
            elif any(v in reaches for v in operation.reads):
                reaches[value] = through(program, operation, value, reaches)
    return reaches


def _windows(located: Located, source: str, target: str, linear: bool) -> list[Window] | None:
    program, axes = located.program, located.axes
    start, end = located.value(source), located.value(target)
    shapes = [program.avals[value].shape for value in (start, end)]
    positions = axes[start].positions(len(shapes[0]))
    reaches = followed(program, start, positions, linear)
    if end not in reaches:
        raise InputError(f"{target} is not computed from {source}; expected a layer before it")
    reach = reaches[end]
    if reach is None or len(positions) != 2 or axes[start].cells > 1:
        return None
    found = {r.axis: (axis, r) for axis, r in reach.items()}
    of_target = axes[end].positions(len(shapes[1]))
    if set(found) != {0, 1} or tuple(found[i][0] for i in (0, 1)) != of_target:
        return None
    return [Window(r, shapes[0][positions[i]], shapes[1][axis]) for i, (axis, r) in sorted(found.items())]
