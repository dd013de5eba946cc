"""What makes a unit fire, measured with synthetic stimuli: tuning curves over the parameters of a figure.

After Cammarata et al., Curve Detectors (Distill 2020): a unit's answer to a figure is that at its best position.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.evidence import stimuli
from jaxcircuits.network import Network

CHUNK = 128
"""Pictures that go through the network at once."""
RADII = (12.0, 16.0, 20.0, 25.0, 30.0)
"""Radii of the curves, in pixels, over which orientation tuning is averaged."""


def responses(network: Network, pictures: jax.Array, layers: Sequence[str]) -> dict[str, np.ndarray]:
    """What every unit answers to every picture, at its best position.

    Args:
      network: whose units.
      pictures: (N, H, W, 3), in [0, 1].
      layers: names.

    Returns:
      layer -> (N, channels).
    """
    parts: dict[str, list[np.ndarray]] = {layer: [] for layer in layers}
    for start in range(0, len(pictures), CHUNK):
        chunk = pictures[start : start + CHUNK]
        # Every chunk has the same size, so that the network compiles once.
        padded = jnp.concatenate([chunk, jnp.broadcast_to(chunk[:1], (CHUNK - len(chunk), *chunk.shape[1:]))])
        for layer, values in network.activations(padded, layers).items():
            best = values.max((1, 2)) if values.ndim == 4 else values
            parts[layer].append(np.asarray(best[: len(chunk)]))
    return {layer: np.concatenate(values) for layer, values in parts.items()}


def curve_tuning(
    network: Network, layers: Sequence[str], count: int = 24, size: int = 96, radii: Sequence[float] = RADII
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Tuning of units to the orientation of a curve, averaged over radii and over light and dark curves on grey.

    Args:
      network: whose units.
      layers: names.
      count: orientations, evenly around the circle; even, so that each has its opposite.
      size: of the pictures.
      radii: of the curves, in pixels.

    Returns:
      The orientations (count,), radians, and layer -> mean answers (count, channels).
    """
    orientations = np.arange(count) * 2 * np.pi / count
    grid = np.meshgrid(orientations, radii, (0.1, 0.9), indexing="ij")
    angles, radii, shades = (jnp.asarray(axis.ravel(), jnp.float32) for axis in grid)

    @jax.jit
    @jax.vmap
    def draw(angle: jax.Array, radius: jax.Array, shade: jax.Array) -> jax.Array:
        return stimuli.curve(angle, radius, size=size, colour=jnp.full(3, shade))

    answers = responses(network, draw(angles, radii, shades), layers)
    return orientations, {
        layer: values.reshape(count, -1, values.shape[1]).mean(1) for layer, values in answers.items()
    }


def preference(orientations: np.ndarray, tuning: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which orientation each unit likes best, and how much better than the opposite one.

    Args:
      orientations: (count,), radians, evenly around the circle.
      tuning: (count, channels), not negative.

    Returns:
      The circular mean of the tuning curve, radians in [0, 2 pi), and the answer to the best orientation over that to
      the opposite one (infinite where that is 0, and 0 for units that answer nothing), both (channels,).
    """
    mean = np.angle(np.exp(1j * orientations) @ tuning) % (2 * np.pi)
    best = tuning.argmax(0)
    units = np.arange(tuning.shape[1])
    peak, opposite = tuning[best, units], np.roll(tuning, len(orientations) // 2, axis=0)[best, units]
    with np.errstate(divide="ignore", invalid="ignore"):
        return mean, np.where(peak > 0, peak / opposite, 0.0)


def half_width(orientations: np.ndarray, tuning: np.ndarray) -> np.ndarray:
    """How wide tuning curves are at half their height, between the crossings nearest to the peak.

    Args:
      orientations: (count,), radians, evenly around the circle.
      tuning: (count, channels), not negative.

    Returns:
      (channels,), radians; crossings are interpolated between orientations. 2 pi for a curve that never falls so low,
      that of a silent unit among them.
    """
    step, peaks = 2 * np.pi / len(orientations), tuning.argmax(0)
    widths = np.zeros(tuning.shape[1])
    for unit, peak in enumerate(peaks):
        for direction in (1, -1):
            curve = np.roll(tuning[:, unit], -peak)[::direction]
            curve, half = np.roll(curve, direction == -1), tuning[peak, unit] / 2
            below = np.flatnonzero(curve < half)
            if below.size:
                first = below[0]
                widths[unit] += step * (first - 1 + (curve[first - 1] - half) / (curve[first - 1] - curve[first]))
            else:
                widths[unit] += np.pi
    return widths


def difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """By how much angles differ, radians in [-pi, pi)."""
    return (first - second + np.pi) % (2 * np.pi) - np.pi


def line_answers(
    network: Network, layers: Sequence[str], count: int = 12, size: int = 96
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Answers of units to straight lines across the picture, averaged over light and dark lines on grey.

    Args:
      network: whose units.
      layers: names.
      count: orientations, evenly around the half circle.
      size: of the pictures.

    Returns:
      The orientations (count,), radians, and layer -> mean answers (count, channels).
    """
    orientations = np.arange(count) * np.pi / count
    angles, shades = (jnp.asarray(a.ravel(), jnp.float32) for a in np.meshgrid(orientations, (0.1, 0.9), indexing="ij"))

    @jax.jit
    @jax.vmap
    def draw(angle: jax.Array, shade: jax.Array) -> jax.Array:
        return stimuli.line(angle, 0.8 * size, size=size, colour=jnp.full(3, shade))

    answers = responses(network, draw(angles, shades), layers)
    return orientations, {layer: values.reshape(count, 2, -1).mean(1) for layer, values in answers.items()}


def largest_gap(angles: np.ndarray) -> float:
    """The widest stretch of the circle without any of the angles (radians); 2 pi for one angle or none."""
    if len(angles) == 0:
        return 2 * np.pi
    ordered = np.sort(np.asarray(angles) % (2 * np.pi))
    return float(np.diff(ordered, append=ordered[0] + 2 * np.pi).max())
