"""Spectra of natural pictures: small files, and the magnitudes that they give a picture of any size."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxcircuits.errors import InputError, shown
from jaxcircuits.files import read_tensors, replacing

SHIPPED = {"photographs": Path(__file__).with_name("photographs.safetensors")}
"""Spectra that come with the package, by name."""

LARGEST_FILE = 1 << 20
"""Bytes; a spectrum of 24 frequencies and 24 directions has 7 kB."""


LARGEST_NUMBER = 1e6
"""Of a spectrum; exponents are between 1 and 2, residuals between -2 and 2."""


class Spectrum(NamedTuple):
    """Mean amplitude of pictures' decorrelated channels, in a form that holds at any size.

    The discrete Fourier transform of an (H, W) picture has, at frequency f in cycles a pixel and direction t, the mean
    magnitude `sqrt(H * W) * f**-exponent * exp(residual(log f, t))`, and `H * W * mean` at frequency zero.

    Attributes:
      exponent: (3,) of the power law for each channel.
      residual: (R, A, 3), logarithm of the amplitude over the power law, at `frequency` and at A directions
        `pi * i / A`, measured from the horizontal frequency axis toward the vertical one.
      frequency: (R,) in cycles a pixel, evenly spaced in their logarithm.
      mean: (3,) mean magnitude of a picture's mean.
    """

    exponent: np.ndarray
    residual: np.ndarray
    frequency: np.ndarray
    mean: np.ndarray

    def magnitude(self, shape: tuple[int, int, int]) -> np.ndarray:
        """Magnitudes of `rfft2` of a picture (H, W, C): float32 (H, W // 2 + 1, C).

        Bilinear in log f and direction; beyond the measured frequencies the power law goes on. Three channels have
        their own spectra, any other number has the brightness's.
        """
        height, width, channels = shape
        own = slice(3) if channels == 3 else np.zeros(channels, int)
        vertical, horizontal = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
        log_f = np.log(np.maximum(np.hypot(vertical, horizontal), 1e-12))
        amplitude = np.exp(self._residual(log_f, np.arctan2(vertical, horizontal)) - log_f[..., None] * self.exponent)
        magnitude = np.sqrt(height * width) * amplitude
        magnitude[0, 0] = height * width * self.mean
        if width % 2 == 0:
            # The highest horizontal frequency stands for both of its signs, so for two directions.
            magnitude[:, -1] = (magnitude[:, -1] + np.roll(np.flip(magnitude[:, -1], 0), 1, 0)) / 2
        return magnitude[..., own].astype(np.float32)

    def _residual(self, log_f: np.ndarray, direction: np.ndarray) -> np.ndarray:
        rows, angles, _ = self.residual.shape
        logs = np.log(self.frequency.astype(np.float64))
        row = np.interp(log_f, logs, np.arange(rows))
        angle = direction / np.pi * angles
        row_0, angle_0 = np.minimum(row.astype(int), rows - 2), np.floor(angle).astype(int)
        total = 0
        for i in (0, 1):
            for j in (0, 1):
                weight = np.abs(1 - i - (row - row_0)) * np.abs(1 - j - (angle - angle_0))
                total = total + weight[..., None] * self.residual[row_0 + i, (angle_0 + j) % angles]
        return total


def write_spectrum(path: str | Path, spectrum: Spectrum, source: str) -> None:
    """Writes a spectrum as safetensors.

    Args:
      path: of the file.
      spectrum: what to write.
      source: which pictures it is of, in words.

    Raises:
      InputError: where the file cannot be written.
    """
    from safetensors.numpy import save

    tensors = {name: np.ascontiguousarray(values, np.float32) for name, values in spectrum._asdict().items()}
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(save(tensors, {"source": source}))


@functools.lru_cache(maxsize=8)
def read_spectrum(name: str) -> Spectrum:
    """The spectrum of a name in `SHIPPED`, or of a file that `write_spectrum` wrote; read once a process.

    Raises:
      InputError: for a file that is missing, too large, damaged or something else.
    """
    path = SHIPPED.get(name, Path(name))
    if not path.is_file():
        raise InputError(f"spectrum {shown(name)}; expected {' or '.join(map(repr, SHIPPED))}, or a spectrum's file")
    tensors, _ = read_tensors(path, "a spectrum's file", LARGEST_FILE)
    try:
        spectrum = Spectrum(**{name: tensor.load() for name, tensor in tensors.items()})
        rows, angles, _ = spectrum.residual.shape
        expected = {"exponent": (3,), "residual": (rows, angles, 3), "frequency": (rows,), "mean": (3,)}
        sound = rows > 1 and all(
            np.shape(part) == expected[field] and part.dtype == np.float32 and np.isfinite(part).all()
            for field, part in spectrum._asdict().items()
        )
        sound = sound and spectrum.frequency[0] > 0 and (np.diff(spectrum.frequency) > 0).all()
        sound = sound and all(np.abs(part).max() < LARGEST_NUMBER for part in spectrum)
    except (TypeError, ValueError):
        sound = False
    if not sound:
        raise InputError(f"{path}: not a spectrum's file, or a damaged one")
    return spectrum
