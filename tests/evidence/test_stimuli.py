"""The stimuli and the procedural world, against facts that are independent of how they are drawn."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcircuits.evidence import circular, stimuli
from jaxcircuits.evidence.stimuli import drawing, figures
from jaxcircuits.slide import scenes

ANGLES = np.radians([0, 30, 75, 90, 135, 180, 200, 270, 315])
FIGURES = {
    "curve": functools.partial(stimuli.curve, 0.4),
    "circle": stimuli.circle,
    "spiral": functools.partial(stimuli.spiral, 0.4),
    "s_curve": functools.partial(stimuli.s_curve, 0.4),
    "line": functools.partial(stimuli.line, 0.4),
    "corner": functools.partial(stimuli.corner, 0.4),
    "grating": functools.partial(stimuli.grating, 0.4),
    "dots": functools.partial(stimuli.dots, 0.4),
    "high_low_frequency": functools.partial(stimuli.high_low_frequency, 0.4),
    "patch": stimuli.patch,
    "hue": functools.partial(stimuli.hue, 0.4),
    "color_contrast": functools.partial(stimuli.color_contrast, 0.4),
    "head": figures.head,
    "car": figures.car,
}


def offsets(size: int) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the pixels from the middle of the picture."""
    y, x = np.indices((size, size)) - (size - 1) / 2
    return x, y


def ink(picture: jax.Array) -> np.ndarray:
    """How much each pixel differs from the gray ground."""
    return np.abs(np.asarray(picture)[..., 0] - 0.5)


@pytest.mark.parametrize("angle", ANGLES)
def test_curve_bulges_toward_its_orientation(angle):
    x, y = offsets(96)
    mass = ink(stimuli.curve(angle, 24.0, extent=2.2))
    x, y = x - np.average(x, weights=mass), y - np.average(y, weights=mass)
    # An arc is dense at its bulge and thin at its far ends, so its third moment points away from the bulge.
    third = -np.array([np.sum(mass * x * (x**2 + y**2)), np.sum(mass * y * (x**2 + y**2))])
    difference = np.angle(np.exp(1j * (np.arctan2(third[1], third[0]) - angle)))
    assert abs(difference) < np.radians(2)


def test_curve_has_its_radius_width_and_extent():
    mass = ink(stimuli.curve(0.0, 24.0, 4.0, extent=2.0)) * 2
    # Area of a stroke with round ends.
    assert mass.sum() == pytest.approx(24 * 2.0 * 4 + np.pi * 2**2, rel=0.01)
    # The circle through the pixels of a thin stroke, by linear least squares.
    thin = ink(stimuli.curve(0.0, 24.0, 1.0, extent=2.0))
    x, y = (axis[thin > 0.2] for axis in offsets(96))
    a, b, c = np.linalg.lstsq(np.stack([2 * x, 2 * y, np.ones_like(x)], 1), x**2 + y**2, rcond=None)[0]
    assert np.sqrt(c + a * a + b * b) == pytest.approx(24, abs=0.3)
    assert b == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize(
    "name", ["curve", "spiral", "s_curve", "line", "corner", "high_low_frequency", "color_contrast"]
)
def test_a_quarter_turn_of_the_orientation_turns_the_picture(name):
    draw = getattr(stimuli, name)
    extra = {"grain": 0.7} if name == "high_low_frequency" else {}
    turned_extra = {"grain": 0.7 + np.pi / 2} if extra else {}
    before, after = draw(0.4, **extra), draw(0.4 + np.pi / 2, **turned_extra)
    # Clockwise as seen, which is -1 for rot90. A plaid's waves also change sign with the turn.
    turned = np.rot90(before, -1)
    difference = np.abs(turned - after) if not extra else np.abs(np.abs(turned - 0.5) - np.abs(after - 0.5))
    assert difference.max() < 1e-3


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("wavelength", [5.0, 12.0])
def test_grating_has_its_wave_vector(angle, wavelength):
    picture = np.asarray(stimuli.grating(angle, wavelength, size=120))[..., 0]
    power = np.abs(np.fft.fft2(picture - picture.mean()))
    row, column = np.unravel_index(power.argmax(), power.shape)
    found = np.array([np.fft.fftfreq(120)[column], np.fft.fftfreq(120)[row]])
    expected = np.array([np.cos(angle), np.sin(angle)]) / wavelength
    # Of a real picture's spectrum either sign may come first.
    assert min(np.abs(found - expected).max(), np.abs(found + expected).max()) <= 0.5 / 120 + 1e-6


@pytest.mark.parametrize("angle", ANGLES)
def test_fine_side_is_where_the_orientation_points(angle):
    picture = np.asarray(stimuli.high_low_frequency(angle, 4.0, 20.0))[..., 0]
    energy = np.square(np.diff(picture, axis=0))[:, :-1] + np.square(np.diff(picture, axis=1))[:-1]
    x, y = (axis[:-1, :-1] for axis in offsets(96))
    inside = np.hypot(x, y) < 44
    along = x * np.cos(angle) + y * np.sin(angle)
    assert energy[inside & (along > 3)].mean() > 4 * energy[inside & (along < -3)].mean()


@pytest.mark.parametrize("neck", [figures.NONE, figures.BEHIND, figures.IN_FRONT])
def test_left_head_mirrors_right_head(neck):
    left, right = (figures.head(facing, nod=0.2, neck=neck) for facing in (figures.LEFT, figures.RIGHT))
    np.testing.assert_allclose(left, right[:, ::-1], atol=1e-5)


@pytest.mark.parametrize("facing", [figures.LEFT, figures.RIGHT])
def test_head_points_where_it_faces_and_its_neck_lies_behind(facing):
    x, _ = offsets(96)
    bare, behind, wrong = (figures.head(facing, neck=neck) for neck in (figures.NONE, figures.BEHIND, figures.IN_FRONT))
    # The nose is what sticks out farthest.
    farthest = x[ink(bare) > 0.3]
    assert np.sign(farthest[np.abs(farthest).argmax()]) == facing
    for picture, side in ((behind, -facing), (wrong, facing)):
        neck = np.abs(np.asarray(picture - bare)).sum(-1)
        assert np.sign(np.average(x, weights=neck)) == side


def test_car_parts_swap_as_its_picture_turns_over():
    upright = figures.car(figures.ABOVE, figures.BELOW)
    over = figures.car(figures.BELOW, figures.ABOVE)
    np.testing.assert_allclose(over, upright[::-1], atol=1e-5)
    _, y = offsets(96)
    dark = np.asarray(upright).max(-1) < 0.2
    bright = np.asarray(upright).min(-1) > 0.72
    assert y[dark].mean() > 0 > y[bright].mean()


@pytest.mark.parametrize("name", FIGURES)
def test_stimuli_are_pictures_that_trace(name):
    picture = FIGURES[name]()
    assert picture.shape == (96, 96, 3) and picture.dtype == jnp.float32
    assert np.isfinite(picture).all() and picture.min() >= 0 and picture.max() <= 1
    assert picture.std() > 0.01
    moved = [] if name == "grating" or name == "high_low_frequency" else [(0.0, 0.0), (5.0, -3.0)]
    if moved:
        pictures = jax.jit(jax.vmap(lambda center: FIGURES[name](center=center)))(jnp.array(moved))
        np.testing.assert_allclose(pictures[0], picture, atol=1e-5)
        # Away from the border, moving the figure moves the pixels: x to the right, y down.
        if name != "dots":
            rolled = np.roll(pictures[0], (-3, 5), (0, 1))
            np.testing.assert_allclose(pictures[1][8:-8, 8:-8], rolled[8:-8, 8:-8], atol=1e-3)


@pytest.mark.parametrize("lightness", [0.3, 0.5])
def test_hues_change_nothing_but_the_hue(lightness):
    hues = np.radians(np.arange(0, 360, 15))
    colors = np.stack([stimuli.of_hue(hue, 1.0, lightness) for hue in hues])
    np.testing.assert_allclose(colors.mean(1), lightness, atol=1e-6)
    assert colors.min() == pytest.approx(0, abs=1e-6) and colors.max() <= 1
    np.testing.assert_allclose(colors[:12] + colors[12:], 2 * lightness, atol=1e-6)
    # Red, green and blue are a third of a turn apart, and turning by that exchanges the channels.
    assert colors[[0, 8, 16]].argmax(1).tolist() == [0, 1, 2]
    np.testing.assert_allclose(np.roll(colors, 8, axis=0), np.roll(colors, -1, axis=1), atol=1e-6)
    picture = np.asarray(stimuli.color_contrast(0.0, hues[3], lightness=lightness, saturation=1.0))
    np.testing.assert_allclose(picture[:, -20], np.tile(colors[3], (96, 1)), atol=1e-6)
    np.testing.assert_allclose(picture[:, 20], np.tile(colors[15], (96, 1)), atol=1e-6)


def test_edges_are_antialiased_without_bias():
    for radius in (9.0, 9.25, 9.5, 9.75):
        covered = drawing.cover(drawing.disc(drawing.plane(32), radius))
        assert float(covered.sum()) == pytest.approx(np.pi * radius**2, rel=5e-3)


@pytest.fixture(scope="module")
def world():
    return scenes.batch(jax.random.key(5), 4)


def test_world_is_balanced_finite_and_varied(world):
    pictures, labels = map(np.asarray, world)
    assert pictures.shape == (4 * len(scenes.CLASSES), 96, 96, 3)
    assert np.isfinite(pictures).all() and pictures.min() >= 0 and pictures.max() <= 1
    assert np.bincount(labels).tolist() == [4] * len(scenes.CLASSES)
    assert pictures.std((1, 2, 3)).min() > 0.01
    flat = pictures.reshape(len(pictures), -1)
    assert len(np.unique(flat, axis=0)) == len(flat)


def test_a_scene_is_decided_by_its_key_alone(world):
    pictures, labels = world
    again, _ = scenes.batch(jax.random.key(5), 4)
    np.testing.assert_array_equal(pictures, again)
    keys = jax.random.split(jax.random.key(5), len(labels))
    for index in (0, 17, 43, 86, 90, 103, 111):
        alone = scenes.scene_of(keys[index], labels[index])
        np.testing.assert_allclose(alone, pictures[index], atol=2e-3)


def test_single_scenes_have_every_label():
    draw = jax.jit(jax.vmap(lambda key: scenes.scene(key)[1]))
    counts = np.bincount(draw(jax.random.split(jax.random.key(0), 400)), minlength=len(scenes.CLASSES))
    # 400 draws of 29 labels: 13.8 of each, standard deviation 3.6.
    assert len(counts) == len(scenes.CLASSES) and counts.min() >= 2 and counts.max() <= 32


def test_preference_finds_a_known_tuning():
    orientations = np.arange(24) * 2 * np.pi / 24
    wanted = np.radians([10.0, 100.0, 350.0])
    curves = np.exp(2 * np.cos(orientations[:, None] - wanted))
    found, ratio = circular.preference(orientations, np.concatenate([curves, np.zeros((24, 1))], axis=1))
    np.testing.assert_allclose(found[:3], wanted, atol=1e-3)
    # exp(2 cos) falls from exp(2) to exp(-2); the grid of 15 degrees misses both by as much.
    np.testing.assert_allclose(ratio[:3], np.exp(4 * np.cos(np.radians([5, 5, 5]))), rtol=1e-6)
    assert ratio[3] == 0


@pytest.mark.parametrize(
    "degrees, gap", [([], 360), ([20], 360), ([0, 90, 180, 270], 90), ([350, 10, 100], 250), ([0, 0, 180], 180)]
)
def test_largest_gap(degrees, gap):
    assert np.degrees(circular.largest_gap(np.radians(degrees))) == pytest.approx(gap)
