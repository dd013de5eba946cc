"""Records of others whose index agrees with what they made: a file is read by what it holds, not by who signed it."""

import io
import json
import os
import struct

import numpy as np
import pytest
from PIL import Image

from jaxcircuits import InputError, bulk
from jaxcircuits.bulk.index import Index, is_inside
from jaxcircuits.bulk.place import LARGEST_RECORD, Stamp
from jaxcircuits.files import read_tensors, tensor_bytes
from support import fuzzed_records
from support.fuzzed_parts import png_of
from support.fuzzed_records import RECORDS, template


def png(mode="RGB", size=(16, 16)):
    file = io.BytesIO()
    Image.new(mode, size).save(file, "PNG")
    return file.getvalue()


def bomb():
    """A picture of which there is only a header that says how large it is."""
    head = struct.pack(">IIBB", 2**31 - 1, 2**31 - 1, 8, 2) + bytes(3)
    return png_of([(b"IHDR", head), (b"IDAT", b"")])


def webp(description):
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x010E] = description
    Image.new("RGB", (16, 16)).save(file, "WEBP", exif=exif)
    return file.getvalue()


def tensors(kind, **changed):
    """The sound file with other values in tensors; `about_x` stands for the entry `x` of its description."""
    path = RECORDS[kind].place(template("png") / "tiny")
    found, metadata = read_tensors(path, "a file", 2**30)
    arrays = {name: tensor.load() for name, tensor in found.items()}
    for name, change in changed.items():
        name = name.replace("__", "/")
        if name in metadata:
            metadata[name] = change
        else:
            arrays[name] = change(arrays[name].copy())
    return tensor_bytes(arrays, metadata)


def filled(value):
    return lambda array: np.full_like(array, value)


def of_one_unit(kind):
    """The sound file of one unit less than the network has."""
    path = RECORDS[kind].place(template("png") / "tiny")
    found, metadata = read_tensors(path, "a file", 2**30)
    if "about" in metadata:
        metadata["about"] = json.dumps(json.loads(metadata["about"]) | {"units": 1})
    else:
        metadata["shape"] = "[8, 8, 1]"
    arrays = {name: tensor.load() for name, tensor in found.items()}
    return tensor_bytes({n: a if n == "class_sizes" else a[:1] for n, a in arrays.items()}, metadata)


def note(**fields):
    return json.dumps({"skipped": 0, "unreadable": [], "layers": ["relu"]} | fields).encode()


def said_of_a_unit(**fields):
    meaning = {"share": 1.0, "inputs": [0], "crops": [[1, "a", ""]]} | fields
    return json.dumps({"0": {"layer": "relu", "p_value": 0.5, "why": "", "drawn": True, "meanings": [meaning]}})


HOSTILE = {
    "a drawing of another size": ("drawing", lambda: png(size=(2000, 2000)), "2000x2000 pixels; expected 16x16"),
    "a drawing of absurd size": ("drawing", bomb, "could be decompression bomb"),
    "a drawing of 16 bits": ("drawing", lambda: png("I;16"), "pixels of mode I;16"),
    "a drawing that is something else": ("drawing", lambda: b"GIF89a" + bytes(99), "no picture"),
    "nested facts": ("drawing in WebP", lambda: webp("[" * 5000), "lists and objects in each other"),
    "facts that are a number": ("drawing in WebP", lambda: webp("7"), "Expected `object`"),
    "exif cut short": ("drawing in WebP", lambda: webp("{}").replace(b"MM\0*", b"MM\0\0"), "cannot be read"),
    "failures of other units": ("failures of a data set", lambda: b'{"7": "x", "8": "x", "9": "x"}', "other units"),
    "pictures that were not shown": (
        "examples on record", lambda: tensors("examples on record", strongest__pictures=filled(10**9)), "not shown",
    ),
    "places outside": (
        "examples on record", lambda: tensors("examples on record", strongest__places=filled(8)), "outside of 8 x 8",
    ),
    "no pictures at all": (
        "examples on record", lambda: tensors("examples on record", strongest__pictures=filled(-1)), "activations",
    ),
    "counts below 0": ("examples on record", lambda: tensors("examples on record", peaks=filled(-1)), "peaks below 0"),
    "a silent histogram": (
        "examples on record", lambda: tensors("examples on record", histogram=filled(0)), "no activations",
    ),
    "examples of fewer units": ("examples on record", lambda: of_one_unit("examples on record"), "1 units of relu"),
    "wiring of fewer units": ("wiring on record", lambda: of_one_unit("wiring on record"), "wiring of 1 units"),
    "classes below 0": (
        "wiring on record", lambda: tensors("wiring on record", classes__up=filled(-9)), "no numbers of units",
    ),
    "weights without cells": (
        "wiring on record",
        lambda: tensors("wiring on record", inputs__excitatory__weights=lambda array: array[..., :0]),
        "shapes that do not agree",
    ),
    "weights of two sizes": (
        "wiring on record",
        lambda: tensors("wiring on record", inputs__excitatory__weights=lambda array: array[:, :, 1:]),
        "shapes that do not agree",
    ),
    "weights of no number": (
        "wiring on record", lambda: tensors("wiring on record", outputs__inhibitory__weights=filled(np.nan)), "finite",
    ),
    "activations as text": (
        "crops",
        lambda: tensors("crops", about='{"0": [{"low": "nan", "high": 1, "share": null, "crops": []}]}'),
        "low",
    ),
    "a share of two": (
        "meanings",
        lambda: tensors("meanings", about=said_of_a_unit(share=2.0)),
        "share",
    ),
    "a unit below 0": ("meanings", lambda: tensors("meanings", about=said_of_a_unit(inputs=[-1])), "inputs"),
    "more crops than there are": (
        "meanings", lambda: tensors("meanings", about=said_of_a_unit(crops=[[1, "a", ""]] * 9)), "expected float16",
    ),
    "drawings of another number": (
        "meanings", lambda: tensors("meanings", **{"0__drawings": lambda array: array[:40]}), "meanings of unit 0",
    ),
    "arguments as text": (
        "arguments", lambda: RECORDS["arguments"].samples()[0].replace(b"90.0", b'"90"'), "value",
    ),
    "no values": ("tuning", lambda: tensors("tuning", grid__radius=lambda array: array[:0]), "radius"),
    "values out of bounds": ("tuning", lambda: tensors("tuning", grid__radius=filled(1e300)), "radius"),
    "measures as text": (
        "findings",
        lambda: b'{"weights": "", "families": {}, "matches": {}, "measures": {"relu": {"x": ["nan"]}}}',
        "number",
    ),
    "the description of another network": (
        "facts", lambda: RECORDS["facts"].samples()[0].replace(b'"tiny"', b'"../x"'), "the description of '../x'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_what_the_index_agrees_with_is_not_believed(case, tmp_path):
    kind, data, message = HOSTILE[case]
    (tmp_path / "file").write_bytes(data())
    with pytest.raises(InputError, match=message) as error:
        fuzzed_records.read(RECORDS[kind], tmp_path / "file", all_of=True)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("data", [b"\xff", b"{}", note(skipped="1"), note(unreadable=[[1]]), note(skipped=-1)])
def test_a_damaged_note_of_a_share_is_as_none(data, tmp_path):
    """The share is seen again; here it need not be, so nothing is refused."""
    (tmp_path / "file").write_bytes(data)
    fuzzed_records.read(RECORDS["note of a share"], tmp_path / "file")


@pytest.mark.parametrize("data", [bomb(), b"", png()])
def test_a_foreign_sheet_is_written_again(data, tmp_path):
    (tmp_path / "file").write_bytes(data)
    fuzzed_records.read(RECORDS["sheet of drawings"], tmp_path / "file")
    assert Image.open(tmp_path / "records" / "tiny" / "relu" / "sheet.png").text["units"] == "[0]"


@pytest.mark.parametrize("name", ["\ud800", "a\0b", "../x", "a//b", "a\\b", "\x1b[2J", "", "/etc/passwd"])
def test_names_that_are_no_paths_are_not_in_an_index(name, tmp_path):
    assert not is_inside(name) and is_inside("mixed4b/0000.png")
    folder = tmp_path / ".records" / "drawings"
    folder.mkdir(parents=True)
    (folder / "00000.json").write_text(json.dumps({"of": "", "files": {name: [1, ""]}}))
    assert not Index(tmp_path, "drawings").entries()


def test_records_of_terabytes_are_not_hashed(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(LARGEST_RECORD + 1)
    os.mkfifo(tmp_path / "pipe")
    index = Index(tmp_path, "drawings")
    index.folder.mkdir(parents=True)
    index.add("00000", "", {"sparse": Stamp(LARGEST_RECORD + 1, "0" * 64), "pipe": Stamp(0, "0" * 64)})
    assert sorted(index.check()) == ["pipe", "sparse"] and not index.entries()


def test_sound_records_are_read(tmp_path):
    root = template("png")
    network = bulk.Records(root)["tiny"]
    assert not network.problems and network["relu"].crops(1)[0].crops[0].picture == "a.png"
    assert network["relu"].drawings[0].pixels().shape == (16, 16, 3) and network["relu"].drawings[1].failure
