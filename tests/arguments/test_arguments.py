"""The seven arguments, for units that are curve detectors by construction, and for units that are nothing."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcircuits import InputError, evidence
from jaxcircuits.arguments import argument, case
from jaxcircuits.evidence import circular, handwritten, stimuli
from jaxcircuits.network import Network
from jaxcircuits.pages import arguments_page, write_arguments
from jaxcircuits.vis import Recipe
from jaxcircuits.zoo import InputConvention

COUNT = 12
AROUND = np.arange(COUNT) * 2 * np.pi / COUNT
SIZE = 64
RADIUS = 16.0
NUMBERS = ("NHWC", "HWIO", "NHWC")


def convolved(x, kernel, stride=1):
    return jax.lax.conv_general_dilated(x, kernel, (stride, stride), "SAME", dimension_numbers=NUMBERS)


def model(params, x):
    """Gabor filters, lines, curves in all directions, as many units of noise, and a reader of each."""
    drawn = jax.nn.relu(convolved(x.mean(-1, keepdims=True), params["gabors"], 4))
    lines = jax.nn.relu(convolved(drawn, params["lines"]))
    curves = jax.nn.relu(convolved(lines, params["curves"]) - params["threshold"])
    read = jax.nn.relu(convolved(curves, params["read"]))
    return {"lines": lines, "curves": curves, "read": read, "logits": read.max((1, 2)) @ params["classes"]}


@pytest.fixture(scope="module")
def network():
    rng = np.random.default_rng(0)
    lines = 8
    curves = handwritten.curve_weights(AROUND, lines, RADIUS, 2.1)
    noise = rng.permuted(curves, axis=2)[..., :COUNT]
    noise = rng.permuted(noise.reshape(-1, COUNT), axis=0).reshape(curves.shape)
    read = np.zeros((3, 3, 2 * COUNT, 2 * COUNT), np.float32)
    read[1, 1] = np.eye(2 * COUNT) + 0.3 * np.roll(np.eye(2 * COUNT), 1, axis=0)
    params = {
        "gabors": handwritten.gabor_weights(lines, 5.0),
        "lines": handwritten.line_weights(lines),
        "curves": np.concatenate([curves, noise], -1),
        "threshold": np.float32(handwritten.THRESHOLD / 2),
        "read": read,
        "classes": np.eye(2 * COUNT, 5, dtype=np.float32),
    }
    convention = InputConvention(size=(SIZE, SIZE), mean=0.5, std=0.25)
    return Network.from_function(model, jax.tree.map(jnp.asarray, params), convention, name="made")


@pytest.fixture(scope="module")
def pictures():
    """Curves of all directions among other figures, light and dark."""
    rng = np.random.default_rng(1)
    angles = rng.uniform(0, 2 * np.pi, 72)
    shades = rng.choice([0.05, 0.95], 72)

    @jax.jit
    @jax.vmap
    def draw(angle, shade, place):
        return stimuli.curve(angle, RADIUS, 5.0, SIZE, center=place, color=jnp.full(3, shade))

    curves = draw(jnp.asarray(angles), jnp.asarray(shades), jnp.asarray(rng.uniform(-6, 6, (72, 2))))
    lines = jax.vmap(lambda angle: stimuli.line(angle, 40.0, 5.0, SIZE))(jnp.asarray(angles[:24]))
    return np.clip(np.concatenate([curves, lines]), 0, 1)


GRID = {"orientation": np.arange(24) * 2 * np.pi / 24, "radius": [13.0, RADIUS, 20.0], "color": case.SHADES}


@pytest.fixture(scope="module")
def made(network, pictures):
    return evidence.arguments(
        network,
        "curves",
        pictures,
        grid=GRID,
        recipe=Recipe(size=SIZE, steps=64),
        size=SIZE,
        count=3,
        sample=12,
        progress=False,
    )


@pytest.mark.slow
def test_the_family_is_found_and_ordered(made):
    assert made.units == tuple(sorted(made.family)) and set(made.family) <= set(range(COUNT))
    assert len(made.family) >= COUNT - 2
    for unit in made.family:
        off = circular.difference(np.array(made.preferred[f"curves:{unit}"]), AROUND[unit])
        assert abs(np.degrees(off)) < 12
    assert list(made.preferred.values()) == sorted(made.preferred.values())


def test_arguments_hold_for_what_is_made_to_detect_curves(made):
    for one in made:
        assert not one.missing or one.name == "implementation", one
    assert [one.name for one in made] == list(argument.NAMES)
    assert made.examples.holds and made.examples.value > 0.8
    assert made.joint.holds and made.joint.value > 0.8
    assert made.synthetic.holds and made.synthetic.value > 0.6
    assert made.use.holds and made.use.value > 0.2
    assert made.by_hand.holds and made.by_hand.value > made.by_hand.chance + 0.1
    assert made.drawing.value > max(60, made.drawing.chance)
    assert made.by_hand.figures["tuning_correlation_median"] > 0.9
    # Lines are half as many as there are directions of curves; they are no curves, and the argument says so.
    assert made.implementation.value is not None or "selective" in made.implementation.missing


def test_figures_are_what_they_say(made, network):
    """Against a computation of its own: contrast, and the largest gap of the family."""
    found = evidence.tuning(network, stimuli.curve, GRID, "curves", size=SIZE, progress=False)
    curves = np.maximum(np.asarray(found["curves"], np.float64).mean((2, 3)), 0)
    best = curves.argmax(1)
    peak, opposite = curves.max(1), curves[np.arange(len(curves)), (best + 12) % 24]
    contrast = (peak - opposite) / np.maximum(peak + opposite, np.percentile(peak, 95) / 3)
    own = [contrast[unit] for unit in made.units]
    np.testing.assert_allclose(list(made.synthetic.units.values()), own, atol=1e-5)
    assert made.synthetic.value == pytest.approx(np.mean(own), abs=1e-5)
    rest = np.setdiff1d(np.arange(2 * COUNT), made.family)
    assert made.synthetic.chance == pytest.approx(np.median(contrast[rest]), abs=1e-5)
    angles = np.sort([made.preferred[f"curves:{unit}"] for unit in made.family])
    gap = np.diff(angles, append=angles[0] + 2 * np.pi).max()
    assert made.joint.figures["largest_gap"] == pytest.approx(gap)
    n = len(angles)
    # By chance: uniform points, simulated.
    rng = np.random.default_rng(0)
    drawn = np.sort(rng.uniform(0, 2 * np.pi, (20000, n)), 1)
    gaps = np.diff(drawn, append=drawn[:, :1] + 2 * np.pi, axis=1).max(1)
    assert made.joint.figures["largest_gap_by_chance"] == pytest.approx(gaps.mean(), rel=0.02)
    # With an eighth of the circle on either side, a quarter of it, by chance.
    assert 0.1 < made.joint.chance < 0.45 and 0.1 < made.examples.chance < 0.45


@pytest.fixture(scope="module")
def nothing(network, pictures):
    """The same for units of noise, with the family of curves around them."""
    names = [f"curves:{unit}" for unit in (COUNT, COUNT + 3, COUNT + 7)]
    return evidence.arguments(
        network,
        names,
        pictures,
        grid=GRID,
        recipe=Recipe(size=SIZE, steps=64),
        size=SIZE,
        count=3,
        sample=12,
        progress=False,
    )


def test_arguments_fail_for_units_of_noise(made, nothing):
    assert set(nothing.units) <= set(nothing.family)
    assert not nothing.synthetic.holds and nothing.synthetic.value < 0.5
    assert not nothing.examples.holds
    noise = [nothing.joint.units[f"curves:{unit}"] for unit in nothing.units]
    assert np.mean(noise) < made.joint.value - 0.3
    assert sum(one.holds is True for one in nothing) < sum(one.holds is True for one in made)


def test_json_and_page(made, tmp_path):
    plain = json.loads(made.to_json())
    assert plain["units"] == list(made.units) and plain["joint"]["holds"] is True and "shown" not in plain
    assert plain["synthetic"]["value"] == pytest.approx(made.synthetic.value, rel=1e-5)
    files = write_arguments(tmp_path, made)
    assert [file.name for file in files] == ["arguments.json", "arguments.html"]
    page = files[1].read_text()
    assert page == arguments_page(made)
    assert page.count("<li class=") == 7 and page.count("<polygon") == len(made.family)
    assert page.count("data:image/png") == len(made.units) * (1 + 3)
    assert "<script" not in page and "default-src 'none'" in page
    for one in made:
        assert one.meaning.replace("'", "&#39;") in page


def test_names_are_escaped(made):
    import dataclasses

    changed = dataclasses.replace(made, network="<b>x</b>", stimulus="<i>")
    assert "<b>x</b>" not in arguments_page(changed) and "<i>?" not in arguments_page(changed)


def test_a_last_layer_says_what_cannot_be_argued(network, pictures):
    before, after = case.neighbors(network, "curves")
    assert before == "lines" and after == "read"
    assert case.neighbors(network, "lines")[1] == "curves"
    assert case.neighbors(network, "logits")[1] is None


@pytest.mark.parametrize(
    "change, said",
    [
        ({"units": "curvs:1"}, "did you mean curves"),
        ({"units": "curves:99"}, "unknown unit 99"),
        ({"stimulus": stimuli.patch}, "has no orientation; give a grid"),
        ({"parameter": "orientaton"}, "unknown parameter 'orientaton'"),
        ({"grid": {"orientation": [0.0, 0.1, 0.2]}}, "do not go evenly round"),
        ({"count": 0}, "count 0"),
        ({"size": 16}, "size 16"),
        ({"sample": 1}, "sample 1"),
        ({"pictures": np.zeros((1, SIZE, SIZE, 3), np.float32), "grid": GRID}, "could be read; expected two or more"),
    ],
)
def test_bad_input_is_one_clear_line(network, pictures, change, said):
    arguments = {"units": "curves:1", "pictures": pictures, "size": SIZE, "progress": False} | change
    with pytest.raises(InputError, match=said) as caught:
        evidence.arguments(network, **arguments)
    assert "\n" not in str(caught.value)
