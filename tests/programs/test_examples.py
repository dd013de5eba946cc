"""The programs of examples/ at a small size, and what they say beside a figure; what they find is theirs to say."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

import jaxcircuits as jc
from docs import render as pages
from examples import (
    answers,
    cars,
    circuit_figures,
    circuits_curves,
    circuits_slide,
    figures,
    handwritten_curves,
    heads,
    renew,
)
from jaxcircuits import circuits
from jaxcircuits.universality import objects
from support.data import ROOT

RNG = np.random.default_rng(0)


def test_halves_share_no_picture():
    choose, measure = figures.halves(9)
    assert sorted([*choose, *measure]) == list(range(9)) and abs(len(choose) - len(measure)) == 1


def test_interval_covers_the_mean_as_often_as_it_says():
    """Of normal samples: 95 % of intervals, to the binomial's error and the percentile bootstrap's."""
    rng = np.random.default_rng(1)
    found = []
    for seed in range(200):
        low, high = figures.interval(np.mean, rng.normal(3, 1, 60), seed=seed)
        found.append(low <= 3 <= high)
    assert 0.88 <= np.mean(found) <= 0.99


def test_figures_resample_their_samples_together():
    x = RNG.normal(size=50)
    found = figures.figure(lambda a, b: np.corrcoef(a, b)[0, 1], x, 2 * x)
    assert found == {"value": 1.0, "interval": [1.0, 1.0], "n": 50}


def test_chance_counts_what_was_found():
    assert figures.by_chance(3.0, np.array([1.0, 2.0, 3.0])) == 0.5
    assert figures.by_chance(9.0, np.zeros(19)) == 0.05


def test_shift_of_random_photographs_has_even_p_values():
    rng = np.random.default_rng(2)
    found = []
    for _ in range(40):
        chosen = np.zeros(100, bool)
        chosen[rng.permutation(100)[:8]] = True
        found.append(answers.moved_by(rng.normal(size=100), chosen)["p_value"])
    assert 0.35 < np.mean(found) < 0.65 and min(found) < 0.15 and max(found) > 0.85
    planted = np.where(chosen, 5.0, rng.normal(size=100))
    assert answers.moved_by(planted, chosen)["p_value"] < 0.01


def test_photographs_are_read_whole_with_their_synsets(tmp_path):
    for i, synset in enumerate(("n01", "n02")):
        (tmp_path / synset).mkdir()
        Image.fromarray(np.full((40, 60, 3), 100 * i, np.uint8)).save(tmp_path / synset / "a.png")
    pictures, synsets = figures.open_photographs(tmp_path)
    assert synsets.tolist() == ["n01", "n02"]
    np.testing.assert_allclose(figures.read(pictures, np.array([1])), 100 / 255 * np.ones((1, 224, 224, 3)), rtol=1e-6)


def convolved(before, weights):
    """What units answer to maps (N, H, W, channels), the border filled with zeros."""
    padded = np.pad(before, ((0, 0), (2, 2), (2, 2), (0, 0)))
    return np.einsum(
        "nijcab,uabc->niju",
        np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2)),
        weights,
        optimize=True,
    )


def test_arrangement_finds_planted_parts():
    """Channel 0 is active above the unit's cell and read there, channel 1 below; the others are noise."""
    rng = np.random.default_rng(3)
    weights = rng.normal(scale=0.05, size=(25, 5, 5, 30))
    weights[0, :2, :, 0], weights[0, 3:, :, 1] = 1, 1
    weights[24] = 1
    shown, others = rng.uniform(0, 0.1, (6, 9, 9, 30)), rng.uniform(0, 0.1, (20, 9, 9, 30))
    for n in range(6):
        shown[n, 2:4, :, 0] = shown[n, 5:7, :, 1] = 1
    maps = [(part, convolved(part, weights)) for part in (shown, others)]
    found, flat = cars.arranged(weights, *maps, [0, 24])
    assert found["parts_above"][0]["unit"] == 0 and found["parts_below"][0]["unit"] == 1
    own = found["arrangement_correlation"]
    assert own["value"] > 0.8 and own["p_value"] == round(1 / 24, 4) and own["n"] == 6
    assert found["arrangement_of_other_units"] == 23 and found["arrangement_of_other_units_median"] < 0.5
    assert found["arrangement_without"]["value"] < 0.6 and found["arrangement_without"]["n"] == 20
    assert found["arrangement_above_without"]["interval"][0] > 0
    assert flat == {"arrangement_correlation": None}


@pytest.mark.parametrize("kind", ["noise", "smooth", "sparse"])
def test_random_units_have_no_arrangement(kind):
    """At the cell that suits its weights every unit has one; its rank among such units, and the difference, do not."""
    rng, p_values, above = np.random.default_rng(5), [], []
    for _ in range(3):
        weights, parts = rng.normal(size=(12, 5, 5, 20)), rng.normal(size=(30, 7, 7, 20))
        if kind == "smooth":
            parts = ndimage.gaussian_filter(parts, (0, 1, 1, 0))
        parts = np.maximum(parts - (1 if kind == "sparse" else 0), 0)
        maps = [(part, convolved(part, weights)) for part in (parts[:10], parts[10:])]
        rows = cars.arranged(weights, *maps, list(range(12)))
        p_values += [row["arrangement_correlation"]["p_value"] for row in rows]
        above += [row["arrangement_above_without"]["interval"][0] > 0 for row in rows]
    assert np.mean(np.array(p_values) <= 1 / 12) <= 1 / 12 and np.mean(above) <= 0.15


def test_pairs_that_face_either_way_are_found():
    """Units 2 and 5 answer as each other does to the mirror image; unit 7 answers both alike."""
    rng = np.random.default_rng(4)
    plain, mirrored = rng.gamma(2, size=(40, 9)), rng.gamma(2, size=(40, 9))
    plain[:, 2], plain[:, 5] = mirrored[:, 5] + 0.01, mirrored[:, 2]
    plain[:, 7] = mirrored[:, 7]
    assert objects.facing_pairs(plain, mirrored, np.ones(9)).tolist() == [[2, 5]]
    assert not len(objects.facing_pairs(plain, mirrored, np.ones(9) - (np.arange(9) == 2)))
    assert not len(objects.facing_pairs(plain, mirrored[rng.permutation(40)], np.ones(9)))


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("sign", [1, -1])
def test_crossing_is_ordered_by_answers_and_not_by_weights(swapped, sign):
    """Whatever the weights, the first of one pair is the one that answers what the first of the other answers."""
    rng = np.random.default_rng(6)
    weights = np.zeros((2, 3, 3, 5), np.float32)
    weights[0, 1, 1, 4], weights[1, 1, 1, 1] = 2 * sign, 3 * sign
    weights[0, 0, 0, 1], weights[1, 0, 0, 4] = -sign, -sign
    left, right = rng.gamma(2, size=(2, 40))
    before, after = rng.gamma(2, size=(40, 5)), np.stack([left, right], 1)
    before[:, 4], before[:, 1] = (right, left) if swapped else (left, right)
    found = heads.crossing(weights, [1, 4], [0, 1], (before, after))
    like, across = [2 * sign, 3 * sign], [-sign, -sign]
    if swapped:
        assert found["from"] == [1, 4] and found["like"] == across
        assert found["across"] == like and found["rank_of_like"] == [2, 2]
    else:
        assert found["from"] == [4, 1] and found["like"] == like
        assert found["across"] == across and found["rank_of_like"] == [1, 1] and found["inputs"] == 5


def test_random_weights_are_no_more_alike_than_across():
    """Signs of four random weights are those of a crossed circuit in one of sixteen."""
    rng = np.random.default_rng(7)
    sides = rng.gamma(2, size=(30, 4)), rng.gamma(2, size=(30, 2))
    found = [heads.crossing(rng.normal(size=(2, 3, 3, 4)), [0, 1], [0, 1], sides) for _ in range(600)]
    assert np.mean([sum(one["like"]) > sum(one["across"]) for one in found]) == pytest.approx(1 / 2, abs=0.08)
    crossed = np.mean([min(one["like"]) > 0 > max(one["across"]) for one in found])
    assert crossed == pytest.approx(1 / 16, abs=0.03)


def test_uniting_units_are_raised_and_ties_are_told():
    weights = np.zeros((5, 1, 1, 6), np.float32)
    weights[:, 0, 0] = [
        [9, 8, 1, 0, 0, 0],  # ranks 1, 2; not raised
        [3, 4, 1, 0, 0, 0],  # 2, 1
        [5, 4, 1, 0, 0, 0],  # 1, 2
        [2, 1, 3, 0, 0, -9],  # 2, 3
        [0, 1, 3, 4, 5, 6],  # 6, 5
    ]
    raised = np.array([False, True, True, True, True])
    found = heads.uniting(weights, [0, 1], raised, count=1)
    assert [(row["unit"], row["ranks"], row["tied_with"]) for row in found] == [(2, [1, 2], [1]), (1, [2, 1], [2])]
    assert [row["unit"] for row in heads.uniting(weights, [0, 1], raised)] == [2, 1, 3]
    assert heads.uniting(weights, [0, 1], np.zeros(5, bool)) == []
    # A pair in another order has the same unions, for both programs.
    assert [row["unit"] for row in heads.uniting(weights, [1, 0], raised)] == [2, 1, 3]


def test_pairs_united_by_chance_are_counted_by_loops():
    rng = np.random.default_rng(8)
    weights = rng.normal(size=(6, 3, 3, 12))
    raised = {"units": np.arange(6) != 2, "channels": np.arange(12) < 7}
    found = heads.united_by_chance(weights, [3, 5], raised)
    strength = np.sqrt((np.maximum(weights, 0) ** 2).sum((1, 2)))

    def least(pair):
        return min(
            sum(1 + int((strength[u] > strength[u, c]).sum()) for c in pair) for u in np.flatnonzero(raised["units"])
        )

    assert found["sum_of_ranks"] == least((3, 5))
    for name, channels in (("share_of_all_pairs", range(12)), ("share_of_pairs_that_dogs_raise", range(7))):
        pairs = list(itertools.combinations(channels, 2))
        assert found[name] == pytest.approx(np.mean([least(pair) <= least((3, 5)) for pair in pairs]), abs=1e-4)


@pytest.mark.parametrize("left, right", [(range(3), range(3, 6)), (range(5), range(5, 7)), ([0], [9])])
def test_pairs_that_share_units_are_compared_with_random_units(left, right):
    """Units of unlike weights are opposed to all or to none: pairs of a few are not as many samples."""
    rng = np.random.default_rng(9)
    pairs, p_values = [(a, b) for a in left for b in right], []
    for _ in range(60):
        strength = rng.normal(size=40)
        opposed = strength[:, None] + strength + 0.1 * rng.normal(size=(40, 40))
        found = circuits_slide.share_less_opposed(np.triu(opposed, 1) + np.triu(opposed, 1).T, pairs)
        p_values.append(found["p_value"])
    assert found["pairs"] == len(pairs) and found["units"] == len(left) + len(right)
    assert set(found) == {"value", "pairs", "units", "p_value"}
    among = opposed[np.triu_indices(40, 1)]
    assert found["value"] == pytest.approx(np.mean([(among < opposed[pair]).mean() for pair in pairs]), abs=1e-3)
    assert np.mean(np.array(p_values) <= 0.05) <= 0.12 and 0.35 < np.mean(p_values) < 0.65
    assert circuits_slide.share_less_opposed(opposed, []) is None


def test_pages_name_the_same_unions():
    """Two programs look for them."""
    united = pages.result("circuits_objects.inceptionv1-2015")["heads"]["united_in_mixed4c"]
    pairs = pages.result("head_union")["pairs"]
    first = {tuple(row["pair"]): row["united_by"][0]["unit"] for row in united if row["united_by"]}
    second = {
        tuple(int(part["unit"].split(":")[1]) for part in row["parts"]): int(row["union"]["unit"].split(":")[1])
        for row in pairs
    }
    assert first == second
    assert all(row["raised_by_dogs_sd"]["value"] > 0.4 and row["raised_by_dogs_sd"]["interval"][0] > 0 for row in pairs)


def test_arguments_are_made_where_curves_begin():
    """One program says where the family begins, the other measures there."""
    begins = {
        row["network"]: row["layer"] for row in pages.result("universality")["families"] if row["family"] == "curves"
    }
    for name, found in pages.result("seven_arguments")["networks"].items():
        assert found["layer"] == begins[name]


def test_like_excites_like_by_the_cosine():
    early, late = np.linspace(0, 2 * np.pi, 12, endpoint=False), np.linspace(0, 6, 9)
    weights = np.cos(late[:, None] - early)[:, None, None, :]
    found = circuits_curves.like_excites_like(weights, early, late)
    assert found["correlation_with_cosine"]["value"] == 1 and found["p_value"] == 0.001
    assert found["bins"][0]["mean_weight"]["value"] > 0.8 > -0.8 > found["bins"][-1]["mean_weight"]["value"]


def test_objects_at_a_small_size(small, tmp_path, monkeypatch):
    """Everything but the photographs; the result is plain JSON, and what the pages take from it is there."""
    for i in range(24):
        pixels = np.random.default_rng(i).integers(0, 256, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i:02}.png")
    pictures, _ = figures.open_photographs(tmp_path)
    choice, vehicles = np.arange(24) % 2 == 0, np.arange(24) % 4 < 2
    seen = answers.baseline(small, pictures, (*heads.LAYERS, "mixed4d"))
    result = {
        "cars": cars.cars(small, seen["mixed4c"], pictures, vehicles, choice),
        "superposition": cars.superposed(small, seen, vehicles, ~vehicles, choice, 3),
        "heads": heads.heads(small, seen, pictures, ~vehicles, choice, 3),
    }
    result = json.loads(json.dumps(result | {"photographs": {"that_choose": 12, "that_measure": 12}}))
    real, name = pages.result, "circuits_objects.inceptionv1-2015"
    monkeypatch.setattr(pages, "has", lambda asked: asked == name)
    monkeypatch.setattr(pages, "result", lambda asked: result if asked == name else real(asked))
    assert "is compared with 3 shuffles" in " ".join(pages.render("circuits.md").split())
    assert "12 and 12" in " ".join(pages.render("how_we_know.md").split())
    assert result["cars"]["photographs"] == {"that_choose": 6, "that_measure": 6}
    assert set(result["heads"]["pairs"]) == set(heads.LAYERS) and len(result["superposition"]["features"]) == 6


@pytest.mark.slow
def test_accuracy_in_place_and_its_differences(small):
    """Against patches written out, with the strongest of each cell found by loops."""
    pictures = np.random.default_rng(5).uniform(size=(6, 64, 64, 3)).astype(np.float32)
    classes = np.asarray(small.activations(pictures, small.logits)[small.logits]).argmax(1)
    units, facing, factors = np.array([0, 1]), np.array([0.0, np.pi]), np.array([300.0, 500.0])
    hand = jc.Network.from_function(
        lambda params, x: {"curves": x[..., :2]}, (), jc.InputConvention(size=(64, 64), mean=0.0)
    )
    found = handwritten_curves.replaced(small, hand, "mixed3b", units, facing, factors, [(pictures, classes)])
    grid = np.zeros((6, 8, 8, 2), np.float32)
    for n, i, j, k in np.ndindex(grid.shape):
        grid[n, i, j, k] = pictures[n, 8 * i : 8 * i + 8, 8 * j : 8 * j + 8, k].max() * factors[k]
    expected = {
        "silenced": circuits.ablate(small, ["mixed3b:0", "mixed3b:1"]),
        "by_hand": circuits.patch(small, ["mixed3b:0", "mixed3b:1"], grid),
        "by_hand_turned_180": circuits.patch(small, ["mixed3b:0", "mixed3b:1"], grid[..., ::-1]),
    }
    right = {
        name: np.asarray(edited.activations(pictures, small.logits)[small.logits]).argmax(1) == classes
        for name, edited in expected.items()
    }
    assert found["trained"]["top_1"]["value"] == 1
    for name, values in right.items():
        assert found[name]["top_1"]["value"] == pytest.approx(values.mean(), abs=1e-4)
    above = found["by_hand"]["top_1_above_silenced"]
    assert above["value"] == pytest.approx(right["by_hand"].mean() - right["silenced"].mean(), abs=1e-4)
    assert above["n"] == 6 and above["interval"][0] <= above["value"] <= above["interval"][1]


def test_figures_go_round_the_circle():
    family = [{"unit": 10 + i, "degrees": degrees} for i, degrees in enumerate((3, 20, 92, 181))]
    assert circuit_figures.round_the_circle(family, 4) == [10, 12, 13]  # 270 is nearest to 181, which is there already
    assert circuit_figures.round_the_circle([*family, {"unit": 7, "degrees": 350}], 4) == [10, 12, 13, 7]


def test_renewing_runs_every_program_that_has_a_result(tmp_path):
    """So that one command renews whatever the pages state."""
    paths = {Path(command[-1]).name for command in renew.commands(None, None, False)}
    assert paths == {"circuits_curves.slide.json", "handwritten_curves.slide.json", "circuits_slide.json", "render.py"}
    assert all((ROOT / "examples" / f"{c[1].split('.')[1]}.py").exists() for c in renew.commands(None, None, True)[:-1])
    weights = Path(jc.__file__).parent / "zoo" / "weights" / "slide.safetensors"
    renewed = {Path(command[-1]).name.split(".")[0] for command in renew.commands(weights, tmp_path, False)[:-1]}
    stated = {path.name.split(".")[0] for path in (ROOT / "examples" / "results").glob("*.json")}
    # Those that compare networks have commands of their own, as its docstring says.
    compare = stated - renewed
    assert compare == {"many_meanings", "seven_arguments", "slide_seeds", "universality"}
    assert renewed < stated and all(name in renew.__doc__ for name in compare)


@pytest.mark.slow
def test_programs_for_the_network_in_the_box(tmp_path):
    """From the command line, with what the pages need of them."""
    for module in ("circuits_curves", "handwritten_curves", "circuits_slide"):
        out = tmp_path / f"{module}.json"
        command = [sys.executable, "-m", f"examples.{module}", "slide", "--out", str(out)]
        done = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        name = module if module == "circuits_slide" else f"{module}.slide"
        committed = json.loads((ROOT / "examples" / "results" / f"{name}.json").read_text())
        assert set(json.loads(out.read_text())) == set(committed)
