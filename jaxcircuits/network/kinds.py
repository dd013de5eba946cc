"""What each value of a program is: the output of a convolution, an activation function, a pool, a sum, and so on.

Operations that belong together are one: a convolution and its bias, the steps of an affine map, a window's sum and its
division by the number of cells.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from jaxcircuits.network.axes import Axes
from jaxcircuits.network.normalization import normalizations, softmaxes
from jaxcircuits.network.pointwise import functions
from jaxcircuits.network.trace import Operation, Program

_AFFINE = ("add", "sub", "mul", "div", "neg", "add_any")
_RESHAPES = (
    "reshape", "transpose", "broadcast_in_dim", "squeeze", "slice", "dynamic_slice", "rev", "pad", "copy",
    "convert_element_type", "reduce_precision", "stop_gradient", "expand_dims", "split", "gather",
)  # fmt: skip
_WINDOWS = {"reduce_window_max": "max_pool", "reduce_window_sum": "avg_pool", "reduce_window": "pool"}
_WHOLE = {"reduce_max": "max", "reduce_sum": "sum", "reduce_min": "min"}


@dataclasses.dataclass(frozen=True)
class Kind:
    """What a value is; see `Layer`, whose fields these are."""

    kind: str
    op: str
    groups: int = 1
    window: tuple[int, ...] = (1, 1)
    strides: tuple[int, ...] = (1, 1)


def kinds(program: Program, axes: Mapping[int, Axes]) -> dict[int, Kind]:
    """Value -> its kind, for the values that depend on the picture, in order; steps inside a node are left out.

    Args:
      program: the model.
      axes: of its values.
    """
    marked = {value for value, *_ in program.marks}
    activations, norms, softmax = functions(program), normalizations(program), softmaxes(program)
    inside = norms.inside | softmax.inside
    for function in activations.values():
        inside |= {value for step in function.operations for value in step.outputs if value != function.output}
    leaves = leaf_scopes(program)
    found: dict[int, Kind] = {}
    for operation in program.flat:
        for value in operation.outputs:
            if value not in program.of_image or (value in inside and value not in marked and value not in activations):
                continue
            if value in softmax.outputs:
                found[value] = Kind("opaque", "softmax")
                continue
            if value in activations:
                found[value] = Kind("activation", activations[value].name)
                continue
            kind = Kind("normalization", "normalization") if value in norms.outputs else _kind(program, operation, axes)
            before = _absorbed(program, operation, kind, axes, leaves, found, marked)
            found[value] = kind if before is None else dataclasses.replace(found.pop(before[0]), op=before[1])
    return found


def _kind(program: Program, operation: Operation, axes: Mapping[int, Axes]) -> Kind:
    pictured = [atom for atom in operation.inputs if isinstance(atom, int) and atom in program.of_image]
    params = operation.params
    match operation.name:
        case "conv_general_dilated" if len(pictured) == 1 and operation.inputs[0] in pictured:
            kernel = program.avals[operation.inputs[1]].shape
            window = tuple(kernel[axis] for axis in params["dimension_numbers"].rhs_spec[2:])
            groups = params["feature_group_count"]
            return Kind("convolution", "conv", groups, window, tuple(params["window_strides"]))
        case "dot_general" if resizes(program, operation, axes):
            return Kind("reshape", "resize")
        case "dot_general" if len(pictured) == 1:
            return Kind("dense", "dense")
        case "dot_general" | "conv_general_dilated":
            return Kind("multiply", "dot")
        case name if name in _WINDOWS:
            of_positions = _positions(program, operation, axes)
            window, strides = (
                [params[key][a] for a in of_positions] for key in ("window_dimensions", "window_strides")
            )
            return Kind("pool", _WINDOWS[name], 1, tuple(window), tuple(strides))
        case name if name in _WHOLE:
            return Kind("pool", _WHOLE[name])
        case "concatenate":
            return Kind("concatenate", "concatenate")
        case name if name in _AFFINE:
            if len(pictured) == 1:
                return Kind("affine", "affine")
            kinds = {"sub": ("add", "subtract"), "mul": ("multiply", "multiply"), "div": ("multiply", "divide")}
            return Kind(*kinds.get(name, ("add", "add")))
        case name if name in _RESHAPES:
            return Kind("reshape", name)
    return Kind("opaque", operation.name)


def resizes(program: Program, operation: Operation, axes: Mapping[int, Axes]) -> bool:
    """Whether an operation is a product of positions with numbers that are no parameters: an interpolation."""
    pictured = [atom for atom in operation.inputs if isinstance(atom, int) and atom in program.of_image]
    if operation.name != "dot_general" or len(pictured) != 1 or pictured[0] not in axes:
        return False
    if any(atom in program.of_parameters for atom in operation.reads if atom not in pictured):
        return False
    side = 0 if operation.inputs[0] == pictured[0] else 1
    rank = len(program.avals[pictured[0]].shape)
    return set(operation.params["dimension_numbers"][0][side]) <= set(axes[pictured[0]].positions(rank))


def _positions(program: Program, operation: Operation, axes: Mapping[int, Axes]) -> tuple[int, ...]:
    value = operation.inputs[0]
    rank = len(program.avals[value].shape)
    return axes[value].positions(rank) if value in axes else tuple(range(1, rank - 1))


def _absorbed(
    program: Program,
    operation: Operation,
    kind: Kind,
    axes: Mapping[int, Axes],
    leaves: frozenset[str],
    found: Mapping[int, Kind],
    marked: set[int],
) -> tuple[int, str] | None:
    """The node before that a step belongs to, and what it is called then; None where it stands for itself."""
    if kind.kind not in ("affine", "reshape"):
        return None
    (source,) = dict.fromkeys(value for value in operation.reads if value in program.of_image)
    if source not in found or source in marked or len(program.readers[source]) > 1 or source in program.outputs:
        return None
    before = found[source]
    if kind.kind == "reshape":
        # As `jax.vmap` of a module that is a convolution of one picture adds an axis and drops it again.
        one_module = operation.scope in leaves and operation.scope == program.made_by[source].scope
        absorbs = one_module and before.kind in ("convolution", "dense", "pool")
        return (source, before.op) if absorbs and _same_cells(program, axes, source, operation.outputs[0]) else None
    if before.kind in ("convolution", "dense") and operation.name in ("add", "add_any"):
        return source, before.op
    if before.kind == "normalization":  # its scale and shift
        return source, before.op
    if before.op == "dot" and operation.name in ("mul", "div"):  # attention divides by the root of its width
        return source, before.op
    if before.kind == "pool" and operation.name in ("div", "mul"):
        return source, {"sum": "mean"}.get(before.op, before.op)
    return (source, before.op) if before.kind == "affine" else None


def leaf_scopes(program: Program) -> frozenset[str]:
    """The paths of the modules that have no modules in them, which are one node each to their user."""
    scopes = {operation.scope for operation in program.flat}
    inner = {scope[:i] for scope in scopes for i, character in enumerate(scope) if character == "/"}
    return frozenset(scopes - inner - {""})


def _same_cells(program: Program, axes: Mapping[int, Axes], first: int, second: int) -> bool:
    """Whether two values are one activation, but for axes of one cell and the order in which their axes stand."""
    if first not in axes or second not in axes:
        return False
    shapes = [axes[value].shape(program.avals[value].shape) for value in (first, second)]
    (*places, channels), (*other_places, other_channels) = shapes
    return channels == other_channels and [n for n in places if n != 1] == [n for n in other_places if n != 1]
