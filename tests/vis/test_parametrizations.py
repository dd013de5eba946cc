"""What is optimized in place of pixels, against NumPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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
from support.painted import MATRIX, SHAPES, painted, random_key, sigmoid

pytestmark = pytest.mark.usefixtures("compiled_quickly")

RNG = np.random.default_rng(0)

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


# Color


def test_color_and_its_inverse():
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


def test_color_norm():
    """The largest column norm of the color matrix is the 0.462 of the published recipe."""
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
    """Linear interpolation between centers of pixels, flat beyond the outermost ones."""
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
