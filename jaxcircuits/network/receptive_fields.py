"""What operations read of a value's positions: receptive fields, carried from an operation's inputs to its output."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.network import reach as reaching
from jaxcircuits.network.reach import Reach, Reads
from jaxcircuits.network.run import Run
from jaxcircuits.network.trace import Operation, Program

Reaches = Mapping[int, Reach] | None
"""Axis of a value -> its reach; None where a cell reads everything, or what it reads is no rectangle."""

SAME = (
    "add", "add_any", "sub", "mul", "div", "neg", "max", "min", "pow", "exp", "exp2", "log", "log1p", "expm1", "tanh",
    "logistic", "erf", "erfc", "sqrt", "rsqrt", "square", "abs", "sign", "sin", "cos", "floor", "ceil", "round",
    "clamp", "select_n", "integer_pow", "convert_element_type", "copy", "reduce_precision", "stop_gradient", "gt", "ge",
    "lt", "le", "eq", "ne", "and", "or", "not", "xor", "custom_jvp_call", "custom_vjp_call", "is_finite", "cbrt",
)  # fmt: skip
"""Operations whose cells read the cells of their inputs that lie in the same place."""


ROUNDING = 1e-6
"""Weights of an interpolation that are smaller, beside its largest, are the rounding of zeros."""


def through(program: Program, operation: Operation, output: int, reaches: Mapping[int, Reaches]) -> Reaches:
    """The reaches of what an operation makes, from those of what it reads.

    Args:
      program: whose operation.
      operation: which.
      output: the value that it makes.
      reaches: of values that follow from the source.
    """
    read = {v: reaches[v] for v in operation.reads if v in reaches}
    known = {v: reach for v, reach in read.items() if reach is not None}
    if len(known) < len(read):
        return None
    (source, reach), *others = known.items()
    params, name = operation.params, operation.name
    before, shape = program.avals[source].shape, program.avals[output].shape
    if name in SAME:
        return _joined(list(known.values())) if _alike(program, known, shape) else None
    if others and name != "concatenate":
        return None
    match name:
        case "conv_general_dilated":
            return _convolved(program, operation, reach) if source == operation.inputs[0] else None
        case "reduce_window_max" | "reduce_window_sum" | "reduce_window":
            keys = ("window_dimensions", "window_strides", "padding", "window_dilation", "base_dilation")
            settings = list(zip(*(params[key] for key in keys)))
            return _moved(
                (axis, r, reaching.window(size, stride, padding[0], *dilations))
                for axis, r in reach.items()
                for size, stride, padding, *dilations in [settings[axis]]
            )
        case "pad":
            edges = params["padding_config"]
            return _moved(
                (axis, r, reaching.window(1, 1, edges[axis][0], 1, edges[axis][2] + 1)) for axis, r in reach.items()
            )
        case "slice":
            starts, strides = params["start_indices"], params["strides"] or (1,) * len(shape)
            return _moved((axis, r, Reads(((starts[axis],),), strides[axis])) for axis, r in reach.items())
        case "concatenate":
            joins = params["dimension"] in reach or len({tuple(sorted(of)) for of in known.values()}) > 1
            return None if joins else _joined(list(known.values()))
        case "transpose" | "broadcast_in_dim" | "squeeze" | "reduce_sum" | "reduce_max" | "reduce_min":
            places = [(placed(program, operation, source, axis), axis) for axis in reach]
            kept = {place: reach[a] for place, a in places if place is not None and shape[place] == before[a]}
            return kept if len(kept) == len(reach) else None
        case "reshape":
            return _reshaped(reach, before, shape)
        case "dot_general":
            return _multiplied(program, operation, source, reach)
        case "gather":
            return _gathered(program, operation, source, reach)
    return None


def _alike(program: Program, known: Mapping[int, Mapping[int, Reach]], shape: tuple[int, ...]) -> bool:
    """Whether values have as many positions as the output; their channels may be one for all."""
    shapes = [(program.avals[value].shape, reach) for value, reach in known.items()]
    return all(len(own) == len(shape) and all(own[axis] == shape[axis] for axis in of) for own, of in shapes)


def placed(program: Program, operation: Operation, source: int, axis: int) -> int | None:
    """The axis of an operation's output that an axis of its input becomes, cell by cell; None where there is none.

    Args:
      program: whose operation.
      operation: one that moves axes or sums over others: a transposition, a reshape, a sum, a product with weights.
      source: the input.
      axis: of the input.
    """
    params = operation.params
    match operation.name:
        case "transpose":
            return params["permutation"].index(axis)
        case "broadcast_in_dim":
            return params["broadcast_dimensions"][axis]
        case "squeeze" | "reduce_sum" | "reduce_max" | "reduce_min":
            gone = params["dimensions"] if operation.name == "squeeze" else params["axes"]
            return None if axis in gone else axis - sum(g < axis for g in gone)
        case "reshape":
            before, after = (program.avals[value].shape for value in (source, operation.outputs[0]))
            ahead = math.prod(before[:axis])
            places = (p for p, n in enumerate(after) if n == before[axis] and math.prod(after[:p]) == ahead)
            return next(places, None)
        case "dot_general":
            contracted, batch = params["dimension_numbers"]
            side = 0 if operation.inputs[0] == source else 1
            if axis in batch[side]:
                return batch[side].index(axis)
            rank = len(program.avals[source].shape)
            free = [a for a in range(rank) if a not in (*contracted[side], *batch[side])]
            own = len(program.avals[operation.outputs[0]].shape) - len(batch[0]) - len(free)
            return len(batch[0]) + (own if side else 0) + free.index(axis) if axis in free else None
    return None


def _moved(steps: Iterable[tuple[int, Reach, Reads]]) -> Reaches:
    """Of (axis of the output, reach, what the output reads of that); None where one of them cannot be followed."""
    found = {}
    for axis, reach, reads in steps:
        further = reaching.through(reach, reads)
        if further is None:
            return None
        found[axis] = further
    return found


def _joined(several: Sequence[Mapping[int, Reach]]) -> Reaches:
    """Of values that are read cell by cell together."""
    found = dict(several[0])
    for other in several[1:]:
        if set(other) != set(found):
            return None
        for axis, reach in found.items():
            joined = reaching.both(reach, other[axis])
            if joined is None:
                return None
            found[axis] = joined
    return found


def _convolved(program: Program, operation: Operation, reach: Mapping[int, Reach]) -> Reaches:
    params, numbers = operation.params, operation.params["dimension_numbers"]
    kernel = program.avals[operation.inputs[1]].shape
    spatial = list(zip(numbers.lhs_spec[2:], numbers.out_spec[2:], numbers.rhs_spec[2:]))
    if not set(reach) <= {axis for axis, *_ in spatial}:
        return None
    keys = ("window_strides", "rhs_dilation", "lhs_dilation")
    strides, dilations, gaps = (params[key] for key in keys)
    return _moved(
        (out, reach[axis], reaching.window(kernel[k], strides[i], params["padding"][i][0], dilations[i], gaps[i]))
        for i, (axis, out, k) in enumerate(spatial)
        if axis in reach
    )


def _reshaped(reach: Mapping[int, Reach], before: tuple[int, ...], after: tuple[int, ...]) -> Reaches:
    """Axes that stay; that take up the cells behind them, as of a repetition; or of which groups become one cell."""
    steps = []
    for axis, r in reach.items():
        ahead, behind = math.prod(before[:axis]), math.prod(before[axis + 1 :])
        for place, cells in enumerate(after):
            if math.prod(after[:place]) != ahead or (cells == 1) != (before[axis] == 1):
                continue
            left = math.prod(after[place + 1 :])
            if left == behind and cells == before[axis]:
                steps.append((place, r, Reads(((0,),), 1)))
            elif left < behind and cells % before[axis] == 0 and _no_reach(reach, before, axis, cells):
                steps.append((place, r, reaching.repeated(cells // before[axis])))
            elif left > behind and before[axis] % cells == 0:
                steps.append((place, r, reaching.grouped(before[axis] // cells)))
            else:
                return None
            break
        else:
            return None
    return _moved(steps) if len({place for place, *_ in steps}) == len(reach) else None


def _no_reach(reach: Mapping[int, Reach], before: tuple[int, ...], axis: int, cells: int) -> bool:
    """Whether the axes that an axis takes up, until it has so many cells, are no positions."""
    merged = [a for a in range(axis + 1, len(before)) if math.prod(before[axis:a]) < cells]
    return not set(merged) & set(reach)


def _multiplied(program: Program, operation: Operation, source: int, reach: Mapping[int, Reach]) -> Reaches:
    contracted, batch = operation.params["dimension_numbers"]
    side = 0 if operation.inputs[0] == source else 1
    rank, steps = len(program.avals[source].shape), []
    for axis, r in reach.items():
        place = placed(program, operation, source, axis)
        if place is not None:
            steps.append((place, r, Reads(((0,),), 1)))
            continue
        # An interpolation is a product with a matrix of numbers, most of which are zero.
        matrix = _number(program, operation.inputs[1 - side])
        if matrix is None or matrix.ndim != 2 or len(contracted[side]) != 1 or batch[side]:
            return None
        matrix = np.abs(matrix if contracted[1 - side][0] == 0 else matrix.T)
        used = matrix > ROUNDING * matrix.max()
        if not used.any(0).all():
            return None
        spans = [(int(cells.argmax()), len(cells) - int(cells[::-1].argmax())) for cells in used.T]
        steps.append((rank - 1 if side == 0 else 0, r, reaching.listed(spans, len(used))))
    return _moved(steps)


def _gathered(program: Program, operation: Operation, source: int, reach: Mapping[int, Reach]) -> Reaches:
    """Cells taken by their number: where each of the output's cells comes from, along one axis at a time."""
    where, shape = _number(program, operation.inputs[1]), program.avals[source].shape
    if operation.inputs[0] != source or where is None:
        return None
    primitive, steps = operation.equation.primitive, []
    for axis, r in reach.items():
        cells = np.arange(shape[axis], dtype=np.float32).reshape([-1 if a == axis else 1 for a in range(len(shape))])
        with jax.ensure_compile_time_eval():
            moved = primitive.bind(
                jnp.broadcast_to(cells, shape), jnp.asarray(where), **primitive.get_bind_params(operation.params)
            )
        moved = np.asarray(moved)
        along = [a for a in range(moved.ndim) if moved.shape[a] > 1 and (moved != moved.take([0], a)).any()]
        if len(along) != 1 or not ((moved >= 0) & (moved < shape[axis])).all():
            return None
        taken = moved[tuple(slice(None) if a == along[0] else 0 for a in range(moved.ndim))].astype(int)
        steps.append((along[0], r, reaching.listed([(cell, cell + 1) for cell in taken.tolist()], shape[axis])))
    return _moved(steps) if len({place for place, *_ in steps}) == len(reach) else None


def _number(program: Program, atom: Any) -> np.ndarray | None:
    """What a value is that follows from numbers of the program alone; None where pictures or parameters take part."""
    if not isinstance(atom, int):
        return np.asarray(atom.val)
    if atom in program.of_image or atom in program.of_parameters:
        return None
    with jax.ensure_compile_time_eval():
        return np.asarray(Run(program, {}).get([atom])[0])
