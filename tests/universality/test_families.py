"""Families against units made to be of them, circuits against planted weights, and the page of two networks."""

import dataclasses
import itertools
import json
import re

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import t, ttest_ind
from typer.testing import CliRunner

import jaxcircuits as jc
from jaxcircuits import universality
from jaxcircuits.errors import InputError
from jaxcircuits.evidence import stimuli
from jaxcircuits.evidence.circular import difference
from jaxcircuits.images.sheet import to_image
from jaxcircuits.pages.compare import Shown, compare_page, spread
from jaxcircuits.pages.compare_report import numbers, related_row
from jaxcircuits.universality import FAMILIES, objects
from jaxcircuits.universality.bank import BANK, around
from jaxcircuits.universality.bank import Shown as Stimuli
from jaxcircuits.universality.families import _found
from jaxcircuits.universality.family import coverage, members
from support import matched
from support.browser import Browser

BY_NAME = {family.name: family for family in FAMILIES}
WINDOW = 33
LIGHT = [[0.9, 0.9, 0.9]]
OWN_BANK = BANK | {
    "curve": Stimuli(
        stimuli.curve,
        {"orientation": around(16), "radius": [12.0, 13.0, 14.0, 15.0, 16.0], "color": LIGHT},
        "orientation",
    ),
    "line": Stimuli(
        stimuli.line, {"orientation": around(12, np.pi), "length": [24.0, 28.0, 40.0], "color": LIGHT}, "orientation"
    ),
}
"""Figures of the size and the shade that the units below are made for."""
CURVES, LINES, NOISE = range(8), range(8, 14), range(14, 24)


def templates(turn=0.0, order=None):
    """Kernels that are pictures of what a unit is for: 8 curves, 6 lines, then noise as strong as these."""

    def ridge(draw):
        """A light figure with a dark seam along it, which sum to nothing."""
        thin, wide = (np.asarray(draw(width))[..., :1] - 0.5 for width in (4.0, 12.0))
        return thin / thin.sum() - wide / wide.sum()

    kernels = [
        ridge(lambda width, i=i: stimuli.curve(turn + i * np.pi / 4, 14.0, width, WINDOW, extent=2.1)) for i in CURVES
    ]
    kernels += [ridge(lambda width, i=i: stimuli.line(i * np.pi / 6, 28.0, width, WINDOW)) for i in range(len(LINES))]
    kernels += list(np.random.default_rng(0).normal(size=(len(NOISE), WINDOW, WINDOW, 1)))
    kernels = np.stack([one / np.linalg.norm(one) for one in kernels], -1)
    return kernels if order is None else kernels[..., order]


def template_network(name, turn=0.0, order=None, size=64):
    """One layer of those, on the gray of a picture, rectified: light figures alone are answered."""
    import jax

    def look(params, x):
        gray = x.mean(-1, keepdims=True)
        numbers = ("NHWC", "HWIO", "NHWC")
        seen = jax.lax.conv_general_dilated(gray, params, (2, 2), "SAME", dimension_numbers=numbers)
        return {"early": jnp.maximum(gray, 0), "units": jnp.maximum(seen, 0)}

    kernel = jnp.asarray(templates(turn, order), jnp.float32)
    return jc.Network.from_function(look, kernel, jc.InputConvention((size, size), mean=0.5), name=name)


@pytest.fixture(scope="module")
def found():
    order = np.random.default_rng(1).permutation(24)
    networks = [template_network("one"), template_network("two", order=order)]
    pictures = np.stack(
        [
            np.asarray(stimuli.curve(angle, radius, 4.0, 64, center=(place, -place)))
            for angle, radius, place in itertools.product(np.arange(12) * np.pi / 6, (10.0, 18.0), (-6.0, 5.0))
        ]
    )
    wanted = [dataclasses.replace(BY_NAME[name], contrast=2.0) for name in ("curves", "lines")]
    layers = {"one": ["units"], "two": ["units"]}
    options = {"layers": layers, "wanted": wanted, "bank": OWN_BANK, "progress": False}
    return universality.families(networks, pictures, **options), order, pictures


def test_units_made_for_a_family_are_found_whatever_their_numbers(found):
    families, order, _ = found
    for name, numbers_of in (("one", np.arange(24)), ("two", order)):
        curves = families["curves", name]
        assert curves.there and curves.layer == "units"
        members_of = numbers_of[curves.units]
        assert set(members_of) <= set(CURVES) and len(members_of) >= 6
        off = np.degrees(np.abs(difference(curves.members.kinds, members_of * np.pi / 4)))
        assert off.max() < 25
        assert curves.coverage > 0.7 and curves.by_chance < 1
        assert curves.p_value <= curves.adjusted_p_value < 0.05
        assert set(numbers_of[families["lines", name].units]) <= set(LINES)


def test_families_of_two_networks_are_each_others_matches(found):
    families, order, _ = found
    related = families.related["curves", "one", "two"]
    assert related.share > 0.9 > 0.5 > related.chance
    assert related.correlation > 0.99 and np.degrees(related.turned) < 20
    assert all(order[j] == i for i, j in related.pairs)
    rows = families.rows()
    assert json.loads(json.dumps(rows)) == rows
    assert [row["network"] for row in rows if row["family"] == "curves"] == ["one", "two"]
    row = related_row("curves", ("one", "two"), related)
    assert json.loads(json.dumps(row)) == row


def planted(kinds=16, conditions=12, units=60, tuned=10, seed=0):
    """Answers: some units prefer one direction in every condition, others are as strong but in no order."""
    rng = np.random.default_rng(seed)
    best = rng.uniform(0, 2 * np.pi, tuned)
    angles = np.arange(kinds) * 2 * np.pi / kinds
    curves = np.exp(3 * (np.cos(angles - best[:, None]) - 1))[:, :, None] * rng.uniform(
        0.8, 1.2, (tuned, 1, conditions)
    )
    others = rng.exponential(0.3, (units - tuned, kinds, conditions))
    return {
        "curve": np.concatenate([curves, others]).astype(np.float32),
        "line": np.concatenate([np.full((tuned, 8, 12), 0.1), rng.exponential(0.3, (units - tuned, 8, 12))]),
    }, best


def test_a_criterion_is_that_of_a_loop():
    answers, best = planted()
    other, _ = planted(units=60, tuned=2, seed=5)
    got = members(BY_NAME["curves"], answers, [other])
    expected = []
    curves, lines = (answers[name].mean(2) for name in ("curve", "line"))
    strong = np.percentile(curves.max(1), 95) / 3
    for unit in range(60):
        curve = curves[unit]
        at = curve.argmax()
        enough = curve[at] >= strong and curve[at] >= 1.4 * lines[unit].max() and curve[at] >= 3 * curve[(at + 8) % 16]
        if enough:
            expected.append(unit)
    assert got.units.tolist() == expected
    assert got.units.tolist()[:10] == list(range(10))
    np.testing.assert_allclose(np.abs(difference(got.kinds[:10], best)), 0, atol=0.05)
    assert got.looked_at == 60 and len(got.rearranged) == 1 and got.rearranged[0] >= 2
    assert got.by_chance == got.rearranged[0]


def looked(layers, by_chance):
    return _found(template_network("one"), BY_NAME["curves"], layers, by_chance)


def in_layers(*counts):
    """A family with so many members of so many units in each layer, and in the same layer of rearranged networks."""
    nothing = np.zeros(0)
    layers = {
        name: universality.Members(np.arange(count), nothing, nothing, units, chance)
        for name, count, units, chance in counts
    }
    depths = {name: at / len(layers) for at, name in enumerate(layers)}
    return universality.Found(BY_NAME["cars"], "net", layers, depths, counts[0][0], 1.0, 1.0)


def expected_p(count, units, chance):
    """By SciPy's t-test of two samples, of which one is a single number: the same as that of a prediction."""
    count, *chance = (
        np.sqrt(4 * units + 2) * np.arcsin(np.sqrt((c + 0.375) / (units + 0.75))) for c in (count, *chance)
    )
    if np.var(chance, ddof=1) >= 1:
        return ttest_ind([count], chance, alternative="greater").pvalue
    return t.sf((count - np.mean(chance)) / np.sqrt(1 + 1 / len(chance)), len(chance) - 1)


def test_of_layers_that_pass_the_first_with_most_of_the_family_is_chosen():
    rng = np.random.default_rng(0)
    chance = [tuple(rng.binomial(units, p, 16).tolist()) for units, p in ((60, 0.03), (1000, 0.01), (2, 0))]
    small, large, few = (("small", 16, 60, chance[0]), ("large", 90, 1000, chance[1]), ("few", 2, 2, chance[2]))
    assert 0 < expected_p(*large[1:]) < expected_p(*small[1:]) and expected_p(*few[1:]) < 0.05
    nothing = in_layers(("only", 1, 60, chance[0]))
    key, others = ("cars", "net"), {("cars", str(i)): nothing for i in range(4)}
    got = universality.corrected({key: in_layers(large, few, small)} | others)[key]
    assert got.layer == "small" and got.depth == pytest.approx(2 / 3) and got.there
    assert got.p_value == pytest.approx(3 * expected_p(*small[1:]))
    assert got.adjusted_p_value == pytest.approx(5 * 3 * expected_p(*small[1:]))
    # A later layer with not twice the share does not win, wherever it stands in the mapping.
    first, later = ("first", 16, 60, chance[0]), ("later", 27, 60, chance[0])
    by_depth = in_layers(first, later)
    turned = dataclasses.replace(by_depth, layers=dict(reversed(by_depth.layers.items())))
    for one in (by_depth, turned):
        assert universality.corrected({key: one} | others)[key].layer == "first"
    assert universality.corrected({key: in_layers(first, ("later", 40, 60, chance[0]))} | others)[key].layer == "later"
    # For so many families in networks the smaller layer does not pass, and must not hide that the larger one does.
    many = {("cars", str(i)): nothing for i in range(int(0.05 / expected_p(*small[1:])))}
    got = universality.corrected({key: in_layers(large, few, small)} | many)[key]
    assert got.layer == "large" and got.there
    # Nor may a layer with fewer members than a family has, whatever its p-value.
    fewer = in_layers(("few", 2, 2, (0,) * 16), ("enough", 12, 60, chance[0]))
    assert universality.corrected({key: fewer} | many)[key].layer == "enough"


def test_the_layer_that_has_the_family_is_chosen_and_tested_as_by_scipy():
    clear, _ = planted(units=240, tuned=12, seed=1)
    alone, _ = planted(units=240, tuned=0, seed=2)
    by_chance = [
        {name: planted(units=240, tuned=0, seed=3 + 2 * i + side)[0] for side, name in enumerate(("early", "units"))}
        for i in range(8)
    ]
    for early, late, expected in ((alone, clear, "units"), (clear, alone, "early")):
        got = looked({"early": early, "units": late}, by_chance)
        assert got.layer == expected and got.there
        one = got.layers[expected]
        assert got.p_value == pytest.approx(2 * expected_p(len(one.units), 240, one.rearranged))
    assert not looked({"early": alone, "units": alone}, by_chance).there


def test_fewer_than_three_units_are_no_family_and_the_corrected_p_value_decides():
    answers, _ = planted(units=60, tuned=10, seed=3)
    got = looked({"units": answers}, [{"units": planted(units=60, tuned=0, seed=seed)[0]} for seed in (4, 5, 6)])
    for count, adjusted in ((2, 0.01), (3, 0.01), (3, 0.06)):
        own = dataclasses.replace(got.members, units=np.arange(count), rearranged=(0, 2, 1))
        one = dataclasses.replace(got, layers={"units": own}, p_value=0.001, adjusted_p_value=adjusted)
        assert one.there == (count == 3 and adjusted == 0.01)
        as_many = dataclasses.replace(own, rearranged=(0, 3, 1))
        assert not dataclasses.replace(one, layers={"units": as_many}).there


@pytest.mark.parametrize("pairs", [(1, 1), (2, 2), (3, 2)])
def test_connections_of_pairs_are_judged_by_tosses_for_the_pairs(pairs):
    """Against all sides that pairs can have; the connections themselves are no independent tosses."""
    rng = np.random.default_rng(sum(pairs))
    between = list(itertools.product(*([(layer, i) for i in range(n)] for layer, n in enumerate(pairs))))
    values = rng.normal(size=len(between)) + 0.5
    counts = []
    for sides in itertools.product((-1, 1), repeat=sum(pairs)):
        first, second = sides[: pairs[0]], sides[pairs[0] :]
        counts.append(sum(v * first[a] * second[b] > 0 for v, ((_, a), (_, b)) in zip(values, between)))
    exact = np.mean(np.array(counts) >= (values > 0).sum())
    assert objects.coin_tosses(values, between, rng) == pytest.approx(exact, abs=0.03)
    assert objects.coin_tosses(np.abs(values), between, rng) == pytest.approx(2.0 ** (1 - sum(pairs)), abs=0.03)


def test_coverage_is_one_for_even_angles_and_less_for_a_gap():
    assert coverage(np.arange(6) * np.pi / 3, 2 * np.pi) == pytest.approx(1)
    assert coverage(np.arange(6) * np.pi / 6, np.pi) == pytest.approx(1)
    assert coverage(np.arange(3) * np.pi / 6, 2 * np.pi) == pytest.approx((1 - 5 / 6) / (2 / 3))
    assert coverage(np.zeros(1), 2 * np.pi) == 0


def test_families_say_what_they_cannot_look_for():
    network = matched.network()
    with pytest.raises(InputError, match="of different names"):
        universality.families([network, network], matched.world(), progress=False)
    with pytest.raises(InputError, match="arrangements -1"):
        universality.families([network], matched.world(), arrangements=-1, progress=False)
    odd = universality.Family("odd", ("curvy",), ("line",), 1.0)
    with pytest.raises(InputError, match=r"unknown stimulus 'curvy'.*curve"):
        universality.families([network], matched.world(), wanted=[odd], progress=False)


def test_like_excites_like_where_it_was_planted():
    rng = np.random.default_rng(3)
    early, late = rng.uniform(0, 2 * np.pi, 9), rng.uniform(0, 2 * np.pi, 7)
    planted_weights = np.cos(late[:, None] - early) + 0.1 * rng.normal(size=(7, 9))
    weights = planted_weights[:, None, None] * np.array([0.2, 0.5, 0.3])[:, None] * np.ones((1, 3, 1, 1)) / 3
    got = universality.like_excites_like(weights.reshape(7, 3, 3, 9), early, late)
    sums = weights.reshape(7, 3, 3, 9).sum((1, 2))
    cosines = np.cos(late[:, None] - early)
    assert got.correlation == pytest.approx(np.corrcoef(sums.ravel(), cosines.ravel())[0, 1])
    assert got.p_value < 0.05 and got.like > 0.5 and got.opposite < -0.5 and got.pairs[0] == 63
    none = universality.like_excites_like(rng.normal(size=(7, 3, 3, 9)), early, late)
    assert none.p_value > 0.01
    with pytest.raises(InputError, match="2 early"):
        universality.like_excites_like(weights.reshape(7, 3, 3, 9)[..., :2], early[:2], late)


def test_pairs_that_face_either_way_are_found():
    rng = np.random.default_rng(4)
    sides = rng.exponential(size=(30, 6))
    plain = np.concatenate([sides, rng.exponential(size=(30, 4))], 1)
    mirrored = plain.copy()
    mirrored[:, [0, 1, 2, 3]] = plain[:, [1, 0, 3, 2]]
    raised = np.ones(10)
    assert sorted(map(sorted, objects.facing_pairs(plain, mirrored, raised).tolist())) == [[0, 1], [2, 3]]
    raised[3] = 0
    assert objects.facing_pairs(plain, mirrored, raised).tolist() == [[0, 1]]


def test_objects_are_measured_on_any_network():
    network = jc.load("slide")
    rng = np.random.default_rng(5)
    seen, others = (rng.uniform(size=(6, 96, 96, 3)).astype(np.float32) for _ in range(2))
    for measured in (
        universality.head_circuit(network, ["mixed3b", "mixed4a"], seen, others),
        universality.car_circuit(network, ["mixed3b", "mixed4a"], seen, others),
    ):
        assert json.loads(json.dumps(measured)) == measured
        assert measured["network"] == "slide" and not measured["found"]


def upright(seed=0, channels=24, kernel=True, planted=True):
    """A network of random kernels, and, if it is planted, one unit for a light cell of the image above a dark one."""
    import jax

    rng = np.random.default_rng(seed)
    first = rng.normal(size=(3, 3, 3, channels)) / 5
    second = rng.normal(size=(3, 3, channels, channels)) / 15
    first[..., 0], first[..., 1] = 0.0, 0.0
    first[1, 1, :, 0], first[1, 1, :, 1] = 1, -1  # light, and dark
    if planted:
        second[..., 2] = 0.0
        second[0, :, 0, 2] = second[2, :, 1, 2] = 1.0
    if not kernel:
        second[:, :, :, 2:4] = second[1:2, 1:2, :, 2:4].repeat(3, 0).repeat(3, 1)

    def run(params, x):
        found = {}
        for name, values in zip(("one", "two"), params):
            numbers = ("NHWC", "HWIO", "NHWC")
            x = jax.nn.relu(jax.lax.conv_general_dilated(x, values, (1, 1), "SAME", dimension_numbers=numbers))
            found[name] = x
        return found

    weights = [jnp.asarray(values, jnp.float32) for values in (first, second)]
    return jc.Network.from_function(run, weights, jc.InputConvention((16, 16), mean=0.5, scale=1.0), name="upright")


def lit(count, rng, things=True):
    """Pictures of noise, with a light bar above a dark one, or without."""
    pictures = rng.uniform(0.35, 0.65, (count, 16, 16, 3)).astype(np.float32)
    for picture in pictures if things else ():
        row, column = rng.integers(2, 10, 2)
        picture[row, column : column + 4], picture[row + 2, column : column + 4] = 1.0, 0.0
    return pictures


def test_a_car_unit_is_chosen_on_half_and_its_parts_are_measured_on_the_other():
    rng = np.random.default_rng(1)
    shown, others = lit(14, rng), lit(25, rng, things=False)
    found = universality.car_circuit(upright(), ["one", "two"], shown, others)
    assert json.loads(json.dumps(found)) == found
    assert found["unit"] == 2 and found["layers"] == ["one", "two"] and found["found"]
    assert found["pictures"] == {"that_choose": 7, "that_measure": 7}
    assert found["others"] == {"that_choose": 13, "that_measure": 12}
    assert found["held_against"] == 23 and found["p_value"] == pytest.approx(1 / 24, abs=1e-4)
    assert found["arrangement"] > found["by_chance"] and found["difference_p_value"] >= 1 / 24
    assert found["tried"]["units"] == 24 > found["tried"]["less_upside_down"] > 0
    assert found["tried"]["passed_over_without_a_kernel"] == 0
    assert found["difference"] == pytest.approx(found["arrangement"] - found["on_others"], abs=2e-3)
    assert 0 < found["interval"][0] < found["difference"] < found["interval"][1]
    # The measuring half is upside down: the unit is chosen as before, and its parts do not lie where it wants them.
    shown[1::2] = shown[1::2, ::-1]
    turned = universality.car_circuit(upright(), ["one", "two"], shown, others)
    assert turned["unit"] == 2 and turned["left_upside_down"] > 1 > found["left_upside_down"]
    assert not turned["found"] and turned["arrangement"] < found["arrangement"] - 0.1


def test_a_car_unit_has_a_kernel():
    """A unit that reads above as below is neither chosen nor what others are held against."""
    rng = np.random.default_rng(2)
    shown, others = lit(12, rng), lit(20, rng, things=False)
    found = universality.car_circuit(upright(kernel=False), ["one", "two"], shown, others)
    assert found.get("unit") not in (2, 3)
    assert found.get("held_against", 21) == 21
    network = upright()
    pointwise = jc.Network.from_function(
        lambda params, x: {"one": x, "two": x @ params}, jnp.eye(3), jc.InputConvention((16, 16), mean=0.5)
    )
    for model, layers in ((pointwise, ["one", "two"]), (network, ["one", "two"])):
        none = universality.car_circuit(model, layers, np.full((4, 16, 16, 3), 0.5, np.float32), others)
        assert not none["found"]
    assert "no unit with a kernel" in universality.car_circuit(pointwise, ["one", "two"], shown, others)["why"]


def test_on_pictures_of_nothing_there_is_no_car_circuit():
    """The unit's own cell suits its weights, as those of others suit theirs."""
    p_values, found = [], []
    for seed in range(24):
        pictures = lit(30, np.random.default_rng(100 + seed), things=False)
        row = universality.car_circuit(upright(seed), ["one", "two"], pictures[:12], pictures[12:])
        if "p_value" in row:
            p_values.append(row["p_value"])
            found.append(row["found"])
    assert len(p_values) < 3 or (np.mean(np.array(p_values) < 0.05) <= 0.2 and np.mean(found) <= 0.1)


def test_random_networks_have_no_car_circuit():
    """The unit's own cell suits its weights, as those of others suit theirs; and things, which lie in pictures like
    nothing else there, make a difference to many units: more intervals are above 0 than p-values are below 0.05."""
    rows = []
    for seed in range(24):
        rng = np.random.default_rng(100 + seed)
        shown, others = lit(12, rng), lit(18, rng, things=False)
        rows.append(universality.car_circuit(upright(seed, 60, planted=False), ["one", "two"], shown, others))
    rows = [row for row in rows if "p_value" in row]
    assert len(rows) >= 12
    above = np.mean([row["interval"][0] > 0 for row in rows])
    for name in ("p_value", "difference_p_value"):
        assert np.mean([row[name] < 0.05 for row in rows]) <= min(0.2, above)


@pytest.fixture(scope="module")
def page(found):
    families, _, pictures = found
    networks = [template_network("one"), template_network("two", order=found[1])]
    layers = universality.depth_map(
        *networks, pictures, first_layers=["early", "units"], second_layers=["units"], progress=False
    )
    match = layers["units", "units"]
    units = {
        (name, jc.network.units.Unit("units", int(unit))): Shown(pictures[unit], pictures[:4])
        for name in families.networks
        for unit in range(24)
    }
    return layers, families, compare_page(layers, [(match, match.strongest[:4])], families, units, "As <drawn>.")


def test_the_page_says_all_and_escapes_names(page, tmp_path):
    layers, families, html = page
    assert "As &lt;drawn&gt;." in html and html.count('class="pair"') == 4
    assert html.count("<figure>") == sum(
        len(spread(families[name, network].units)) for name, network in families if families[name, network].there
    )
    for value in re.findall(r'<td class="map[^>]*>([-0-9.]+)</td>', html):
        assert -1 <= float(value) <= 1
    assert json.loads(json.dumps(numbers(layers, families)))["scores"]["cka"]["value"]
    browser = Browser(tmp_path / "profile")
    try:
        (tmp_path / "compare.html").write_text(html)
        browser.open(tmp_path / "compare.html")
        assert not browser.problems and all(url.startswith(("file:", "data:")) for url in browser.requests)
        broken = "[...document.images].filter(image => !image.naturalWidth).length"
        assert browser.evaluate(broken) == 0 and browser.evaluate("document.images.length") > 10
        browser.resize(400, 800, mobile=True)
        assert browser.evaluate("document.documentElement.scrollWidth") <= 400
    finally:
        browser.close()


def test_spread_keeps_both_ends():
    assert spread(np.arange(5)).tolist() == [0, 1, 2, 3, 4]
    assert spread(np.arange(30), 4).tolist() == [0, 10, 19, 29]


@pytest.mark.slow
def test_the_command_compares_two_files_and_refuses_what_it_cannot(tmp_path, monkeypatch):
    from jaxcircuits.cli.app import app

    (tmp_path / "pictures").mkdir()
    for i, picture in enumerate(matched.world(6, 32)):
        to_image(picture).save(tmp_path / "pictures" / f"{i}.png")
    (tmp_path / "two_small.py").write_text(
        "import jax, jaxcircuits as jc\n"
        "def look(params, x):\n"
        "    numbers = ('NHWC', 'HWIO', 'NHWC')\n"
        "    seen = jax.lax.conv_general_dilated(x, params, (2, 2), 'SAME', dimension_numbers=numbers)\n"
        "    return {'units': jax.nn.relu(seen)}\n"
        "def network(seed, name):\n"
        "    kernel = jax.random.normal(jax.random.key(seed), (5, 5, 3, 6))\n"
        "    return jc.Network.from_function(look, kernel, jc.InputConvention((32, 32), mean=0.5), name=name)\n"
        "def one():\n    return network(0, 'first')\n"
        "def two():\n    return network(1, 'second')\n"
    )
    monkeypatch.chdir(tmp_path)
    arguments = ["--images", "pictures", "--out", "out", "--steps", "2", "--size", "16"]
    done = CliRunner().invoke(app, ["compare", "two_small:one", "two_small:two", *arguments])
    assert done.exit_code == 0, done.output + repr(done.exception)
    folder = tmp_path / "out" / "first-and-second"
    assert sorted(path.name for path in folder.iterdir()) == ["compare.html", "compare.json"]
    written = json.loads((folder / "compare.json").read_text())
    assert written["networks"] == ["first", "second"] and len(written["families"]) == 2 * len(FAMILIES)
    refused = CliRunner().invoke(app, ["compare", "two_small:one", "two_small:one", *arguments])
    assert isinstance(refused.exception, InputError) and "both networks are called first" in str(refused.exception)
