"""What a cell of one layer reads of another: receptive fields, exactly, from the windows between them."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxcircuits.errors import InputError
from jaxcircuits.network import rules
from jaxcircuits.network.graph import INPUT
from jaxcircuits.network.trace import Operation, Program

if TYPE_CHECKING:
    from jaxcircuits.network.forward import Located
    from jaxcircuits.network.network import Network

MOST_TRIES = 12
"""Picture sizes that are tried for a cell that feels no border."""


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


class _Reach(NamedTuple):
    """Along one axis of a value: the source's axis, first cell and past the last cell of cell 0, and the stride."""

    axis: int
    first: int
    end: int
    stride: int


_Reaches = Mapping[int, _Reach] | None
"""Axis of a value -> its reach; None where a cell reads everything, or what it reads is not known."""

_SAME = (
    "add", "add_any", "sub", "mul", "div", "neg", "max", "min", "pow", "exp", "exp2", "log", "log1p", "expm1", "tanh",
    "logistic", "erf", "erfc", "sqrt", "rsqrt", "square", "abs", "sign", "sin", "cos", "floor", "ceil", "round",
    "clamp", "select_n", "integer_pow", "convert_element_type", "copy", "reduce_precision", "stop_gradient", "gt", "ge",
    "lt", "le", "eq", "ne", "and", "or", "not", "xor", "custom_jvp_call", "custom_vjp_call", "is_finite", "cbrt",
)  # fmt: skip


def windows(network: Network, source: str, target: str, size: tuple[int, int], *, linear: bool) -> list[Window] | None:
    """What a cell of the target reads of the source, along rows and along columns.

    Args:
      network: any.
      source: a layer with positions, or `input`.
      target: a layer computed from it.
      size: of the picture.
      linear: of the linearized network, whose normalizations read nothing.

    Returns:
      Two windows; None where cells read everything (behind a flattening, a mean, attention), or where what they read
      is not known (behind a resize or a transposed convolution).

    Raises:
      InputError: where the target is not computed from the source.
    """
    inner = network.forward.own(network.params)
    x = jax.ShapeDtypeStruct((2, *size, network.convention.channels), jnp.float32)
    return _windows(network.forward.located(inner, x), source, target, linear)


def interior(network: Network, source: str, target: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """A picture size, as small as can be told at once, and a cell of the target that feels no border there.

    Args:
      network: any.
      source: a layer with positions, or `input`.
      target: a layer that reads a window of it.

    Returns:
      Height and width of the picture, and row and column. The native size where other sizes cannot be had, and its
      middle where no cell there is far enough from the border.
    """
    native = network.convention.size
    found = windows(network, source, target, native, linear=True)
    before = windows(network, INPUT, source, native, linear=True) if source != INPUT else None
    size = []
    for axis, read in enumerate(found):
        step = before[axis].stride if before else 1
        cell = max(math.ceil(-read.start / read.stride), 0)
        cells = read.start + read.stride * cell + read.size
        size.append((max(native[axis] + (cells - read.source_cells) * step, 1), max(step * read.stride // 2, 1)))
    tried = [tuple(first + i * step for first, step in size) for i in range(MOST_TRIES)]
    for pixels in [*tried, native]:
        try:
            found = windows(network, source, target, pixels, linear=True)
        except Exception:
            continue  # models of a fixed size have no other
        cells = [_free_cell(read) for read in found]
        if None not in cells:
            return pixels, tuple(cells)
    found = windows(network, source, target, native, linear=True)
    return native, tuple(read.target_cells // 2 for read in found)


def _free_cell(read: Window) -> int | None:
    cell = max(math.ceil(-read.start / read.stride), 0)
    inside = cell < read.target_cells and read.start + read.stride * cell + read.size <= read.source_cells
    return cell if inside else None


@functools.lru_cache(maxsize=512)
def _windows_of(program: Program, source: int, target: int, positions: tuple[int, int], linear: bool) -> Any:
    """None where nothing is read, "all" where everything is; else the target's reaches."""
    exchange = rules.linear(program) if linear else {}
    reaches: dict[int, _Reaches] = {source: {axis: _Reach(i, 0, 1, 1) for i, axis in enumerate(positions)}}
    for operation in program.flat:
        for value in operation.outputs:
            if value == source:
                continue
            if value in exchange and operation.name not in ("reduce_window_max", "reduce_max"):
                read = [v for v in exchange[value].reads if v in reaches]
                if read:
                    reaches[value] = reaches[read[0]]
            elif any(v in reaches for v in operation.reads):
                reaches[value] = _through(program, operation, value, reaches)
    return reaches.get(target, "nothing")


def _windows(located: Located, source: str, target: str, linear: bool) -> list[Window] | None:
    program, axes = located.program, located.axes
    start, end = located.value(source), located.value(target)
    shapes = [program.avals[value].shape for value in (start, end)]
    positions = axes[start].positions(len(shapes[0]))
    reach = _windows_of(program, start, end, positions, linear)
    if reach == "nothing":
        raise InputError(f"{target} is not computed from {source}; expected a layer before it")
    if reach is None or len(positions) != 2 or axes[start].cells > 1:
        return None
    found = {r.axis: (axis, r) for axis, r in reach.items()}
    of_target = axes[end].positions(len(shapes[1]))
    if set(found) != {0, 1} or tuple(found[i][0] for i in (0, 1)) != of_target:
        return None
    return [
        Window(r.end - r.first, r.stride, r.first, shapes[0][positions[i]], shapes[1][axis])
        for i, (axis, r) in sorted(found.items())
    ]


def _through(program: Program, operation: Operation, output: int, reaches: Mapping[int, _Reaches]) -> _Reaches:
    """The reaches of what an operation makes, from those of what it reads."""
    read = [v for v in dict.fromkeys(operation.reads) if v in reaches]
    if any(reaches[v] is None for v in read):
        return None
    source, params, name = read[0], operation.params, operation.name
    reach, shape = reaches[source], program.avals[output].shape
    before = program.avals[source].shape
    if name in _SAME:
        return _joined([reaches[v] for v in read]) if all(program.avals[v].shape == shape for v in read) else None
    if len(read) > 1 and name != "concatenate":
        return None
    match name:
        case "conv_general_dilated":
            if source != operation.inputs[0] or any(n != 1 for n in params["lhs_dilation"]):
                return None
            return _convolved(program, operation, reach)
        case "reduce_window_max" | "reduce_window_sum" | "reduce_window":
            return {
                axis: _moved(r, params["window_dimensions"][axis], params["window_strides"][axis],
                             params["padding"][axis][0], params["window_dilation"][axis])
                for axis, r in reach.items()
            } if all(n == 1 for n in params["base_dilation"]) else None  # fmt: skip
        case "pad":
            edges = params["padding_config"]
            if any(edges[axis][2] for axis in reach):
                return None
            return {axis: _shifted(r, -edges[axis][0]) for axis, r in reach.items()}
        case "slice":
            strides = params["strides"] or (1,) * len(shape)
            return {
                axis: _shifted(r, params["start_indices"][axis])._replace(stride=r.stride * strides[axis])
                for axis, r in reach.items()
            }
        case "concatenate":
            joins = params["dimension"] in reach or len({tuple(sorted(reaches[v])) for v in read}) > 1
            return None if joins else _joined([reaches[v] for v in read])
        case "transpose":
            return {params["permutation"].index(axis): r for axis, r in reach.items()}
        case "broadcast_in_dim":
            places = params["broadcast_dimensions"]
            kept = {places[axis]: r for axis, r in reach.items()}
            return kept if all(shape[places[axis]] == before[axis] for axis in reach) else None
        case "squeeze" | "reduce_sum" | "reduce_max" | "reduce_min":
            gone = params["dimensions"] if name == "squeeze" else params["axes"]
            if any(axis in gone for axis in reach):
                return None
            return {axis - sum(g < axis for g in gone): r for axis, r in reach.items()}
        case "reshape":
            return _reshaped(reach, before, shape)
        case "dot_general":
            return _multiplied(program, operation, source, reach)
    return None


def _joined(several: list[Mapping[int, _Reach]]) -> _Reaches:
    """Of values that are read cell by cell together."""
    first, *others = several
    for other in others:
        if set(other) != set(first) or any(
            other[a].stride != first[a].stride or other[a].axis != first[a].axis for a in first
        ):
            return None
        first = {
            axis: r._replace(first=min(r.first, other[axis].first), end=max(r.end, other[axis].end))
            for axis, r in first.items()
        }
    return first


def _moved(reach: _Reach, size: int, stride: int, before: int, dilation: int = 1) -> _Reach:
    """Through a window: of `size` cells, `dilation` apart, every `stride`, padded with `before` cells."""
    behind = (size - 1) * dilation - before
    return reach._replace(
        first=reach.first - before * reach.stride, end=reach.end + behind * reach.stride, stride=reach.stride * stride
    )


def _shifted(reach: _Reach, cells: int) -> _Reach:
    return reach._replace(first=reach.first + cells * reach.stride, end=reach.end + cells * reach.stride)


def _convolved(program: Program, operation: Operation, reach: Mapping[int, _Reach]) -> _Reaches:
    params, numbers = operation.params, operation.params["dimension_numbers"]
    kernel = program.avals[operation.inputs[1]].shape
    spatial = list(zip(numbers.lhs_spec[2:], numbers.out_spec[2:], numbers.rhs_spec[2:]))
    if not set(reach) <= {axis for axis, *_ in spatial}:
        return None
    found = {}
    for i, (axis, out, of_kernel) in enumerate(spatial):
        if axis in reach:
            settings = (params["window_strides"][i], params["padding"][i][0], params["rhs_dilation"][i])
            found[out] = _moved(reach[axis], kernel[of_kernel], *settings)
    return found


def _reshaped(reach: Mapping[int, _Reach], before: tuple[int, ...], after: tuple[int, ...]) -> _Reaches:
    found = {}
    for axis, r in reach.items():
        ahead = math.prod(before[:axis])
        where = [
            a for a, n in enumerate(after)
            if n == before[axis] and math.prod(after[:a]) == ahead and a not in found
        ]  # fmt: skip
        if not where:
            return None
        found[where[0]] = r
    return found


def _multiplied(program: Program, operation: Operation, source: int, reach: Mapping[int, _Reach]) -> _Reaches:
    contracted, batch = operation.params["dimension_numbers"]
    side = 0 if operation.inputs[0] == source else 1
    if any(axis in contracted[side] for axis in reach):
        return None
    rank = len(program.avals[source].shape)
    free = [axis for axis in range(rank) if axis not in contracted[side] and axis not in batch[side]]
    other = operation.inputs[1 - side]
    other_rank = len((program.avals[other] if isinstance(other, int) else other.aval).shape)
    ahead = len(batch[0]) + (0 if side == 0 else other_rank - len(contracted[0]) - len(batch[0]))
    place = {axis: i for i, axis in enumerate(batch[side])} | {axis: ahead + i for i, axis in enumerate(free)}
    return {place[axis]: r for axis, r in reach.items()}
