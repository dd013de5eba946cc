"""What cells of a value read of another, along one axis: which cells, for every cell, and how that repeats.

A convolution reads the same for every cell, `stride` cells further each time. A transposed convolution, an
interpolation, a repetition read otherwise for neighboring cells, and alike again after a period: ::

    resize by 2, nearest     cell 0 1 2 3 4 5   reads 0 0 1 1 2 2   period 2, shift 1
    stride 2 over that       cell 0 1 2         reads 0 1 2         period 1, shift 1
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

NOTHING = np.iinfo(np.int64).max // 4
"""The first cell of what reads nothing, as a transposed convolution between its taps; its end is minus that."""

LONGEST = 4096
"""Cells of the longest period that is followed."""


class Reach(NamedTuple):
    """What cells read of a source along one axis.

    Attributes:
      axis: of the source's positions, 0 or 1.
      first, end: for each cell of a period the first cell of the source that it reads, and the one past its last.
      shift: by how many cells of the source the next period reads further on.
    """

    axis: int
    first: tuple[int, ...]
    end: tuple[int, ...]
    shift: int

    @property
    def period(self) -> int:
        """After how many cells it repeats."""
        return len(self.first)

    def span(self, cell: int) -> tuple[int, int]:
        """The first cell that a cell reads and the one past the last; beyond the borders too, where padding lies."""
        periods, i = divmod(cell, self.period)
        if self.first[i] == NOTHING:
            return NOTHING, -NOTHING
        return self.first[i] + periods * self.shift, self.end[i] + periods * self.shift


class Reads(NamedTuple):
    """What an operation's cells read of its input along one axis: for each cell of a period which, and the shift."""

    cells: tuple[tuple[int, ...], ...]
    shift: int


def itself(axis: int) -> Reach:
    """Of the source: every cell reads itself."""
    return Reach(axis, (0,), (1,), 1)


def through(reach: Reach, reads: Reads) -> Reach | None:
    """The reach of an operation's output, from that of its input; None where its period is too long to follow."""
    own = len(reads.cells)
    times = reach.period // math.gcd(reach.period, reads.shift)
    if own * times > LONGEST:
        return None
    first, end = [], []
    for i in range(own * times):
        further = i // own * reads.shift
        spans = [reach.span(cell + further) for cell in reads.cells[i % own]]
        first.append(min((span[0] for span in spans), default=NOTHING))
        end.append(max((span[1] for span in spans), default=-NOTHING))
    shift = reads.shift * times * reach.shift // reach.period
    return _shortest(Reach(reach.axis, tuple(first), tuple(end), shift))


def both(one: Reach, other: Reach) -> Reach | None:
    """Of what reads two values cell by cell; None where they do not keep step."""
    period = math.lcm(one.period, other.period)
    if one.axis != other.axis or one.shift * other.period != other.shift * one.period or period > LONGEST:
        return None
    spans = [(one.span(i), other.span(i)) for i in range(period)]
    first = tuple(min(a[0], b[0]) for a, b in spans)
    end = tuple(max(a[1], b[1]) for a, b in spans)
    return _shortest(Reach(one.axis, first, end, one.shift * period // one.period))


def window(size: int, stride: int, before: int, dilation: int = 1, base_dilation: int = 1) -> Reads:
    """A window of `size` cells, `dilation` apart, every `stride`, over cells with gaps, behind `before` of padding.

    Args:
      size, stride, dilation: of the window.
      before: cells of padding before the first; negative where cells are left out.
      base_dilation: cells of the input, with gaps, from one to the next; 1 for no gaps.
    """
    period = base_dilation // math.gcd(base_dilation, stride)
    cells = []
    for i in range(period):
        places = [stride * i - before + k * dilation for k in range(size)]
        cells.append(tuple(place // base_dilation for place in places if place % base_dilation == 0))
    return Reads(tuple(cells), stride * period // base_dilation)


def repeated(times: int) -> Reads:
    """Every cell `times` times, one after another."""
    return Reads(((0,),) * times, 1)


def grouped(size: int) -> Reads:
    """`size` cells become one."""
    return Reads((tuple(range(size)),), size)


def listed(spans: Sequence[tuple[int, int]], length: int) -> Reads:
    """What is known cell by cell, such as of the rows of a matrix.

    Args:
      spans: of each cell the first that it reads, and the one past the last.
      length: cells of the input.
    """
    count = len(spans)
    common = math.gcd(count, length)
    period, shift = count // common, length // common
    # From the middle, where nothing is cut off at a border; it stands if it says all others.
    start = count // 2 // period
    inner = [spans[start * period + i] for i in range(period)] if (start + 1) * period <= count else spans
    inner = [(first - start * shift, end - start * shift) for first, end in inner]
    for i, span in enumerate(spans):
        further = i // period * shift
        first, end = (place + further for place in inner[i % period])
        if (max(first, 0), min(end, length)) != tuple(span):
            period, shift, inner = count, length, spans
            break
    return Reads(tuple(tuple(range(*span)) for span in inner), shift)


def _shortest(reach: Reach) -> Reach:
    """The same with its shortest period."""
    for period in range(1, reach.period // 2 + 1):
        if reach.period % period or reach.shift * period % reach.period:
            continue
        shorter = Reach(reach.axis, reach.first[:period], reach.end[:period], reach.shift * period // reach.period)
        if all(shorter.span(i) == reach.span(i) for i in range(reach.period)):
            return shorter
    return reach
