"""Random views, against SciPy and NumPy in float64."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance
from scipy import ndimage, stats

from jaxcircuits.errors import InputError
from jaxcircuits.vis.transforms import (
    CAPTUM,
    LUCID,
    MACO,
    TRANSFORMS,
    Affine,
    Blur,
    Color,
    Crop,
    Elastic,
    Flip,
    Geometric,
    Homography,
    Jitter,
    Noise,
    Pad,
    Rotate,
    Scale,
    random_view,
    view_size,
)
from jaxcircuits.vis.transforms.geometric import Native
from jaxcircuits.vis.transforms.resample import resample, sample

RNG = np.random.default_rng(0)
KEY = jax.random.key(5)

jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
"""These programs run once: half the time to compile them counts for more."""

CHAINS = {
    "turns": (Pad(2), Jitter(3), Scale((0.8, 1.3)), Rotate((-30, 20, 45)), Flip(0.5, 0.5)),
    "affine": (Affine(degrees=(-180, 180), shift=(-4, 4), zoom=(0.8, 1.2), shear=(-20, 20)),),
    "small crop": (Crop(),),
    "large crop": (Crop(view=(9, 15), first=0.9, last=0.7, least=0.6),),
    "homography": (Homography(0.4),),
    "elastic": (Elastic(2, 3),),
    "photometric": (Blur((0.5, 3)), Noise(0.1, 0.1), Color((0.5, 1.5), (0.5, 1.5), (0, 2))),
    "all": (Pad(3), Elastic(1, 4), Rotate((20,)), Homography(0.2), Jitter(2), Crop(first=0.9, last=0.9)),
    "horizon": (Homography(0.49), Scale((0.1,))),
    "LUCID": LUCID,
    "CAPTUM": CAPTUM,
    "MACO": (dataclasses.replace(MACO[0], view=(17, 12)), *MACO[1:]),
}
"""Every transform, every preset, and combinations."""

GOLDEN = {
    0: [(41.557, 36.783), (69.858, 93.387), (98.160, 27.349)],
    1: [(37.110, 38.024), (65.491, 97.352), (96.096, 29.248)],
}
"""Row and column, by seed."""


def slow_sample(picture, y, x):
    """SciPy's linear interpolation at positions in pixels from the center, mid-gray outside."""
    at = [p + (n - 1) / 2 for p, n in zip((y, x), picture.shape)]
    sample = [
        ndimage.map_coordinates(c, at, order=1, mode="grid-constant", cval=0.5) for c in np.moveaxis(picture, 2, 0)
    ]
    return np.stack(sample, -1)


def grid(size):
    return np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in size), indexing="ij")


def slow_map(matrix, y, x):
    return [matrix[axis, 0] * y + matrix[axis, 1] * x + matrix[axis, 2] for axis in (0, 1)]


def matrices(transform, size=(20, 30), progress=1.0, count=4000):
    """Many draws, (count, 3, 3) in float64."""
    draw = jit(jax.vmap(lambda key: transform.matrix(key, size, progress)))
    return np.asarray(draw(jax.random.split(jax.random.key(1), count)), np.float64)


view_of = jit(random_view, static_argnums=0)


def many(transform, picture, count=4000):
    view = jit(jax.vmap(lambda key: random_view((transform,), key, jnp.float32(picture))))
    return np.asarray(view(jax.random.split(jax.random.key(1), count)), np.float64)


def assert_uniform(values, low, high):
    assert stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 1e-3


def assert_shares(values, expected):
    """Values and their frequencies."""
    found, counts = np.unique(values, return_counts=True)
    np.testing.assert_allclose(found, list(expected), atol=1e-3)
    np.testing.assert_allclose(counts / len(values), list(expected.values()), atol=0.02)


@pytest.mark.parametrize(
    ("degrees", "scale", "size"),
    [(0, 1.1, (14, 14)), (7.3, 0.9, (9, 22)), (-10, 1.1, (14, 14)), (40, 0.9, (14, 14)), (40, 1.6, (9, 22))],
    ids=str,
)
def test_resample_and_its_gradient(degrees, scale, size):
    picture, shift, angle = RNG.uniform(size=(12, 15, 3)), RNG.uniform(-4, 4, 2), np.deg2rad(degrees)
    matrix = np.eye(3)
    matrix[:2, :2] = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / scale
    matrix[:2, 2] = shift
    reach = scale * (abs(np.cos(angle)) + abs(np.sin(angle)))
    gradient, v = RNG.normal(size=(*size, 3)), RNG.normal(size=picture.shape)

    @jit
    def view_and_gradient(picture, matrix, gradient):
        view, transpose = jax.vjp(lambda p: resample(p, matrix, size, reach), picture)
        return view, transpose(gradient)[0]

    view, pulled = view_and_gradient(*map(jnp.float32, (picture, matrix, gradient)))
    y, x = slow_map(matrix, *grid(size))
    np.testing.assert_allclose(view, slow_sample(picture, y, x), atol=2e-5)
    # The gradient is the transpose: <R^T g, v> = <g, R v> for any g and v.
    moved = slow_sample(picture + v, y, x) - slow_sample(picture, y, x)
    np.testing.assert_allclose((np.asarray(pulled, np.float64) * v).sum(), (gradient * moved).sum(), atol=2e-3)


def test_pixels_are_found_beyond_those_that_float32_can_number():
    """The last of 4,101 x 4,101, forward and backward: from 2^24 on float32 has every other whole number only."""
    side = 4101
    large, end = RNG.uniform(size=(side, side, 1)).astype(np.float32), (side - 1) / 2
    place = jnp.float32([[end - 4, end - 3, end - 2, end - 1, end]])
    np.testing.assert_allclose(jit(sample)(large, place.T, place), large[-5:, -5:], atol=1e-6)
    matrix = jnp.float32([[1, 0, 2 - end], [0, 1, 2 - end], [0, 0, 1]])  # a picture of 5 x 5 pixels in the last corner

    @jit
    def pulled(gradient):
        _, transpose = jax.vjp(lambda picture: resample(picture, matrix, (side, side), 1.0), jnp.zeros((5, 5, 1)))
        return transpose(gradient)[0]

    np.testing.assert_allclose(pulled(large), large[-5:, -5:], atol=1e-6)


@functools.partial(jit, static_argnums=0)
def view_gradient_and_positions(chain, key, picture, progress, gradient):
    """A view, the pulled back gradient, and for geometric chains the composed positions that the view looks at."""
    view, transpose = jax.vjp(lambda p: random_view(chain, key, p, progress), picture)
    sizes = [view_size(chain[:i], picture.shape[:2]) for i in range(len(chain))]
    y, x = map(jnp.float32, grid(view.shape[:2]))
    for transform, k, size in reversed([*zip(chain, jax.random.split(key, len(chain)), sizes)]):
        if isinstance(transform, Geometric):
            y, x = transform.look(k, y, x, size, progress)
    return view, transpose(gradient)[0], (y, x)


@pytest.mark.parametrize(
    ("name", "shape"),
    [(name, (13, 22, 3)) for name in CHAINS]
    + [
        pytest.param("all", (21, 10, 4), marks=pytest.mark.slow),
        ("photometric", (21, 10, 4)),
        ("photometric", (16, 16, 1)),
    ],
    ids=str,
)
def test_views_and_their_gradients(name, shape):
    """Shapes and finite values; of geometric chains also the one interpolation and its transpose."""
    chain, progress = CHAINS[name], 0.25
    picture, v = RNG.uniform(size=shape), RNG.normal(size=shape)
    size = view_size(chain, shape[:2])
    gradient = RNG.normal(size=(*size, shape[2]))

    def see(picture):
        view, pulled, at = view_gradient_and_positions(
            chain, KEY, jnp.float32(picture), jnp.float32(progress), jnp.float32(gradient)
        )
        return np.asarray(view, np.float64), np.asarray(pulled, np.float64), np.asarray(at, np.float64)

    view, pulled, at = see(picture)
    assert view.shape == (*size, shape[2])
    assert pulled.shape == shape
    assert np.isfinite(view).all() and np.isfinite(pulled).all()
    if all(isinstance(transform, Geometric) for transform in chain):
        np.testing.assert_allclose(view, slow_sample(picture, *at), atol=2e-4)
        moved = slow_sample(picture + v, *at) - slow_sample(picture, *at)
        np.testing.assert_allclose((pulled * v).sum(), (gradient * moved).sum(), atol=5e-3)
        np.testing.assert_allclose(see(np.full(shape, 0.5))[0], 0.5, atol=1e-6)


def test_a_run_interpolates_once():
    """Shrunk and enlarged again a picture is itself, unless something between asks for its values."""
    picture = RNG.uniform(size=(12, 12, 3))
    run = Scale((0.5,)), Rotate((30,)), Rotate((-30,)), Scale((2,))
    np.testing.assert_allclose(view_of(run, KEY, jnp.float32(picture)), picture, atol=1e-4)
    broken = np.asarray(view_of((*run[:2], Noise(), *run[2:]), KEY, jnp.float32(picture)))
    assert np.abs(broken - picture).max() > 0.2


def shifted(picture, pixels):
    return np.pad(picture, ((pixels, 0), (pixels, 0), (0, 0)), constant_values=0.5)[:-pixels, :-pixels]


WHOLE_PIXELS = {
    "pad": (Pad(2), lambda p: np.pad(p, ((2, 2), (2, 2), (0, 0)), constant_values=0.5)),
    "rotate 90": (Rotate((90,)), lambda p: np.rot90(p, 1)),
    "rotate -90": (Rotate((-90,)), lambda p: np.rot90(p, -1)),
    "scale 1": (Scale((1.0,)), lambda p: p),
    "affine turn": (Affine(degrees=(90, 90)), lambda p: np.rot90(p, 1)),
    "affine shift": (Affine(shift=(2, 2)), lambda p: shifted(p, 2)),
    "affine shear": (
        # Row i of 9 moves right by 4 - i.
        Affine(shear=(45, 45)),
        lambda p: np.stack([slow_sample(p, *np.broadcast_arrays(i - 4.0, np.arange(9) - 8.0 + i)) for i in range(9)]),
    ),
    "affine zoom": (Affine(zoom=(1.5, 1.5)), lambda p: slow_sample(p, *(g / 1.5 for g in grid((9, 9))))),
    "left right": (Flip(1, 0), lambda p: p[:, ::-1]),
    "up down": (Flip(0, 1), lambda p: p[::-1]),
    "no flip": (Flip(0, 0), lambda p: p),
    "whole crop": (Crop(first=1, last=1, spread=0, off_center=0), lambda p: p),
    "crop": (
        Crop(view=3, first=1, last=1 / 3, spread=0, off_center=0),
        lambda p: p[3:6, 3:6],
    ),
    "homography": (Homography(0), lambda p: p),
    "elastic": (Elastic(0, 3), lambda p: p),
    "noise": (Noise(), lambda p: p),
    "color": (Color(), lambda p: p),
}


@pytest.mark.parametrize("case", WHOLE_PIXELS)
def test_views_that_are_known(case):
    transform, expected = WHOLE_PIXELS[case]
    picture = RNG.uniform(size=(9, 9, 3))
    view = view_of((transform,), KEY, jnp.float32(picture))
    np.testing.assert_allclose(view, expected(picture), atol=1e-4)


def test_jitter_is_a_crop_at_a_whole_offset_from_0_to_its_size():
    offsets = matrices(Jitter(8))[:, :2, 2] + 4
    for axis in (0, 1):
        assert_shares(offsets[:, axis], dict.fromkeys(range(9), 1 / 9))
    assert abs(np.corrcoef(offsets.T)[0, 1]) < 0.05
    picture = RNG.uniform(size=(7, 9, 3))
    view = np.asarray(view_of((Jitter(3),), KEY, jnp.float32(picture)))
    crops = [picture[i : i + 4, j : j + 6] for i in range(4) for j in range(4)]
    assert min(np.abs(view - crop).max() for crop in crops) < 1e-5


def angles(turns):
    return np.rad2deg(np.arctan2(turns[:, 0, 1], turns[:, 0, 0])).round(3)


def test_affine_draws_uniformly():
    chain = Affine(degrees=(-30, 10), shift=(-4, 6), zoom=(0.8, 1.3), shear=(-20, 15))
    draws = matrices(chain)
    first, second = draws[:, 0, :2], draws[:, 1, :2]
    assert_uniform(angles(draws), -30, 10)
    assert_uniform(1 / np.linalg.norm(first, axis=1), 0.8, 1.3)
    lean = (first * second).sum(1) / (first**2).sum(1)
    assert_uniform(np.rad2deg(np.arctan(lean)), -20, 15)
    shift = -np.linalg.solve(draws[:, :2, :2], draws[:, :2, 2:])[..., 0]
    assert_uniform(shift[:, 0], -4, 6)
    assert_uniform(shift[:, 1], -4, 6)
    correlation = np.corrcoef([*shift.T, angles(draws), np.linalg.norm(first, axis=1), lean])
    assert np.abs(correlation - np.eye(5)).max() < 0.05
    rows = np.abs(np.linalg.inv(draws[:, :2, :2])).sum(2).max()
    assert 0.8 < rows / chain.reach((20, 30)) <= 1


@pytest.mark.parametrize("degrees", [(0, 0), (-10, 20), (30, 60), (100, 200), (-50, -40)], ids=str)
def test_reach_bounds_turns(degrees):
    angle = np.deg2rad(np.linspace(*degrees, 2001))
    expected = (np.abs(np.cos(angle)) + np.abs(np.sin(angle))).max()
    np.testing.assert_allclose(Affine(degrees=degrees).reach((9, 9)), expected, rtol=1e-5)


def test_flips_are_as_frequent_as_asked():
    flips = matrices(Flip(left_right=0.3, up_down=0.8), count=20000)
    assert_shares(flips[:, 1, 1], {-1: 0.3, 1: 0.7})
    assert_shares(flips[:, 0, 0], {-1: 0.8, 1: 0.2})
    assert abs(np.corrcoef(flips[:, 0, 0], flips[:, 1, 1])[0, 1]) < 0.05


@pytest.mark.parametrize(("progress", "mean"), [(0.0, 0.5), (0.5, 0.275), (1.0, 0.05)])
def test_macos_boxes(progress, mean):
    """Half the picture's side at first, a twentieth at last; N(0.5, 0.15) of its height and width."""
    draws = matrices(MACO[0], size=(512, 448), progress=progress)
    sides = draws[:, 0, 0] * 224 / 448
    np.testing.assert_allclose(draws[:, 0, 0], draws[:, 1, 1])
    expected = np.clip(stats.norm(mean, 0.05).ppf((np.arange(4000) + 0.5) / 4000), 0.05, 1)
    np.testing.assert_allclose(np.sort(sides)[::100], expected[::100], atol=0.02)
    np.testing.assert_allclose([sides.mean(), sides.std()], [expected.mean(), expected.std()], atol=0.003)
    centers = draws[:, :2, 2] / (512, 448)
    assert stats.kstest(centers.ravel(), stats.norm(0, 0.15).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(centers.T)[0, 1]) < 0.05


def test_homography_maps_four_corners():
    """NumPy's solution of the eight equations of four corners."""
    size, distortion = (20, 31), 0.4
    corners = np.array([[v, u] for v in (-0.5, 0.5) for u in (-0.5, 0.5)]) * size
    inner = RNG.uniform(-0.5, 0.5, size=(50, 2)) * size
    points = jnp.float32(np.concatenate([corners, inner]))
    look = jax.vmap(lambda key: jnp.stack(Homography(distortion).look(key, *points.T, size, 1.0), -1))
    seen = np.asarray(jit(look)(jax.random.split(KEY, 200)), np.float64)
    for corners_seen, inner_seen in zip(seen[:, :4], seen[:, 4:]):
        rows, values = [], []
        for (v, u), (row, column) in zip(corners, corners_seen):
            rows += [[v, u, 1, 0, 0, 0, -row * v, -row * u], [0, 0, 0, v, u, 1, -column * v, -column * u]]
            values += [row, column]
        matrix = np.append(np.linalg.solve(rows, values), 1).reshape(3, 3)
        expected = np.pad(inner, ((0, 0), (0, 1)), constant_values=1) @ matrix.T
        np.testing.assert_allclose(inner_seen, expected[:, :2] / expected[:, 2:], atol=2e-3)
    assert_uniform(np.ravel((seen[:, :4] - corners) / size * 2), -distortion, distortion)


def test_elastic_is_blurred_noise():
    size, pixels, smoothness = (60, 75), 2.0, 3.0
    points = np.stack(grid(size), -1)
    look = jax.vmap(lambda key: jnp.stack(Elastic(pixels, smoothness).look(key, *grid(size), size, 1.0), -1))
    keys = jax.random.split(KEY, 100)
    fields = np.asarray(jit(look)(keys), np.float64) - points
    noise = np.asarray(jax.random.normal(keys[0], (*size, 2)), np.float64)
    blurred = [ndimage.gaussian_filter(noise[..., axis], smoothness, truncate=8) for axis in (0, 1)]
    impulse = ndimage.gaussian_filter(np.pad([[1.0]], 40), smoothness, truncate=8)
    expected = pixels * np.stack(blurred, -1) / np.linalg.norm(impulse)
    np.testing.assert_allclose(fields[0, 20:-20, 20:-20], expected[20:-20, 20:-20], atol=1e-3)
    for place in (fields, fields[:, 0], fields[:, :, -1]):
        np.testing.assert_allclose(place.std(), pixels, rtol=0.05)


@pytest.mark.parametrize("sd", [0.3, 1.0, 2.7])
def test_blur(sd):
    picture = RNG.uniform(size=(17, 24, 2))
    blurred = [
        ndimage.gaussian_filter(p, sd, mode="constant", cval=0.5, truncate=9) for p in np.moveaxis(picture, 2, 0)
    ]
    view = view_of((Blur((sd, sd)),), KEY, jnp.float32(picture))
    np.testing.assert_allclose(view, np.stack(blurred, -1), atol=1e-5)


def test_blur_draws_its_strength_uniformly():
    picture = np.full((41, 3, 1), 0.5)
    picture[20] += 1
    profiles = many(Blur((0.8, 3)), picture, 1500)[:, :, 1, 0] - 0.5
    weights = profiles / profiles.sum(1, keepdims=True)
    assert_uniform(np.sqrt(weights @ (np.arange(41) - 20.0) ** 2), 0.8, 3)


@pytest.mark.parametrize(
    ("noise", "expected"),
    [
        (Noise(normal=0.1), stats.norm(0, 0.1)),
        (Noise(uniform=0.2), stats.uniform(-0.1, 0.2)),
    ],
    ids=["normal", "uniform"],
)
def test_noise(noise, expected):
    values = many(noise, np.full((4, 5, 3), 0.5), 300) - 0.5
    assert stats.kstest(values.ravel(), expected.cdf).pvalue > 1e-3
    correlation = np.corrcoef(values.reshape(300, -1).T)
    assert np.abs(correlation - np.eye(60)).max() < 0.25


def test_macos_noise():
    values = many(MACO[1], np.full((8, 8, 3), 0.5), 300) - 0.5
    np.testing.assert_allclose(values.std(), np.sqrt(0.08**2 + 0.08**2 / 12), rtol=0.01)


@pytest.mark.parametrize("factor", [0.3, 1.3])
@pytest.mark.parametrize(
    ("field", "enhance"),
    [("brightness", ImageEnhance.Brightness), ("contrast", ImageEnhance.Contrast), ("saturation", ImageEnhance.Color)],
)
def test_color_is_pillows(field, enhance, factor):
    """Pillow rounds to bytes, the mean gray included."""
    picture = RNG.integers(80, 160, size=(9, 12, 3), dtype=np.uint8)
    expected = np.asarray(enhance(Image.fromarray(picture)).enhance(factor)) / 255
    change = Color(**{field: (factor, factor)})
    alpha = RNG.uniform(size=(9, 12, 1))
    view = np.asarray(view_of((change,), KEY, jnp.concatenate([picture / jnp.float32(255), alpha], -1)))
    np.testing.assert_allclose(view[..., :3], expected, atol=2 / 255)
    np.testing.assert_allclose(view[..., 3:], alpha, atol=1e-6)


def test_color_draws_uniformly():
    picture = RNG.uniform(0.2, 0.8, size=(6, 6, 1))
    assert_uniform(many(Color(brightness=(0.6, 1.2)), picture)[:, 0, 0, 0] / picture[0, 0, 0], 0.6, 1.2)
    assert_uniform(many(Color(contrast=(0.5, 2)), picture).std((1, 2, 3)) / picture.std(), 0.5, 2)
    np.testing.assert_allclose(many(Color(saturation=(0, 2)), picture, 3), np.stack([picture] * 3), atol=1e-6)


@pytest.mark.parametrize(
    ("preset", "sizes"),
    [(LUCID, (140, 236)), (CAPTUM, (132, 228)), (MACO, (224, 224))],
    ids=["LUCID", "CAPTUM", "MACO"],
)
def test_view_sizes_of_presets(preset, sizes):
    assert [view_size(preset, (n, n)) for n in (128, 224)] == [(n, n) for n in sizes]
    assert view_size(LUCID, (9, 20)) == (21, 32)


def test_lucids_distributions():
    assert_shares((1 / matrices(LUCID[2])[:, 0, 0]).round(4), {s / 50: 1 / 11 for s in range(45, 56)})
    assert_shares(angles(matrices(LUCID[3])), {d: (6 if d == 0 else 1) / 26 for d in range(-10, 11)})


def test_captums_distributions():
    scales = 1 / matrices(CAPTUM[-4])[:, 0, 0]
    expected = np.sort([0.995**n for n in range(-5, 80)] + [0.998**n for n in range(20, 40)] * 2)
    np.testing.assert_allclose(np.quantile(scales, [0.1, 0.5, 0.9]), np.quantile(expected, [0.1, 0.5, 0.9]), atol=0.01)
    np.testing.assert_allclose([scales.min(), scales.max()], expected[[0, -1]], atol=1e-4)
    shares = {d: sum(d in range(-n, n) for n in (20, 10, 5)) / 75 for d in range(-20, 20)}
    shares[0] += 5 / 75
    assert_shares(angles(matrices(CAPTUM[-3])), shares)
    shift = matrices(CAPTUM[1])[:, :2, 2]
    np.testing.assert_allclose(shift.mean(0), 0, atol=0.5)
    np.testing.assert_allclose(shift.var(0), 10 * (9**2 - 1) / 12, rtol=0.06)
    assert stats.kstest(shift[:, 0], lambda x: stats.norm(0, 8.165).cdf(x + 0.5)).statistic < 0.04


def test_lucids_views_never_change():
    """Where three pixels of two views look, as drawn when the first pictures were published."""
    ramp = jnp.stack(jnp.meshgrid(jnp.arange(128.0), jnp.arange(128.0), indexing="ij"), -1)
    for seed, expected in GOLDEN.items():
        view = np.asarray(view_of(LUCID, jax.random.key(seed), ramp))
        np.testing.assert_allclose(view[(40, 70, 100), (40, 100, 30)], expected, atol=2e-3)


BAD = {
    "negative": (lambda: Pad(-1), r"Pad: pixels -1; expected a whole number from 0 on"),
    "never": (lambda: Jitter(2, 0), r"Jitter: times 0; expected a whole number from 1 on"),
    "fraction": (lambda: Jitter(1.5), r"Jitter: pixels 1.5; expected a whole number"),
    "no scales": (lambda: Scale(()), r"Scale: scales \(\); expected one or more numbers from 0.001 on"),
    "zero": (lambda: Scale((1, 0)), r"Scale: scales \(1, 0\); expected"),
    "one scale": (lambda: Scale(1.1), r"Scale: scales 1.1; expected one or more numbers"),
    "not finite": (lambda: Rotate((float("nan"),)), r"Rotate: degrees \(nan,\); expected one or more numbers$"),
    "text": (lambda: Rotate("ten"), "Rotate: degrees 'ten'; expected"),
    "backwards": (lambda: Affine(degrees=(5, -5)), r"Affine: degrees \(5, -5\); expected \(low, high\)$"),
    "one number": (lambda: Affine(zoom=1.1), r"Affine: zoom 1.1; expected \(low, high\) from 0.001 on"),
    "flat": (lambda: Affine(shear=(-90, 90)), r"Affine: shear .*; expected \(low, high\) from -80 to 80"),
    "probability": (lambda: Flip(2), r"Flip: left_right 2; expected a number from 0 to 1"),
    "view": (lambda: Crop(view=(3, 0)), r"Crop: view \(3, 0\); expected a number of pixels from 1 on, or \(height"),
    "side": (lambda: Crop(last=0), r"Crop: last 0; expected a number from 0.001 to 1"),
    "distortion": (lambda: Homography(0.5), r"Homography: distortion 0.5; expected a number from 0 to 0.49"),
    "smoothness": (lambda: Elastic(1, 0), r"Elastic: smoothness 0; expected a number from 0.1 on"),
    "blur": (lambda: Blur((0, 1)), r"Blur: sd \(0, 1\); expected \(low, high\) from 0.01 on"),
    "noise": (lambda: Noise(normal=-1), r"Noise: normal -1; expected a number from 0 on"),
    "color": (lambda: Color(contrast=(-1, 1)), r"Color: contrast \(-1, 1\); expected \(low, high\) from 0 on"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_numbers(case):
    make, message = BAD[case]
    with pytest.raises(InputError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


def test_transforms_are_values():
    """Hashable, equal by their numbers, lists taken for tuples; and the tests above leave none out."""
    used = [transform for chain in CHAINS.values() for transform in chain]
    # `Native` is what recipes append for networks of one size, and is tested with those.
    assert {type(transform) for transform in used} == set(TRANSFORMS) - {Native}
    for transform in used:
        fields = {f.name: getattr(transform, f.name) for f in dataclasses.fields(transform)}
        listed = {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}
        assert type(transform)(**listed) == transform
        assert hash(type(transform)(**listed)) == hash(transform)
