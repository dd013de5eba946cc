"""Where everything of a circuit's diagram goes: geometry alone, for the picture and the page.

Rows of units, the targets on top; curved lines from each unit up to what it acts on, their ends spread side by side;
on each unit's strongest line a small heatmap of its weights, where there is room for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from jaxcircuits.circuits import Circuit, Connection, Unit
from jaxcircuits.errors import InputError

PICTURE = 96
FIRST_PICTURE = 144
"""Side of the pictures of a lone target."""
GAP = 30
CAPTION, FIRST_CAPTION = 40, 24
"""Height of the two lines below a picture; targets have one, for they bear no share."""
BETWEEN = 210
"""From the captions of a row to the pictures of the next."""
LEFT, RIGHT, TOP, BOTTOM = 24, 110, 92, 24
LETTER = 8.5
"""Width of the letters of layers' names, left of the rows."""
HEATMAP = 46
LARGEST_CELL = 12
PORT = 9
"""Between the ends of lines that meet at a picture."""
LARGEST = 12e6
"""Square pixels of a layout."""
WEAKEST = 0.15
"""Lines below this part of their level's strongest are left out."""


@dataclasses.dataclass(frozen=True)
class Box:
    """A square, by its center and side."""

    x: float
    y: float
    side: float

    @property
    def left(self) -> float:
        return self.x - self.side / 2

    @property
    def top(self) -> float:
        return self.y - self.side / 2

    @property
    def bottom(self) -> float:
        return self.y + self.side / 2

    def touches(self, other: Box, margin: float) -> bool:
        """Whether less than a margin lies between two squares."""
        return max(abs(self.x - other.x), abs(self.y - other.y)) < (self.side + other.side) / 2 + margin


@dataclasses.dataclass(frozen=True)
class Line:
    """A connection, drawn.

    Attributes:
      connection: which.
      strength: its norm by that of its level's strongest, 0 to 1.
      points: four control points of a cubic Bezier curve, from the source up to the target.
      heatmap: where its weights are shown, if they are; `cell` pixels a weight.
      cell: 0 without.
    """

    connection: Connection
    strength: float
    points: np.ndarray
    heatmap: Box | None = None
    cell: int = 0

    @property
    def excitatory(self) -> bool:
        """Whether it excites more than it inhibits."""
        return self.connection.excitation >= self.connection.inhibition

    @property
    def width(self) -> float:
        """Of the line, in pixels."""
        return 0.75 + 5.25 * self.strength**1.5

    @property
    def opacity(self) -> float:
        return 0.12 + 0.78 * self.strength**1.5


@dataclasses.dataclass(frozen=True)
class Layout:
    """A diagram's geometry, in pixels.

    Attributes:
      width, height: of the whole.
      units: unit -> its picture's square.
      lines: weakest first, as they are painted.
      scales: of the colors of each level, its largest weight: one for each row but the first.
      bands: top and bottom of the room between a row and the one before: one for each row but the first.
    """

    width: float
    height: float
    units: dict[Unit, Box]
    lines: tuple[Line, ...]
    scales: tuple[float, ...]
    bands: tuple[tuple[float, float], ...]


def lay_out(circuit: Circuit) -> Layout:
    """Places the units, lines and heatmaps of a circuit.

    Raises:
      InputError: for a circuit of more units than a diagram can show.
    """
    sides = [FIRST_PICTURE if i == 0 and len(row) == 1 else PICTURE for i, row in enumerate(circuit.rows)]
    widths = [len(row) * side + (len(row) - 1) * GAP for row, side in zip(circuit.rows, sides)]
    names, room = 2 * LEFT + LETTER * max(map(len, circuit.layers)), max(*widths, 420)
    width, middle, top = names + room + RIGHT, names + room / 2, TOP
    units, bands = {}, []
    order: dict[Unit, float] = {}
    for i, (row, side) in enumerate(zip(circuit.rows, sides)):
        row = _sorted_row(circuit, i, order)
        left = middle - widths[i] / 2
        for j, unit in enumerate(row):
            units[unit] = Box(left + j * (side + GAP) + side / 2, top + side / 2, side)
            order[unit] = units[unit].x
        below = top + side + (CAPTION if i else FIRST_CAPTION)
        bands.append((below, below + BETWEEN))
        top = bands[-1][1]
    height = bands.pop()[0] + BOTTOM
    if width * height > LARGEST:
        largest = max(len(row) for row in circuit.rows)
        raise InputError(f"{len(circuit.rows)} rows of up to {largest} units are too many for a diagram; keep fewer")
    levels = [circuit.level(i) for i in range(1, len(circuit.rows))]
    lines = [line for level, band in zip(levels, bands) for line in _lines(level, units, *band)]
    scales = tuple(max((float(np.abs(c.weights).max()) for c in level), default=1.0) for level in levels)
    return Layout(width, height, units, tuple(_with_heatmaps(lines)), scales, tuple(bands))


def _sorted_row(circuit: Circuit, i: int, x: dict[Unit, float]) -> Iterable[Unit]:
    """A row's units, from the second level on nearest below what they act on most, so that fewer lines cross."""
    if i < 2:
        return circuit.rows[i]
    pulls = {unit: np.zeros(2) for unit in circuit.rows[i]}
    for c in circuit.level(i):
        pulls[c.source] += c.norm**2 * np.array([x[c.target], 1])
    return sorted(circuit.rows[i], key=lambda unit: pulls[unit][0] / max(pulls[unit][1], 1e-30))


def _lines(level: tuple[Connection, ...], units: dict[Unit, Box], top: float, bottom: float) -> list[Line]:
    """The lines of a level that are strong enough, weakest first, between its band's top and bottom."""
    strongest = max((c.norm for c in level), default=0)
    drawn = sorted((c for c in level if c.norm >= WEAKEST * strongest), key=lambda c: c.norm)
    starts, ends = _ports(drawn, units, "source", "target"), _ports(drawn, units, "target", "source")
    lines = []
    for c in drawn:
        start, end, bend = np.array([starts[c], bottom]), np.array([ends[c], top]), np.array([0, 0.45 * (bottom - top)])
        lines.append(Line(c, c.norm / strongest, np.stack([start, start - bend, end + bend, end])))
    return lines


def _ports(lines: list[Connection], units: dict[Unit, Box], near: str, far: str) -> dict[Connection, float]:
    """Where along a unit's side each of its lines begins or ends: side by side, in the order of their other ends."""
    places = {}
    for unit in {getattr(c, near) for c in lines}:
        meeting = sorted((c for c in lines if getattr(c, near) == unit), key=lambda c: units[getattr(c, far)].x)
        step = min(PORT, 0.8 * units[unit].side / len(meeting))
        for i, c in enumerate(meeting):
            places[c] = units[unit].x + (i - (len(meeting) - 1) / 2) * step
    return places


def _with_heatmaps(lines: list[Line]) -> list[Line]:
    """Gives each unit's strongest line a heatmap, where one fits that touches no other; weakest lines first."""
    strongest = {line.connection.source: line for line in lines}  # of a unit's lines the last one
    placed: list[Box] = []
    shown = {line.connection: _with_heatmap(line, placed) for line in reversed(strongest.values())}
    return sorted((shown.get(line.connection, line) for line in lines), key=lambda line: line.strength)


def _with_heatmap(line: Line, placed: list[Box]) -> Line:
    cells = max(line.connection.weights.shape)
    cell = min(max(HEATMAP // cells, 1), LARGEST_CELL)
    for along in (0.26, 0.2, 0.34, 0.42, 0.5, 0.58, 0.66, 0.74):
        x, y = bezier(line.points, np.array([along]))[0].round()
        box = Box(x, y, cells * cell)
        if not any(box.touches(other, 6) for other in placed):
            placed.append(box)
            return dataclasses.replace(line, heatmap=box, cell=cell)
    return line


def bezier(points: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Points (n, 2) of a cubic Bezier curve at parameters (n,) from 0 to 1."""
    t = along[:, None]
    weights = np.concatenate([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3], 1)
    return weights @ points
