"""Colors of weights: red excites, blue inhibits, near white does nothing.

The five stops are those of the weight pictures in Zoom In (Olah et al., Distill 2020), ColorBrewer's RdBu.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from jaxcircuits.errors import InputError

STOPS = ("#0571b0", "#92c5de", "#f7f7f7", "#f4a582", "#ca0020")
"""From the most inhibitory to the most excitatory, equally far apart."""

INHIBITORY, EXCITATORY = STOPS[0], STOPS[-1]

_RGB = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in STOPS], np.float64)


def heat(weights: np.ndarray, scale: float) -> np.ndarray:
    """Weights as colors, linear between the stops.

    Args:
      weights: any shape.
      scale: the weight of the last stop, above 0; weights beyond it, either way, have the last color.

    Returns:
      uint8, the shape of `weights` and (3,).

    Raises:
      InputError: for a scale that is not a positive number.
    """
    if not (scale > 0 and math.isfinite(scale)):
        raise InputError(f"scale {scale!r} of colors; expected a positive number")
    place = np.clip(np.asarray(weights, np.float64) / scale, -1, 1)
    stops = np.linspace(-1, 1, len(STOPS))
    return np.stack([np.round(np.interp(place, stops, _RGB[:, c])) for c in range(3)], -1).astype(np.uint8)


def heatmap(weights: np.ndarray, scale: float, cell: int) -> Image.Image:
    """Weights (h, w) as a picture, each a square of `cell` pixels in its color; see `heat`."""
    return Image.fromarray(heat(weights, scale)).resize((weights.shape[1] * cell, weights.shape[0] * cell), 0)


def number(value: float) -> str:
    """A weight as figures print it: its sign and two digits that count."""
    if not value:
        return "0"
    digits = max(1 - math.floor(math.log10(abs(value))), 0)
    return f"{value:+.{digits}f}" if abs(value) >= 1e-4 else f"{value:+.1e}"
