"""Records of units, whatever the product: passes and wiring shared, killed and resumed; reading what is there."""

import dataclasses
import itertools
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

import jaxcircuits as jc
from jaxcircuits import InputError, bulk, circuits, evidence, files
from jaxcircuits.circuits.wiring import neighbours
from jaxcircuits.circuits.wiring_file import wiring_bytes
from support.data import ROOT
from support.exact import COUNT, LAYERS, assert_same, world
from support.recorded import QUICK, contents, exact, made, opened

MEMBERS = ("examples", "wiring")
"""Products of which a layer has one file."""


@pytest.fixture(scope="module")
def examples_alone(tmp_path_factory):
    """All files of a pass that nothing disturbed."""
    out = tmp_path_factory.mktemp("alone")
    made("examples", exact(), out, LAYERS)
    return out


# A pass over pictures


def test_a_pass_in_shares_is_one_pass(examples_alone, tmp_path):
    """Its files hold what `evidence.examples` finds, and nothing else is left."""
    folder = examples_alone / "exact"
    found = evidence.Examples.read(*(folder / layer / "examples.safetensors" for layer in LAYERS))
    assert_same(found, evidence.examples(exact(), world(), LAYERS, COUNT))
    index = {f".records/examples/layer-{i:05d}.json" for i in range(3)}
    files = {f"{layer}/examples.safetensors" for layer in LAYERS}
    assert set(contents(folder)) == {*index, *files, "plan.examples.json"}
    # Taken up again, nothing is to be done; layers are added in a pass of their own, others stay.
    assert made("examples", exact(), tmp_path, LAYERS[1:2])[0] == 0
    with opened("examples", exact(), tmp_path, LAYERS) as job:
        assert (job.finished, job.total, len(job.todo)) == (41, 82, 6)
        job.run(progress=False)
    assert contents(tmp_path / "exact" / "fires") == contents(folder / "fires")
    assert contents(tmp_path / "exact" / "logits") == contents(folder / "logits")
    assert made("examples", exact(), tmp_path, LAYERS)[0] == 82


def test_shares_of_which_nothing_can_be_read(tmp_path):
    """At the beginning, between and at the end: they are counted, and lose nobody else's pictures."""
    (tmp_path / "set").mkdir()
    for number, picture in enumerate(np.round(world(15)[0] * 4).astype(np.uint8) * 51):
        Image.fromarray(picture).save(tmp_path / "set" / f"{number:02d}.png")
    for number in (0, 1, 2, 7, 9, 10, 11, 12, 13, 14):
        (tmp_path / "set" / f"{number:02d}.png").write_text("no picture")
    network, pictures = exact(), jc.open_pictures(tmp_path / "set")
    with bulk.examples(network, pictures, ["fires"], tmp_path / "out", count=4, share=3) as job:
        (path,) = job.run(progress=False)
        assert len(job.product.unreadable) == 10 and job.product.unreadable[0].startswith("00.png: no picture")
    with pytest.warns(evidence.UnreadablePictures):
        expected = evidence.examples(network, pictures, "fires", 4)
    assert_same(evidence.Examples.read(path), expected)
    for path in (tmp_path / "set").iterdir():
        path.write_text("no picture")
    with (
        bulk.examples(network, pictures, ["fires"], tmp_path / "none", count=4, share=3) as job,
        pytest.raises(InputError, match=r"set: none of 15 pictures can be read \(00.png: no picture"),
    ):
        job.run(progress=False)


PASS = """
import sys, time
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/tests"]
import jax
from support.exact import LAYERS, exact_network, world
from jaxcircuits import bulk
from jaxcircuits.images.sources import Arrays

out, wait, address, processes, process = sys.argv[2:]
class Slow(Arrays):
    def read(self, *arguments):
        time.sleep(float(wait))
        return super().read(*arguments)

hosts = bulk.meet(address, int(processes), int(process)) if address else bulk.ALONE
import jaxcircuits as jc
pictures = jc.Pictures(Slow.of(*world()))
options = {"count": 6, "share": 8, "batch_size": 4, "hosts": hosts}
with bulk.examples(exact_network(), pictures, LAYERS, out, **options) as job:
    print(jax.local_device_count(), list(job.todo), flush=True)
    job.run()
"""


def start(out, wait=0.0, address="", processes=1, process=0, devices=1):
    """A process that sees the pictures of `examples_alone`."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    words = [sys.executable, "-c", PASS, ROOT, out, wait, address, processes, process]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(list(map(str, words)), env=environment, **pipes)


def finish(process):
    said, error = process.communicate(timeout=240)
    assert process.returncode == 0, error[-2000:]
    return said


def test_killed_in_the_middle_and_taken_up_again(examples_alone, tmp_path):
    process = start(tmp_path, wait=0.05)
    shares = tmp_path / "exact" / ".records" / "examples"
    while len(list(shares.glob("0*.json"))) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    left = len(list(shares.glob("0*.json")))
    assert 2 <= left < 6 and not list(tmp_path.rglob("examples.safetensors"))
    with opened("examples", exact(), tmp_path, LAYERS) as job:
        assert len(job.todo) == 6 - left
        job.run(progress=False)
    assert contents(tmp_path) == contents(examples_alone)


def test_two_processes_see_what_one_sees(examples_alone, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    both = [start(tmp_path, 0.0, address, 2, i) for i in range(2)]
    shares = [json.loads(re.search(r"^1 (\[.*\])$", finish(process), re.MULTILINE)[1]) for process in both]
    assert shares == [[0, 2, 4], [1, 3, 5]]
    assert contents(tmp_path) == contents(examples_alone)


@pytest.mark.parametrize("devices", [2, 8])
def test_several_devices_see_what_one_sees(devices, examples_alone, tmp_path):
    assert f"{devices} [0, 1" in finish(start(tmp_path, devices=devices))
    several, one = (
        evidence.Examples.read(*(out / "exact" / layer / "examples.safetensors" for layer in LAYERS))
        for out in (tmp_path, examples_alone)
    )
    assert_same(several, one)


def test_a_damaged_share_is_seen_again(examples_alone, tmp_path):
    with opened("examples", exact(), tmp_path, LAYERS) as job:
        for shard, share in itertools.islice(job.product.make(job.todo, lambda: None, False), 3):
            job.product.write(shard, share)
    path = tmp_path / "exact" / ".records" / "examples" / "shares" / "00001-00002.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with opened("examples", exact(), tmp_path, LAYERS) as job:
        assert job.damaged == (".records/examples/shares/00001-00002.safetensors",) and job.todo == (1, 3, 4, 5)
        job.run(progress=False)
    assert contents(tmp_path) == contents(examples_alone)


# Wiring


@pytest.mark.parametrize("layer", ["conv2d0", "mixed3b", "mixed5b"])
def test_a_layers_wiring_is_that_of_its_units(layer, small):
    """What is read at once for all units is what is read for each."""
    found = circuits.Wiring(small, 3)[layer]
    before, after = neighbours(small, layer)
    for side, other, strongest in (
        (found.inputs, before, circuits.strongest_inputs),
        (found.outputs, after, circuits.strongest_outputs),
    ):
        assert side.layer == other
        for unit in range(found.units):
            expected = strongest(small, f"{layer}:{unit}", other, 3)
            for kind in ("excitatory", "inhibitory"):
                own, theirs = getattr(side, kind), getattr(expected, kind)
                count = len(theirs)
                ends = [(c.source if side is found.inputs else c.target).index for c in theirs]
                assert own.units[unit, :count].tolist() == ends
                strengths = [getattr(c, "excitation" if kind == "excitatory" else "inhibition") for c in theirs]
                np.testing.assert_allclose(own.strengths[unit, :count], strengths, rtol=1e-6)
                assert (own.units[unit, count:] == -1).all() and not own.weights[unit, count:].any()
                for row, connection in enumerate(theirs):
                    np.testing.assert_allclose(own.weights[unit, row], connection.weights, rtol=1e-4, atol=1e-6)


def test_classes_are_those_of_expanded_weights(small):
    """What an activation of 1 everywhere does to the logits: of the last layer, and of one two blocks before it."""
    wiring, last = circuits.Wiring(small), "mixed5b"
    at_last = circuits.expanded_weights(small, last, small.logits)
    at_last = at_last.reshape(len(at_last), -1, small.layers[last].channels).sum(1)
    through = circuits.expanded_weights(small, "mixed4e", last).sum((1, 2))
    for layer, effects in (("mixed4e", at_last @ through), (last, at_last)):
        classes = wiring[layer].classes
        scale = np.abs(effects).max()
        for chosen, found, sign in ((classes.up, classes.up_effects, -1), (classes.down, classes.down_effects, 1)):
            np.testing.assert_allclose(found, np.take_along_axis(effects.T, chosen, 1), rtol=1e-4, atol=1e-5 * scale)
            best = sign * np.sort(sign * effects.T, axis=1)[:, : chosen.shape[1]]
            np.testing.assert_allclose(found, best, rtol=1e-4, atol=1e-5 * scale)


def test_what_has_no_wiring_says_why():
    """Attention, or any other product of activations, between a layer and the next."""

    def forward(params, x):
        first = jnp.maximum(x @ params["first"], 0)
        flat = first.reshape(len(x), -1, 6)
        mixed = jax.nn.softmax(flat @ flat.swapaxes(1, 2)) @ flat
        return {"first": first, "second": jnp.maximum(mixed.reshape(first.shape) @ params["second"], 0)}

    rng = np.random.default_rng(0)
    params = {"first": jnp.asarray(rng.normal(size=(3, 6))), "second": jnp.asarray(rng.normal(size=(6, 5)))}
    network = jc.Network.from_function(forward, params, jc.InputConvention(size=(4, 4)))
    found = circuits.Wiring(network)["first"]
    assert found.inputs.layer == "input" and found.outputs is None
    assert set(found.reasons) >= {"outputs"} and "\n" not in found.reasons["outputs"]


# All products alike


@pytest.fixture(scope="module")
def slide():
    return jc.load("slide")


@pytest.fixture(scope="module")
def recorded(slide, tmp_path_factory):
    """Records of three layers of the network in the box, of every product some."""
    out = tmp_path_factory.mktemp("records")
    pictures = np.random.default_rng(0).uniform(size=(20, 48, 48, 3)).astype(np.float32)
    made("drawings", slide, out, ["conv2d0", "conv2d1"])
    made("examples", slide, out, ["conv2d1", "conv2d2"], pictures=pictures, batch_size=None)
    made("wiring", slide, out, ["conv2d0", "conv2d1"])
    return out


def test_what_is_on_record(recorded, slide):
    records = bulk.Records(recorded)
    assert records.networks == ("slide",) and list(records) == ["slide"]
    network = records["slide"]
    assert network.identity == slide.identity and set(network.layers) == {"conv2d0", "conv2d1", "conv2d2"}
    layer = network["conv2d1"]
    assert list(layer.drawings) == [0, 1, 2, 3] and layer.units == tuple(range(16))
    drawing = layer.drawings[2]
    assert drawing.path == recorded / "slide" / "conv2d1" / "0002.png" and drawing.facts["weights"] == slide.identity
    assert drawing.score == float(Image.open(drawing.path).text["score"])
    assert layer.seen.count == COUNT and layer.examples.values.shape == (16, COUNT)
    assert layer.wiring.inputs.layer == "conv2d0" and layer.wiring.inputs.excitatory.units.shape == (16, 3)
    expected = circuits.Wiring(slide, 3)["conv2d1"]
    np.testing.assert_array_equal(layer.wiring.outputs.inhibitory.weights, expected.outputs.inhibitory.weights)
    np.testing.assert_array_equal(layer.wiring.classes.up, expected.classes.up)
    assert layer.missing(3) == () and layer.missing(4) == ("drawings",)
    assert network["conv2d0"].missing(2) == ("examples",) and network["conv2d0"].seen is None
    assert network["conv2d2"].missing(0) == ("drawings", "wiring") and network.problems == []
    assert network.plan("drawings").recipe == QUICK and network.variants == ()
    for bad, message in (("conv2d9", "unknown layer 'conv2d9'"), (7, "unknown layer '7'")):
        with pytest.raises(InputError, match=message):
            network[bad]
    with pytest.raises(InputError, match="unknown network 'glide'"):
        records["glide"]
    with pytest.raises(InputError, match="no such folder"):
        bulk.Records(recorded / "nothing")


def test_another_recipe_is_a_variant_of_the_record(slide, tmp_path):
    made("drawings", slide, tmp_path, ["conv2d0"])
    more = dataclasses.replace(QUICK, steps=3)
    with bulk.drawings(slide, [bulk.Series("conv2d0", (1,))], more, tmp_path, batch_size=2) as job:
        job.run(progress=False)
    network = bulk.Records(tmp_path)["slide"]
    assert network.variants == ("steps-3",) and list(network["conv2d0"].drawn("steps-3")) == [1]
    assert network["conv2d0"].drawn("steps-3")[1].path.parent.name == "steps-3"
    assert network.plan("drawings.steps-3").recipe == more and list(network["conv2d0"].drawings) == [0, 1, 2, 3]


def copied(recorded, tmp_path):
    subprocess.run(["cp", "-r", f"{recorded}/.", tmp_path], check=True)
    return tmp_path / "slide"


FILES = {
    "drawings": "conv2d1/0002.png",
    "examples": "conv2d2/examples.safetensors",
    "wiring": "conv2d0/wiring.safetensors",
}
DAMAGE = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "foreign": lambda data: b"something else"[:14].ljust(len(data), b"."),
    "one bit": lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("product", FILES)
def test_damaged_records_are_named_and_made_again(product, damage, recorded, slide, tmp_path):
    folder = copied(recorded, tmp_path)
    whole = contents(folder)
    path = folder / FILES[product]
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    options = {}
    if product == "examples":
        pictures = np.random.default_rng(0).uniform(size=(20, 48, 48, 3)).astype(np.float32)
        options = {"pictures": pictures, "batch_size": None}
    layers = {"drawings": ["conv2d0", "conv2d1"], "examples": ["conv2d1", "conv2d2"], "wiring": ["conv2d0", "conv2d1"]}
    if damage in ("empty", "cut"):
        network = bulk.Records(tmp_path)["slide"]
        layer = network[Path(FILES[product]).parent.name]
        assert product in layer.missing(2) and product not in network["conv2d1"].missing(3)
        (problem,) = network.problems
        assert FILES[product] in problem and "\n" not in problem
    with opened(product, slide, tmp_path, layers[product], **options) as job:
        assert job.damaged == (FILES[product],) and job.finished < job.total
        job.run(progress=False)
        assert job.finished == job.total
    assert contents(folder) == whole


@pytest.mark.parametrize("cut", [b"", 100, b"\x89PNG\r\n\x1a\nno"])
def test_a_damaged_sheet_is_written_again(cut, recorded, slide, tmp_path):
    folder = copied(recorded, tmp_path)
    path = folder / "conv2d0" / "sheet.png"
    whole = path.read_bytes()
    path.write_bytes(whole[:cut] if isinstance(cut, int) else cut)
    made("drawings", slide, tmp_path, ["conv2d0"])
    assert path.read_bytes() == whole


def test_a_damaged_index_entry_is_as_none(recorded, slide, tmp_path):
    folder = copied(recorded, tmp_path)
    whole = contents(folder)
    for text in (b"", b"{", b"[]", b'{"of": 3, "files": {}}', b'{"of": "", "files": {"../../x": [1, ""]}}', b"\xff"):
        (folder / ".records" / "drawings" / "00001.json").write_bytes(text)
        assert list(bulk.Records(tmp_path)["slide"]["conv2d0"].drawings) == [0, 1]
        assert made("drawings", slide, tmp_path, ["conv2d0", "conv2d1"])[0] == 6
        assert contents(folder) == whole


OTHERWISE = {
    "count": ({"count": COUNT + 1}, "count: theirs [36], ours 7"),
    "pictures": ({"pictures": world(40)}, "holds examples taken otherwise .*pictures: theirs 41, ours 40"),
    "classes": ({"pictures": world()[0]}, "classes.0: theirs 0, ours nothing"),
    "weights": ({}, "weights: theirs [0-9a-f]{12}..., ours"),
}


@pytest.mark.parametrize("case", OTHERWISE)
def test_other_examples_are_refused(case, examples_alone):
    options, message = OTHERWISE[case]
    network, whole = exact(), contents(examples_alone)
    if case == "weights":
        network = dataclasses.replace(network, params=jax.tree.map(lambda leaf: leaf + 1, network.params))
    with (
        pytest.raises(InputError, match=message) as error,
        opened("examples", network, examples_alone, LAYERS, **options),
    ):
        pass
    assert "\n" not in str(error.value) and contents(examples_alone) == whole


def test_other_pictures_of_the_same_number_are_refused(tmp_path):
    """Numbers would mean other pictures."""
    for number in range(3):
        Image.fromarray(np.zeros((6, 7, 3), np.uint8)).save(tmp_path / f"{number}.png")
    network = exact()
    with bulk.examples(network, jc.open_pictures(tmp_path), ["fires"], tmp_path / "out") as job:
        job.run(progress=False)
    (tmp_path / "1.png").rename(tmp_path / "1b.png")
    with (
        pytest.raises(InputError, match="named: theirs"),
        bulk.examples(network, jc.open_pictures(tmp_path), ["fires"], tmp_path / "out"),
    ):
        pass


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


@pytest.mark.skipif(sys.platform != "linux", reason="names of descriptors are found in /proc")
@pytest.mark.parametrize("product", ["drawings", "examples", "wiring"])
def test_nothing_is_finished_before_it_has_reached_the_disk(product, tiny, tmp_path, monkeypatch):
    """In the order of the calls: a file's bytes, its name, its folder; then the entry that says that it is finished."""
    happened, fsync, replace = [], os.fsync, os.replace

    def watched_fsync(descriptor):
        happened.append(("fsync", os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def watched_replace(source, target):
        happened.append(("replace", str(source), str(target)))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    network, layers = (exact(), LAYERS) if product == "examples" else (tiny, ["relu"])
    made(product, network, tmp_path, layers)
    root = tmp_path / network.name
    entries = 0
    for number, event in enumerate(happened):
        if event[0] != "replace":
            continue
        _, source, target = event
        assert ("fsync", source) in happened[:number]
        if "/.records/" in target and target.endswith(".json") and "/shares/" not in target:
            entries += 1
            files = json.loads(Path(target).read_text())["files"] if Path(target).exists() else {}
            for file in files:
                (written,) = (i for i, one in enumerate(happened) if one[0] == "replace" and one[2] == str(root / file))
                assert ("fsync", str((root / file).parent)) in happened[written:number]
    assert entries >= 1


def test_a_data_set_cut_short_is_drawn_again(tiny, tmp_path):
    """A file of a hundred bytes is no finished shard, whatever its name."""
    pytest.importorskip("array_record")
    made("drawings", tiny, tmp_path, ["relu"], format="tfds")
    whole = contents(tmp_path)
    path = next(tmp_path.rglob("*array_record-00001"))
    os.truncate(path, 100)
    with opened("drawings", tiny, tmp_path, ["relu"], format="tfds") as job:
        assert job.damaged == (path.name,) and job.todo == (1,)
        job.run(progress=False)
    assert contents(tmp_path) == whole


def test_the_same_tensors_are_the_same_bytes():
    """In whatever order they come; the format's own library reads them."""
    tensors = {
        "b/x": np.arange(12, dtype=np.float32).reshape(3, 4).T,
        "a": np.array([True, False]),
        "big": np.array([1, 2], ">i8"),
        "none": np.zeros((0, 3), np.float64),
    }
    data = files.tensor_bytes(tensors, {"two": "2", "one": "\u00e9"})
    assert data == files.tensor_bytes(dict(reversed(tensors.items())), {"one": "\u00e9", "two": "2"})
    for name, array in safetensors.numpy.load(data).items():
        np.testing.assert_array_equal(array, tensors[name])
        assert array.dtype == tensors[name].dtype.newbyteorder("=")


def mutated(text: bytes, seed: int) -> bytes:
    """Some bytes changed, removed, repeated or moved."""
    rng = random.Random(seed)
    data = bytearray(text)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data))
        upto = at + rng.choice([1, 1, 2, 8, 40])
        match rng.randrange(4):
            case 0:
                data[at] = rng.randrange(256)
            case 1:
                del data[at:upto]
            case 2:
                data[at:at] = data[at:upto]
            case 3:
                data[at:upto] = rng.choice([b"0", b"-1", b'"', b"[]", b"{}", b"null", b"1e999", b"9" * 80, b"\\u0000"])
        if not data:
            break
    return bytes(data)


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


def test_mutated_wiring_is_wiring_or_one_line(tmp_path, tiny):
    whole = wiring_bytes(circuits.Wiring(tiny, 2)["relu"])
    path = tmp_path / "wiring.safetensors"
    refused = 0
    for seed in range(300):
        path.write_bytes(mutated(whole[: len(whole) // 2] if seed % 9 == 0 else whole, seed))
        try:
            assert circuits.read_wiring(path).layer
        except InputError as error:
            refused += 1
            assert "\n" not in str(error) and str(path) in str(error)
    assert refused > 50
