"""What is optimised in place of pixels."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.vis.color import to_gray, to_rgb

Shape = tuple[int, int, int]


class Parametrization(Protocol):
    """A way to write one picture by parameters; hashable, without arrays."""

    def init(self, key: jax.Array, shape: Shape) -> Any:
        """Random parameters, a pytree of float32, for one picture of shape (H, W, C)."""

    def picture(self, parameters: Any, shape: Shape) -> jax.Array:
        """The picture (H, W, C), RGB in [0, 1], that parameters stand for."""


@dataclasses.dataclass(frozen=True)
class Fourier:
    """Spectrum of a picture, scaled so that every frequency learns at a like rate; decorrelated colour.

    The channels before `to_rgb` are `irfft2(scale * z) / 4` with
    `scale = sqrt(W * H) / max(f, 1 / max(W, H)) ** decay` for frequency f in cycles a pixel, and real and imaginary
    parts of z drawn from N(0, sd). Lucid, `optvis/param/spatial.py`; Mordvintsev et al., Differentiable Image
    Parameterizations, 2018. Odd widths are exact here; Lucid transforms one column more and crops.

    Attributes:
      sd: standard deviation of the start.
      decay: exponent of the spectrum.
    """

    sd: float = 0.01
    decay: float = 1.0

    def init(self, key: jax.Array, shape: Shape) -> jax.Array:
        """Coefficients (2, H, W // 2 + 1, C): real and imaginary parts."""
        height, width, channels = shape
        return self.sd * jax.random.normal(key, (2, height, width // 2 + 1, channels), jnp.float32)

    def picture(self, parameters: jax.Array, shape: Shape) -> jax.Array:
        """Decodes a spectrum."""
        height, width, channels = shape
        scale = spectrum_scale((height, width), self.decay)[..., None]
        spectrum = jax.lax.complex(parameters[0], parameters[1]) * scale
        values = jnp.fft.irfft2(spectrum, s=(height, width), axes=(0, 1)) / 4
        return to_rgb(values) if channels == 3 else to_gray(values)


def spectrum_scale(size: tuple[int, int], decay: float) -> np.ndarray:
    """`sqrt(W * H) / max(f, 1 / max(W, H)) ** decay` for each frequency of `rfft2`: float32 (H, W // 2 + 1)."""
    height, width = size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    return (np.sqrt(width * height) / np.maximum(frequency, 1 / max(width, height)) ** decay).astype(np.float32)
