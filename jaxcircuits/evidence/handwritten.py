"""The curve circuit, written by hand: oriented lines, and curves made of them, as weights of a small network.

Cammarata et al., Curve Circuits (Distill 2021), write down what they read in InceptionV1 and compare; Olah et al., Zoom
In (Distill 2020), count it as the seventh argument that curve detectors detect curves.

Three convolutions, nothing trained:

  gabors  Gabor filters of both polarities at every orientation, on the picture's lightness;
  lines   a line is a light or a dark stroke along which filters of its orientation agree and those across it do not;
  curves  a curve is what has lines along it that are tangent to it, inhibited by those of its mirror image.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.network import Network
from jaxcircuits.zoo import InputConvention

GABOR, STEP = 13, 2
"""Side of the Gabor filters and distance between their places, in pixels."""
POOL = 2
"""Gabor places along the side of a line's cell, of which the strongest counts."""
THRESHOLD = 0.2
"""What a curve unit's input must exceed; a curve of its radius in white on gray gives about 1.3."""


def handwritten_curves(
    orientations: Sequence[float] | np.ndarray,
    *,
    lines: int = 16,
    radius: float = 28.0,
    stroke: float = 5.0,
    extent: float = 2.1,
) -> Network:
    """The network.

    Args:
      orientations: directions in which the curves bulge, one a unit, radians clockwise from +x.
      lines: how many orientations of lines, evenly around the half circle.
      radius: of the curves, in pixels; units answer larger ones nearly as well, and one of 0.6 times that radius a
        third as well.
      stroke: its width in pixels, half a wavelength of the Gabor filters.
      extent: angle that the arc spans, radians.

    Returns:
      A `Network` for pictures of any size, with layers `gabors`, `lines` and `curves`; `curves` has a cell every 4
      pixels.
    """
    params = {
        "threshold": jnp.float32(THRESHOLD),
        "gabors": jnp.asarray(gabor_weights(lines, stroke)),
        "lines": jnp.asarray(line_weights(lines)),
        "curves": jnp.asarray(curve_weights(np.asarray(orientations, float), lines, radius, extent)),
    }

    def forward(params: dict[str, jax.Array], x: jax.Array) -> dict[str, jax.Array]:
        lightness = x.mean(-1, keepdims=True)
        # Beyond the border lies more of the same, or the border itself would be a line.
        margin = GABOR // 2
        lightness = jnp.pad(lightness, ((0, 0), (margin, margin), (margin, margin), (0, 0)), mode="edge")
        gabors = jax.nn.relu(_convolve(lightness, params["gabors"], STEP, "VALID"))
        strongest = jax.lax.reduce_window(gabors, -jnp.inf, jax.lax.max, (1, POOL, POOL, 1), (1, POOL, POOL, 1), "SAME")
        drawn = jax.nn.relu(_convolve(strongest, params["lines"], 1, "SAME"))
        return {
            "gabors": gabors,
            "lines": drawn,
            "curves": jax.nn.relu(_convolve(drawn, params["curves"], 1, "SAME") - params["threshold"]),
        }

    convention = InputConvention(size=(96, 96), mean=0.5, std=0.25)
    return Network.from_function(forward, params, convention, name="handwritten")


def gabor_weights(lines: int, stroke: float) -> np.ndarray:
    """(13, 13, 1, 2 * lines): Gabor filters, those for light strokes and then those for dark ones.

    Each is a cosine of half wavelength `stroke` across the line under a Gaussian, without a mean; its norm is 1.
    """
    angle = np.arange(lines) * np.pi / lines
    rows, columns = (np.indices((GABOR, GABOR)) - GABOR // 2)[..., None]
    across = columns * -np.sin(angle) + rows * np.cos(angle)
    along = columns * np.cos(angle) + rows * np.sin(angle)
    envelope = np.exp(-(across**2) / (2 * (0.8 * stroke) ** 2) - along**2 / (2 * (0.9 * stroke) ** 2))
    filters = envelope * np.cos(np.pi * across / stroke)
    filters -= envelope * filters.sum((0, 1)) / envelope.sum((0, 1))
    filters /= np.sqrt(np.square(filters).sum((0, 1)))
    return np.concatenate([filters, -filters], axis=2)[:, :, None].astype(np.float32)


def line_weights(lines: int) -> np.ndarray:
    """(3, 3, 2 * lines, lines): filters of either polarity along the line excite, those 30 degrees off inhibit."""
    angle = np.arange(lines) * np.pi / lines
    off = angle[:, None] - angle
    tuning = np.cos(2 * off)
    tuning = np.where(tuning > 0.5, tuning, -0.5)
    rows, columns = (np.indices((3, 3)) - 1)[..., None]
    across = columns * -np.sin(angle) + rows * np.cos(angle)
    beside = np.exp(-(across**2))
    beside = beside / beside.sum((0, 1))
    one = beside[:, :, None] * tuning / np.abs(tuning).sum(0)
    return np.concatenate([one, one], axis=2).astype(np.float32)


def curve_weights(facing: np.ndarray, lines: int, radius: float, extent: float) -> np.ndarray:
    """(k, k, lines, curves), for curves that bulge toward `facing` (radians): what is tangent to the arc excites.

    At every place the tangent of the circle through it about the arc's center is the right orientation, as strongly as
    the place is near the arc; the mirror image of the arc, which bulges the other way, has it wrong.
    """
    cell = STEP * POOL
    half = int(np.ceil(0.8 * radius * np.sin(extent / 2) / cell)) + 1
    rows, columns = (np.indices((2 * half + 1, 2 * half + 1)) - half)[..., None] * cell
    along = columns * np.cos(facing) + rows * np.sin(facing)
    beside = rows * np.cos(facing) - columns * np.sin(facing)
    line = np.arange(lines) * np.pi / lines

    def arc(sign: int) -> np.ndarray:
        """Cells by lines by curves: how much a line belongs to the arc, or to its mirror image."""
        # The arc's middle lies a sagitta's half from the unit's middle, as the stimuli's.
        x = sign * along + radius * (1 + np.cos(extent / 2)) / 2
        distance, turn = np.hypot(x, beside) - radius, np.arctan2(beside, x)
        near = np.exp(-((distance / (0.2 * radius)) ** 2)) * (np.abs(turn) < extent / 2)
        tangent = facing + np.where(sign > 0, turn, np.pi - turn) + np.pi / 2
        agreement = np.cos(2 * (line[:, None] - tangent[:, :, None]))
        return near[:, :, None] * np.maximum(agreement, 0) ** 4

    own, mirrored = arc(1), arc(-1)
    inside = (own.max(2, keepdims=True) + mirrored.max(2, keepdims=True)) > 0.2
    own /= own.sum((0, 1, 2))
    mirrored /= mirrored.sum((0, 1, 2))
    anything = np.broadcast_to(inside, own.shape) / (lines * inside.sum((0, 1, 2)))
    return (own - mirrored - 0.5 * anything).astype(np.float32)


def _convolve(x: jax.Array, weights: jax.Array, stride: int, padding: str) -> jax.Array:
    return jax.lax.conv_general_dilated(
        x, weights, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
