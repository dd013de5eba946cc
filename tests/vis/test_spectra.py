"""The spectrum of natural pictures, and phases drawn with it, against NumPy in float64."""

import subprocess
import sys

import jax
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save

from jaxcircuits.errors import InputError
from jaxcircuits.vis.parametrization import FourierPhase
from jaxcircuits.vis.parametrization.magnitude import SHIPPED, Spectrum, read_spectrum, write_spectrum
from jaxcircuits.vis.parametrization.spectrum import estimate_spectrum
from support.data import data
from support.painted import MATRIX, SHAPES, painted, random_key, sigmoid

RNG = np.random.default_rng(0)


def mirror(values):
    """Values at the frequencies of opposite sign."""
    return np.roll(np.flip(values, (0, 1)), 1, (0, 1))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_phase_pictures(shape):
    """By the full complex transform: a real picture has the conjugate coefficient at the opposite frequency."""
    height, width, _ = shape
    phase = FourierPhase()
    parameters = phase.init(random_key(4), shape)
    half = np.asarray(parameters, np.float64)
    half *= np.pi / np.sqrt(3) / half.std()
    angles, magnitude = np.zeros(shape), np.zeros(shape)
    magnitude[:, : width // 2 + 1] = read_spectrum("photographs").magnitude(shape)
    for i in range(height):
        for j in range(width // 2 + 1):
            alone, paired = 2 * i % height == 0, 2 * j % width == 0
            angles[i, j] = half[i, j] - half[-i % height, j] if paired and not alone else half[i, j]
            if not paired:
                angles[-i % height, -j % width], magnitude[-i % height, -j % width] = -angles[i, j], magnitude[i, j]
    spectrum = magnitude * np.exp(1j * angles)
    own_mirror = (2 * np.arange(height) % height == 0)[:, None] & (2 * np.arange(width) % width == 0)[None, :]
    # What is its own mirror image is real: at frequency zero the real part, elsewhere with the whole magnitude.
    spectrum[own_mirror] = magnitude[own_mirror] * np.sign(spectrum[own_mirror].real)
    spectrum[0, 0] = magnitude[0, 0] * np.cos(angles[0, 0])
    np.testing.assert_allclose(mirror(spectrum), spectrum.conj(), atol=1e-9 * magnitude.max())
    values = np.fft.ifft2(spectrum, axes=(0, 1)).real
    values = (values - values.mean()) / values.std()
    np.testing.assert_allclose(phase.values(parameters, shape), values, atol=2e-4)
    np.testing.assert_allclose(phase.picture(parameters, shape), painted(values), atol=1e-4)
    # Whatever the phases, the magnitudes of what is drawn are those of the spectrum, to one factor.
    drawn = np.asarray(phase.values(parameters, shape), np.float64)
    seen = (np.abs(np.fft.fft2(drawn, axes=(0, 1))) / magnitude).reshape(height * width, -1)[1:]
    np.testing.assert_allclose(seen, seen.mean(), rtol=1e-3)


@pytest.mark.parametrize("shape", [(32, 32, 3), (33, 48, 1)], ids=str)
def test_phase_starts_from_a_picture(shape):
    height, width, channels = shape
    given = painted(RNG.normal(size=shape)).astype(np.float32).clip(0.01, 0.99)
    phase = FourierPhase()
    picture = jax.jit(lambda g: phase.picture(phase.from_picture(g, shape), shape))(given)
    logits = np.log(given.astype(np.float64) / (1 - given))
    values = logits @ np.linalg.inv(MATRIX).T if channels == 3 else logits
    spectrum = np.fft.rfft2(values, axes=(0, 1))
    kept = np.fft.irfft2(
        read_spectrum("photographs").magnitude(shape) * spectrum / np.abs(spectrum), s=(height, width), axes=(0, 1)
    )
    np.testing.assert_allclose(picture, painted((kept - kept.mean()) / kept.std()), atol=1e-3)


@pytest.mark.parametrize("shape", [(32, 32, 3), (33, 47, 1), (20, 50, 4)], ids=str)
@pytest.mark.parametrize("kind", ["bright", "dark", "moved", "a pixel", "a gradient"])
def test_phase_starts_from_pictures_of_like_phases(kind, shape):
    """Phases near 0, near half a turn, and along a slope: whatever their mean, they are kept."""
    (height, width, _), (y, x) = shape, np.indices(shape[:2])
    away = np.minimum(y, height - y) ** 2 + np.minimum(x, width - x) ** 2
    bump = np.exp(-away / 4.0)
    one = {
        "bright": bump,
        "dark": -bump,
        "moved": -np.roll(bump, (3, 2), (0, 1)),
        "a pixel": -1.0 * ((y == 5) & (x == 7)),
        "a gradient": 0.1 * y + 0.2 * x,
    }[kind]
    values = np.repeat(one[..., None], shape[2], axis=2)
    phase = FourierPhase()
    drawn = np.asarray(phase.values(phase.from_values(np.float32(values), shape), shape), np.float64)
    spectrum = np.fft.rfft2(values, axes=(0, 1))
    spectrum *= np.abs(spectrum) > 1e-5 * np.abs(spectrum).max()  # what is rounding alone has no phase to keep
    found, given = np.fft.rfft2(drawn, axes=(0, 1))[spectrum != 0], spectrum[spectrum != 0]
    inside = np.ones(spectrum.shape, bool)
    inside[0, 0] = False  # the mean is taken off
    angles = np.angle(found * given.conj())[inside[spectrum != 0]]
    assert np.abs(angles).max() < 0.05


def power_law(exponent, size, rng):
    """Decorrelated channels (H, W, 3) with amplitudes 1 / f ** exponent, of standard deviation 0.5."""
    height, width = size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = np.inf
    noise = np.fft.rfft2(rng.normal(size=(*size, 3)), axes=(0, 1)) / frequency[..., None] ** exponent
    values = np.fft.irfft2(noise, s=size, axes=(0, 1))
    return 0.5 * values / values.std((0, 1))


@pytest.mark.parametrize("exponent", [0.8, 1.3])
def test_spectrum_of_a_folder_has_its_pictures_power_law(tmp_path, exponent):
    rng = np.random.default_rng(1)
    for i in range(24):
        picture = sigmoid(power_law(exponent, (96, 96), rng) @ MATRIX.T)
        wide = np.pad(picture, ((0, 0), (20, 24), (0, 0)), mode="wrap")
        path = tmp_path / str(i % 2) / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray((255 * (picture if i % 3 else wide)).round().astype(np.uint8)).save(path)
    (tmp_path / "notes.txt").write_text("no picture")
    spectrum = estimate_spectrum(tmp_path, size=96)
    np.testing.assert_allclose(spectrum.exponent, exponent, atol=0.1)
    # And so has what it says of a picture of another size, in every direction.
    magnitude = spectrum.magnitude((150, 201, 3))
    frequency = np.hypot(np.fft.fftfreq(150)[:, None], np.fft.rfftfreq(201)[None, :])
    inside = (frequency > 0.02) & (frequency < 0.4)
    slope, _ = np.polyfit(np.log(frequency[inside]), np.log(magnitude[inside]), 1)
    np.testing.assert_allclose(-slope, exponent, atol=0.15)
    left = np.log(magnitude[inside]) - np.log(frequency[inside])[:, None] * slope
    assert left.std() < 0.15


def test_spectrum_has_the_right_scale_at_any_size():
    """White noise of standard deviation s: magnitudes are Rayleigh, of mean s * sqrt(H * W * pi) / 2."""
    rng = np.random.default_rng(2)
    matrix = MATRIX.T / 4
    pictures = [0.5 + 0.1 * rng.normal(size=(64, 64, 3)) @ matrix + 0.02 * np.ones(3) for _ in range(40)]
    spectrum = estimate_spectrum(pictures, size=64)
    np.testing.assert_allclose(spectrum.exponent, 0, atol=0.05)
    shift = np.abs(np.linalg.solve(matrix.T, 0.02 * np.ones(3)))
    for shape in ((64, 64, 3), (32, 48, 3), (129, 40, 3)):
        magnitude = spectrum.magnitude(shape)
        assert magnitude.shape == (shape[0], shape[1] // 2 + 1, 3)
        expected = 0.1 * np.sqrt(shape[0] * shape[1] * np.pi) / 2
        np.testing.assert_allclose(np.median(magnitude, (0, 1)), expected, rtol=0.05)
        np.testing.assert_allclose(magnitude[0, 0], shape[0] * shape[1] * shift, rtol=0.1, atol=10)
    np.testing.assert_array_equal(spectrum.magnitude((9, 9, 2))[..., 1], spectrum.magnitude((9, 9, 3))[..., 0])


def test_spectrum_keeps_directions_apart():
    """Stripes that change along x alone: horizontal frequencies are strong."""
    rng = np.random.default_rng(3)
    stripes = [0.5 + 0.05 * np.tile(rng.normal(size=(1, 64, 1)), (64, 1, 3)) for _ in range(8)]
    noise = [0.002 * rng.normal(size=(64, 64, 3)) for _ in range(8)]
    magnitude = estimate_spectrum([s + n for s, n in zip(stripes, noise)], size=64).magnitude((40, 40, 1))[..., 0]
    assert magnitude[0, 10] > 20 * magnitude[10, 0]


def test_measured_by_the_command_and_drawn_with(tmp_path):
    for i in range(3):
        Image.fromarray(RNG.integers(0, 256, (40, 50, 3), np.uint8)).save(tmp_path / f"{i}.png")
    out = tmp_path / "noise.safetensors"
    command = [sys.executable, "-m", "jaxcircuits.vis.parametrization.spectrum", str(tmp_path), "--size", "32", "--out"]
    done = subprocess.run([*command, str(out)], capture_output=True, text=True, check=True)
    assert "power" in done.stdout and not done.stderr
    phase = FourierPhase(str(out))
    values = phase.values(phase.init(random_key(0), (64, 64, 3)), (64, 64, 3))
    smooth = FourierPhase().values(phase.init(random_key(0), (64, 64, 3)), (64, 64, 3))
    assert np.abs(np.diff(values, axis=0)).mean() > 1.5 * np.abs(np.diff(smooth, axis=0)).mean()


@pytest.mark.parametrize("contents", ["nothing", "text", "tensors", "shapes", "values", "large"])
def test_files_that_are_no_spectra(tmp_path, contents):
    path = tmp_path / "file.safetensors"
    spectrum = read_spectrum("photographs")
    if contents == "text":
        path.write_text("a spectrum")
    elif contents == "tensors":
        path.write_bytes(save({"other": np.zeros(3, np.float32)}))
    elif contents == "shapes":
        write_spectrum(path, spectrum._replace(mean=np.zeros(2)), "test")
    elif contents == "values":
        write_spectrum(path, spectrum._replace(exponent=np.full(3, np.nan)), "test")
    elif contents == "large":
        path.write_bytes(bytes(2 << 20))
    with pytest.raises(InputError, match="spectrum"):
        FourierPhase(str(path))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: estimate_spectrum(folder), "no pictures there"),
        (lambda folder: estimate_spectrum([], 32), "no pictures"),
        (lambda folder: estimate_spectrum([np.zeros((32, 33, 3))], 32), r"shape \(32, 33, 3\)"),
        (lambda folder: estimate_spectrum([np.zeros((8, 8, 3))], 8), "size 8"),
    ],
)
def test_pictures_without_a_spectrum(tmp_path, make, message):
    with pytest.raises(InputError, match=message):
        make(tmp_path)


def test_a_picture_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(InputError, match=r"a\.png: cannot be read"):
        estimate_spectrum(tmp_path)


def test_the_shipped_spectrum_is_that_of_natural_pictures():
    path, spectrum = SHIPPED["photographs"], read_spectrum("photographs")
    assert path.stat().st_size < 40_000
    assert isinstance(spectrum, Spectrum)
    assert (spectrum.exponent > 1).all() and (spectrum.exponent < 1.7).all()


@pytest.mark.slow
def test_the_shipped_spectrum_can_be_measured_again():
    again, shipped = estimate_spectrum(data("images")), read_spectrum("photographs")
    for part, expected in zip(again, shipped):
        np.testing.assert_allclose(part, expected, atol=2e-3)
