"""Families of units that articles name, found by what they answer, for the programs of this folder.

Every definition stands here in words and numbers. Where units are chosen by some stimuli or photographs they are
measured on others, which are told apart by `half`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

import jaxcircuits as jc
from jaxcircuits.evidence import circular, curves, responses, stimuli, tuning

AROUND = np.arange(24) * 2 * np.pi / 24
"""Orientations of high-low frequency boundaries, radians."""
HALVES = ({"grain": (0.1, 0.9), "phase": (0.0, 2.1)}, {"grain": (0.5, 1.3), "phase": (1.0, 3.1)})
"""Textures of high-low frequency boundaries: those by which units are chosen, and those on which they are measured."""
FINE, COARSE = (4.0, 5.0), (14.0, 20.0)
"""Wavelengths of their two sides, in pixels."""
SIZE = 96
"""Pixels of those pictures."""
OPPOSITE, UNIFORM = 2.0, 1.5
"""How many times better a high-low frequency unit answers its best orientation than the opposite one, and than one of
the two textures alone."""
CURVES, STRAIGHT, STRONG = 3.0, 0.7, 0.33
"""A curve unit answers its best orientation so many times better than the opposite one; a line at most so much of that;
and so much of the layer's 95th percentile at least."""
SATURATION = 3.0
"""How many times better a black-and-white unit answers gray photographs than the same in colors twice as strong."""


class Layers(NamedTuple):
    """Where a network is looked at.

    Attributes:
      lines: before high-low frequency units.
      early: of high-low frequency units and of black-and-white units.
      curves: of curve units; empty where there are none to be looked for.
    """

    lines: str
    early: str
    curves: str


LAYERS = {
    "inceptionv1": Layers("conv2d2", "mixed3a", "mixed3b"),
    "inceptionv1-2015": Layers("conv2d2", "mixed3a", "mixed3b"),
    "googlenet": Layers("conv2/3x3", "inception_3a/output", "inception_3b/output"),
    "squeezenet": Layers("fire3/concat", "fire4/concat", ""),
}


class Boundaries(NamedTuple):
    """Answers of a layer's units to high-low frequency boundaries.

    Attributes:
      preferred: (units,), radians, the side on which the fine texture is.
      opposite: (units,), the answer to the best orientation over that to the opposite one.
      uniform: (units,), the same over that to one of the textures alone, whichever is more.
      peak: (units,), the answer to the best orientation.
      curve: (units, orientations).
    """

    preferred: np.ndarray
    opposite: np.ndarray
    uniform: np.ndarray
    peak: np.ndarray
    curve: np.ndarray


def boundaries(network: jc.Network, layer: str, half: int) -> Boundaries:
    """Tuning to high-low frequency boundaries, over textures of one half."""
    grid = {"orientation": AROUND, **HALVES[half], "high": FINE, "low": COARSE}
    found = tuning(network, stimuli.high_low_frequency, grid, layer, size=SIZE, progress=False)
    curve = found.along(layer, "orientation")
    plain = []
    for wavelength in (*FINE, *COARSE):
        alone = {"orientation": (0.0,), **HALVES[half], "high": (wavelength,), "low": (wavelength,)}
        answers = tuning(network, stimuli.high_low_frequency, alone, layer, size=SIZE, progress=False)[layer]
        plain.append(answers.reshape(len(answers), -1).mean(1))
    preferred, opposite = circular.preference(AROUND, curve.T)
    peak = curve.max(1)
    return Boundaries(preferred, opposite, peak / np.maximum(np.max(plain, 0), 1e-6), peak, curve)


def passes(seen: Boundaries) -> np.ndarray:
    """bool (units,): which answer as high-low frequency units do."""
    strong = seen.peak >= STRONG * np.percentile(seen.peak, 95)
    return (seen.opposite >= OPPOSITE) & (seen.uniform >= UNIFORM) & strong


def curve_units(network: jc.Network, layer: str) -> tuple[np.ndarray, np.ndarray]:
    """Curve units of a layer and their orientations, radians, by orientation."""
    orientations, answers = curves.curve_tuning(network, [layer], 24, 128, (25.0, 40.0, 60.0))
    _, straight = curves.line_answers(network, [layer], size=128)
    preferred, contrast = circular.preference(orientations, answers[layer])
    peak = answers[layer].max(0)
    lines = straight[layer].max(0) / np.maximum(peak, 1e-9)
    strong = peak >= STRONG * np.percentile(peak, 95)
    units = np.flatnonzero((contrast >= CURVES) & (lines <= STRAIGHT) & strong)
    units = units[np.argsort(preferred[units])]
    return units, preferred[units]


def saturated(images: np.ndarray, by: float) -> np.ndarray:
    """Pictures whose colors are so many times as far from gray, (N, H, W, 3)."""
    gray = (images @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
    return np.clip(gray + by * (images - gray), 0, 1).astype(np.float32)


def against_color(network: jc.Network, layer: str, images: np.ndarray) -> np.ndarray:
    """How many times better units answer photographs in gray than in strong colors, means over photographs: (units,).

    0 for units that answer neither.
    """
    means = [
        np.asarray(responses.responses(network, saturated(images, by), [layer])[layer], np.float64).mean(0)
        for by in (0.0, 2.0)
    ]
    strong = means[0] >= STRONG * np.percentile(means[0], 50)
    return np.where(strong, means[0] / np.maximum(means[1], 1e-3 * max(means[0].max(), 1e-9)), 0.0)


def photographs(pictures: jc.Pictures, numbers: np.ndarray) -> np.ndarray:
    """Those of the given numbers, (N, H, W, 3)."""
    return np.stack([pictures[int(number)].image for number in numbers])
