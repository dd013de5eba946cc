"""Measures the mean spectrum of a folder of pictures, for `FourierPhase`.

    python -m jaxcircuits.vis.parametrization.spectrum FOLDER --out FILE

The spectrum `photographs` that comes with the package was measured by this command on 800 photographs of ImageNet, one
a class, of EliSchwartz/imagenet-sample-images, cropped to 256 x 256. It is a statistic of 1,758 numbers; none of the
photographs, whose licenses are their authors', can be made out from it. Cost: 6 seconds on one CPU core.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from jaxcircuits.errors import InputError, whole
from jaxcircuits.images import open_pictures
from jaxcircuits.vis.color import CORRELATION_SQRT
from jaxcircuits.vis.parametrization.magnitude import Spectrum, write_spectrum

FREQUENCIES, DIRECTIONS = 24, 24
"""Points at which a spectrum is kept."""


def estimate_spectrum(pictures: str | Path | Iterable[np.ndarray], size: int = 256) -> Spectrum:
    """The mean magnitude of pictures' spectra, for each decorrelated channel.

    Pictures are taken to decorrelated channels by the linear part of `color.from_rgb` (the sigmoid's slope at mid-gray
    is 1/4), weighted by a Hann window of mean square one, so that the jump from one edge to the other leaves no cross,
    and transformed. The logarithm of the mean magnitude is fitted by a power law, on frequencies up to a quarter cycle
    a pixel that count by octaves; what it leaves is smoothed over a seventh of an e-fold and six degrees.

    Args:
      pictures: a folder, searched with its subfolders for picture files, or arrays (size, size, 3), RGB in [0, 1].
      size: pixels; files are cropped to their central square and resized to it.

    Returns:
      The `Spectrum`.

    Raises:
      InputError: for a folder without pictures, a file that cannot be read, or pictures of another shape.
    """
    size = whole(size, "size", 32)
    if isinstance(pictures, (str, Path)):
        pictures = read_pictures(Path(pictures), size)
    matrix = CORRELATION_SQRT.astype(np.float64)
    inverse = np.linalg.inv(matrix / np.linalg.norm(matrix, axis=0).max())
    hann = np.sin(np.pi * np.arange(size) / size) ** 2
    window = np.outer(hann, hann)[..., None]
    total, mean, count = np.zeros((size, size // 2 + 1, 3)), np.zeros(3), 0
    for picture in pictures:
        if np.shape(picture) != (size, size, 3):
            raise InputError(f"a picture of shape {np.shape(picture)}; expected ({size}, {size}, 3)")
        values = 4 * (np.asarray(picture, np.float64) - 0.5) @ inverse.T
        mean = mean + np.abs(values.mean((0, 1)))
        values = values - (window * values).sum((0, 1)) / window.sum()
        values = values * window / np.sqrt(np.square(window).mean())
        total, count = total + np.abs(np.fft.rfft2(values, axes=(0, 1))) / size, count + 1
    if not count:
        raise InputError("no pictures to take the spectrum of")
    return _fitted(np.log(total / count + 1e-12), mean / count)


def read_pictures(folder: Path, size: int) -> Iterator[np.ndarray]:
    """The pictures of a folder and its subfolders, in the order of their paths: central squares, RGB in [0, 1]."""
    for picture in open_pictures(folder, size=size):
        yield picture.image.astype(np.float64)


def _fitted(log_amplitude: np.ndarray, mean: np.ndarray) -> Spectrum:
    """A spectrum from the logarithm of mean amplitudes (size, size // 2 + 1, 3)."""
    size = len(log_amplitude)
    vertical, horizontal = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]
    f, direction = np.hypot(vertical, horizontal), np.arctan2(vertical, horizontal)
    # The window blurs the lowest frequencies, where the spectrum is steepest.
    kept = f >= 3 / size
    log_f, direction, log_amplitude = np.log(f[kept]), direction[kept], log_amplitude[kept]
    fitted = log_f <= np.log(0.25)
    slope, _ = np.polyfit(log_f[fitted], log_amplitude[fitted], 1, w=np.exp(-log_f[fitted]))
    residual = log_amplitude - log_f[:, None] * slope
    frequency = np.geomspace(3 / size, np.sqrt(0.5), FREQUENCIES)
    grid = np.empty((FREQUENCIES, DIRECTIONS, 3))
    for i, log_at in enumerate(np.log(frequency)):
        for j in range(DIRECTIONS):
            turned = np.remainder(direction - np.pi * j / DIRECTIONS + np.pi / 2, np.pi) - np.pi / 2
            distance = ((log_f - log_at) / (1 / 7)) ** 2 + (turned / np.deg2rad(6)) ** 2
            weight = np.exp((distance.min() - distance) / 2)
            grid[i, j] = weight @ residual / weight.sum()
    return Spectrum(*(part.astype(np.float32) for part in (-slope, grid, frequency, mean)))


def main(
    folder: Annotated[Path, typer.Argument(help="Folder of pictures.")],
    out: Annotated[Path, typer.Option(help="File to write (safetensors).")],
    size: Annotated[int, typer.Option(help="Pixels to which pictures are resized.")] = 256,
    source: Annotated[str, typer.Option(help="Which pictures these are, in words; the folder's name if empty.")] = "",
) -> None:
    """Measures the mean spectrum of a folder of pictures."""
    try:
        spectrum = estimate_spectrum(folder, size)
        write_spectrum(out, spectrum, source or folder.resolve().name)
    except InputError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    exponents = ", ".join(f"{exponent:.2f}" for exponent in spectrum.exponent)
    typer.echo(f"{out}: amplitude falls with frequency to the power {exponents} (brightness, two colors)")


if __name__ == "__main__":
    typer.run(main)
