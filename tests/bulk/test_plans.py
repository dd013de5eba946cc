"""Plans: how they grow, how they differ, and that one from somebody else harms nobody."""

import dataclasses
import json
import os
import re
import subprocess
import zipfile

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxcircuits import InputError, bulk
from jaxcircuits.bulk import Directions, DrawingPlan, Series
from jaxcircuits.network import Network
from jaxcircuits.network.adapters import by_layer
from jaxcircuits.zoo import ZOO
from support.drawn import OURS, QUICK
from support.exact import COUNT, LAYERS
from support.mutated import mutated
from support.recorded import exact, opened


def test_feature_layers_of_the_zoo():
    def without_weights(name):
        entry = ZOO[name]
        shapes = {name: jax.ShapeDtypeStruct(s, "float32") for name, s in entry.architecture.tensors().items()}
        return Network.from_architecture(entry.architecture, by_layer(shapes), entry.convention)

    network = without_weights("inceptionv1")
    layers = bulk.feature_layers(network)
    assert layers[:4] == ("conv2d0", "conv2d1", "conv2d2", "mixed3a") and layers[-1] == "mixed5b" and len(layers) == 12
    assert sum(network.layers[name].channels for name in layers) == 5804
    caffe = bulk.feature_layers(without_weights("googlenet"))
    assert caffe[0] == "conv1/7x7_s2" and caffe[3] == "inception_3a/output" and len(caffe) == 12
    other = Network.from_function(lambda params, x: {"a": x, "b": 2 * x}, {})
    assert bulk.feature_layers(other) == tuple(other.layers) and set(other.layers) == {"a", "b"}


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sets(st.integers(0, 60), min_size=1), st.integers(1, 9)), min_size=1),
    st.sampled_from([0.0, 0.01]),
)
def test_a_plan_grows_by_what_it_lacks(requests, tolerance):
    plan, wanted = dataclasses.replace(OURS, recipe=dataclasses.replace(QUICK, tolerance=tolerance)), set()
    for layer, units, most in requests:
        series, before = Series(layer, tuple(units)), plan
        plan = plan.extended(series, most)
        wanted |= {(layer, unit) for unit in units}
        assert plan.shards[: len(before.shards)] == before.shards
        added = plan.shards[len(before.shards) :]
        assert len({shard.batch_size for shard in added}) <= 1
        for shard in added:
            assert 1 <= shard.batch_size <= most and shard.drawn[: len(shard.units)] == shard.units
            assert 0 <= len(shard.drawn) - len(shard.units) < shard.batch_size
            assert len(shard.drawn) % shard.batch_size == 0
            assert len(shard.drawn) <= shard.batch_size * (4 if tolerance else 1)
        planned = [(shard.folder, unit) for shard in plan.shards for unit in shard.units]
        assert len(planned) == len(set(planned)) and set(planned) == wanted
        held = {(plan.shards[i].folder, unit) for i in plan.having([series]) for unit in plan.shards[i].units}
        assert {(layer, unit) for unit in units} <= held
    assert DrawingPlan.from_json(plan.to_json()) == plan


def test_differences_are_named():
    theirs = dataclasses.replace(OURS, seed=3, recipe=dataclasses.replace(QUICK, steps=4))
    assert theirs.differences(OURS) == ["recipe.steps: theirs 4, ours 3", "seed: theirs 3, ours 0"]
    fewer = dataclasses.replace(OURS, recipe=dataclasses.replace(QUICK, transforms=QUICK.transforms[:1]))
    assert any("transforms.1.pixels: theirs nothing, ours 2" in text for text in fewer.differences(OURS))
    assert OURS.extended(Series("a", (1,)), 4).differences(OURS) == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"shards": 3}', OURS.to_json()[:-40], '{"shards": [{"a": 1}]}'])
def test_what_is_no_plan(text):
    with pytest.raises(InputError, match="no plan of a drawing") as error:
        DrawingPlan.from_json(text)
    assert "\n" not in str(error.value)


def _save(path, array, **options):
    with path.open("wb") as file:
        np.save(file, array, **options)


BAD_DIRECTIONS = {
    "missing": (lambda path: None, "no such file"),
    "text": (lambda path: path.write_text("1 2 3"), "not an array in the format"),
    "empty": (lambda path: path.write_bytes(b""), "the file is empty"),
    "archive": (lambda path: zipfile.ZipFile(path, "w").close(), "not an array in the format"),
    "pickle": (lambda path: _save(path, np.array([{}]), allow_pickle=True), "elements of type object"),
    "cut off": (lambda path: (_save(path, np.ones((9, 9))), os.truncate(path, 300)), "damaged or cut short"),
    "vector": (lambda path: _save(path, np.ones(5)), "shape \\(5,\\)"),
    "whole numbers": (lambda path: _save(path, np.ones((5, 5), int)), "int64 of shape"),
    "none": (lambda path: _save(path, np.ones((0, 5))), "shape \\(0, 5\\)"),
    "too many": (lambda path: _save(path, np.ones((1_000_001, 1), np.float16)), "at most 1000000 rows"),
    "not finite": (lambda path: _save(path, np.array([[1.0], [np.nan]])), "row 1 is not finite"),
}


@pytest.mark.parametrize("case", BAD_DIRECTIONS)
def test_bad_directions(case, tmp_path):
    make, message = BAD_DIRECTIONS[case]
    make(tmp_path / "sae.npy")
    with pytest.raises(InputError, match=message) as error:
        Directions.read(tmp_path / "sae.npy")
    assert "\n" not in str(error.value)


def _shard(**fields):
    return lambda plan: {**plan, "shards": [{**plan["shards"][0], **fields}, *plan["shards"][1:]]}


LONG = re.compile(r'("(?:count|seed)": )\d+')
BAD_PLANS = {
    "folder": (["drawings"], _shard(folder="../../victim")),
    "absolute folder": (["drawings"], _shard(folder="/tmp/victim")),
    "folder of directions": (["drawings"], _shard(folder="relu.../../../victim", directions="00")),
    "layer": (["drawings", "wiring"], _shard(layer="../../victim")),
    "layers": (["examples"], _shard(layers=["../../victim"])),
    "no batch": (["drawings"], _shard(batch_size=0)),
    "huge batch": (["drawings"], _shard(batch_size=10**12)),
    "batch as text": (["drawings"], _shard(batch_size="2")),
    "units as text": (["drawings"], _shard(units="01")),
    "units of text": (["drawings"], _shard(units=["0", "1"])),
    "no units": (["drawings"], _shard(units=[])),
    "a unit twice": (["drawings"], _shard(units=[0, 0])),
    "a unit in two shards": (["drawings"], _shard(units=[2, 3])),
    "unit": (["drawings"], _shard(units=[99])),
    "pictures": (["examples"], _shard(start=-1)),
    "share": (["examples"], _shard(stop=9)),
    "more": (["drawings", "examples", "wiring"], _shard(more=1)),
    "shards": (["drawings", "examples", "wiring"], lambda plan: {**plan, "shards": 3}),
    "network": (["drawings", "examples", "wiring"], lambda plan: {**plan, "network": 3}),
    "count": (["examples", "wiring"], lambda plan: {**plan, "count": "3"}),
    "digits": (["drawings", "examples", "wiring"], lambda plan: LONG.sub(r"\g<1>" + "9" * 5000, json.dumps(plan))),
    "nesting": (["drawings", "examples", "wiring"], lambda plan: "[" * 100_000),
    "no UTF-8": (["drawings", "examples", "wiring"], lambda plan: b"\xff\xfe{}"),
    "empty": (["drawings", "examples", "wiring"], lambda plan: b""),
    "pipe": (["drawings", "examples", "wiring"], "mkfifo"),
    "device": (["drawings", "examples", "wiring"], "ln -s /dev/zero"),
}


@pytest.mark.parametrize(("case", "product"), [(case, p) for case, (kinds, _) in BAD_PLANS.items() for p in kinds])
def test_a_plan_from_somebody_else_harms_nobody(case, product, tiny, tmp_path):
    """One line; nothing is written, and nothing outside is removed."""
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / ".mine.0a.tmp").write_text("kept")
    network = exact() if product == "examples" else tiny
    layers = LAYERS if product == "examples" else ["relu"]
    with opened(product, network, tmp_path / "out", layers) as job:
        path = tmp_path / "out" / network.name / job.product.plan_name
        plan = json.loads(path.read_text())
    change = BAD_PLANS[case][1]
    path.unlink()
    if isinstance(change, str):
        subprocess.run([*change.split(), path], check=True)
    else:
        changed = change(plan)
        changed = json.dumps(changed) if isinstance(changed, dict) else changed
        path.write_bytes(changed.encode() if isinstance(changed, str) else changed)
    there = sorted(map(str, tmp_path.rglob("*")))
    with pytest.raises(InputError) as error, opened(product, network, tmp_path / "out", layers):
        pass
    said = str(error.value)
    assert "\n" not in said and len(said) < 400 and path.name in said
    assert sorted(map(str, tmp_path.rglob("*"))) == there
    problems = bulk.Records(tmp_path / "out")
    assert len(problems) == 1 and all(len(line) < 400 for line in problems[problems.networks[0]].problems)


@pytest.mark.parametrize("product", ["drawings", "examples", "wiring"])
def test_a_plan_of_which_nothing_was_made_is_replaced(product, tiny, tmp_path):
    """A first command that fails does not stand in the way of the next one."""
    network, layers = (exact(), LAYERS) if product == "examples" else (tiny, ["relu"])
    first, then = ({"seed": 3}, {"seed": 4}) if product == "drawings" else ({"count": 5}, {"count": COUNT})
    with opened(product, network, tmp_path, layers, **first):
        pass
    with opened(product, network, tmp_path, layers, **then) as job:
        assert job.finished == 0 and job.product.variant == ""
        job.run(progress=False)
        assert job.finished == job.total
    plans = list((tmp_path / network.name).glob("plan*.json"))
    assert len(plans) == 1 and plans[0].read_text() == job.plan.to_json()


@pytest.mark.parametrize("product", ["drawings", "examples", "wiring"])
def test_mutated_plans_are_plans_or_one_line(product, tiny, tmp_path):
    network, layers = (exact(), LAYERS) if product == "examples" else (tiny, ["relu"])
    with opened(product, network, tmp_path, layers) as job:
        text = job.plan.to_json().encode()
    refused = 0
    for seed in range(400):
        try:
            plan = type(job.plan).from_json(mutated(text, seed))
            job.product.with_plan(plan).check()
        except InputError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 2100
    assert refused > 200
