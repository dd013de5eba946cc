"""Tuning of units to curves and to lines, over what the article varies, in one call each.

After Cammarata et al., Curve Detectors (Distill 2020): a unit's answer to a figure is that at its best place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jaxcircuits.evidence import stimuli
from jaxcircuits.evidence.tuning import tuning
from jaxcircuits.network import Network

RADII = (12.0, 16.0, 20.0, 25.0, 30.0)
"""Radii of the curves, in pixels, over which orientation tuning is averaged."""
SHADES = np.repeat([[0.1], [0.9]], 3, axis=1)
"""Dark and light, on gray."""


def curve_tuning(
    network: Network, layers: Sequence[str], count: int = 24, size: int = 96, radii: Sequence[float] = RADII
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Tuning of units to the orientation of a curve, averaged over radii and over light and dark curves on gray.

    Args:
      network: whose units.
      layers: names.
      count: orientations, evenly around the circle; even, so that each has its opposite.
      size: of the pictures.
      radii: of the curves, in pixels.

    Returns:
      The orientations (count,), radians, and layer -> mean answers (count, units).
    """
    orientations = np.arange(count) * 2 * np.pi / count
    grid = {"orientation": orientations, "radius": radii, "color": SHADES}
    found = tuning(network, stimuli.curve, grid, layers, size=size, progress=False)
    return orientations, {layer: found.along(layer, "orientation").T for layer in layers}


def line_answers(
    network: Network, layers: Sequence[str], count: int = 12, size: int = 96
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Answers of units to straight lines across the picture, averaged over light and dark lines on gray.

    Args:
      network: whose units.
      layers: names.
      count: orientations, evenly around the half circle.
      size: of the pictures.

    Returns:
      The orientations (count,), radians, and layer -> mean answers (count, units).
    """
    orientations = np.arange(count) * np.pi / count
    grid = {"orientation": orientations, "length": [0.8 * size], "color": SHADES}
    found = tuning(network, stimuli.line, grid, layers, size=size, progress=False)
    return orientations, {layer: found.along(layer, "orientation").T for layer in layers}
