"""A grid of weights: sources down, targets across, a heatmap for each pair.

After the figures of Olah et al., Zoom In (Distill 2020), and Cammarata et al., Curve Circuits (Distill 2021).
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from jaxcircuits.circuits import Circuit
from jaxcircuits.errors import InputError
from jaxcircuits.pages.colors import heatmap
from jaxcircuits.pages.painting import FAINT, GRAY, INK, PAPER, Pictures, bar_labels, color_bar, font, unit_image

PICTURE = 112
GAP = 8
STEP = PICTURE + GAP
LARGEST_CELL = 24
MARGIN = 28
HEAD = 44
"""Height of the title."""
LABELS = 52
"""Width of the numbers beside the pictures of sources; above those of targets they are half as high."""
BAR = 70
"""Height of the color bar with its numbers."""
LARGEST = 150e6
"""Pixels of a grid."""


def weight_grid(circuit: Circuit, pictures: Pictures, row: int = 1, scale: float | None = None) -> Image.Image:
    """Draws all weights from one row of a circuit to the row above: sources down, targets across.

    Any lists of units are a circuit by `circuit_between(network, [targets, sources])`, such as curve detectors of all
    orientations over those of the layer before.

    Args:
      circuit: whose weights.
      pictures: of its units, from `draw_units`.
      row: of the sources, from 1 on.
      scale: weight of the last colors; by default the largest weight shown, either way.

    Returns:
      An RGB image; a pair without weights is left empty. Red excites, blue inhibits; the bar below has the numbers.

    Raises:
      InputError: for a row that the circuit does not have, or a scale that is not positive.
    """
    if not 1 <= row < len(circuit.rows):
        raise InputError(f"no row {row} of sources: {circuit.title} has {len(circuit.rows)} rows, targets included")
    sources, targets, level = circuit.rows[row], circuit.rows[row - 1], circuit.level(row)
    scale = scale if scale is not None else max((float(np.abs(c.weights).max()) for c in level), default=1.0)
    left, top = MARGIN + LABELS, MARGIN + HEAD + LABELS // 2
    title = f"{sources[0].layer} to {targets[0].layer}"
    width = max(LABELS + (len(targets) + 1) * STEP, round(font(24).getlength(title)))
    height = HEAD + LABELS // 2 + (len(sources) + 1) * STEP + BAR
    if width * height > LARGEST:
        raise InputError(f"{len(sources)} x {len(targets)} units are too many for a grid; keep fewer")
    canvas = Image.new("RGB", (width + 2 * MARGIN, height + 2 * MARGIN), PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((MARGIN, MARGIN), title, INK, font(24), anchor="lt")
    for i, source in enumerate(sources):
        y = top + (i + 1) * STEP
        canvas.paste(unit_image(pictures, source, PICTURE), (left, y))
        draw.text((left - 10, y + PICTURE / 2), str(source.index), INK, font(18), anchor="rm")
    for j, target in enumerate(targets):
        x = left + (j + 1) * STEP
        canvas.paste(unit_image(pictures, target, PICTURE), (x, top))
        draw.text((x + PICTURE / 2, top - 8), str(target.index), INK, font(18), anchor="mb")
    for c in level:
        i, j = sources.index(c.source), targets.index(c.target)
        cell = min(max((PICTURE - 2 * GAP) // max(c.weights.shape), 1), LARGEST_CELL)
        square = heatmap(c.weights, scale, cell)
        x = left + (j + 1) * STEP + (PICTURE - square.width) // 2
        y = top + (i + 1) * STEP + (PICTURE - square.height) // 2
        draw.rectangle((x - 1, y - 1, x + square.width, y + square.height), outline=FAINT)
        canvas.paste(square, (x, y))
    _paint_bar(canvas, scale, left, top + (len(sources) + 1) * STEP + GAP, (len(targets) + 1) * STEP - GAP)
    return canvas


def weight_grids(circuit: Circuit, pictures: Pictures) -> Image.Image:
    """The weights between all neighboring rows of a circuit, one grid beside the other, each with its own scale."""
    grids = [weight_grid(circuit, pictures, row) for row in range(1, max(len(circuit.rows), 2))]
    canvas = Image.new("RGB", (sum(g.width for g in grids), max(g.height for g in grids)), PAPER)
    x = 0
    for grid in grids:
        canvas.paste(grid, (x, 0))
        x += grid.width
    return canvas


def _paint_bar(canvas: Image.Image, scale: float, x: int, y: int, room: int) -> None:
    """The color bar with its numbers, below the pictures."""
    length, draw = min(room, 320), ImageDraw.Draw(canvas)
    bar = color_bar(scale, length, 14, upright=False)
    canvas.paste(bar, (x, y))
    draw.rectangle((x - 1, y - 1, x + bar.width, y + bar.height), outline=FAINT)
    for label, place, anchor in zip(bar_labels(scale), (0, length / 2, length), ("lt", "mt", "rt")):
        draw.text((x + place, y + 22), label, GRAY, font(16), anchor=anchor)
    draw.text((x, y + 44), "inhibits", GRAY, font(16), anchor="lt")
    draw.text((x + length, y + 44), "excites", GRAY, font(16), anchor="rt")
