"""What a compiled program moves through its chip's memory, counted from its text.

The TPU compiler's own count of bytes charges a gather with its whole operand for every row that it takes, hundreds of
times too much for a random view.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s16": 2, "u16": 2, "f32": 4, "s32": 4, "u32": 4, "c64": 8}

_ARRAY = re.compile(r"(\w+)\[([\d,]*)\](?:\{([\d,]*)(?::([^}]*))?\})?")
_INSTRUCTION = re.compile(r"\s+(?:ROOT )?%([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\((.*)")
_COMPUTATION = re.compile(r"(?:ENTRY )?%?([\w.\-]+) \(.*\{$")

_FREE = ("get-tuple-element", "tuple", "bitcast", "parameter", "constant", "copy-done", "slice-done", "after-all")
"""Instructions that move nothing, or whose first half was counted."""

_BRANCH = "conditional"
"""Moves what its branches move."""

_ASIDE = ("copy-start", "slice-start", "custom-call", "opt-barrier", "while", "async-start", "async-done", "iota")
"""Of instructions for which the compiler gives no cycles: what runs beside others, or takes no time to speak of."""


def loop_body(program: str) -> list[str]:
    """The lines of the longest body of a loop: that of a drawing's steps.

    Those of the first of a branch's ways follow in its place: the steps that redirect nobody's gradients, which are all
    but the first few.
    """
    computations = _computations(program)

    def whole(name: str) -> Iterator[str]:
        for line in computations[name]:
            way = re.search(r" conditional\(.*(?:branch_computations=\{|false_computation=)%([\w.\-]+)", line)
            yield from whole(way[1]) if way else [line]

    return max(([*whole(name)] for name in re.findall(r"body=%([\w.\-]+)", program)), key=len)


def entry(program: str) -> list[str]:
    """The lines of what is run first, of a program without loops."""
    return _computations(program)["ENTRY"]


def _computations(program: str) -> dict[str, list[str]]:
    """The lines of each part of a program, by its name; of the first one by `ENTRY`, too."""
    computations: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in program.splitlines():
        if begun := _COMPUTATION.match(line):
            lines = computations[begun[1]] = []
            if line.startswith("ENTRY"):
                computations["ENTRY"] = lines
        else:
            lines.append(line)
    return computations


def moved(lines: list[str]) -> int:
    """Bytes that instructions read from and write to the chip's memory, each operand and each result once.

    Arrays that the compiler keeps on the chip (memory space `S(1)`) count nothing; those in memory count as they lie
    there, padded to whole tiles. What happens within a fusion stays on the chip.
    """
    shapes, total = {}, 0
    for line in lines:
        if not (parts := _INSTRUCTION.match(line)):
            continue
        name, shape, operation, rest = parts.groups()
        shapes[name] = shape
        if operation == "slice-start":
            # (source, slice, context): it reads as much of its source as the slice holds.
            total += size(_arrays(shape)[1].replace("S(1)", ""))
        elif operation == "copy-start":
            total += sum(size(array) for array in _arrays(shape)[:2])
        elif operation not in (*_FREE, _BRANCH):
            operands = re.findall(r"%([\w.\-]+)", rest.split("), ")[0])
            total += size(shape) + sum(size(shapes.get(operand, "")) for operand in operands)
    return total


def launched(lines: list[str]) -> list[str]:
    """What instructions do that are no mere names of others: of a GPU's program its kernels and calls of libraries."""
    found = (_INSTRUCTION.match(line) for line in lines)
    return [parts[3] for parts in found if parts and parts[3] not in (*_FREE, _BRANCH)]


def without_cycles(lines: list[str]) -> Counter[str]:
    """Bytes that instructions read and write for which the compiler gives no cycles, by what they do.

    Wherever the arrays lie, on the chip or in its memory.
    """
    shapes, found = {}, Counter()
    for line in lines:
        if not (parts := _INSTRUCTION.match(line)):
            continue
        name, shape, operation, rest = parts.groups()
        shapes[name] = shape
        if '"estimated_cycles"' in line or operation in (*_FREE, *_ASIDE, _BRANCH):
            continue
        operands = re.findall(r"%([\w.\-]+)", rest.split("), ")[0])
        everywhere = (one.replace("S(1)", "") for one in (shape, *(shapes.get(operand, "") for operand in operands)))
        if read := sum(map(size, everywhere)):
            found[operation] += read
    return found


def size(shape: str) -> int:
    """Bytes in the chip's memory of all arrays of a shape, such as `(f32[8,3]{1,0:T(8,128)}, bf16[4]{0:T(128)})`."""
    total = 0
    for kind, dimensions, order, tiling in _ARRAY.findall(shape):
        if kind in BYTES and "S(" not in tiling:
            sizes = [int(n) for n in dimensions.split(",") if n]
            sizes = [sizes[int(i)] for i in order.split(",") if i]  # fastest first
            if tile := re.search(r"T\(([\d,]+)\)", tiling):
                for i, n in zip(range(len(sizes)), map(int, reversed(tile[1].split(",")))):
                    sizes[i] = -(-sizes[i] // n) * n
            total += math.prod(sizes) * BYTES[kind]
    return total


def _arrays(shape: str) -> list[str]:
    return [match[0] for match in _ARRAY.finditer(shape)]
