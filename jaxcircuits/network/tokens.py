"""Where tokens lie in the picture: which of them make a grid, and which stand beside it, such as the class's.

Read off the graph: a grid begins where a map's rows and columns become one axis, and is followed from there. So it is
known for pictures that are no squares, wherever tokens are added, and after some are taken away.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax

from jaxcircuits.network.forward import Forward
from jaxcircuits.network.reach import Reach
from jaxcircuits.network.receptive_fields import SAME, placed
from jaxcircuits.network.trace import Operation, Program
from jaxcircuits.network.windows import followed


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Grid:
    """Tokens that stand for parts of the picture.

    Attributes:
      rows, columns: of the grid, row after row.
      first: the number of its first token.
      reach: what of the picture's rows and columns its rows and columns read; None where tokens read everything.
    """

    rows: int
    columns: int
    first: int
    reach: tuple[Reach, Reach] | None

    def place(self, token: int) -> tuple[int, int]:
        """Row and column of a token; of one beside the grid (-1, its number)."""
        inside = 0 <= token - self.first < self.rows * self.columns
        return divmod(token - self.first, self.columns) if inside else (-1, token)

    def token(self, row: Any, column: Any) -> Any:
        """The number of the token at a row and column."""
        return self.first + row * self.columns + column


def grid(forward: Forward, params: Any, layer: str, size: Sequence[int]) -> Grid | None:
    """The grid that a layer's tokens make.

    Args:
      forward, params: of the network.
      layer: its name.
      size: height and width of the picture.

    Returns:
      The `Grid`; None for layers that have no tokens, and where they do not come of a map.
    """
    known = forward.at(params, forward.convention.size).graph.layers.get(layer)
    if known and len(known.shape) != 2:
        # A map, as most layers are, at any size of the picture: the model need not be traced at this one.
        return None
    located = forward.at(params, size)
    value = located.value(layer)
    program, axes = located.program, located.axes[value]
    shape = program.avals[value].shape
    positions = axes.positions(len(shape))
    if len(positions) != 1 or axes.cells > 1:
        return None
    found = _grids(program, located.axes[program.image].positions(4))
    if value in found and found[value][0] == positions[0]:
        return found[value][1]
    # Inside attention, of which tokens follow from which is not followed: the grid of as many tokens before it.
    others = {
        dataclasses.replace(of, reach=None)
        for other, (axis, of) in found.items()
        if other < value and program.avals[other].shape[axis] == shape[positions[0]]
    }
    return others.pop() if len(others) == 1 else None


def grids(forward: Forward, params: Any, layers: Iterable[str], size: Sequence[int]) -> dict[str, Grid]:
    """Layer -> its `grid`, for those that have one."""
    found = {layer: grid(forward, params, layer, size) for layer in layers}
    return {layer: of for layer, of in found.items() if of is not None}


@functools.lru_cache(maxsize=256)
def _grids(program: Program, positions: tuple[int, ...]) -> Mapping[int, tuple[int, Grid]]:
    """Value -> the axis of its tokens and their grid."""
    reaches = followed(program, program.image, positions, False)
    found: dict[int, tuple[int, Grid]] = {}
    for operation in program.flat:
        for output in operation.outputs:
            if output not in program.of_image:
                continue
            known = {value: found[value] for value in operation.reads if value in found}
            made = _kept(program, operation, output, known) if known else _begun(program, operation, output, reaches)
            if made is not None:
                found[output] = made
    return found


def _begun(program: Program, operation: Operation, output: int, reaches: Mapping[int, Any]) -> tuple[int, Grid] | None:
    """Rows and columns that become one axis."""
    if operation.name != "reshape" or not reaches.get(operation.inputs[0]):
        return None
    before, after = (program.avals[value].shape for value in (operation.inputs[0], output))
    of = {reach.axis: (axis, reach) for axis, reach in reaches[operation.inputs[0]].items()}
    if set(of) != {0, 1} or of[1][0] != of[0][0] + 1:
        return None
    axis, rows, columns = of[0][0], before[of[0][0]], before[of[1][0]]
    for place, cells in enumerate(after):
        if cells == rows * columns and math.prod(after[:place]) == math.prod(before[:axis]):
            return place, Grid(rows, columns, 0, (of[0][1], of[1][1]))
    return None


def _kept(
    program: Program, operation: Operation, output: int, known: Mapping[int, tuple[int, Grid]]
) -> tuple[int, Grid] | None:
    """The grid of what is computed from values with grids; None where it is lost."""
    (source, (axis, of)), *others = known.items()
    params, shape, before = operation.params, program.avals[output].shape, program.avals[source].shape
    if operation.name in SAME:
        others = [*(one for _, one in others), *([(axis, None)] * (len(_pictured(program, operation)) - len(known)))]
        for place, other in others:
            if other is not None and (place, other.rows, other.first) != (axis, of.rows, of.first):
                return None
            of = of if other is not None and other.reach == of.reach else dataclasses.replace(of, reach=None)
        return axis, of
    if operation.name == "concatenate":
        if params["dimension"] != axis:
            return (axis, of) if all(one == (axis, of) for _, one in others) else None
        ahead = operation.inputs[: operation.inputs.index(source)]
        behind = sum((program.avals[a] if isinstance(a, int) else a.aval).shape[axis] for a in ahead)
        return None if others else (axis, dataclasses.replace(of, first=of.first + behind))
    if others:
        return None
    if operation.name == "slice":
        start, end = params["start_indices"][axis], params["limit_indices"][axis]
        whole = start <= of.first and of.first + of.rows * of.columns <= end
        kept = whole and (params["strides"] or (1,) * len(shape))[axis] == 1
        return (axis, dataclasses.replace(of, first=of.first - start)) if kept else None
    place = placed(program, operation, source, axis)
    return (place, of) if place is not None and shape[place] == before[axis] else None


def _pictured(program: Program, operation: Operation) -> set[int]:
    return {value for value in operation.reads if value in program.of_image}
