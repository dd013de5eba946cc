"""Pictures with the spectrum of natural ones, written by their phase alone."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.vis.parametrization.base import Parametrization, Shape
from jaxcircuits.vis.parametrization.magnitude import read_spectrum

PACE = 0.1
"""Radians a unit of the parameters, so that Nadam's published rate, 1.0, turns a phase by about a tenth a step."""


@dataclasses.dataclass(frozen=True)
class FourierPhase(Parametrization):
    """Phases of a picture whose Fourier magnitudes are fixed to natural pictures' mean; works for deeper networks.

    The channels before colour are `irfft2(magnitude * exp(i * phase))`, standardised: minus their mean, over their
    standard deviation. Made for Nadam at rate 1.0, 256 steps, and views that are crops of half to a twentieth of the
    picture with noise of standard deviation 0.08. Fel et al., Unlocking Feature Visualization for Deeper Networks with
    MAgnitude Constrained Optimization (MACO), 2023; Xplique and Horama.

    Attributes:
      spectrum: `photographs`, which comes with the package, or the path of a file that
        `python -m jaxcircuits.vis.parametrization.spectrum` wrote.
    """

    spectrum: str = "photographs"

    def __post_init__(self):
        if not isinstance(self.spectrum, str):
            raise InputError(f"spectrum {self.spectrum!r}; expected a name or a path as text")
        read_spectrum(self.spectrum)

    def init(self, key: jax.Array, shape: Shape) -> jax.Array:
        """Phases (H, W // 2 + 1, C), even from -pi to pi, in units of `PACE`."""
        height, width, channels = shape
        turn = np.pi / PACE
        return jax.random.uniform(key, (height, width // 2 + 1, channels), jnp.float32, -turn, turn)

    def values(self, parameters: jax.Array, shape: Shape) -> jax.Array:
        """Decodes phases."""
        height, width, _ = shape
        phase = PACE * parameters
        # In the columns that hold both a frequency and its mirror image, a real picture has opposite phases there.
        phase = jnp.where(_mirrored(height, width), phase - jnp.roll(jnp.flip(phase, 0), 1, 0), phase)
        magnitude = read_spectrum(self.spectrum).magnitude(shape)
        spectrum = jax.lax.complex(magnitude * jnp.cos(phase), magnitude * jnp.sin(phase))
        values = jnp.fft.irfft2(spectrum, s=(height, width), axes=(0, 1))
        values = values - values.mean()
        return values * jax.lax.rsqrt(jnp.square(values).mean() + 1e-10)

    def from_values(self, values: jax.Array, shape: Shape) -> jax.Array:
        """The values' phases; the picture keeps its outlines and takes on the spectrum."""
        spectrum = jnp.fft.rfft2(values, axes=(0, 1))
        phase = jnp.arctan2(spectrum.imag, spectrum.real)
        return jnp.where(_mirrored(*shape[:2]), phase / 2, phase) / PACE


def _mirrored(height: int, width: int) -> np.ndarray:
    """Where `rfft2` holds a frequency and, elsewhere in the same column, its mirror image: bool (H, W // 2 + 1, 1)."""
    row, column = np.arange(height), np.arange(width // 2 + 1)
    return ((2 * row % height != 0)[:, None] & (2 * column % width == 0)[None, :])[..., None]
