"""Pictures written by their Fourier coefficients."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.vis.parametrization.base import Parametrization, Shape, check_number

if TYPE_CHECKING:
    from jaxtyping import Float

MOST_DECAY = 8.0
"""Of the spectrum: at 16,384 pixels its scale still is a float32."""


@dataclasses.dataclass(frozen=True)
class Fourier(Parametrization):
    """Spectrum of a picture, scaled so that every frequency learns at a like rate; decorrelated color.

    The channels before `color.to_rgb` are `irfft2(scale * z) / 4` with
    `scale = sqrt(W * H) / max(f, 1 / max(W, H)) ** decay` for frequency f in cycles a pixel, and real and imaginary
    parts of z drawn from N(0, sd). Lucid, `optvis/param/spatial.py`; Mordvintsev et al., Differentiable Image
    Parameterizations, 2018. Odd widths are exact here; Lucid transforms one column more and crops.

    Attributes:
      sd: standard deviation of the start.
      decay: exponent of the spectrum.
    """

    sd: float = 0.01
    decay: float = 1.0
    numbers = ("sd",)

    def __post_init__(self):
        check_number(self, "sd")
        check_number(self, "decay", most=MOST_DECAY)

    def init(self, key: jax.Array, shape: Shape) -> Float[jax.Array, "2 height frequencies channels"]:
        """Coefficients (2, H, W // 2 + 1, C): real and imaginary parts."""
        height, width, channels = shape
        return self.sd * jax.random.normal(key, (2, height, width // 2 + 1, channels), jnp.float32)

    def values(
        self, parameters: Float[jax.Array, "2 height frequencies channels"], shape: Shape
    ) -> Float[jax.Array, "height width channels"]:
        """Decodes a spectrum."""
        spectrum = jax.lax.complex(parameters[0], parameters[1]) * spectrum_scale(shape[:2], self.decay)[..., None]
        return jnp.fft.irfft2(spectrum, s=shape[:2], axes=(0, 1)) / 4

    def from_values(
        self, values: Float[jax.Array, "height width channels"], shape: Shape
    ) -> Float[jax.Array, "2 height frequencies channels"]:
        """The scaled spectrum."""
        spectrum = 4 * jnp.fft.rfft2(values, axes=(0, 1)) / spectrum_scale(shape[:2], self.decay)[..., None]
        return jnp.stack([spectrum.real, spectrum.imag])


def spectrum_scale(size: tuple[int, int], decay: float) -> np.ndarray:
    """`sqrt(W * H) / max(f, 1 / max(W, H)) ** decay` for each frequency of `rfft2`: float32 (H, W // 2 + 1)."""
    height, width = size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    return (np.sqrt(width * height) / np.maximum(frequency, 1 / max(width, height)) ** decay).astype(np.float32)
