"""Pictures with the spectrum of natural ones, written by their phase alone."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.vis.parametrization.base import Parametrization, Shape, check_positive
from jaxcircuits.vis.parametrization.magnitude import read_spectrum

if TYPE_CHECKING:
    from jaxtyping import Float

SPREAD = math.pi / math.sqrt(3)
"""Standard deviation of phases in radians, that of phases spread evenly over the circle."""
CUTS = 64
"""Places round the circle at which phases of a given picture may be cut open."""


@dataclasses.dataclass(frozen=True)
class FourierPhase(Parametrization):
    """Phases of a picture whose Fourier magnitudes are fixed to natural pictures' mean; works for deeper networks.

    The channels before color are `irfft2(magnitude * exp(i * phase))`, standardized: minus the mean of them all, over
    their standard deviation. So all magnitudes are the spectrum's, to one factor, but for the mean of each channel,
    which is free between plus and minus its magnitude until the mean is taken off. Where a frequency is its own mirror
    image (half a cycle a pixel along either axis or both), a real picture has a sign in place of a phase, and no
    gradient; MACO lets these coefficients fall below their magnitude.

    Phases are the parameters, scaled to the standard deviation `SPREAD`, so that steps of one length turn them less and
    less. Made for Nadam at rate 1.0, 256 steps, and views that are crops of half to a twentieth of the picture with
    noise of standard deviation 0.08. Fel et al., Unlocking Feature Visualization for Deeper Networks with MAgnitude
    Constrained Optimization (MACO), 2023; Xplique and Horama. There phases start from N(0, 1) and keep that deviation,
    so that they agree in the picture's corners, which come out as bright spots.

    Attributes:
      spectrum: `photographs`, which comes with the package, or the path of a file that
        `python -m jaxcircuits.vis.parametrization.spectrum` wrote.
      sd: standard deviation of the parameters at the start; a first step of length one turns phases by 1.8 / sd.
    """

    spectrum: str = "photographs"
    sd: float = 4.0
    numbers = ("sd",)

    def __post_init__(self):
        if not isinstance(self.spectrum, str):
            raise InputError(f"spectrum {self.spectrum!r}; expected a name or a path as text")
        read_spectrum(self.spectrum)
        check_positive(self, "sd")

    def init(self, key: jax.Array, shape: Shape) -> Float[jax.Array, "height frequencies channels"]:
        """Phases (H, W // 2 + 1, C) spread evenly over the circle."""
        height, width, channels = shape
        most = self.sd * math.sqrt(3)
        return jax.random.uniform(key, (height, width // 2 + 1, channels), jnp.float32, -most, most)

    def values(
        self, parameters: Float[jax.Array, "height frequencies channels"], shape: Shape
    ) -> Float[jax.Array, "height width channels"]:
        """Decodes phases."""
        height, width, _ = shape
        phase = SPREAD * parameters * jax.lax.rsqrt(parameters.var() + 1e-10)
        # In the columns that hold both a frequency and its mirror image, a real picture has opposite phases there.
        phase = jnp.where(_mirrored(height, width), phase - jnp.roll(jnp.flip(phase, 0), 1, 0), phase)
        magnitude = read_spectrum(self.spectrum).magnitude(shape)
        real = jnp.where(_signed(height, width), jnp.sign(jnp.cos(phase)), jnp.cos(phase))
        spectrum = jax.lax.complex(magnitude * real, magnitude * jnp.sin(phase))
        values = jnp.fft.irfft2(spectrum, s=(height, width), axes=(0, 1))
        values = values - values.mean()
        return values * jax.lax.rsqrt(jnp.square(values).mean() + 1e-10)

    def from_values(
        self, values: Float[jax.Array, "height width channels"], shape: Shape
    ) -> Float[jax.Array, "height frequencies channels"]:
        """The values' phases: the picture keeps its outlines and takes on the spectrum."""
        spectrum, mirrored = jnp.fft.rfft2(values, axes=(0, 1)), _mirrored(*shape[:2])
        phase = jnp.arctan2(spectrum.imag, spectrum.real)
        kept = np.broadcast_to(~mirrored, phase.shape)
        # Phases of one sign and near half a turn would vary by more than `SPREAD` when written from minus to plus half
        # a turn. Over all places to cut the circle open, the mean square from the middle is that of an even spread, so
        # the best of them leaves no more.
        cuts = jnp.arange(CUTS) * (2 * math.pi / CUTS)
        least = jax.lax.map(lambda cut: _wrapped(phase, cut).var(where=kept), cuts).argmin()
        own = _wrapped(phase, cuts[least])
        # Mirrored phases count by their differences, half of a phase on either side: what is added to them all makes up
        # the standard deviation.
        height, n, m = shape[0], kept.sum(), phase.size - kept.sum()
        # One of each two decides, for half a turn may come as plus and as minus.
        opposite = -jnp.roll(jnp.flip(phase, 0), 1, 0)
        half = jnp.where((np.arange(height) * 2 < height)[:, None, None], phase, opposite) / 2
        middle = own.mean(where=kept)
        lacking = phase.size * SPREAD**2 - n * own.var(where=kept) - jnp.square(half).sum(where=~kept)
        moved = middle + jnp.sqrt(jnp.maximum(lacking, 0) * phase.size / max(n * m, 1))
        return jnp.where(kept, own, moved + half) * (self.sd / SPREAD)


def _wrapped(phase: jax.Array, middle: jax.Array) -> jax.Array:
    """Phases within half a turn of a middle."""
    return middle + (phase - middle + math.pi) % (2 * math.pi) - math.pi


def _mirrored(height: int, width: int) -> np.ndarray:
    """Where `rfft2` holds a frequency and, elsewhere in the same column, its mirror image: bool (H, W // 2 + 1, 1)."""
    row, column = np.arange(height), np.arange(width // 2 + 1)
    return ((2 * row % height != 0)[:, None] & (2 * column % width == 0)[None, :])[..., None]


def _signed(height: int, width: int) -> np.ndarray:
    """Where a frequency above zero is its own mirror image, so that its coefficient is real: as `_mirrored`."""
    row, column = np.arange(height), np.arange(width // 2 + 1)
    own = (2 * row % height == 0)[:, None] & (2 * column % width == 0)[None, :]
    return (own & (row[:, None] + column > 0))[..., None]
