"""Bulk drawing: pictures, folders and stores, added to and refused."""

import dataclasses
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import fsspec
import jax
import numpy as np
import pytest
from etils import epath
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image
from safetensors import safe_open

import jaxcircuits as jc
from jaxcircuits import InputError, Recipe, bulk
from jaxcircuits.bulk import Directions, Series, place
from jaxcircuits.cli.examples import examples as look
from jaxcircuits.images import contact_sheet
from support.drawn import QUICK, draw, read_records
from support.recorded import contents, digest


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


@pytest.mark.slow
def test_sheets_of_classes_carry_their_labels(slide, tmp_path):
    _, (sheet,) = draw(slide, tmp_path, [9, 27], layer=slide.logits)
    pictures = np.stack([np.asarray(Image.open(sheet.parent / f"{unit:04d}.png")) for unit in (9, 27)]) / 255
    for captions, same in ((["9 spiral", "27 car"], True), (["9", "27"], False)):
        expected = contact_sheet(pictures, captions)
        assert np.array_equal(np.asarray(Image.open(sheet)), np.asarray(expected)) is same


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
    there = {name.removeprefix("/bucket/pictures/"): digest(file.getvalue()) for name, file in Bucket.store.items()}
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
    there = {name.removeprefix("/bucket/records/"): digest(file.getvalue()) for name, file in Bucket.store.items()}
    assert there == contents(tmp_path / "records") and "slide/conv2d1/examples/0001.png" in there
    far, near = (records["conv2d1"] for records in read)
    np.testing.assert_array_equal(far.examples.values, near.examples.values)
    np.testing.assert_array_equal(far.wiring.inputs.excitatory.weights, near.wiring.inputs.excitatory.weights)
    assert not read[0].problems


@pytest.mark.parametrize("product", ["drawings", "wiring", "records"])
@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("ftp://bucket/pictures", r"^ftp://bucket/pictures: unknown kind of place; expected a folder, gs://"),
        ("gs://bucket/pictures", r"^gs://bucket/pictures(/slide)?: cannot be read \(.*gcsfs.*\)$"),
        ("s3://bucket/pictures", r"^s3://bucket/pictures(/slide)?: cannot be read \(no credentials\)$"),
    ],
)
def test_an_object_store_out_of_reach_is_one_line(out, said, product, slide, monkeypatch):
    """Its library is not installed, or lets nobody in and says so by an error of its own."""

    def refuse(*_, **__):
        raise RuntimeError("no credentials\nand a hint")

    if out.startswith("gs") and importlib.util.find_spec("gcsfs"):
        pytest.skip("gcsfs is installed, and would look for a network")
    fsspec.register_implementation("s3", Bucket, clobber=True)
    monkeypatch.setattr(Bucket, "ls", refuse)
    monkeypatch.setattr(Bucket, "info", refuse)
    with pytest.raises(InputError, match=said):
        if product == "records":
            bulk.Records(out)
        elif product == "wiring":
            bulk.wiring(slide, ["conv2d1"], out).__enter__()
        else:
            draw(slide, out, range(2))


def test_objects_are_bounded_as_files_are(monkeypatch):
    """Before they are fetched; what is missing is one line too."""
    fsspec.register_implementation("s3", Bucket, clobber=True)
    Bucket.store.clear()
    path = epath.Path("s3://bucket/plan.json")
    path.write_bytes(bytes(100))
    assert place.read(path, "a plan", 100) == bytes(100)
    monkeypatch.setattr(place, "LARGEST_RECORD", 99)
    for use in (lambda: place.read(path, "a plan", 99), lambda: place.on_disk(path).__enter__()):
        with pytest.raises(InputError, match=r"^s3://bucket/plan.json: 100 bytes; expected a .* of at most 99$"):
            use()
    with pytest.raises(InputError, match=r"^s3://bucket/other.json: cannot be read"):
        place.read(epath.Path("s3://bucket/other.json"), "a plan", 100)
