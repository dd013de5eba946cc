"""Pictures transformed, centered and judged, and what is measured with them, against direct computations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

import jaxcircuits as jc
from jaxcircuits import InputError, evidence
from jaxcircuits.evidence import handwritten, poses, stimuli
from jaxcircuits.evidence.centered import centered, strongest_centered
from jaxcircuits.images.decode import decode
from jaxcircuits.network import Network
from jaxcircuits.pages import tuning_plot
from jaxcircuits.zoo import InputConvention

RNG = np.random.default_rng(0)
SIDE = 48


@pytest.fixture(scope="module")
def picture():
    noise = ndimage.gaussian_filter(RNG.uniform(size=(40, 40, 3)), (2, 2, 0))
    return ((noise - noise.min()) / np.ptp(noise)).astype(np.float32)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_quarter_turns_are_exact(picture, quarters):
    # Clockwise as seen, which is -1 for rot90.
    found = poses.turned(picture, quarters * np.pi / 2)
    np.testing.assert_allclose(found, np.rot90(picture, -quarters), atol=1e-4)
    np.testing.assert_allclose(poses.turned(picture, quarters * np.pi / 2, 20), found[10:30, 10:30], atol=1e-4)


def test_turning_and_scaling_a_stimulus_is_drawing_it_so():
    plain = stimuli.curve(0.3, 12.0, 4.0, 96)
    turned = poses.turned(plain, 0.8)
    assert np.abs(turned - stimuli.curve(1.1, 12.0, 4.0, 96)).mean() < 0.01
    larger = poses.scaled(plain, 1.5)
    assert np.abs(larger - stimuli.curve(0.3, 18.0, 6.0, 96)).mean() < 0.01


def test_mirrors_and_shifts(picture):
    np.testing.assert_allclose(poses.mirrored(picture, 1.0), picture[:, ::-1], atol=1e-5)
    np.testing.assert_allclose(poses.mirrored(picture, 0.0), picture, atol=1e-5)
    found = poses.shifted(picture, jnp.array([3.0, -2.0]))
    np.testing.assert_allclose(found[:-2, 3:], picture[2:, :-3], atol=1e-5)
    # Beyond the border lies the border's color.
    np.testing.assert_allclose(found[:-2, 0], picture[2:, 0], atol=1e-5)


def test_recoloring_turns_hues_and_nothing_else(picture):
    np.testing.assert_allclose(poses.recolored(picture, 0.0), picture, atol=1e-5)
    third = poses.recolored(picture, 2 * np.pi / 3)
    np.testing.assert_allclose(third, np.roll(picture, 1, -1), atol=1e-5)
    odd = np.asarray(poses.recolored(picture, 1.0))
    np.testing.assert_allclose(odd.mean(-1), picture.mean(-1), atol=1e-5)
    assert odd.min() >= -1e-6 and odd.max() <= 1 + 1e-6
    field = np.broadcast_to(stimuli.of_hue(0.5, 0.6), (8, 8, 3))
    np.testing.assert_allclose(poses.recolored(field, 0.7)[0, 0], stimuli.of_hue(1.2, 0.6), atol=1e-5)


def test_examples_are_centered_on_what_their_cell_reads(tiny):
    pictures = RNG.uniform(size=(3, 16, 16, 3)).astype(np.float32)
    cells = np.array([[2, 5], [0, 0], [7, 7]])
    found = centered(tiny, jc.open_pictures(pictures), "relu", np.array([1, 0, 2]), cells, (16, 16), 5)
    assert found.shape == (3, 5, 5, 3)
    # Cell i reads pixels 2i to 2i + 2, whose middle is 2i + 1.
    np.testing.assert_array_equal(found[0], pictures[1, 3:8, 9:14])
    np.testing.assert_array_equal(found[1, 2, 2], pictures[0, 1, 1])
    # Beyond the border lies the border's color.
    np.testing.assert_array_equal(found[1, 0], found[1, 1])
    np.testing.assert_array_equal(found[2, 2, 2], pictures[2, 15, 15])
    np.testing.assert_array_equal(found[2, 3], found[2, 2])
    with pytest.raises(InputError, match="not those that were shown"):
        centered(tiny, jc.open_pictures(pictures), "relu", np.array([3]), cells[:1], (16, 16), 5)


def blobs_and_lines(params, x):
    """A unit for blobs, whichever way they are turned, and one for level lines; a cell a pixel."""
    axis = np.arange(-7, 8)
    blob = np.exp(-(axis[:, None] ** 2 + axis**2) / 18) - 0.45 * np.exp(-(axis[:, None] ** 2 + axis**2) / 60)
    line = np.exp(-(axis[:, None] ** 2) / 4 - axis**2 / 30) - 0.5 * np.exp(-(axis[:, None] ** 2) / 18 - axis**2 / 30)
    kernel = np.stack([blob - blob.mean(), line - line.mean()], -1)[:, :, None].astype(np.float32)
    numbers = ("NHWC", "HWIO", "NHWC")
    gray = x.mean(-1, keepdims=True)
    answers = jax.lax.conv_general_dilated(gray, kernel * params, (1, 1), "SAME", dimension_numbers=numbers)
    return {"units": jnp.maximum(answers, 0)}


@pytest.fixture(scope="module")
def seen():
    """A network of two units, four pictures that each knows one of, and its examples."""
    convention = InputConvention(size=(SIDE, SIDE), mean=0.5, std=0.25)
    network = Network.from_function(blobs_and_lines, jnp.float32(1), convention, name="two")
    spots = [stimuli.patch(5.0, SIDE, center=place) for place in ((4.0, -3.0), (0.0, 5.0))]
    lines = [stimuli.line(0.0, 30.0, 4.0, SIDE, center=place) for place in ((0.0, 4.0), (3.0, -5.0))]
    pictures = jc.open_pictures(np.clip(np.stack([*spots, *lines]), 0, 1))
    return network, pictures, evidence.examples(network, pictures, "units", 2, progress=False)


def test_invariance_against_direct_computation(seen):
    network, pictures, examples = seen
    found = evidence.invariance(network, ["units:0", "units:1"], examples, pictures, count=2, progress=False)
    blob, line = range(2)
    # A disc is a disc however it is turned; a level line is none of the turned ones but that by half a turn.
    assert found.turned[blob] > 0.97 and found.mirrored.min() > 0.97
    assert found.curves["turned"][line, 6] == pytest.approx(1, abs=0.03)
    assert found.curves["turned"][line, 3] < 0.3 and found.turned[line] < 0.5
    assert (found.shifted < 0.9).all() and (found.scaled < 1).all()
    for unit in (blob, line):
        squares = strongest_centered(network, examples, pictures, "units", [unit], 2, SIDE)[0]

        def answer(images, unit=unit):
            middle = np.asarray(network.activations(np.ascontiguousarray(images), "units")["units"])
            return middle[:, 23:25, 23:25, unit].max((1, 2)).mean()

        own = answer(squares)
        assert found.curves["turned"][unit, 3] == pytest.approx(answer(np.rot90(squares, -1, (1, 2))) / own, abs=2e-3)
        assert found.mirrored[unit] == pytest.approx(answer(squares[:, :, ::-1]) / own, abs=2e-3)
        other = strongest_centered(network, examples, pictures, "units", [1 - unit], 2, SIDE)[0]
        assert found.chance[unit] == pytest.approx(answer(other) / own, abs=2e-3)


def test_examples_that_are_too_few_are_said(seen):
    network, pictures, examples = seen
    with pytest.raises(InputError, match="expected 3 or more"):
        evidence.invariance(network, "units:0", examples, pictures, count=3, progress=False)


COUNT = 8
AROUND = np.arange(COUNT) * 2 * np.pi / COUNT


@pytest.fixture(scope="module")
def family():
    """Curve units written by hand, and pictures of curves, one for each."""
    network = handwritten.handwritten_curves(AROUND, lines=8, radius=20.0)
    pictures = jc.open_pictures(np.clip(np.stack([stimuli.curve(angle, 20.0, 5.0) for angle in AROUND]), 0, 1))
    return network, pictures, evidence.examples(network, pictures, "curves", 2, progress=False)


def test_who_takes_over(family):
    network, pictures, examples = family
    assert examples["curves"].pictures[:, 0].tolist() == list(range(COUNT))
    names = [f"curves:{unit}" for unit in range(COUNT)]
    found = evidence.joint_tuning(network, names, examples, pictures, values=AROUND, count=1, progress=False)
    # The example of unit i, turned by k steps, is the example of unit i + k.
    expected = (np.arange(COUNT)[:, None] + np.arange(COUNT)) % COUNT
    np.testing.assert_array_equal(found.strongest[:, 0], expected)
    np.testing.assert_allclose(found.answers[range(COUNT), range(COUNT), 0, 0], 1)
    mirrors = functools.partial(evidence.joint_tuning, network, names, examples, pictures, poses.mirrored, "mirror")
    # Mirrored left to right, a curve that faces t faces pi - t.
    np.testing.assert_array_equal(
        mirrors([0.0, 1.0], count=1, progress=False).strongest[:, 0, 1], (4 - np.arange(COUNT)) % COUNT
    )


@pytest.mark.parametrize("drawn", ["light", "dark", "edge", "color"])
def test_likeness_finds_the_orientation_by_edges(drawn):
    templates = np.stack([stimuli.curve(angle, 14.0, 4.0, 64) for angle in AROUND])
    angles = AROUND + 0.1
    if drawn == "edge":
        # The rim of a disc, seen through a wedge: a curve without a stroke.
        pictures = [stimuli.patch(14.0, 80, center=tuple(-10 * np.array([np.cos(t), np.sin(t)]))) for t in angles]
        cuts = [stimuli.canvas(stimuli.GRAY, 80)] * COUNT
        y, x = np.indices((80, 80)) - 39.5
        wedge = [np.cos(t) * x + np.sin(t) * y > -4 for t in angles]
        pictures = [np.where(one[..., None], picture, cut) for one, picture, cut in zip(wedge, pictures, cuts)]
    else:
        color = {"light": (1.0, 1.0, 1.0), "dark": (0.0, 0.0, 0.0), "color": (0.9, 0.6, 0.2)}[drawn]
        pictures = [stimuli.curve(angle, 14.0, 4.0, 80, center=(5.0, -6.0), color=color) for angle in angles]
    scores = evidence.likeness(np.stack(pictures), templates)
    if drawn != "edge":
        assert scores.argmax(1).tolist() == list(range(COUNT))
        assert np.diag(scores).min() > 0.8
    else:
        off = np.abs((scores.argmax(1) - np.arange(COUNT) + 4) % COUNT - 4)
        assert (off <= 1).all()


def test_likeness_is_a_correlation():
    one = np.asarray(stimuli.curve(0.5, 14.0, 4.0, 64))[None]
    assert evidence.likeness(one, one)[0, 0] == pytest.approx(1, abs=0.02)
    assert evidence.likeness(1 - one, one)[0, 0] == pytest.approx(1, abs=0.02)
    assert evidence.likeness(np.full((1, 64, 64, 3), 0.3, np.float32), one)[0, 0] == pytest.approx(0, abs=1e-3)
    with pytest.raises(InputError, match="hold none of them"):
        evidence.likeness(one[:, :32, :32], one)


@pytest.mark.parametrize("kind", ["polar", "line"])
@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_plots(family, tmp_path, kind, suffix):
    pytest.importorskip("matplotlib")
    network, *_ = family
    grid = {"orientation": AROUND, "radius": [16.0, 24.0]}
    found = evidence.tuning(network, stimuli.curve, grid, "curves", progress=False)
    paths = [tmp_path / f"{name}{suffix}" for name in ("one", "two")]
    for path in paths:
        assert tuning_plot(found, "curves", [0, 3], "orientation", path, kind=kind) == path
    data = paths[0].read_bytes()
    assert data == paths[1].read_bytes()
    if suffix == ".svg":
        assert b"curves:3" in data or b"<svg" in data
    else:
        image = np.asarray(decode(paths[0]))
        assert image.shape[0] > 400 and (image < 128).any() and (image > 250).mean() > 0.5
    for bad, said in [
        ({"path": tmp_path / "a.gif"}, "saved as"),
        ({"kind": "bars"}, "unknown kind 'bars'"),
        ({"units": [9]}, "unknown unit 9 of curves"),
        ({"units": []}, "sequence of whole numbers"),
        ({"parameter": "radus"}, "did you mean radius"),
    ]:
        arguments = {"units": [0], "parameter": "orientation", "path": tmp_path / "b.png", "kind": kind} | bad
        with pytest.raises(InputError, match=said):
            tuning_plot(found, "curves", **arguments)
