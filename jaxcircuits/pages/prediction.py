"""Prediction against outcome of an edit, as a plot."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from jaxcircuits.circuits import Prediction
from jaxcircuits.pages.colors import EXCITATORY, number
from jaxcircuits.pages.painting import FAINT, GRAY, INK, PAPER, font

SIDE = 320
LEFT, TOP, BELOW = 64, 52, 52
DARKEST = np.array([5, 113, 176])


def prediction_plot(prediction: Prediction, title: str) -> Image.Image:
    """Draws what an edit changed against what was predicted, over all pictures, cells and changed units.

    Args:
      prediction: from `predict_edit`.
      title: of the plot.

    Returns:
      An RGB image: predicted change to the right, outcome upwards, both in standard deviations of each unit's outcome;
      darker where more cells are, on a logarithmic scale. On the red line they are equal.
    """
    changed = np.isfinite(prediction.correlation)
    units = prediction.outcome.shape[-1]
    predicted, outcome = (v.reshape(-1, units)[:, changed] for v in (prediction.predicted, prediction.outcome))
    spread = np.maximum(outcome.std(0), 1e-12)
    predicted, outcome = predicted / spread, outcome / spread
    reach = float(np.percentile(np.abs([predicted, outcome]), 99.8)) if changed.any() else 1.0
    edges = np.linspace(-reach, reach, 81)
    counts, _, _ = np.histogram2d(-outcome.ravel(), predicted.ravel(), (edges, edges))
    shade = (np.log1p(counts) / np.log1p(max(counts.max(), 1)))[..., None]
    cells = Image.fromarray((255 + (DARKEST - 255) * shade).round().astype(np.uint8)).resize((SIDE, SIDE), 0)
    image = Image.new("RGB", (LEFT + SIDE + 24, TOP + SIDE + BELOW), PAPER)
    draw = ImageDraw.Draw(image)
    image.paste(cells, (LEFT, TOP))
    draw.line((LEFT, TOP + SIDE, LEFT + SIDE, TOP), EXCITATORY, 1)
    draw.rectangle((LEFT, TOP, LEFT + SIDE, TOP + SIDE), outline=FAINT)
    size = next((n for n in range(15, 7, -1) if font(n).getlength(title) < SIDE + 20), 7)
    draw.text((LEFT, 8), title, INK, font(size))
    median = np.median(prediction.correlation[changed]) if changed.any() else float("nan")
    draw.text((LEFT, 30), f"{changed.sum()} units, median correlation {median:.2f}", GRAY, font(12))
    for value, place in ((-reach, 0), (0.0, SIDE // 2), (reach, SIDE)):
        draw.text((LEFT + place, TOP + SIDE + 6), number(value), GRAY, font(12), anchor="mt")
        draw.text((LEFT - 6, TOP + SIDE - place), number(value), GRAY, font(12), anchor="rm")
    draw.text((LEFT + SIDE / 2, TOP + SIDE + 28), "predicted change", INK, font(13), anchor="mt")
    upright = Image.new("RGB", (120, 18), PAPER)
    ImageDraw.Draw(upright).text((60, 9), "outcome", INK, font(13), anchor="mm")
    image.paste(upright.rotate(90, expand=True), (4, TOP + SIDE // 2 - 60))
    return image
