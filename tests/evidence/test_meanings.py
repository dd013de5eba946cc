"""Meanings of units, and how alike their pictures are: against loops in float64, planted meanings, and chance."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax import monitoring
from scipy import optimize

import jaxcircuits as jc
from jaxcircuits import evidence
from jaxcircuits.evidence.dip import dip, dip_p_value
from jaxcircuits.evidence.meanings import below
from jaxcircuits.evidence.meanings_number import corrected, heaps
from jaxcircuits.network import Network
from jaxcircuits.zoo import InputConvention
from support import colors as red_or_blue
from support.two_layers import KERNELS, SIZE, convolved, two_layers

RNG = np.random.default_rng(11)


@pytest.fixture(scope="module")
def network():
    kernels = [jnp.asarray(kernel) for kernel in KERNELS]
    return Network.from_function(two_layers, kernels, InputConvention(size=SIZE, mean=0.5, std=0.25))


def slow_attribution(picture, unit, place):
    """Gradient times activation at one place of one unit, by central differences in float64."""
    g = convolved((picture.astype(np.float64) - 0.5) / 0.25, KERNELS[0])
    owed = np.zeros(g.shape[-1])
    for cell in np.argwhere(g):
        step = np.zeros_like(g)
        step[tuple(cell)] = 1e-6
        ends = [convolved(g + sign * step, KERNELS[1])[(*place, unit)] for sign in (1, -1)]
        owed[cell[-1]] += g[tuple(cell)] * (ends[0] - ends[1]) / 2e-6
    return owed


def test_attributions(network):
    images = RNG.uniform(size=(5, *SIZE, 3)).astype(np.float32)
    answers = np.asarray(network.activations(images, "second")["second"])
    best = [np.unravel_index(one[..., 2].argmax(), SIZE) for one in answers]
    silent = np.argwhere(answers[4, ..., 2] == 0)[0]
    places = np.array([*best[:3], (0, 0), silent])
    found = evidence.attributions(network, "second:2", "first", images, places)
    expected = [slow_attribution(image, 2, tuple(place)) for image, place in zip(images, places)]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert not found[4].any() and found[0].any()
    # ReLUs without biases: what is owed is all of the answer.
    np.testing.assert_allclose(found[:3].sum(1), [a[(*p, 2)] for a, p in zip(answers[:3], best)], rtol=1e-5)


def test_one_program_serves_all_units(network):
    compiled = []

    def listen(name, duration, **about):
        compiled.extend([name] if name == "/jax/core/compile/backend_compile_duration" else [])

    monitoring.register_event_duration_secs_listener(listen)
    try:
        images = RNG.uniform(size=(3, *SIZE, 3)).astype(np.float32)
        evidence.attributions(network, "second:0", "first", images, np.zeros((3, 2), int))
        first = len(compiled)
        evidence.attributions(network, "second:3", "first", images, np.full((3, 2), 4))
    finally:
        monitoring.unregister_event_duration_listener(listen)
    assert 0 < first == len(compiled)


@pytest.fixture(scope="module")
def colors():
    return red_or_blue.network()


@pytest.mark.slow
def test_planted_meanings_are_found(colors):
    images, hues = red_or_blue.red_blue_and_green(RNG)
    pictures = jc.open_pictures(images)
    found = evidence.meanings(colors, "units:0", pictures, layer="parts", count=40, draws=39)
    assert found.count == 2 and found.p_value == 1 / 40
    blue = hues[found.chosen.pictures] == 2
    np.testing.assert_array_equal(found.labels, blue)  # red ones are more, so they come first
    assert found.probes.argmax(1).tolist() == [0, 2] == found.centers.argmax(1).tolist()
    np.testing.assert_allclose(np.linalg.norm(found.probes, axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(found.nearest(found.attributions), found.labels)
    assert np.all(np.diff(found.chosen.values) <= 0)
    sheet = found.sheet(colors, pictures, 1, count=4)
    assert sheet.size[0] > 2 * 96
    # Examples that are at hand give the same.
    seen = evidence.examples(colors, pictures, ["units"], 40, progress=False)
    again = evidence.meanings(colors, "units:0", pictures, seen=seen, layer="parts", count=40, draws=39)
    np.testing.assert_array_equal(again.labels, found.labels)
    one = evidence.meanings(colors, "units:1", pictures, layer="parts", count=20, draws=19)
    assert one.count == 1 and one.p_value > 0.05
    assert one.probes.shape == (1, 4) and one.probes.argmax() == 1


def test_the_layer_below_is_the_stage_before(small, colors):
    assert below(small, "mixed4e") == "mixed4d"
    assert below(small, "mixed4e_5x5_bottleneck") == "mixed4d"


BAD = {
    "unit": (lambda n, p: evidence.meanings(n, "units:7", p, layer="parts"), "unknown unit 7"),
    "later": (lambda n, p: evidence.meanings(n, "parts:0", p, layer="units"), "parts is not computed from units"),
    "itself": (lambda n, p: evidence.meanings(n, "units:0", p, layer="units"), "units is not computed from units"),
    "layer": (lambda n, p: evidence.meanings(n, "units:0", p, layer="part"), "did you mean parts"),
    "first": (lambda n, p: evidence.meanings(n, "parts:0", p), "parts of .* has no layer below it"),
    "count": (lambda n, p: evidence.meanings(n, "units:0", p, layer="parts", count=3), "count of pictures 3; expected"),
    "silent": (lambda n, p: evidence.meanings(n, "units:2", p, layer="parts"), "units:2 answers . pictures by parts"),
    "most": (lambda n, p: evidence.meanings(n, "units:0", p, layer="parts", most=1), "up to 1 heaps of"),
    "draws": (lambda n, p: evidence.meanings(n, "units:0", p, layer="parts", draws=0), "draws 0; expected"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case, colors):
    run, message = BAD[case]
    pictures = jc.open_pictures(red_or_blue.colored(np.eye(3)[[0] * 10], RNG))
    with pytest.raises(jc.InputError, match=message) as error:
        run(colors, pictures)
    assert "\n" not in str(error.value)


def test_examples_of_other_pictures_are_refused(colors):
    many, few = (jc.open_pictures(red_or_blue.colored(np.eye(3)[[0] * n], RNG)) for n in (12, 9))
    seen = evidence.examples(colors, many, ["units"], progress=False)
    with pytest.raises(jc.InputError, match="not those that were shown"):
        evidence.meanings(colors, "units:0", few, seen=seen, layer="parts")
    found = evidence.meanings(colors, "units:0", many, seen=seen, layer="parts", draws=9, most=2)
    with pytest.raises(jc.InputError, match="meaning of units:0"):
        found.sheet(colors, many, found.count)


def one_heap(kind, rng, count):
    """Rows of one meaning, however it varies, and of parts that come and go each for itself."""
    if kind == "normal":
        return rng.normal(size=(count, 30)) * 0.8 ** np.arange(30) + 4 * np.eye(30)[0]
    if kind == "even along an arc":
        angle = rng.uniform(0, np.pi / 2, count)
        return np.stack([np.cos(angle), np.sin(angle)], 1) @ np.eye(2, 30) + rng.normal(scale=0.05, size=(count, 30))
    if kind == "sparse":
        return rng.gamma(0.5, size=(count, 30)) * 0.9 ** np.arange(30)
    if kind == "a skewed latent":
        return 1 + rng.exponential(size=(count, 1)) ** 2 * rng.normal(size=20) + 0.2 * rng.normal(size=(count, 20))
    if kind == "two skewed latents":
        latent = rng.exponential(size=(count, 2)) ** 2
        return 1 + latent @ rng.normal(size=(2, 20)) + 0.2 * rng.normal(size=(count, 20))
    if kind == "odd rows":
        return np.abs(np.r_[2 * rng.normal(size=(2, 20)), 1 + 0.3 * rng.normal(size=(count - 2, 20))])
    if kind == "heavy tails":
        return 3 * np.eye(20)[0] + rng.standard_t(2, size=(count, 20)) @ np.diag(0.8 ** np.arange(20))
    if kind == "low rank":
        return 3 + rng.standard_t(3, size=(count, 2)) @ rng.normal(size=(2, 20)) + 0.1 * rng.normal(size=(count, 20))
    if kind == "more channels than rows":
        return np.maximum(rng.normal(size=(count, 400)), 0)
    parts, channels = {"four parts": (4, 5), "twelve parts": (12, 10), "many parts": (40, 3)}[kind]
    there = rng.exponential(size=(count, parts)) * (rng.random((count, parts)) < 0.4)
    return np.repeat(there, channels, 1) * rng.lognormal(sigma=0.3, size=(count, parts * channels)) + 1e-3


KINDS = ["normal", "even along an arc", "sparse", "a skewed latent", "two skewed latents", "odd rows", "heavy tails"]
KINDS += ["low rank", "more channels than rows", "four parts", "twelve parts", "many parts"]


@pytest.mark.parametrize("count", [30, 80])
@pytest.mark.parametrize("kind", KINDS)
def test_one_heap_is_seldom_taken_for_several(kind, count):
    rng = np.random.default_rng(0)
    found = [heaps(one_heap(kind, rng, count), most=3, draws=99).labels.max() > 0 for _ in range(20)]
    # At a level of 0.05, more than four of twenty have a probability of 0.003.
    assert sum(found) <= 4


def planted(sizes, noise, amplitude, rng):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    rows = np.eye(len(sizes), 25)[labels] + rng.normal(scale=noise, size=(len(labels), 25))
    return labels, rows * rng.lognormal(sigma=amplitude, size=(len(labels), 1))


@pytest.mark.parametrize("sizes", [(20, 20), (40, 15), (30, 24, 20)])
@pytest.mark.parametrize("amplitude", [0.0, 0.2])
def test_several_heaps_are_told_apart(sizes, amplitude):
    labels, rows = planted(sizes, 0.12, amplitude, np.random.default_rng(1))
    found = heaps(rows, draws=99)
    assert found.p_values.max() <= 0.05
    np.testing.assert_array_equal(found.labels, labels)
    assert found.dips.shape == (2,)


def test_odd_rows_are_no_heap_beside_two():
    labels, rows = planted((20, 18), 0.12, 0.2, np.random.default_rng(2))
    odd = np.random.default_rng(3).normal(size=(2, 25))
    found = heaps(np.concatenate([rows, odd]), draws=99)
    assert found.labels.max() == 1
    np.testing.assert_array_equal(found.labels[:38], labels)


def test_rows_that_are_all_alike_are_one_heap():
    found = heaps(np.ones((12, 5)) / np.sqrt(5), most=3, draws=9)
    assert found.labels.max() == 0 and found.p_values.max() == 1


def slow_off(x, mode):
    """How far the nearest function that is convex before the mode and concave after it is off: a linear program.

    Variables: the function at each number, just before the mode, and the largest difference.
    """
    n = len(x)
    before, off = n, n + 1
    rows, bounds = [], []

    def add(bound, *terms):
        rows.append(np.bincount([at for at, _ in terms], [value for _, value in terms], n + 2))
        bounds.append(bound)

    for i in range(n):
        low = before if i == mode else i
        for sign in (1, -1):
            add(sign * (i + 1) / n, (i, sign), (off, -1))
            add(sign * i / n, (low, sign), (off, -1))
    for i in range(n - 1):
        add(0, (i, 1), (before if i + 1 == mode else i + 1, -1))
    add(0, (before, 1), (mode, -1))
    left, right = [*range(mode), before], list(range(mode, n))
    for places, sign in ((left, 1), (right, -1)):
        for i, j, k in zip(places, places[1:], places[2:]):
            a, b, c = x[i], x[j], x[mode if k == before else k]
            add(0, (k, -sign / (c - b)), (j, sign / (c - b) + sign / (b - a)), (i, -sign / (b - a)))
    return optimize.linprog(np.eye(n + 2)[off], A_ub=np.array(rows), b_ub=bounds, bounds=(0, 1)).fun


@pytest.mark.parametrize("seed", range(6))
def test_dip_by_its_definition(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=12) + (4 * (rng.random(12) < 0.5) if seed % 2 else 0)
    expected = min(slow_off(np.sort(values), mode) for mode in range(12))
    assert dip(values) == pytest.approx(expected, abs=1e-6)
    assert dip(7 - 3 * values) == pytest.approx(dip(values))


@pytest.mark.parametrize("silent", [3, 6, 9])
def test_dip_of_equal_numbers_is_that_of_a_narrow_peak(silent):
    rng = np.random.default_rng(silent)
    values = np.sort(np.r_[np.zeros(silent), rng.exponential(size=12 - silent)])
    apart = values + 1e-5 * np.arange(12)
    assert dip(values) == pytest.approx(min(slow_off(apart, mode) for mode in range(12)), abs=1e-4)
    assert dip(-values) == pytest.approx(dip(values)) and dip(np.r_[values[:-1], [values[-1]] * 2]) < 0.25
    with pytest.raises(jc.InputError, match="not finite"):
        dip(np.r_[values, np.nan])


@pytest.mark.parametrize("draw", ["normal", "exponential", "standard_cauchy"])
@pytest.mark.parametrize("silent", [0, 0.3, 0.6])
def test_dips_of_one_peak_are_seldom_significant(draw, silent):
    rng = np.random.default_rng(0)

    def p_value():
        values = np.where(rng.random(40) < silent, 0, getattr(rng, draw)(size=40))
        return dip_p_value(dip(values), 40, draws=199)

    p_values = [p_value() for _ in range(100)]
    assert np.mean(np.array(p_values) <= 0.05) <= 0.05
    two = np.r_[rng.normal(scale=0.5, size=20), 6 + rng.normal(scale=0.5, size=20)]
    assert dip_p_value(dip(two), 40, draws=199) == 0.005


def test_corrected_p_values():
    """By hand: the value times the number of units over its rank, and none larger than that of the next one."""
    found = corrected(np.array([0.01, np.nan, 0.04, 0.03, 0.5]))
    np.testing.assert_allclose(found, [0.04, np.nan, 0.16 / 3, 0.16 / 3, 0.5])


EMBEDDINGS = RNG.normal(size=(30, 7)) + 0.5
CHOSEN = np.array([[0, 1, 2, 3], [4, 9, 9, -1], [5, 29, -1, -1], [6, -1, -1, -1]])
UNITS = EMBEDDINGS / np.linalg.norm(EMBEDDINGS, axis=1, keepdims=True)


def pairwise(numbers):
    return [UNITS[a] @ UNITS[b] for i, a in enumerate(numbers) for b in numbers[:i]]


def test_clarity_and_redundancy():
    expected = [np.mean(pairwise(row[row >= 0])) if (row >= 0).sum() > 1 else np.nan for row in CHOSEN]
    np.testing.assert_allclose(evidence.clarity(CHOSEN, EMBEDDINGS), expected, rtol=1e-12)
    means = np.array([UNITS[row[row >= 0]].mean(0) for row in CHOSEN])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(evidence.unit_embeddings(CHOSEN, EMBEDDINGS), means, rtol=1e-12)
    largest = [max(means[i] @ means[j] for j in range(4) if j != i) for i in range(4)]
    np.testing.assert_allclose(evidence.redundancy(5 * means), largest, rtol=1e-12)


def test_monosemanticity():
    answers = RNG.gamma(1, size=(30, 5)).astype(np.float32)
    answers[:, 3] = 2.5
    answers[:, 4] = 0
    answers[[7, 12], 4] = 3, 1
    expected = []
    for a in answers.T.astype(np.float64):
        a = (a - a.min()) / max(a.max() - a.min(), 1e-300)
        weights = [(a[i] * a[j], UNITS[i] @ UNITS[j]) for i in range(30) for j in range(i)]
        total = sum(w for w, _ in weights)
        expected.append(sum(w * c for w, c in weights) / total if total else np.nan)
    found = evidence.monosemanticity(answers, 3 * EMBEDDINGS)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert np.isnan(found[3]) and found[4] == pytest.approx(UNITS[7] @ UNITS[12])


def test_polysemanticity():
    two = np.concatenate([np.eye(2, 6)[[0] * 5 + [1] * 5], np.eye(6)[[0] * 10]]) + RNG.normal(scale=0.01, size=(20, 6))
    chosen = np.stack([np.arange(10), np.arange(10, 20), np.r_[3, np.full(9, -1)]])
    found = evidence.polysemanticity(chosen, two)
    assert found[0] == pytest.approx(1, abs=0.03) and found[1] == pytest.approx(0, abs=0.01) and np.isnan(found[2])


@pytest.mark.parametrize(
    "run, message",
    [
        (lambda: evidence.clarity(CHOSEN, EMBEDDINGS[:20]), "picture 29 of 20 embeddings"),
        (lambda: evidence.clarity(CHOSEN / 2, EMBEDDINGS), "expected numbers"),
        (lambda: evidence.clarity(CHOSEN, np.zeros((30, 3))), "embedding 0 is zero"),
        (lambda: evidence.clarity(CHOSEN, np.full((30, 3), np.nan)), "not finite"),
        (lambda: evidence.redundancy(np.ones((1, 3))), "redundancy of 1 unit"),
        (lambda: evidence.monosemanticity(np.ones((4, 2)), EMBEDDINGS), "embeddings of 30 pictures"),
        (lambda: evidence.monosemanticity(np.full((30, 2), np.inf), EMBEDDINGS), "not finite"),
    ],
)
def test_bad_embeddings(run, message):
    with pytest.raises(jc.InputError, match=message):
        run()
