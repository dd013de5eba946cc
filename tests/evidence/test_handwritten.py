"""The curve circuit written by hand, against the curves that it is for and against those that `slide` learned."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcircuits.evidence import circular, handwritten, stimuli
from jaxcircuits.evidence.curves import curve_tuning
from jaxcircuits.evidence.responses import responses
from jaxcircuits.network import load

COUNT = 24


@pytest.fixture(scope="module")
def network():
    return handwritten.handwritten_curves(np.arange(COUNT) * 2 * np.pi / COUNT)


@pytest.fixture(scope="module")
def curves(network):
    return curve_tuning(network, ["curves"], COUNT, radii=(20.0, 28.0))


def answers(network, draw, *arguments):
    pictures = jax.jit(jax.vmap(draw))(*[jnp.asarray(a, jnp.float32) for a in arguments])
    return responses(network, pictures, ["curves"])["curves"]


def test_every_unit_prefers_its_orientation(curves):
    orientations, answered = curves
    preferred, ratio = circular.preference(orientations, answered["curves"])
    off = np.degrees(np.abs(circular.difference(preferred, orientations)))
    assert off.max() < 4
    assert ratio.min() > 8
    assert circular.largest_gap(preferred) < np.radians(20)
    widths = np.degrees(circular.half_width(orientations, answered["curves"]))
    assert 60 < widths.min() <= widths.max() < 130


def test_polarity_does_not_matter(network):
    """A light curve and a dark one are the same to it, and an even ground is nothing."""
    angles = np.arange(8) * np.pi / 4
    dark, light = (
        answers(network, lambda t, shade: stimuli.curve(t, 28.0, color=jnp.full(3, shade)), angles, np.full(8, shade))
        for shade in (0.1, 0.9)
    )
    np.testing.assert_allclose(dark, light, rtol=0.05, atol=0.02)
    flat = responses(network, jnp.full((1, 96, 96, 3), 0.8), ["lines", "curves"])
    # Nothing is drawn: what is left is rounding.
    assert max(float(values.max()) for values in flat.values()) < 1e-3


def test_not_straight_lines(network):
    angles = np.arange(COUNT) * np.pi / COUNT
    straight = answers(network, lambda t: stimuli.line(t, 80.0), angles).max(0)
    own = np.diag(answers(network, lambda t: stimuli.curve(t, 28.0), 2 * angles))
    assert (straight < 0.6 * own).all()


def test_gabors_and_lines_are_what_they_say():
    gabors = handwritten.gabor_weights(8, 5.0)
    np.testing.assert_allclose(gabors.sum((0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(np.square(gabors).sum((0, 1)), 1, rtol=1e-5)
    np.testing.assert_array_equal(gabors[..., 8:], -gabors[..., :8])
    # A quarter of a turn takes every filter to that four orientations on.
    np.testing.assert_allclose(np.rot90(gabors, -1)[..., :4], gabors[..., 4:8], atol=1e-6)
    lines = handwritten.line_weights(8)
    for line in range(8):
        assert set(lines[1, 1, :8, line].argsort()[-3:] - line) <= {-7, -1, 0, 1, 7}


def test_a_curve_and_its_opposite_are_opposed():
    weights = handwritten.curve_weights(np.array([0.3, 0.3 + np.pi]), 16, 28.0, 2.1)
    cosine = np.vdot(weights[..., 0], weights[..., 1]) / np.square(weights[..., 0]).sum()
    assert cosine < -0.3
    np.testing.assert_allclose(weights[::-1, ::-1, :, 0], weights[..., 1], atol=1e-5)


@pytest.mark.parametrize("count", [24, 25])
def test_curves_at_their_limits(count):
    orientations = np.arange(count) * 2 * np.pi / count
    curves = np.zeros((count, 4))
    curves[:, 1], curves[0, 2], curves[0, 3] = -1, 1, np.nan
    with np.errstate(invalid="ignore"):
        preferred, ratio = circular.preference(orientations, curves[:, :3])
    assert ratio.tolist() == [0, 0, np.inf]
    assert (preferred >= 0).all() and (preferred < 2 * np.pi).all()
    # A value just below 0 is a whole turn once rounded.
    assert circular.preference(np.array([-1e-17, np.pi]), np.array([[1.0], [0]]))[0].tolist() == [0]
    step = 2 * np.pi / count
    np.testing.assert_allclose(circular.half_width(orientations, curves), [2 * np.pi, 2 * np.pi, step, np.nan])


def test_the_opposite_of_an_odd_count_lies_between_two():
    orientations = np.arange(25) * 2 * np.pi / 25
    curve = 3 + np.cos(orientations)
    np.testing.assert_allclose(circular.preference(orientations, curve[:, None])[1], 4 / curve[12:14].mean())


def test_half_width():
    """Of raised cosines to a power, whose width is known in closed form; of a flat curve and of one at the seam."""
    orientations = np.arange(72) * 2 * np.pi / 72
    powers = np.array([1, 4, 20])
    peaks = np.radians([90, 355, 180])
    curves = (0.5 + 0.5 * np.cos(orientations[:, None] - peaks)) ** powers
    expected = 2 * np.arccos(2 * 0.5 ** (1 / powers) - 1)
    np.testing.assert_allclose(circular.half_width(orientations, curves), expected, atol=0.02)
    np.testing.assert_allclose(circular.half_width(orientations, 1e-36 * curves), expected, atol=0.02)
    for flat in (1, 0):
        assert circular.half_width(orientations, np.full((72, 1), flat)) == pytest.approx(2 * np.pi)


def test_agrees_with_trained_units(curves):
    """Turned to the same orientation, tuning curves of slide's curve units and of those written by hand look alike."""
    orientations, answered = curves
    trained = load("slide")
    _, seen = curve_tuning(trained, ["mixed4d"], COUNT)
    preferred, ratio = circular.preference(orientations, seen["mixed4d"])
    units = np.flatnonzero(ratio >= 3)
    assert len(units) == 25
    correlations = []
    for unit in units:
        nearest = int(np.round(preferred[unit] / (2 * np.pi / COUNT))) % COUNT
        correlations.append(np.corrcoef(seen["mixed4d"][:, unit], answered["curves"][:, nearest])[0, 1])
    assert np.median(correlations) > 0.8
