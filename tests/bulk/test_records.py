"""Records of units, whatever the product: reading what is there, making damaged ones again, refusing others."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import jaxcircuits as jc
from jaxcircuits import InputError, bulk, circuits
from support.exact import COUNT, LAYERS, world
from support.recorded import QUICK, contents, exact, made, opened


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


@pytest.mark.parametrize("product", FILES)
def test_what_a_killed_command_left_goes_and_what_another_writes_stays(product, recorded, slide, tmp_path):
    """A temporary file beside every file: the product's own go, wherever they are; others may be at work on theirs."""
    folder = copied(recorded, tmp_path)
    pictures = np.random.default_rng(0).uniform(size=(20, 48, 48, 3)).astype(np.float32)
    options = {"pictures": pictures, "batch_size": None} if product == "examples" else {}
    layers = {"drawings": ["conv2d0", "conv2d1"], "examples": ["conv2d1", "conv2d2"], "wiring": ["conv2d0", "conv2d1"]}
    made(product, slide, tmp_path / "alone", layers[product], **options)
    own = contents(tmp_path / "alone" / "slide").keys()
    names = contents(folder)
    for ending in ("", ".0a1b2c3d"):
        planted = {name: (folder / name).with_name(f".{Path(name).name}{ending}.tmp") for name in names}
        for path in planted.values():
            path.write_bytes(b"half of it")
        with opened(product, slide, tmp_path, layers[product], **options) as job:
            assert not job.todo
        assert {name for name, path in planted.items() if not path.exists()} == own


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
