"""A circuit as a diagram: pictures of its units in rows, lines between them, weights on the strongest lines.

After the figures of Olah et al., Zoom In: An Introduction to Circuits, Distill, 2020.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from jaxcircuits.circuits import Circuit
from jaxcircuits.pages.colors import EXCITATORY, INHIBITORY, heatmap
from jaxcircuits.pages.layout import Layout, Line, bezier, lay_out
from jaxcircuits.pages.painting import (
    FAINT,
    GRAY,
    INK,
    PAPER,
    Pictures,
    bar_labels,
    color_bar,
    font,
    share,
    unit_image,
)

SCALE = 2
"""Pixels of the figure for one of the layout: sharp on dense screens and on paper."""
SMOOTH = 2
"""Lines are painted larger by this, and averaged."""

EXPLANATION = (
    "Each unit acts on the row above: red lines excite, blue lines inhibit, wide lines have large weights.",
    "Squares on lines are the weights at each place. Percentages: share of the target's weights that passes through.",
)


def circuit_diagram(circuit: Circuit, pictures: Pictures) -> Image.Image:
    """Draws a circuit: the targets on top, below each row what it reads.

    A line's width and strength of color stand for the norm of its weights by that of the strongest of its level;
    lines below 15 % of it are left out. Its color says whether excitation or inhibition is larger. Each unit's
    strongest line bears its weights, colored from minus to plus the level's largest weight, as the bar beside says.

    Args:
      circuit: of few units a row: each takes 126 px of width (252 of the figure).
      pictures: of its units, from `draw_units`.

    Returns:
      An RGB image.
    """
    layout = lay_out(circuit)
    canvas = _painted_lines(layout)
    draw = ImageDraw.Draw(canvas)

    def text(x: float, y: float, words: str, size: int, color: str, anchor: str) -> None:
        draw.text((x * SCALE, y * SCALE), words, color, font(size * SCALE), anchor=anchor)

    text(24, 20, circuit.title, 24, INK, "lt")
    for i, words in enumerate(EXPLANATION):
        text(24, 52 + 17 * i, words, 12, GRAY, "lt")
    for line in layout.lines:
        if line.heatmap:
            scale = layout.scales[circuit.layers.index(line.connection.source.layer) - 1]
            picture = heatmap(line.connection.weights, scale, line.cell * SCALE)
            x, y = ((line.heatmap.x * SCALE - picture.width / 2), (line.heatmap.y * SCALE - picture.height / 2))
            x, y = round(x), round(y)
            edge = (x - 3, y - 3, x + picture.width + 2, y + picture.height + 2)
            draw.rectangle(edge, outline=EXCITATORY if line.excitatory else INHIBITORY, fill=PAPER, width=2)
            canvas.paste(picture, (x, y))
    for unit, box in layout.units.items():
        side = round(box.side * SCALE)
        canvas.paste(unit_image(pictures, unit, side), (round(box.left * SCALE), round(box.top * SCALE)))
        text(box.x, box.bottom + 5, str(unit.index), 15, INK, "mt")
        if unit not in circuit.rows[0]:
            text(box.x, box.bottom + 23, share(circuit.importance[unit]), 11, GRAY, "mt")
    for row in circuit.rows:
        text(24, layout.units[row[0]].y, row[0].layer, 15, INK, "lm")
    for scale, (top, bottom) in zip(layout.scales, layout.bands):
        _paint_bar(canvas, text, scale, layout.width - 84, (top + bottom) / 2)
    return canvas


def _painted_lines(layout: Layout) -> Image.Image:
    """The lines on white, weakest first; colors are mixed with white, so that strong lines lie clearly on top."""
    factor = SCALE * SMOOTH
    canvas = Image.new("RGB", (round(layout.width * factor), round(layout.height * factor)), PAPER)
    draw = ImageDraw.Draw(canvas)
    for line in layout.lines:
        points = [tuple(point) for point in bezier(line.points, np.linspace(0, 1, 65)) * factor]
        draw.line(points, _mixed(line), max(round(line.width * factor), 1), joint="curve")
    return canvas.reduce(SMOOTH)


def _mixed(line: Line) -> tuple[int, ...]:
    color = np.array(ImageColor.getrgb(EXCITATORY if line.excitatory else INHIBITORY))
    return tuple(np.round(255 + line.opacity * (color - 255)).astype(int).tolist())


def _paint_bar(canvas: Image.Image, text, scale: float, x: float, middle: float) -> None:
    """A level's color bar, upright, with its numbers."""
    length, thickness = 96, 10
    bar = color_bar(scale, length * SCALE, thickness * SCALE, upright=True)
    top = middle - length / 2
    corner = round(x * SCALE), round(top * SCALE)
    canvas.paste(bar, corner)
    edge = (corner[0] - 1, corner[1] - 1, corner[0] + bar.width, corner[1] + bar.height)
    ImageDraw.Draw(canvas).rectangle(edge, outline=FAINT)
    for label, y in zip(bar_labels(scale), (top + length, middle, top)):
        text(x + thickness + 6, y, label, 11, GRAY, "lm")
    text(x, top - 10, "weight", 11, GRAY, "lb")
