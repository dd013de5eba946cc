"""Random views and what is optimised, against SciPy and NumPy in float64."""

import jax
import numpy as np
import pytest
from scipy import ndimage

from jaxcircuits.vis import LUCID, Fourier, Jitter, Pad, Rotate, Scale, color
from jaxcircuits.vis.resample import resample
from jaxcircuits.vis.transforms import random_view, view_size

RNG = np.random.default_rng(0)


def affine(degrees, scale, shift):
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / scale
    return np.block([[turn, np.array(shift)[:, None]], [np.zeros((1, 2)), np.ones((1, 1))]])


def slow_resample(picture, matrix, size):
    """SciPy's linear interpolation at the mapped positions, mid-grey outside."""
    height, width = picture.shape[:2]
    y, x = np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in size), indexing="ij")
    at = [matrix[a, 0] * y + matrix[a, 1] * x + matrix[a, 2] + (n - 1) / 2 for a, n in enumerate((height, width))]
    channels = [
        ndimage.map_coordinates(c, at, order=1, mode="grid-constant", cval=0.5) for c in picture.transpose(2, 0, 1)
    ]
    return np.stack(channels, -1)


@pytest.mark.parametrize("degrees", [0, 7.3, -10, 40])
@pytest.mark.parametrize("scale", [0.9, 1.1, 1.6])
@pytest.mark.parametrize("size", [(14, 14), (9, 22)])
def test_resample_and_its_gradient(degrees, scale, size):
    picture, shift = RNG.uniform(size=(12, 15, 3)), RNG.uniform(-4, 4, 2)
    matrix = affine(degrees, scale, shift)
    reach = scale * (abs(np.cos(np.deg2rad(degrees))) + abs(np.sin(np.deg2rad(degrees))))
    view, transpose = jax.vjp(lambda p: resample(p, np.float32(matrix), size, reach), np.float32(picture))
    np.testing.assert_allclose(view, slow_resample(picture, matrix, size), atol=2e-5)
    # The gradient is the transpose: <R^T g, v> = <g, R v> for any g and v.
    gradient = RNG.normal(size=(*size, 3))
    for _ in range(3):
        v = RNG.normal(size=picture.shape)
        moved = slow_resample(picture + v, matrix, size) - slow_resample(picture, matrix, size)
        pulled = np.asarray(transpose(np.float32(gradient))[0], np.float64)
        np.testing.assert_allclose((pulled * v).sum(), (gradient * moved).sum(), atol=2e-3)


def matrices(transform, count=4000):
    return np.asarray(jax.vmap(transform.matrix)(jax.random.split(jax.random.key(1), count)), np.float64)


def test_jitter_is_a_crop_at_a_whole_offset_from_0_to_its_size():
    offsets = matrices(Jitter(8))[:, :2, 2] + 4
    for axis in (0, 1):
        values, counts = np.unique(offsets[:, axis], return_counts=True)
        np.testing.assert_allclose(values, np.arange(9), atol=1e-5)
        np.testing.assert_allclose(counts / len(offsets), 1 / 9, atol=0.02)
    assert abs(np.corrcoef(offsets.T)[0, 1]) < 0.05


def test_scale_and_rotate_have_lucids_distributions():
    scales = 1 / matrices(LUCID[2])[:, 0, 0]
    values, counts = np.unique(scales.round(4), return_counts=True)
    np.testing.assert_allclose(values, np.arange(0.90, 1.11, 0.02), atol=1e-4)
    np.testing.assert_allclose(counts / len(scales), 1 / 11, atol=0.02)
    turn = matrices(LUCID[3])
    degrees = np.rad2deg(np.arctan2(turn[:, 0, 1], turn[:, 0, 0])).round(3)
    values, counts = np.unique(degrees, return_counts=True)
    np.testing.assert_allclose(values, np.arange(-10, 11), atol=1e-3)
    expected = np.where(np.arange(-10, 11) == 0, 6, 1) / 26
    np.testing.assert_allclose(counts / len(degrees), expected, atol=0.02)


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (Pad(2), lambda p: np.pad(p, ((2, 2), (2, 2), (0, 0)), constant_values=0.5)),
        (Rotate((90,)), lambda p: np.rot90(p, 1)),
        (Rotate((-90,)), lambda p: np.rot90(p, -1)),
        (Scale((1.0,)), lambda p: p),
    ],
    ids=["pad", "rotate 90", "rotate -90", "scale 1"],
)
def test_views_that_move_whole_pixels(transform, expected):
    picture = RNG.uniform(size=(8, 8, 3))
    view = random_view((transform,), jax.random.key(0), np.float32(picture))
    np.testing.assert_allclose(view, expected(picture), atol=1e-4)


def test_jitter_views_are_crops():
    picture = RNG.uniform(size=(7, 9, 3))
    view = np.asarray(random_view((Jitter(3),), jax.random.key(5), np.float32(picture)))
    crops = [picture[i : i + 4, j : j + 6] for i in range(4) for j in range(4)]
    assert min(np.abs(view - crop).max() for crop in crops) < 1e-5


def test_a_chain_applies_its_transforms_in_order():
    """Half as large in a padded canvas, then cropped: the crop's offset is in pixels of the view."""
    picture = np.ones((16, 16, 1), np.float32)
    view = np.asarray(random_view((Pad(4), Scale((0.5,))), jax.random.key(0), picture))[..., 0]
    assert view.shape == (24, 24)
    np.testing.assert_allclose(view[12, 7:17], [0.5, *[1] * 8, 0.5], atol=1e-5)
    chain = (Pad(4), Scale((0.5,)), Jitter(6))
    offsets = {
        tuple(np.argwhere(np.asarray(random_view(chain, jax.random.key(i), picture))[..., 0] > 0.9).min(0))
        for i in range(40)
    }
    assert offsets <= {(i, j) for i in range(2, 9) for j in range(2, 9)}
    assert len(offsets) > 15


def test_lucids_views():
    assert view_size(LUCID, (128, 128)) == (140, 140)
    picture = RNG.uniform(size=(128, 128, 3)).astype(np.float32)
    views = [np.asarray(random_view(LUCID, jax.random.key(i), picture)) for i in range(3)]
    assert all(view.shape == (140, 140, 3) and np.isfinite(view).all() for view in views)
    assert np.abs(views[0] - views[1]).mean() > 0.05
    # Bilinear interpolation adds up to one: every inner pixel gets as much gradient as the zoom spreads it.
    gradient = jax.grad(lambda p: random_view(LUCID, jax.random.key(0), p).sum())(picture)
    inner = np.asarray(gradient)[30:-30, 30:-30]
    assert 0.8 < inner.mean() < 1.22
    assert inner.std() < 0.2 * inner.mean()


@pytest.mark.parametrize("shape", [(16, 16, 3), (15, 21, 3), (8, 13, 1), (2, 2, 3)], ids=str)
@pytest.mark.parametrize("decay", [1.0, 1.5])
def test_fourier_pictures(shape, decay):
    height, width, channels = shape
    fourier = Fourier(decay=decay)
    z = fourier.init(jax.random.key(3), shape)
    z64 = np.asarray(z[0], np.float64) + 1j * np.asarray(z[1], np.float64)
    spectrum = np.zeros_like(z64)
    for i in range(height):
        for j in range(width // 2 + 1):
            fy = min(i, height - i) / height
            frequency = np.sqrt(fy**2 + (j / width) ** 2)
            scale = np.sqrt(width * height) / max(frequency, 1 / max(width, height)) ** decay
            spectrum[i, j] = z64[i, j] * scale
    values = np.fft.irfft2(spectrum, s=(height, width), axes=(0, 1)) / 4
    if channels == 3:
        matrix = np.array([[0.26, 0.09, 0.02], [0.27, 0, -0.05], [0.27, -0.09, 0.03]])
        values = values @ (matrix / 0.4619523).T
    np.testing.assert_allclose(fourier.picture(z, shape), 1 / (1 + np.exp(-values)), atol=2e-6)


def test_fourier_start_is_normal_with_its_standard_deviation():
    z = np.asarray(Fourier(sd=0.02).init(jax.random.key(0), (64, 64, 3)))
    assert abs(z.std() - 0.02) < 5e-4
    assert abs(z.mean()) < 5e-4


def test_colour_norm():
    """The largest column norm of the colour matrix is the 0.462 of the published recipe."""
    assert abs(np.sqrt((color.CORRELATION_SQRT.astype(np.float64) ** 2).sum(0)).max() - 0.462) < 5e-4
    np.testing.assert_allclose(color.to_rgb(np.zeros((2, 3), np.float32)), 0.5)
