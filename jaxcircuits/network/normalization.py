"""Normalizations that depend on the picture, found in a program: what they divide by and what they subtract.

Layer, group, instance, root-mean-square and local response normalization are all the same: a mean of squares goes
through a root or a power, and the activation is multiplied or divided by that. Batch normalization in evaluation is an
affine map instead, since its statistics are parameters.
"""

from __future__ import annotations

import dataclasses
import functools

from jaxcircuits.network.trace import Operation, Program

_SUMS = ("reduce_sum", "reduce_window_sum", "reduce_window", "cumsum", "dot_general", "conv_general_dilated")
_SQUARES = ("square", "integer_pow", "mul", "abs")
_ROOTS = ("rsqrt", "sqrt", "pow", "log", "exp", "integer_pow", "div")
_SHAPES = (
    "broadcast_in_dim",
    "reshape",
    "squeeze",
    "convert_element_type",
    "copy",
    "transpose",
    "slice",
    "pad",
    "expand_dims",
)
_SMOOTH = (*_ROOTS, *_SHAPES, "add", "sub", "mul", "max", "neg", "square", "stop_gradient", "select_n", "min", "clamp")


@dataclasses.dataclass(frozen=True)
class Normalizations:
    """What a program's normalizations are made of.

    Attributes:
      outputs: values of activations times their gain.
      gains: values that depend on the picture's statistics alone and that activations are multiplied or divided by.
      means: values that are subtracted before.
      inside: values that serve nothing else.
    """

    outputs: tuple[int, ...]
    gains: frozenset[int]
    means: frozenset[int]
    inside: frozenset[int]


@functools.lru_cache(maxsize=256)
def normalizations(program: Program) -> Normalizations:
    """The normalizations of a program."""
    power: set[int] = set()  # follows from sums of squares and from numbers alone
    rooted: set[int] = set()  # of those, what has gone through a root or a power
    mean: set[int] = set()  # follows from sums alone
    for operation in program.flat:
        pictured = [value for value in operation.reads if value in program.of_image]
        if not pictured:
            continue
        output, name = operation.outputs[0], operation.name
        if name in _SUMS and _of_one(operation, program) and not _with_weights(operation, program):
            (power if _squared(operation, program) else mean).add(output)
            continue
        smooth = name in _SHAPES or (name in _SMOOTH and not _with_weights(operation, program))
        if smooth and all(value in power or value in mean for value in pictured):
            (power if any(value in power for value in pictured) else mean).add(output)
            if any(value in rooted for value in pictured) or (name in _ROOTS and not power.isdisjoint(pictured)):
                rooted.add(output)
    outputs, gains, means, centered = [], set(), set(), set()
    for operation in program.flat:
        if operation.name not in ("mul", "div") or len(operation.inputs) != 2:
            continue
        first, second = operation.inputs
        for values, gain in ((first, second), (second, first)):
            root = _unscaled(program, gain)
            if operation.name == "div" and gain is first:
                continue
            if not (isinstance(root, int) and isinstance(values, int)):
                continue
            if root in rooted and values in program.of_image and values not in power | mean:
                outputs.append(operation.outputs[0])
                gains.add(root)
                subtracted, between = _subtracted(program, values, mean)
                means |= subtracted
                centered |= between
    inside = (power | mean) & _serving(program, gains | means)
    squares = {
        value
        for operation in program.flat
        if operation.name in _SQUARES
        for value in operation.outputs
        if value in program.of_image
        and program.readers.get(value)
        and value not in outputs
        and all(reader.outputs[0] in inside for reader in program.readers[value])
    }
    # What has its mean taken off is inside where nothing but the normalization reads it: on the way to the gain, or to
    # the squares, which other programs take of `x - mean` computed once more.
    centered |= {
        operation.outputs[0]
        for operation in program.flat
        if operation.name == "sub" and len(operation.reads) == 2
        if operation.inputs[1] in mean and operation.inputs[0] in program.of_image - power - mean
    }
    known = inside | squares | centered | set(outputs)
    for value in sorted(centered, reverse=True):
        if value in program.outputs or not all(known.issuperset(r.outputs) for r in program.readers.get(value, ())):
            known.discard(value)
            centered.discard(value)
    return Normalizations(tuple(outputs), frozenset(gains), frozenset(means), frozenset(inside | squares | centered))


def _of_one(operation: Operation, program: Program) -> bool:
    return sum(value in program.of_image for value in operation.reads) == 1


def _with_weights(operation: Operation, program: Program) -> bool:
    """Whether parameters take part that are more than a number."""
    return any(
        value not in program.of_image and value in program.of_parameters and program.avals[value].size > 1
        for value in operation.reads
    )


def _squared(operation: Operation, program: Program) -> bool:
    """Whether a sum is one of squares or magnitudes."""
    (source,) = (value for value in operation.reads if value in program.of_image)
    made = _before_shapes(program, source)
    if made is None:
        return False
    if made.name == "mul":
        return made.inputs[0] == made.inputs[1]
    if made.name == "integer_pow":
        return made.params["y"] == 2
    return made.name in ("square", "abs")


def _unscaled(program: Program, value: object) -> object:
    """The gain behind a learned scale that is multiplied into it, and behind changes of shape that follow it."""
    while isinstance(value, int) and value in program.of_image:
        made = program.made_by.get(value)
        if made is None or made.name not in ("mul", *_SHAPES):
            return value
        pictured = [v for v in made.reads if v in program.of_image]
        if len(pictured) != 1 or (made.name == "mul" and not _with_weights(made, program)):
            return value
        value = pictured[0]
    return value


def _subtracted(program: Program, value: int, means: set[int]) -> tuple[set[int], set[int]]:
    """The mean that was taken from an activation on its way to the gain, if any, and the values from there on."""
    between = set()
    while value in program.made_by:
        made = program.made_by[value]
        pictured = [v for v in made.reads if v in program.of_image]
        between.add(value)
        if made.name == "sub" and len(pictured) == 2 and made.inputs[1] in means:
            return {made.inputs[1]}, between
        if len(pictured) != 1 or made.name not in (*_SHAPES, "mul", "div"):
            break
        value = pictured[0]
    return set(), set()


def _serving(program: Program, ends: set[int]) -> set[int]:
    """The values that some of `ends` are computed from, themselves included."""
    found = set(ends)
    for operation in reversed(program.flat):
        if not found.isdisjoint(operation.outputs):
            found.update(operation.reads)
    return found


@dataclasses.dataclass(frozen=True)
class Softmaxes:
    """The softmaxes of a program: exponentials divided by their sum.

    Attributes:
      outputs: their values.
      inside: values on the way to them from what they are taken of.
    """

    outputs: frozenset[int]
    inside: frozenset[int]


@functools.lru_cache(maxsize=256)
def softmaxes(program: Program) -> Softmaxes:
    """The softmaxes of a program."""
    outputs, inside = set(), set()
    for operation in program.flat:
        if operation.name != "div" or not all(isinstance(atom, int) for atom in operation.inputs):
            continue
        numerator, denominator = operation.inputs
        made = _before_shapes(program, denominator)
        if made is None or made.name != "reduce_sum" or made.inputs[0] != numerator:
            continue
        (source,) = program.made_by[numerator].reads
        before = program.made_by.get(source)
        if before and before.name == "sub" and isinstance(before.inputs[0], int):
            source = _unshaped(program, before.inputs[0])  # the largest is taken off first
        outputs.add(operation.outputs[0])
        inside |= program.following([source]) & _serving(program, {numerator, denominator}) - {source}
    return Softmaxes(frozenset(outputs), frozenset(inside))


def _before_shapes(program: Program, value: int) -> Operation | None:
    return program.made_by.get(_unshaped(program, value))


def _unshaped(program: Program, value: int) -> int:
    """The value before changes of shape."""
    made = program.made_by.get(value)
    while made and made.name in _SHAPES and isinstance(made.inputs[0], int):
        value = made.inputs[0]
        made = program.made_by.get(value)
    return value
