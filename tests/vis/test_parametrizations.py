"""What is optimised in place of pixels, against NumPy in float64."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save

from jaxcircuits.errors import InputError
from jaxcircuits.vis import color
from jaxcircuits.vis.parametrization import (
    CPPN,
    PARAMETRIZATIONS,
    RGBA,
    Fourier,
    FourierPhase,
    Pixels,
    Pyramid,
    Shared,
)
from jaxcircuits.vis.parametrization.cppn import PACE, coordinates
from jaxcircuits.vis.parametrization.magnitude import SHIPPED, Spectrum, read_spectrum, write_spectrum
from jaxcircuits.vis.parametrization.spectrum import estimate_spectrum
from support.data import data

RNG = np.random.default_rng(0)
MATRIX = np.array([[0.26, 0.09, 0.02], [0.27, 0, -0.05], [0.27, -0.09, 0.03]])
MATRIX /= np.sqrt((MATRIX**2).sum(0)).max()

SHAPES = [(16, 16, 3), (15, 21, 3), (13, 8, 1), (12, 12, 5)]
ALL = [
    Fourier(),
    Pixels(),
    Pyramid(levels=(1, 3)),
    Pyramid(levels=(4,)),
    Shared(levels=(2, 4), group=3),
    Shared(own=Pixels(), levels=(32,), group=2),
    CPPN(width=6, layers=2),
    RGBA(),
    FourierPhase(),
]
CASES = [(p, shape) for p in ALL for shape in SHAPES] + [(RGBA(of=Shared(levels=(4,), group=2)), (15, 21, 3))]


def sigmoid(values):
    return 1 / (1 + np.exp(-np.asarray(values, np.float64)))


def painted(values):
    """Colour as the formulas have it."""
    return sigmoid(values @ MATRIX.T if values.shape[-1] == 3 else values)


def random_key(seed):
    """A key of a kind that compiles much faster than the default."""
    return jax.random.key(seed, impl="unsafe_rbg")


def keys_for(parametrization, seed):
    key = random_key(seed)
    return key if parametrization.group == 1 else jax.random.split(key, parametrization.group)


def test_every_parametrization_is_in_the_suite():
    assert {type(p) for p in ALL} == set(PARAMETRIZATIONS)


@pytest.mark.parametrize(("parametrization", "shape"), CASES, ids=str)
def test_contract(parametrization, shape):
    p = parametrization
    expected = (*((p.group,) if p.group > 1 else ()), *shape[:2], p.channels(shape[2]))
    assert p.picture_shape(shape) == expected
    assert p.channels(shape[2]) == shape[2] + isinstance(p, RGBA)
    assert hash(p) == hash(type(p)(**vars(p)))
    target = RNG.uniform(-1, 1, expected).astype(np.float32)

    @jax.jit
    def run(key):
        parameters = p.init(key, shape)
        # Off the start, where the last layer of a CPPN is zero and lets no gradient through.
        moved = jax.tree.map(lambda leaf: leaf + 0.1 * jnp.sin(jnp.arange(leaf.size)).reshape(leaf.shape), parameters)
        gradient = jax.grad(lambda q: (target * p.picture(q, shape)).sum())(moved)
        picture = p.picture(parameters, shape)
        one = picture if p.group == 1 else picture[-1]
        return parameters, picture, p.picture(moved, shape), gradient, p.view(key if p.group == 1 else key[0], one)

    parameters, picture, moved, gradient, view = run(keys_for(p, 1))
    again, other = run(keys_for(p, 1))[1], run(keys_for(p, 2))[1]
    for result in (picture, moved):
        assert result.shape == expected
        assert result.dtype == jnp.float32
        assert 0 <= result.min() <= result.max() <= 1
    assert np.std(moved) > 1e-3
    np.testing.assert_array_equal(picture, again)
    assert np.abs(picture - other).max() > 1e-3
    for leaf, slope in zip(jax.tree.leaves(parameters), jax.tree.leaves(gradient)):
        assert leaf.dtype == jnp.float32
        assert np.isfinite(slope).all()
        # All but the few imaginary parts that a real picture does not have.
        assert (np.asarray(slope) != 0).mean() > 0.9
    assert view.shape == shape
    if not isinstance(p, RGBA):
        np.testing.assert_array_equal(view, picture if p.group == 1 else picture[-1])


EXACT = [Fourier(), Fourier(decay=1.5), Pixels(), Pyramid(levels=(8, 1, 3)), Shared(levels=(2,), group=3), RGBA()]


@pytest.mark.parametrize("shape", SHAPES[1:3], ids=str)
@pytest.mark.parametrize("parametrization", EXACT, ids=str)
def test_start_from_a_picture(parametrization, shape):
    """Pictures come back, clipped to 0.005 and 0.995."""
    given = RNG.uniform(size=parametrization.picture_shape(shape)).astype(np.float32)
    given[..., :2, :2, :] = 0
    given[..., 3:5, :2, :] = 1
    parameters = jax.jit(lambda g: parametrization.from_picture(g, shape))(given)
    picture = jax.jit(lambda q: parametrization.picture(q, shape))(parameters)
    np.testing.assert_allclose(picture, given.clip(0.005, 0.995), atol=2e-5)
    like = jax.eval_shape(lambda k: parametrization.init(k, shape), keys_for(parametrization, 0))
    assert jax.tree.map(lambda a: (a.shape, a.dtype), like) == jax.tree.map(lambda a: (a.shape, a.dtype), parameters)


def test_an_opaque_picture_to_start_from():
    given = RNG.uniform(0.1, 0.9, (8, 9, 3)).astype(np.float32)
    picture = RGBA().picture(RGBA().from_picture(given, (8, 9, 3)), (8, 9, 3))
    np.testing.assert_allclose(picture[..., :3], given, atol=2e-5)
    np.testing.assert_allclose(picture[..., 3], 0.995, atol=2e-5)


def test_low_resolution_starts_from_a_blurred_picture():
    smooth = sigmoid(np.cos(np.arange(32) / 10)[:, None, None] + np.zeros((32, 32, 3))).astype(np.float32)
    low = Pyramid(levels=(4,))
    np.testing.assert_allclose(low.picture(low.from_picture(smooth, smooth.shape), smooth.shape), smooth, atol=0.03)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CPPN().from_picture(np.zeros((8, 8, 3)), (8, 8, 3)), "CPPN cannot start from a picture; use Fourier"),
        (lambda: RGBA(of=CPPN()).from_picture(np.zeros((8, 8, 3)), (8, 8, 3)), "CPPN cannot start from a picture"),
        (lambda: Fourier().from_picture(np.zeros((8, 9, 3)), (8, 8, 3)), r"\(8, 9, 3\); expected \(8, 8, 3\)"),
        (lambda: RGBA().from_picture(np.zeros((8, 8, 5)), (8, 8, 3)), r"\(8, 8, 5\); expected \(8, 8, 4\)"),
        (lambda: Shared().from_picture(np.zeros((8, 8, 3)), (8, 8, 3)), r"expected \(6, 8, 8, 3\)"),
        (lambda: Fourier(sd=-1), "sd -1; expected a number from 0 on"),
        (lambda: Fourier(decay=float("nan")), "decay nan"),
        (lambda: Pixels(sd="large"), "sd 'large'"),
        (lambda: Pyramid(levels=()), r"levels \(\); expected different whole numbers"),
        (lambda: Pyramid(levels=(2, 2)), r"levels \(2, 2\)"),
        (lambda: Pyramid(levels=(2, 0)), "level 0; expected a whole number from 1 on"),
        (lambda: Pyramid(levels=4), "levels 4"),
        (lambda: Shared(group=1), "group 1; expected a whole number from 2 on"),
        (lambda: Shared(own=Shared()), "own Shared; expected a plain parametrization"),
        (lambda: Shared(own=RGBA()), "own RGBA"),
        (lambda: RGBA(of=RGBA()), "of RGBA"),
        (lambda: RGBA(of="Fourier"), "of 'Fourier'"),
        (lambda: CPPN(width=0), "width 0"),
        (lambda: CPPN(layers=1.5), "layers 1.5"),
        (lambda: FourierPhase(sd=0), "sd 0; expected a positive number"),
        (lambda: FourierPhase(spectrum=3), "spectrum 3"),
        (lambda: FourierPhase("paintings"), "spectrum 'paintings'; expected 'photographs', or a spectrum's file"),
    ],
)
def test_bad_arguments_are_one_clear_line(make, message):
    with pytest.raises(InputError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


# Colour


def test_colour_and_its_inverse():
    values = RNG.normal(size=(9, 7, 3))
    expected = painted(values)
    np.testing.assert_allclose(color.to_rgb(np.float32(values)), expected, atol=1e-6)
    np.testing.assert_allclose(color.from_rgb(np.float32(expected)), values, atol=2e-5)
    np.testing.assert_allclose(color.to_gray(np.float32(values)), sigmoid(values), atol=1e-6)
    np.testing.assert_allclose(color.from_gray(np.float32(sigmoid(values))), values, atol=2e-5)
    np.testing.assert_allclose(color.from_gray(np.float32([0, 1])), np.log([0.005 / 0.995, 0.995 / 0.005]), rtol=1e-4)
    for channels, function in ((3, color.to_rgb), (1, color.to_gray), (4, color.to_gray)):
        some = RNG.normal(size=(4, 5, channels)).astype(np.float32)
        np.testing.assert_array_equal(color.to_picture(some), function(some))
        np.testing.assert_allclose(color.from_picture(color.to_picture(some)), some, atol=2e-5)


def test_colour_norm():
    """The largest column norm of the colour matrix is the 0.462 of the published recipe."""
    assert abs(np.sqrt((color.CORRELATION_SQRT.astype(np.float64) ** 2).sum(0)).max() - 0.462) < 5e-4
    np.testing.assert_allclose(color.to_rgb(np.zeros((2, 3), np.float32)), 0.5)


# Fourier


def slow_scale(height, width, decay):
    """Lucid's scale for each frequency of the half spectrum, by a loop."""
    scale = np.zeros((height, width // 2 + 1, 1))
    for i in range(height):
        for j in range(width // 2 + 1):
            frequency = np.sqrt((min(i, height - i) / height) ** 2 + (j / width) ** 2)
            scale[i, j] = np.sqrt(width * height) / max(frequency, 1 / max(width, height)) ** decay
    return scale


@pytest.mark.parametrize("shape", [(16, 16, 3), (15, 21, 3), (8, 13, 1), (2, 2, 3)], ids=str)
@pytest.mark.parametrize("decay", [1.0, 1.5])
def test_fourier_pictures(shape, decay):
    fourier = Fourier(decay=decay)
    z = fourier.init(random_key(3), shape)
    spectrum = (np.asarray(z[0], np.float64) + 1j * np.asarray(z[1], np.float64)) * slow_scale(*shape[:2], decay)
    values = np.fft.irfft2(spectrum, s=shape[:2], axes=(0, 1)) / 4
    np.testing.assert_allclose(fourier.picture(z, shape), painted(values), atol=2e-6)


def test_fourier_start_is_normal_with_its_standard_deviation():
    z = np.asarray(Fourier(sd=0.02).init(random_key(0), (64, 64, 3)))
    assert abs(z.std() - 0.02) < 5e-4
    assert abs(z.mean()) < 5e-4


# Pyramid and Shared


def enlarged(small, size):
    """Linear interpolation between centres of pixels, flat beyond the outermost ones."""
    height, width = (np.interp((np.arange(n) + 0.5) * m / n, np.arange(m) + 0.5, np.arange(m)) for n, m in size)
    rows = np.stack([np.interp(height, np.arange(len(small)), small[:, j]) for j in range(small.shape[1])], 1)
    return np.stack([np.interp(width, np.arange(small.shape[1]), row) for row in rows])


@pytest.mark.parametrize("shape", [(16, 16, 3), (15, 21, 3), (13, 5, 1)], ids=str)
def test_pyramid_pictures(shape):
    pyramid = Pyramid(levels=(1, 2, 4, 8), sd=0.5)
    parameters = pyramid.init(random_key(0), shape)
    values = np.zeros(shape)
    for level, small in zip((1, 2, 4, 8), parameters):
        small = np.asarray(small, np.float64)
        assert small.shape == (max(shape[0] // level, 1), max(shape[1] // level, 1), shape[2])
        size = [(shape[0], small.shape[0]), (shape[1], small.shape[1])]
        values += np.stack([enlarged(small[..., c], size) for c in range(shape[2])], -1)
    np.testing.assert_allclose(pyramid.picture(parameters, shape), painted(values), atol=2e-6)


def test_starts_are_normal_and_differ_between_levels():
    for start in (
        Pyramid(sd=0.03).init(random_key(0), (64, 64, 3)),
        [Pixels(0.03).init(random_key(0), (64, 64, 3))],
    ):
        for level in start:
            assert abs(np.std(level) - 0.03) < 0.005
    levels = Pyramid(levels=(2, 3)).init(random_key(0), (6, 6, 1))
    assert not np.isin(levels[1], levels[0]).any()


def test_what_a_group_shares_is_shared():
    shape, shared = (16, 12, 3), Shared(group=3, levels=(2, 4))
    a, b, c, d = jax.random.split(jax.random.key(0), 4)
    start = shared.init(jnp.stack([a, b, c]), shape)
    own, common = start
    assert own.shape == (3, 2, 16, 7, 3)
    assert [level.shape for level in common] == [(8, 6, 3), (4, 3, 3)]
    for i, key in enumerate((a, b, c)):
        np.testing.assert_array_equal(own[i], Fourier().init(key, shape))
    last_changed = shared.init(jnp.stack([a, b, d]), shape)
    np.testing.assert_array_equal(last_changed[1][0], common[0])
    first_changed = shared.init(jnp.stack([d, b, c]), shape)
    assert not np.isin(first_changed[1][0], common[0]).any()

    values = shared.values(start, shape)
    moved = shared.values((own, (common[0].at[3, 2].add(1.0), common[1])), shape) - values
    assert np.abs(moved[0]).max() > 0.1
    np.testing.assert_allclose(moved, np.broadcast_to(moved[0], moved.shape), atol=1e-6)
    moved = shared.values((own.at[1, 0, 2, 2].add(1.0), common), shape) - values
    assert np.abs(moved[1]).max() > 0.01
    assert not moved[0].any() and not moved[2].any()


# CPPN


@pytest.mark.parametrize("shape", [(9, 9, 3), (7, 12, 4)], ids=str)
def test_cppn_pictures(shape):
    cppn = CPPN(width=5, layers=3)
    parameters = jax.tree.map(
        lambda p: p + RNG.normal(size=p.shape, scale=0.3).astype(np.float32), cppn.init(random_key(0), shape)
    )
    pitch = 2 * np.sqrt(3) / (max(shape[:2]) - 1)
    expected = np.zeros(shape)
    for i in range(shape[0]):
        for j in range(shape[1]):
            x = np.array([(j - (shape[1] - 1) / 2) * pitch, (i - (shape[0] - 1) / 2) * pitch])
            for kernel, bias in parameters[:-1]:
                u = np.arctan(x @ (PACE * np.asarray(kernel, np.float64)) + PACE * np.asarray(bias, np.float64))
                x = np.concatenate([u / 0.67, u * u / 0.6])
            kernel, bias = parameters[-1]
            expected[i, j] = sigmoid(x @ (PACE * np.asarray(kernel, np.float64)) + PACE * np.asarray(bias, np.float64))
    np.testing.assert_allclose(cppn.picture(parameters, shape), expected, atol=5e-6)


def test_cppn_start():
    *hidden, (kernel, bias) = CPPN(width=96, layers=4).init(random_key(0), (8, 8, 3))
    assert [k.shape for k, _ in hidden] == [(2, 96), (192, 96), (192, 96), (192, 96)]
    assert not kernel.any() and kernel.shape == (192, 3) and bias.any()
    for k, _ in hidden:
        assert abs(PACE * np.std(k) * np.sqrt(len(k)) - 1) < 0.15
    assert abs(PACE * np.std(np.concatenate([b for _, b in hidden])) - 0.1) < 0.015
    np.testing.assert_allclose(coordinates((201, 201)).std((0, 1)), 1, atol=0.01)
    np.testing.assert_allclose(
        coordinates((5, 9))[:, :, 0], np.tile(np.linspace(-np.sqrt(3), np.sqrt(3), 9), (5, 1)), atol=1e-6
    )


# RGBA


def test_views_of_transparent_pictures():
    shape, rgba = (24, 18, 3), RGBA()
    colors = RNG.uniform(size=shape)
    view = jax.jit(jax.vmap(rgba.view, in_axes=(0, None)))
    keys = jax.random.split(random_key(0), 300)

    def views(alpha):
        return np.asarray(
            view(keys, np.concatenate([colors, np.full((24, 18, 1), alpha)], -1).astype(np.float32)), np.float64
        )

    np.testing.assert_allclose(views(1.0), np.broadcast_to(colors, (300, *shape)), atol=1e-6)
    background = views(0.0)
    np.testing.assert_allclose(views(0.3), 0.3 * colors + 0.7 * background, atol=1e-6)
    assert len({b.tobytes() for b in background}) == 300
    # The variance of a random Fourier picture, from Lucid's formula: whole spectrum, real and imaginary parts 0.5;
    # in the columns that hold a frequency and its mirror image the inverse transform takes the mean of both.
    power = 2 * 2 * (0.5 * slow_scale(24, 18, 1.0)) ** 2
    power[:, [0, -1]] /= 4
    values = np.log(background / (1 - background)) @ np.linalg.inv(MATRIX).T
    assert abs(values.mean()) < 0.1 * values.std()
    np.testing.assert_allclose(values.var((0, 1, 2)), power.sum() / 16 / (24 * 18) ** 2, rtol=0.1)


# FourierPhase


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
    half *= np.pi / np.sqrt(3) / np.sqrt((half**2).mean())
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


# Spectra


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
