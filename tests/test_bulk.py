"""Bulk drawing: plans, stores, resuming, errors of the disk, memory."""

import contextlib
import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import fsspec
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors import safe_open

import jaxcircuits as jc
from jaxcircuits import InputError, Recipe, bulk
from jaxcircuits.bulk import Directions, DrawingPlan, DrawingShard, Series, memory
from jaxcircuits.bulk.ahead import Ahead
from jaxcircuits.cli.examples import examples as look
from jaxcircuits.network import Network
from jaxcircuits.network.adapters import by_layer
from jaxcircuits.vis import Jitter, Pad
from jaxcircuits.zoo import ZOO

QUICK = Recipe(size=32, steps=3, transforms=(Pad(2), Jitter(2)), redirect_steps=0)
OURS = DrawingPlan("slide", "abc", QUICK, 0, "png")


@pytest.fixture(scope="module")
def slide():
    return jc.load("slide")


def draw(network, out, units, layer="conv2d1", recipe=QUICK, **options):
    """Draws units of a layer three at a time; returns what was finished before, and the files written."""
    rows = options.pop("directions", None)
    series = [Series(layer, tuple(units), rows)]
    with bulk.drawings(network, series, recipe, out, **({"batch_size": 3} | options)) as job:
        before = job.finished
        return before, job.run(progress=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def read_records(folder: Path) -> dict[tuple[str, int], dict]:
    """What another program sees of a data set: (layer, unit) -> example."""
    import tensorflow_datasets as tfds

    source = tfds.builder_from_directory(folder).as_data_source("train")
    return {(record["layer"].decode(), int(record["unit"])): record for record in source}


# What to draw


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


# Where it goes


@pytest.fixture(scope="module")
def drawn(slide, tmp_path_factory):
    """Six units of conv2d1, in shards of three, undisturbed."""
    out = tmp_path_factory.mktemp("drawn")
    before, (sheet,) = draw(slide, out, range(6))
    assert before == 0 and sheet == out / "slide" / "conv2d1" / "sheet.png"
    return out / "slide"


def test_pictures_are_those_of_render(drawn, slide):
    expected = jc.render(slide, jc.channel("conv2d1", range(6)), QUICK, batch_size=3, progress=False)
    file = Path(jc.__file__).parent / "zoo" / "weights" / "slide.safetensors"
    with safe_open(file, "np") as weights:
        written = weights.metadata()["weights_sha256"]
    folder = drawn / "conv2d1"
    names = {path.name for path in folder.iterdir()}
    assert names == {*(f"{unit:04d}.png" for unit in range(6)), "sheet.png", "recipe.json"}
    for unit in range(6):
        picture = Image.open(folder / f"{unit:04d}.png")
        np.testing.assert_allclose(np.asarray(picture) / 255, expected.images[unit], atol=0.51 / 255 + 1e-3)
        assert float(picture.text["score"]) == pytest.approx(expected.scores[unit], rel=1e-3)
        assert picture.text["recipe"] == bulk.recipe_hash(QUICK)
        assert picture.text["weights"] == slide.identity == written
    assert json.loads(Image.open(folder / "sheet.png").text["units"]) == list(range(6))


def test_more_units_are_added(drawn, slide, tmp_path):
    """In the same folder: what is there stays untouched, what lacks is drawn, the sheet shows all."""
    shutil.copytree(drawn, tmp_path / "slide")
    folder = tmp_path / "slide" / "conv2d1"
    times = {path.name: path.stat().st_mtime_ns for path in folder.glob("0*")}
    before, (sheet,) = draw(slide, tmp_path, [7, 2, 9, 11])
    assert before == 3  # the shard of unit 2
    assert {path.name for path in folder.glob("0*")} == {*times, "0007.png", "0009.png", "0011.png"}
    assert times == {name: (folder / name).stat().st_mtime_ns for name in times}
    assert json.loads(Image.open(sheet).text["units"]) == [0, 1, 2, 3, 4, 5, 7, 9, 11]
    # A picture that was deleted is drawn again with the shard that it was drawn with, to the last bit.
    whole = contents(tmp_path)
    (folder / "0004.png").unlink()
    sheet.unlink()
    before, _ = draw(slide, tmp_path, range(6))
    assert before == 3 and contents(tmp_path) == whole


REFUSED = {
    "format": ({"format": "webp"}, "format: theirs png, ours webp"),
    "weights": ({"network": 1.5}, "weights: theirs [0-9a-f]{12}..., ours"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_another_drawing_is_refused(case, drawn, slide):
    options, message = REFUSED[case]
    whole = contents(drawn)
    network = slide
    if "network" in options:
        network = dataclasses.replace(slide, params=jax.tree.map(lambda p: p * options["network"], slide.params))
        options = {}
    with pytest.raises(InputError, match=f"holds pictures drawn otherwise .*{message}"):
        draw(network, drawn.parent, range(9), **options)
    assert contents(drawn) == whole


@pytest.mark.parametrize("format", ["png", "tfds"])
def test_another_recipe_has_its_own_folder(format, slide, tmp_path):
    """Beside what was drawn first, which stays; found again; named by what differs."""
    draw(slide, tmp_path, range(3), format=format)
    whole = contents(tmp_path)
    more = dataclasses.replace(QUICK, steps=4)
    for recipe, seed, name in (
        (more, 0, "steps-4"),
        (QUICK, 7, "seed-7"),
        (dataclasses.replace(more, learning_rate=0.1), 7, "steps-4.learning_rate-0.1.seed-7"),
        (dataclasses.replace(QUICK, transforms=()), 0, None),
    ):
        before, (written,) = draw(slide, tmp_path, range(3), recipe=recipe, seed=seed, format=format)
        folder = written.parent if format == "png" else written
        assert before == 0 and folder.parent == tmp_path / "slide" / ("conv2d1" if format == "png" else "")
        assert folder.name == name or (name is None and len(folder.name) == 8)
        assert Recipe.from_json((folder / "recipe.json").read_text()) == recipe
        assert draw(slide, tmp_path, range(3), recipe=recipe, seed=seed, format=format)[0] == 3
    now = contents(tmp_path)
    assert {name: now[name] for name in whole} == whole
    expected = jc.render(slide, jc.channel("conv2d1", range(3)), more, progress=False)
    if format == "png":
        picture = np.asarray(Image.open(tmp_path / "slide" / "conv2d1" / "steps-4" / "0001.png")) / 255
    else:
        picture = read_records(tmp_path / "slide" / "steps-4")["conv2d1", 1]["picture"] / 255
    np.testing.assert_allclose(picture, expected.images[1], atol=0.51 / 255 + 1e-3)


def test_foreign_pictures_and_plans_are_refused(drawn, slide, tmp_path):
    folder = tmp_path / "slide"
    shutil.copytree(drawn, folder)
    (folder / "plan.json").write_text("{}")
    with pytest.raises(InputError, match=r"slide/plan\.json: this is no plan"):
        draw(slide, tmp_path, range(6))
    (folder / "plan.json").unlink()
    with pytest.raises(InputError, match=r"holds pictures of which no plan\.json tells"):
        draw(slide, tmp_path, range(6))


BAD = {
    "format": ({"format": "gif"}, "unknown format 'gif'"),
    "seed": ({"seed": -1}, "seed -1; expected a whole number"),
    "batch size": ({"batch_size": 0}, "batch_size 0; expected"),
    "unit": ({"units": [99]}, "unknown unit 99 of conv2d1"),
    "layer": ({"layer": "conv2d9"}, "unknown layer 'conv2d9'"),
    "directions": ({"directions": Directions("x", np.ones((6, 5), np.float32))}, "5 numbers; conv2d1 has 16"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_leaves_nothing(case, slide, tmp_path):
    options, message = BAD[case]
    with pytest.raises(InputError, match=message):
        draw(slide, tmp_path / "out", **({"units": [0]} | options))
    assert not list(tmp_path.iterdir())


def test_directions_are_drawn_by_row(drawn, slide, tmp_path):
    """Rows of the identity are the layer's own channels, up to their random starts; a changed file is refused."""
    path = tmp_path / "sae.npy"
    np.save(path, np.eye(16)[:6])
    rows = Directions.read(path)
    _, (sheet,) = draw(slide, tmp_path, [1, 4, 5], directions=rows)
    assert sheet == tmp_path / "slide" / "conv2d1.sae" / "sheet.png"
    for unit in (1, 4):
        picture = Image.open(sheet.parent / f"{unit:04d}.png")
        score = float(Image.open(drawn / "conv2d1" / f"{unit:04d}.png").text["score"])
        assert float(picture.text["score"]) == pytest.approx(score, rel=0.5)
        assert picture.text["directions"] == rows.sha256
    with pytest.raises(InputError, match=r"other directions were drawn as conv2d1\.sae"):
        draw(slide, tmp_path, [1], directions=Directions("sae", 2 * rows.vectors))


def test_webp(drawn, slide, tmp_path):
    draw(slide, tmp_path, range(6), format="webp")
    for unit in range(6):
        picture = Image.open(tmp_path / "slide" / "conv2d1" / f"{unit:04d}.webp")
        original = Image.open(drawn / "conv2d1" / f"{unit:04d}.png")
        facts = json.loads(picture.getexif()[0x010E])
        assert facts == {name: original.text[name] for name in facts} and facts["unit"] == str(unit)
        assert np.abs(np.asarray(picture, float) - np.asarray(original, float)).mean() < 12


def test_a_data_set_that_others_open(drawn, slide, tmp_path):
    draw(slide, tmp_path, range(6), format="tfds")
    code = (
        "import sys, tensorflow_datasets as tfds\n"
        "source = tfds.builder_from_directory(sys.argv[1]).as_data_source()['train']\n"
        "print(len(source), source[4]['layer'], source[4]['unit'], 'tensorflow' in sys.modules)"
    )
    other = subprocess.run([sys.executable, "-c", code, tmp_path / "slide"], capture_output=True, text=True)
    assert other.stdout.split() == ["6", "b'conv2d1'", "4", "False"], other.stderr
    records = read_records(tmp_path / "slide")
    assert set(records) == {("conv2d1", unit) for unit in range(6)}
    for (_, unit), record in records.items():
        original = Image.open(drawn / "conv2d1" / f"{unit:04d}.png")
        np.testing.assert_array_equal(record["picture"], np.asarray(original))
        assert record["score"] == np.float32(original.text["score"])
        assert (record["seed"], record["recipe"].decode()) == (0, original.text["recipe"])
    # More units: further files, the old ones untouched. Without a file, the rest still opens, and it is drawn again.
    draw(slide, tmp_path, range(9), format="tfds")
    assert len(read_records(tmp_path / "slide")) == 9
    whole = contents(tmp_path)
    lost = next(tmp_path.glob("slide/*array_record-00001"))
    lost.unlink()
    before, _ = draw(slide, tmp_path, range(9), format="tfds")
    assert before == 6 and contents(tmp_path) == whole


def test_an_unfinished_data_set_opens(slide, tmp_path):
    with bulk.drawings(
        slide, [Series("conv2d1", tuple(range(6)))], QUICK, tmp_path, format="tfds", batch_size=2
    ) as job:
        images = np.random.default_rng(0).uniform(size=(2, 32, 32, 3))
        job.product.prepare()
        scores, history = np.array([3.0, 4.0], np.float32), np.zeros((2, 3), np.float32)
        job.product.write(1, jc.Rendering(images, scores, ("a", "b"), {}, history, np.array([3, 3])))
        job.product.complete()
    records = read_records(tmp_path / "slide")
    assert {unit: record["score"] for (_, unit), record in records.items()} == {2: 3, 3: 4}
    np.testing.assert_array_equal(records["conv2d1", 3]["picture"], np.round(images[1] * 255))


class Bucket(MemoryFileSystem):
    """An object store in memory, where `s3://` leads."""

    protocol, store, pseudo_dirs = "s3", {}, [""]

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace("s3://", "memory://", 1))


@pytest.mark.parametrize("format", ["png", "tfds"])
def test_into_an_object_store(format, slide, tmp_path):
    fsspec.register_implementation("s3", Bucket, clobber=True)
    Bucket.store.clear()
    draw(slide, "s3://bucket/pictures", range(6), format=format)
    there = {name.removeprefix("/bucket/pictures/"): file.getvalue() for name, file in Bucket.store.items()}
    draw(slide, tmp_path, range(6), format=format)
    assert there == contents(tmp_path)
    before, _ = draw(slide, "s3://bucket/pictures", range(6), format=format)
    assert before == 6


def test_what_others_open_by_themselves_is_read_from_an_object_store(slide, tmp_path):
    """Records of examples and of wiring, and the sheets of `jaxcircuits examples`, as on a disk."""
    fsspec.register_implementation("s3", Bucket, clobber=True)
    Bucket.store.clear()
    (tmp_path / "photographs").mkdir()
    for i, picture in enumerate(np.random.default_rng(0).integers(0, 256, (3, 24, 24, 3), np.uint8)):
        Image.fromarray(picture).save(tmp_path / "photographs" / f"{i}.png")
    read = []
    for out in ("s3://bucket/records", tmp_path / "records"):
        look("slide", ["conv2d1:0-1"], images=str(tmp_path / "photographs"), count=2, out=str(out))
        with bulk.wiring(slide, ["conv2d1"], out) as job:
            job.run(progress=False)
        read.append(bulk.Records(out)["slide"])
    there = {name.removeprefix("/bucket/records/"): file.getvalue() for name, file in Bucket.store.items()}
    assert there == contents(tmp_path / "records") and "slide/conv2d1/examples/0001.png" in there
    far, near = (records["conv2d1"] for records in read)
    np.testing.assert_array_equal(far.examples.values, near.examples.values)
    np.testing.assert_array_equal(far.wiring.inputs.excitatory.weights, near.wiring.inputs.excitatory.weights)
    assert not read[0].problems


# What may go wrong


def test_a_second_command_is_kept_out(slide, tmp_path):
    def open_job():
        return bulk.drawings(slide, [Series("conv2d1", (0,))], QUICK, tmp_path)

    with open_job(), pytest.raises(InputError, match="another command is at work here"), open_job():
        pass
    with open_job():
        pass


def test_remains_of_a_killed_command_go(slide, drawn, tmp_path):
    shutil.copytree(drawn, tmp_path / "slide")
    whole = contents(tmp_path)
    (tmp_path / "slide" / "conv2d1" / "0002.png").rename(tmp_path / "slide" / "conv2d1" / ".0002.png.77.tmp")
    draw(slide, tmp_path, range(6))
    assert contents(tmp_path) == whole


@contextlib.contextmanager
def disk(folder: Path, *options: str):
    """A small disk of its own, in memory; a function that mounts it otherwise."""

    def mount(*options: str) -> None:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", folder], capture_output=True)
        if done.returncode:
            pytest.skip("needs the right to mount a disk")

    folder.mkdir()
    mount(*options)
    try:
        yield lambda *options: mount("remount", *options)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("format", ["png", "tfds"])
def test_a_full_disk(format, slide, tmp_path):
    """One line; what is finished stays whole; with room again, the rest is drawn."""
    draw(slide, tmp_path / "whole", range(15), format=format)
    whole = contents(tmp_path / "whole")
    room = 48 if format == "png" else 200
    with disk(tmp_path / "small", f"size={room}k") as remount:
        with pytest.raises(InputError, match=r"slide/.*cannot be written \(No space left on device\)") as error:
            draw(slide, tmp_path / "small", range(15), format=format)
        assert "\n" not in str(error.value)
        left = contents(tmp_path / "small")
        assert 2 < len(left) < len(whole) and left.items() <= whole.items()
        remount("size=2m")
        before, _ = draw(slide, tmp_path / "small", range(15), format=format)
        assert 3 <= before < 15 and contents(tmp_path / "small") == whole


def test_a_folder_that_only_reads(slide, drawn, tmp_path):
    with disk(tmp_path / "disk", "size=2m") as remount:
        shutil.copytree(drawn, tmp_path / "disk" / "slide")
        remount("ro", "size=2m")
        assert draw(slide, tmp_path / "disk", range(6))[0] == 6  # nothing is to be written
        for units, out in ((range(9), tmp_path / "disk"), ([0], tmp_path / "disk" / "new")):
            with pytest.raises(InputError, match=r"cannot be written \(Read-only file system\)"):
                draw(slide, out, units)


def test_a_file_in_the_way(slide, tmp_path):
    (tmp_path / "slide").write_text("not a folder")
    with pytest.raises(InputError, match=r"slide.*: cannot be written \(Not a directory\)"):
        draw(slide, tmp_path, [0])


def test_a_device_without_room(tmp_path):
    """Batches of more than three ask for 64 TiB: they are halved, and every picture comes out."""

    def greedy(params, x):
        room = (len(x), 2**20, 2**22) if len(x) > 3 else (len(x), 1, 2)
        means = jax.lax.stop_gradient(x).mean((1, 2, 3))[:, None, None]
        x = x + jnp.fft.fft(jnp.broadcast_to(means, room))[:, :1, 1:2, None].real
        return {"layer": jnp.tanh(x)}

    network = Network.from_function(greedy, {}, jc.InputConvention(size=(16, 16)))
    rows = Directions("many", np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32))
    objective, recipe = jc.direction("layer", rows.vectors), Recipe(size=16, steps=2, transforms=(), redirect_steps=0)
    with pytest.raises(jax.errors.JaxRuntimeError, match="RESOURCE_EXHAUSTED"):
        jc.render(network, objective, recipe, batch_size=4, progress=False)
    _, (sheet,) = draw(network, tmp_path, range(8), "layer", recipe, batch_size=4, directions=rows)
    expected = jc.render(network, objective, recipe, batch_size=2, progress=False)
    for i, image in enumerate(expected.images):
        np.testing.assert_allclose(np.asarray(Image.open(sheet.parent / f"{i:04d}.png")) / 255, image, atol=3e-3)


def test_memory_of_a_picture(small):
    """The activations that are counted are those that the network computes, in bytes."""
    recipe = Recipe(size=40, transforms=())
    names = small.graph.needed(["mixed3a"])
    seen = small.activations(np.zeros((1, 40, 40, 3), np.float32), names)
    expected = sum(value.nbytes for value in seen.values())
    assert memory.activation_bytes(small, "mixed3a", recipe) == expected
    assert memory.activation_bytes(small, "mixed3a", dataclasses.replace(recipe, views=3)) == 3 * expected
    other = Network.from_function(lambda params, x: {"a": x, "b": x[:, ::2] * 2}, {})
    assert memory.activation_bytes(other, "a", recipe) == 4 * 40 * 40 * 3
    assert (
        memory.pictures_at_once(small, "mixed3a", recipe)
        == min(2 * len(os.sched_getaffinity(0)), 16) * jax.local_device_count()
    )
    assert [memory.fitting(free, 1000) for free in (0, 4000, 47_999, 10**9)] == [1, 1, 11, memory.MOST]


# Compiling ahead


def test_the_next_layer_is_compiled_beside_this_one(slide, tmp_path):
    """The second layer's programs come from the other thread, and the drawing compiles nothing of that layer."""
    began: dict[str, list[str]] = {}

    def note(event: str, seconds: float, **about: str) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            began.setdefault(threading.current_thread().name.partition("_")[0], []).append(about["fun_name"])

    jax.clear_caches()
    recipe = dataclasses.replace(QUICK, steps=30, learning_rate=0.0411)
    series = [Series("conv2d0", (0, 1)), Series("conv2d2", (0, 1))]
    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        with bulk.drawings(slide, series, recipe, tmp_path, batch_size=2) as job:
            job.run(progress=False)
    finally:
        jax.monitoring.unregister_event_duration_listener(note)
    steps = {thread: [name for name in names if "_step" in name] for thread, names in began.items()}
    assert len(steps["MainThread"]) == len(steps["compiler"]) == 1


def shards_of(*layers: str) -> list[DrawingShard]:
    return [OURS.extended(Series(layer, (0,)), 1).shards[0] for layer in layers]


def test_what_fails_to_compile_ahead_is_left_to_the_drawing():
    first, second = shards_of("conv2d0", "conv2d1")
    asked = []

    def compile(shard):
        asked.append(shard)
        raise RuntimeError("no")

    with Ahead(compile, [first, second]) as ahead:
        ahead.wait(first)
        ahead.begin_after(first)
        ahead.begin_after(first)
        ahead.wait(second)
        ahead.begin_after(second)
    assert asked == [second]


def test_who_stops_does_not_wait_for_a_compilation():
    first, second = shards_of("conv2d0", "conv2d1")
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def compile(shard):
        begun.set()
        may_end.wait(60)
        ended.set()

    with pytest.raises(KeyboardInterrupt), Ahead(compile, [first, second]) as ahead:
        ahead.begin_after(first)
        assert begun.wait(60)
        raise KeyboardInterrupt
    assert not ended.is_set()
    may_end.set()
    assert ended.wait(60)


# Real processes, killed


LIGHT = {"size": [32, 32], "transforms": [], "redirect_steps": 0, "steps": 200}
COMMAND = ["--layer", "conv2d0,conv2d1", "--units", "all", "--batch-size", "2"]


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A function that starts `jaxcircuits render`; compiled programs are kept for the others."""
    folder = tmp_path_factory.mktemp("processes")
    (folder / "recipe.json").write_text(json.dumps(LIGHT))
    settings = {"JAX_COMPILATION_CACHE_DIR": str(folder), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    started = []

    def start(*arguments):
        code = "from jaxcircuits.cli import main; main()"
        words = [sys.executable, "-c", code, "render", "--recipe", folder / "recipe.json", *COMMAND, *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(list(map(str, words)), env=os.environ | settings, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()


def finish(process):
    out, error = process.communicate(timeout=240)
    assert process.returncode == 0, error
    return out


class Watch(threading.Thread):
    """Looks at every file under a final name, again and again, and keeps all that it ever saw of each."""

    def __init__(self, folder):
        super().__init__()
        self.folder, self.seen, self.over = folder, {}, threading.Event()

    def run(self):
        while not self.over.is_set():
            for path in self.folder.rglob("[!.]*"):
                if path.is_file() and ".json" not in path.name and path.name != "sheet.png":
                    self.seen.setdefault(str(path.relative_to(self.folder)), set()).add(path.read_bytes())
            time.sleep(0.001)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.over.set()
        self.join()


@pytest.mark.slow
@pytest.mark.parametrize("format", ["png", "tfds"])
def test_killed_at_random_moments(format, start, tmp_path):
    """Whatever the moment, nothing but whole files; in the end the same bytes as without a kill."""
    finish(start("--format", format, "--out", tmp_path / "whole"))
    whole = contents(tmp_path / "whole")
    out, rng, hit = tmp_path / "killed", random.Random(0), 0
    out.mkdir()
    with Watch(out) as watch:
        for _ in range(5):
            before, process = set(watch.seen), start("--format", format, "--out", out)
            while set(watch.seen) == before and process.poll() is None:
                time.sleep(0.005)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(rng.uniform(0, 0.4))
            hit += process.poll() is None
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        left = len(watch.seen)
        finish(start("--format", format, "--out", out))
    assert hit >= 4 and left < len(watch.seen)
    assert contents(out) == whole
    assert watch.seen == {name: {whole[name]} for name in watch.seen} and len(watch.seen) >= 16


@pytest.mark.slow
def test_a_folder_that_vanishes(start, tmp_path):
    """One line and exit code 2; moved back, the drawing goes on where it was."""
    out, away = tmp_path / "out", tmp_path / "away"
    process = start("--out", out)
    while not list(out.glob("slide/*/0*.png")):
        assert process.poll() is None
        time.sleep(0.005)
    out.rename(away)
    there = {path.name for path in away.rglob("0*.png")}
    _, error = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "slide: the folder is gone, or was emptied" in error.splitlines()[-1] and "Traceback" not in error, error
    assert not list(out.rglob("*.png"))
    shutil.rmtree(out, ignore_errors=True)
    away.rename(out)
    assert there == {path.name for path in out.rglob("0*.png")}
    assert "32 pictures in" in finish(start("--out", out))
    for path in out.rglob("0*.png"):
        Image.open(path).load()
