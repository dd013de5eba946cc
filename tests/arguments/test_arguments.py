"""The seven arguments, for units that are curve detectors by construction, and for units that are nothing."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcircuits import InputError, evidence
from jaxcircuits.arguments import argument, case, chance
from jaxcircuits.arguments.synthetic import carried_over
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
    # The first and the last radius choose, the middle one measures.
    chosen_by = np.maximum(np.asarray(found["curves"], np.float64)[:, :, ::2].mean((2, 3)), 0)
    curves = np.maximum(np.asarray(found["curves"], np.float64)[:, :, 1].mean(2), 0)
    best, units = chosen_by.argmax(1), np.arange(len(curves))
    strong = np.percentile(curves.max(1), 95) / 3
    peak, opposite = curves[units, best], curves[units, (best + 12) % 24]
    assert made.setting["chosen_by"]["radius"] == [13.0, 20.0] and made.setting["held_out"]["radius"] == [RADIUS]
    contrast = (peak - opposite) / np.maximum(peak + opposite, strong)
    own = [contrast[unit] for unit in made.units]
    np.testing.assert_allclose(list(made.synthetic.units.values()), own, atol=1e-5)
    assert made.synthetic.value == pytest.approx(np.mean(own), abs=1e-5)
    rest = np.setdiff1d(np.arange(2 * COUNT), made.family)
    # Chance is the same mean, of as many of these and others.
    every = np.union1d(made.units, rest[chosen_by[rest].max(1) > 0])
    assert made.synthetic.chance == pytest.approx(contrast[every].mean(), abs=0.03)
    assert made.synthetic.interval[0] < made.synthetic.value < made.synthetic.interval[1]
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
    assert made.joint.count == len(made.family) * 3 and made.joint.figures["turns_of_each_example"] > 1
    for one in made:
        assert one.p_value is None or 0 < one.p_value <= one.adjusted_p_value <= 1
        assert one.holds is None or one.holds == (one.adjusted_p_value <= 0.05)
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


KINDS = {
    "even": lambda rng, shape: rng.random(shape),
    "skewed": lambda rng, shape: rng.exponential(size=shape) ** 2,
    "of few values": lambda rng, shape: (rng.random(shape) < 0.25).astype(float),
    "strong sources": lambda rng, shape: rng.random(shape) + 5 * rng.exponential(size=shape[1]),
    "strong units": lambda rng, shape: rng.random(shape) * np.exp(2 * rng.normal(size=(shape[0], 1))),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 3, 12])
def test_what_belongs_to_no_unit_seldom_surpasses_chance(kind, count):
    """Of what is exchangeable, at most one in twenty; of what surpasses all others, always, a single unit too."""
    rng = np.random.default_rng(3)
    p_values = []
    for _ in range(60):
        values = KINDS[kind](rng, (count, max(25, count + 4)))
        own = values[np.arange(count), np.arange(count)].mean()
        p_values.append(chance.judged(own, chance.exchanged(values, np.arange(count), rng))["p_value"])
    # Of 60 at a level of 0.05, nine or more have a probability below 0.005.
    assert np.mean(np.array(p_values) <= 0.05) <= 8 / 60
    values = rng.random((count, 25))
    values[np.arange(count), np.arange(count)] = 2
    assert chance.judged(2.0, chance.exchanged(values, np.arange(count), rng))["p_value"] <= 0.06


def test_the_bound_is_of_the_same_mean():
    """The mean of 20 units is compared with means of 20, which spread less than single units do."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(20, 100))
    found = chance.judged(0.5, chance.exchanged(values, np.arange(20), rng))
    assert found["bound"] == pytest.approx(1.645 / np.sqrt(20), abs=0.1) and found["p_value"] < 0.05


AROUND_24 = np.arange(24) * 2 * np.pi / 24


def smooth(values):
    """Over three neighbors on either side, as tuning curves are."""
    return sum(np.roll(values, shift, -1) for shift in range(-3, 4)) / np.sqrt(7)


def of_common_causes(rng, causes=3):
    """What three groups of units share, and some noise."""
    shared = smooth(rng.normal(size=(3, causes, 24)))[:, rng.integers(0, causes, 128)]
    return np.exp(2 * shared + 0.3 * rng.normal(size=shared.shape))


TUNINGS = {
    # As a unit answers that is tuned to nothing: of some curves it prefers one direction by chance, of others another.
    "noise": lambda rng: rng.lognormal(0, 1.5, (3, 128, 24)),
    "smooth noise": lambda rng: np.exp(2 * smooth(rng.normal(size=(3, 128, 24)))),
    "a direction that all prefer": lambda rng: rng.lognormal(0, 1, (3, 128, 24)) * (1.5 + np.cos(AROUND_24)),
    "common causes": of_common_causes,
}
"""Answers to what chooses and to two other stimuli, (3, units, directions)."""


def chosen_of(answers):
    """The selective units of answers (units, directions), and the rest."""
    opposite = np.roll(answers, -12, 1)[np.arange(len(answers)), answers.argmax(1)]
    chosen = case.selective(answers.max(1), answers.max(1) / opposite)
    return chosen, np.setdiff1d(np.arange(len(answers)), chosen)


@pytest.mark.parametrize("kind", TUNINGS)
def test_units_chosen_for_their_contrast_seldom_keep_it_if_they_are_tuned_to_nothing(kind):
    """Chosen and measured by the same answers all of them would, since they were chosen by it."""
    p_values, of_the_same = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        first, *others = TUNINGS[kind](rng)
        chosen, rest = chosen_of(first)
        for stimuli_left, kept in ((others, p_values), ([first, first], of_the_same)):
            _, *judged = carried_over(first, np.stack(stimuli_left, 2), chosen, chosen, rest, rng)
            kept.append(max(one["p_value"] for one in judged))
    assert np.mean(np.array(of_the_same) <= 0.05) > 0.9
    # Of 60 at a level of 0.05, nine or more have a probability below 0.005.
    assert np.mean(np.array(p_values) <= 0.05) <= 8 / 60


@pytest.mark.parametrize("count, others", [(5, 1), (5, 5), (20, 20), (20, 5)])
def test_units_are_compared_with_the_layer_however_few_the_others_are(count, others):
    """All are tuned as well, and which of them are chosen is a lot: what they keep is what the others keep."""
    p_values = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        turned = rng.uniform(0, 2 * np.pi, count + others)[:, None]
        tuned = np.exp(2 * np.cos(AROUND_24 - turned)) * rng.lognormal(0, 0.5, (3, count + others, 24))
        units = np.arange(count)
        _, judged, *_ = carried_over(
            tuned[0], np.moveaxis(tuned[1:], 0, 2), units, units, units[-1] + 1 + np.arange(others), rng
        )
        p_values.append(judged["p_value"])
    assert np.mean(np.array(p_values) <= 0.05) <= 8 / 60


@pytest.mark.parametrize("count, least", [(4, 1 / 24), (5, 1 / 120), (6, 1 / 720)])
def test_p_values_are_not_below_what_orders_and_turns_allow(count, least):
    rng = np.random.default_rng(0)
    tuned = np.exp(3 * np.cos(AROUND_24 - np.arange(count)[:, None] * 2 * np.pi / count))
    tuned = np.concatenate([tuned, rng.lognormal(0, 0.1, (60, 24))])
    units, rest = np.arange(count), count + np.arange(60)
    for stimuli_left, turns in ((1, 1 / 24), (2, 1 / 24**2)):
        _, others, exchange, turned = carried_over(tuned, np.stack([tuned] * stimuli_left, 2), units, units, rest, rng)
        assert exchange["p_value"] == pytest.approx(least, rel=0.01) and others["p_value"] == 0.001
        assert turned["p_value"] == pytest.approx(turns)
    # One of the family: each of the preferred values once.
    _, _, exchange, _ = carried_over(tuned, tuned[..., None], units[:1], units, rest, rng)
    assert exchange["p_value"] == pytest.approx(1 / count)


def test_what_chooses_and_what_measures_have_no_stimulus_in_common():
    grid = {
        "orientation": AROUND,
        "width": np.array([3.0]),
        "radius": np.array([1.0, 2, 3, 4, 5]),
        "color": case.SHADES,
    }
    answers = np.arange(2 * COUNT * 10, dtype=np.float32).reshape(2, COUNT, 1, 5, 2)
    found = evidence.Tuning("n", "curve", {}, (SIZE, SIZE), "maximum", grid, {"curves": answers})
    first, second = case.halves(found, "orientation")
    assert first.grid["radius"].tolist() == [1, 3, 5] and second.grid["radius"].tolist() == [2, 4]
    np.testing.assert_array_equal(first["curves"], answers[:, :, :, [0, 2, 4]])
    np.testing.assert_array_equal(second["curves"], answers[:, :, :, [1, 3]])
    assert first.grid["color"].shape == second.grid["color"].shape == case.SHADES.shape
    # Dark and light do not part: units that answer one alone would not be found by the other.
    assert case.halves(found.at(radius=3.0), "orientation")[1] is None


def test_corrected_p_values_are_those_of_holm():
    given = [0.01, None, 0.04, 0.03, 0.005]
    made = [argument.Argument("use", "", value=None if p is None else 1.0, p_value=p) for p in given]
    assert [one.adjusted_p_value for one in chance.corrected(made)] == pytest.approx([0.03, None, 0.06, 0.06, 0.02])
    assert [one.holds for one in chance.corrected(made)] == [True, None, False, False, True]


def test_intervals_resample_examples_with_all_their_turns():
    """Turns that are all alike say no more than one: the interval is as wide as that of the examples alone."""
    rng = np.random.default_rng(0)
    examples = (rng.random(40) < 0.5).astype(float)
    alone = chance.interval(examples, np.random.default_rng(1))
    turned = chance.interval(np.repeat(examples[:, None], 11, 1), np.random.default_rng(1))
    assert turned == pytest.approx(alone)
    error = np.sqrt(examples.var() / 40)
    assert alone[1] - alone[0] == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert chance.interval(examples[:1], rng) is None


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
