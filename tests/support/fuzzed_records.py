"""Folders of records of which one file is another's: their index agrees with it, as whoever made it writes one too.

What an index says of sizes and hashes is no protection from who wrote it. Each reader of records is run on such
folders: the records themselves, the jobs that take them up again, the pages that are made of them, and what looks.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import functools
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from jaxcircuits import Network, Recipe, bulk, open_pictures
from jaxcircuits.bulk.arguments_kept import KeptArgument, KeptArguments, read_arguments, write_arguments
from jaxcircuits.bulk.crops_file import HEAT, Crop, CropBand
from jaxcircuits.bulk.crops_plan import CropsPlan
from jaxcircuits.bulk.examples_plan import ExamplesPlan
from jaxcircuits.bulk.findings import Findings, Match, read_tunings
from jaxcircuits.bulk.index import Index
from jaxcircuits.bulk.meanings_file import KeptMeaning, KeptMeanings
from jaxcircuits.bulk.meanings_plan import MeaningsPlan
from jaxcircuits.bulk.passes import Share
from jaxcircuits.bulk.place import Stamp
from jaxcircuits.bulk.wiring_plan import WiringPlan
from jaxcircuits.circuits.wiring import Classes, Connections, LayerWiring, Side
from jaxcircuits.cli.serve import _looking
from jaxcircuits.errors import InputError
from jaxcircuits.evidence import Examples, Tuning, grid
from jaxcircuits.evidence.crops import sheet
from jaxcircuits.evidence.examples import Shown
from jaxcircuits.evidence.layer_examples import Chosen, LayerExamples
from jaxcircuits.evidence.tally import SLOTS
from jaxcircuits.pages.microscope import read_networks, write_site
from jaxcircuits.pages.microscope.facts import Facts
from jaxcircuits.vis import Rendering
from jaxcircuits.zoo import InputConvention

LAYER, UNITS, SIDE = "relu", 2, 8
LATER = "logits"
"""A layer with another one below."""
RECIPE = Recipe(size=16, steps=1, transforms=())
IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where folders are made, so that thousands do not wait for the disk to have each file for good; None for anywhere."""
PICTURES = np.random.default_rng(0).integers(0, 255, (4, 16, 16, 3), np.uint8)
LABELS = ("apple", "pear, fruit")
PRODUCTS = {
    "drawings": bulk.DrawingPlan,
    "examples": ExamplesPlan,
    "crops": CropsPlan,
    "meanings": MeaningsPlan,
    "wiring": WiringPlan,
}


def forward(params, x):
    y = jax.lax.conv_general_dilated(x, params[0], (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    y = jnp.maximum(y, 0)
    return {LAYER: y, LATER: y.mean((1, 2)) @ params[1]}


@functools.cache
def network() -> Network:
    """The one whose records these are."""
    rng = np.random.default_rng(0)
    params = [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((3, 3, 3, UNITS), (UNITS, 2))]
    convention = InputConvention(size=(16, 16), mean=0.5, std=0.25)
    return Network.from_function(forward, params, convention, name="tiny", labels=LABELS)


def chosen(number: int, *shape: int) -> Chosen:
    return Chosen(np.ones(shape, np.float32), np.full(shape, number, np.int64), np.zeros((*shape, 2), np.int32))


def layer_examples(start: int, stop: int) -> Examples:
    """Of some of the pictures, as if they had been seen."""
    counts = np.zeros((UNITS, grid.INTERVALS), np.int64)
    counts[:, grid.ZERO + 96] = stop - start
    numbers = {"mean": np.ones(UNITS), "variance": np.ones(UNITS), "class_means": np.ones((UNITS, 0))}
    ends, spread = chosen(start, UNITS, 2), chosen(start, UNITS, grid.INTERVALS, SLOTS)
    layer = LayerExamples(
        layer=LAYER, shape=(SIDE, SIDE, UNITS), strongest=ends, weakest=ends, spread=spread, histogram=counts,
        peaks=counts, pictures_seen=stop - start, class_sizes=np.ones(0, np.int64), **numbers,
    )  # fmt: skip
    seen = Shown("tiny", 2, "4 pictures in an array", (16, 16), "as they are", start, stop, 0, ())
    return Examples({LAYER: layer}, seen)


def wiring() -> LayerWiring:
    ends = Connections(
        np.array([[0], [1]], np.int32), np.ones((UNITS, 1), np.float32), np.ones((UNITS, 1, 3, 3), np.float32)
    )
    up, effects = np.array([[0, 1]] * UNITS, np.int32), np.ones((UNITS, 2), np.float32)
    classes = Classes("logits", up, effects, up, -effects)
    return LayerWiring(
        LAYER, UNITS, Side("input", ends, ends), Side("logits", ends, ends), classes, LABELS, {"x": "none"}
    )


def crop_bands() -> tuple[CropBand, ...]:
    heat = np.ones((HEAT, HEAT), np.float32)
    crop = Crop(PICTURES[0], heat, 1.0, "a.png", "pear")
    return CropBand(1.0, 1.0, None, (crop, crop)), CropBand(0.5, 1.0, 0.25, (crop,))


def unit_meanings() -> dict[int, KeptMeanings]:
    first, second = (band.crops for band in crop_bands())
    several = KeptMeaning(0.75, (1, 0), first, PICTURES[0]), KeptMeaning(0.25, (0,), second, PICTURES[1])
    return {0: KeptMeanings(LAYER, 0.025, several), 1: KeptMeanings(LAYER, None, (), "it answers 3 pictures")}


def kept_arguments() -> KeptArguments:
    judged = "photographs", {f"{LAYER}:0": 91.0}, "", True, (85.0, 95.0), 0.001, 0.007
    one = KeptArgument("drawing", "a percentile", 90.0, 50.0, 80.0, *judged)
    return KeptArguments(network().identity, LAYER, "curve", "orientation", (0,), (one,))


def jobs(root: Path, format: str = "png") -> dict[str, Callable[[], Any]]:
    """Product -> what opens its job, as commands do."""
    model, pictures = network(), open_pictures(PICTURES)
    series, own = [bulk.Series(LAYER, (0, 1))], {"strongest": 2, "each": 1}
    return {
        "drawings": lambda: bulk.drawings(model, series, RECIPE, root, format=format, batch_size=2),
        "examples": lambda: bulk.examples(model, pictures, [LAYER], root, count=2, share=2),
        "crops": lambda: bulk.crops(model, pictures, {LAYER: [0, 1]}, root, **own),
        "meanings": lambda: bulk.meanings(
            model, pictures, {LATER: [0, 1]}, root, recipe=RECIPE, count=8, draws=1, examples=2
        ),
        "wiring": lambda: bulk.wiring(model, [LAYER], root, count=1),
    }


def write(root: Path, form: str) -> None:
    """Records of every product, by the jobs' own writers; `form` is the drawings' format, or `shares`."""
    opened = jobs(root, "png" if form == "shares" else form)
    if form == "shares":
        with opened["examples"]() as job:
            for i, shard in enumerate(job.plan.shards):
                job.product.write(i, Share(layer_examples(shard.start, shard.stop), 0, ("b.png: no picture",)))
        return
    images = np.full((2, 16, 16, 3), 0.5, np.float32)
    drawn = Rendering(images, np.ones(2, np.float32), ("0", "1"), {}, np.ones((2, 1)), np.ones(2))
    failures = {1: "step 1: not finite"}
    with opened["drawings"]() as job:
        job.product.write(0, dataclasses.replace(drawn, failures=failures))
        job.product.complete()
    if form == "tfds":
        return
    with opened["wiring"]() as job:
        job.product.write(0, wiring())
    with opened["examples"]() as job:
        for i, shard in enumerate(job.plan.shards):
            job.product.write(i, Share(layer_examples(shard.start, shard.stop), 0, ()))
        job.product.complete()
    with opened["crops"]() as job:
        job.product.write(0, dict.fromkeys(range(UNITS), crop_bands()))
    with opened["meanings"]() as job:
        job.product.write(0, unit_meanings())
    folder = root / "tiny"
    write_arguments(folder, kept_arguments())
    Facts.of(network(), "support.fuzzed_records:network").write(folder)
    best = {0: ("other", 1, 0.5)}
    families, match = {LAYER: {"curves": (0,)}}, Match(("other", "another"), (0.5, 0.25), best)
    measures = {LAYER: {"clarity": (0.5, None)}}
    Findings(network().identity, families, {"net": {LAYER: match}}, measures).write(folder)
    values = {"orientation": np.arange(4) * np.pi / 2, "radius": np.array([10.0, 16.0])}
    answers = {LAYER: np.ones((UNITS, 4, 2), np.float32)}
    Tuning("tiny", "curve", {}, (16, 16), "maximum", values, answers).save(folder / "tuning" / "curve.safetensors")


_KEPT = contextlib.ExitStack()
atexit.register(_KEPT.close)


@functools.cache
def template(form: str) -> Path:
    """A sound folder of records."""
    root = Path(_KEPT.enter_context(tempfile.TemporaryDirectory(dir=IN_MEMORY))) / "records"
    root.mkdir()
    write(root, form)
    return root


def sign(folder: Path, kind: RecordsKind) -> None:
    """Makes the index agree with the files, and with the plan of the kind where that can be read."""
    for product in PRODUCTS:
        index = Index(folder, product)
        for name, entry in dict(index.entries()).items():
            index.add(name, entry.of, {path: Stamp.of((folder / path).read_bytes()) for path in entry.files})
    if kind.file.startswith("plan."):
        index = Index(folder, kind.product)
        files = {path: stamp for entry in index.entries().values() for path, stamp in entry.files.items()}
        with contextlib.suppress(InputError):
            plan = PRODUCTS[kind.product].from_json((folder / kind.file).read_bytes())
            shards = {f"{i:05d}": plan.of(i) for i in range(min(len(plan.shards), 3))}
            for name, of in {**shards, **plan.others}.items():
                index.add(name, of, files)


def refusing(refused: list[InputError], use: Callable[[], Any]) -> Any:
    try:
        return use()
    except InputError as error:
        refused.append(error)
        return None


def read_records(root: Path, refused: list[InputError]) -> None:
    """Everything that records say, as programs that use them as a library ask."""
    records = bulk.Records(root)
    for network_records in records.values():
        for layer in network_records.values():
            refusing(refused, functools.partial(_read_layer, layer))
        folder = Path(network_records.folder)
        for read_found in (Findings.read, read_tunings, functools.partial(read_arguments, layer=LAYER)):
            refusing(refused, functools.partial(read_found, folder))
        refused += map(InputError, network_records.problems)


def _read_layer(layer: Any) -> None:
    for drawn in (layer.drawings, layer.directed("x"), *(layer.drawn(one) for one in layer.network.variants)):
        for drawing in drawn.values():
            assert isinstance(drawing.score, float) and dict(drawing.facts) is not None
    examples, wired = layer.examples, layer.wiring
    if examples is not None:
        assert len(examples.density) == len(examples.selectivity) == len(examples.values)
    assert layer.seen is None or layer.seen.size
    assert wired is None or len(wired.labels) >= 0
    for unit in layer.units[:3]:
        layer.missing(unit)
        layer.crops(unit)
    for unit in range(UNITS):
        layer.meanings(unit)


def resume(root: Path, product: str, format: str, refused: list[InputError]) -> None:
    """What a command does that finds nothing left to make."""
    with jobs(root, format)[product]() as job:
        assert all("\n" not in path for path in job.damaged)
        if not job.todo:
            job.summary(job.product.complete())
        if product == "examples" and not job.todo:
            found = Examples.read(*job.product.complete())
            assert isinstance(job.product.unreadable, tuple)
            for unit in range(UNITS):
                refusing(refused, functools.partial(sheet, network(), found, open_pictures(PICTURES), LAYER, unit))
        if product == "crops":
            list(job.product.make(job.asked, lambda: None, False))


def read(kind: RecordsKind, path: Path, all_of: bool = False) -> None:
    """Puts a file into a folder of records, signs it and has everybody read it who does.

    Args:
      kind: of the file.
      path: of the file, alone in a folder.
      all_of: raise all that was refused, as one line; else the first.

    Raises:
      InputError: where any of them refuses it; all of them have been tried.
    """
    root, site = path.parent / "records", path.parent / "site"
    shutil.copytree(template(kind.form), root)
    folder = root / "tiny"
    kind.place(folder).write_bytes(path.read_bytes())
    if kind.product != "index":
        sign(folder, kind)
    refused: list[InputError] = []
    for reader in kind.readers:
        if reader == "records":
            refusing(refused, lambda: read_records(root, refused))
        elif reader == "pages":
            refusing(refused, lambda: _pages(root, site, refused))
        elif reader == "look":
            refusing(refused, lambda: _look(root))
        elif reader == "pictures":
            refusing(refused, lambda: list(open_pictures(folder, size=16)))
        else:
            refusing(refused, functools.partial(resume, root, reader, _format(kind.form), refused))
    assert {one.name for one in path.parent.iterdir()} <= {path.name, "records", "site"}, "written outside"
    assert [one.name for one in root.iterdir()] == ["tiny"], "written outside"
    for error in refused:
        assert "\n" not in str(error), f"several lines: {error}"
    if refused:
        raise InputError("; ".join(dict.fromkeys(map(str, refused)))) if all_of else refused[0]


def _format(form: str) -> str:
    return "png" if form == "shares" else form


def _pages(root: Path, site: Path, refused: list[InputError]) -> None:
    views = read_networks(root, site)
    write_site(site, views)
    refused += [InputError(line) for view in views for layer in view.layers for line in layer.damaged]


def _look(root: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(PICTURES[0]).save(buffer, "PNG")
    one = _looking("support.fuzzed_records:network", root)
    json.dumps(one.look(buffer.getvalue()), allow_nan=False)


@dataclasses.dataclass(frozen=True)
class RecordsKind:
    """A kind of file in a folder of records.

    Attributes:
      file: below the network's folder.
      product: of whose plan and index it is.
      readers: what reads it: `records`, `pages`, `look`, `pictures`, or the product whose job is taken up.
      form: of the folder.
    """

    file: str
    product: str
    readers: tuple[str, ...]
    form: str = "png"

    def samples(self) -> list[bytes]:
        """The sound file."""
        return [self.place(template(self.form) / "tiny").read_bytes()]

    def place(self, folder: Path) -> Path:
        """The file in a network's folder."""
        (path,) = folder.glob(self.file)
        return path


PAGES = ("records", "pages")
SHARES = ".records/examples/shares"
RECORDS = {
    "drawing": RecordsKind(f"{LAYER}/0000.png", "drawings", ("drawings", *PAGES)),
    "drawing in WebP": RecordsKind(f"{LAYER}/0000.webp", "drawings", ("drawings", *PAGES), "webp"),
    "mark of a drawing": RecordsKind(f"{LAYER}/0001.failed.txt", "drawings", ("drawings", *PAGES)),
    "sheet of drawings": RecordsKind(f"{LAYER}/sheet.png", "drawings", ("drawings",)),
    "failures of a data set": RecordsKind("failed-00000.json", "drawings", ("drawings",), "tfds"),
    "features of a data set": RecordsKind("features.json", "drawings", ("pictures", "drawings"), "tfds"),
    "description of a data set": RecordsKind("dataset_info.json", "drawings", ("pictures", "drawings"), "tfds"),
    "shard of a data set": RecordsKind("*array_record*", "drawings", ("pictures", "drawings"), "tfds"),
    "examples on record": RecordsKind(
        f"{LAYER}/examples.safetensors", "examples", ("examples", "crops", "look", *PAGES)
    ),
    "share of examples": RecordsKind(f"{SHARES}/00000-00000.safetensors", "examples", ("examples",), "shares"),
    "note of a share": RecordsKind(f"{SHARES}/00001.json", "examples", ("examples",), "shares"),
    "wiring on record": RecordsKind(f"{LAYER}/wiring.safetensors", "wiring", ("wiring", *PAGES)),
    "crops": RecordsKind(f"{LAYER}/crops/*.safetensors", "crops", PAGES),
    "meanings": RecordsKind(f"{LATER}/meanings/*.safetensors", "meanings", PAGES),
    "arguments": RecordsKind(f"arguments/{LAYER}.json", "findings", PAGES),
    "findings": RecordsKind("findings.json", "findings", PAGES),
    "tuning": RecordsKind("tuning/curve.safetensors", "findings", PAGES),
    "facts": RecordsKind("network.json", "facts", PAGES),
    "plan of drawings on record": RecordsKind("plan.json", "drawings", ("drawings", "look", *PAGES)),
    "plan of examples on record": RecordsKind("plan.examples.json", "examples", ("examples", "crops", "look", *PAGES)),
    "plan of wiring on record": RecordsKind("plan.wiring.json", "wiring", ("wiring", *PAGES)),
    "plan of crops on record": RecordsKind("plan.crops.json", "crops", ("crops", "look", *PAGES)),
    "plan of meanings on record": RecordsKind("plan.meanings.json", "meanings", ("meanings", "look", *PAGES)),
    "index of drawings": RecordsKind(".records/drawings/00000.json", "index", ("drawings", *PAGES)),
}  # fmt: skip
