"""Pictures from others: what is no file, no picture or no data set of TFDS's own parts is named, and not opened."""

import json
import os
import sys

import numpy as np
import pytest
from PIL import Image

from jaxcircuits import InputError, open_pictures
from jaxcircuits.images.decode import MOST_BYTES, decode
from jaxcircuits.images.prepared import FEATURES_FILE


@pytest.fixture
def folder(tmp_path):
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    with (tmp_path / "sparse.tif").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    return tmp_path


def test_what_is_no_file_is_left_out_and_named(folder):
    """A pipe that nobody writes to does not keep the pass for ever."""
    pictures = open_pictures(folder, size=8)
    (batch,) = pictures.batches(4)
    names = [pictures.name(number) for number in batch.numbers[batch.read]]
    assert names == ["a.png"] and len(batch.skipped) == 3
    said = " ".join(batch.skipped)
    assert "pipe.png: is a pipe" in said and "device.png: is a device" in said and "sparse.tif: 1,073," in said
    assert str(folder) not in said


@pytest.mark.parametrize("name, said", [("pipe.png", "is a pipe; expected"), ("sparse.tif", "bytes; expected a pict")])
def test_decoding_says_why_and_not_which(name, said, folder):
    with pytest.raises(InputError, match=f"^(1,073,741,825 )?{said}"):
        decode(folder / name)
    with pytest.raises(FileNotFoundError):
        decode(folder / "gone.png")


OURS = "tensorflow_datasets.core.features.features_dict.FeaturesDict"
FOREIGN = "code_of_others.Feature"
FEATURES = {
    "a class": {"pythonClassName": FOREIGN, "jsonFeature": {"json": "{}"}},
    "a class by its other name": {"python_class_name": FOREIGN, "jsonFeature": {"json": "{}"}},
    "an old description": {"type": FOREIGN, "content": {}},
    "deep inside": {
        "pythonClassName": OURS,
        "featuresDict": {"features": {"x": {"pythonClassName": FOREIGN, "jsonFeature": {"json": "{}"}}}},
    },
    "text in text": {
        "pythonClassName": OURS,
        "jsonFeature": {"json": " " + json.dumps({"x": json.dumps({"type": FOREIGN, "content": {}})})},
    },
}


@pytest.mark.parametrize("case", FEATURES)
def test_data_sets_run_no_code(case, tmp_path, monkeypatch):
    """TFDS imports the module of any class that a description names; from the working directory too."""
    pytest.importorskip("tensorflow_datasets")
    (tmp_path / "code_of_others.py").write_text("raise SystemExit('run')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dataset_info.json").write_text('{"name": "x", "version": "1.0.0", "fileFormat": "array_record"}')
    (tmp_path / FEATURES_FILE).write_text(json.dumps(FEATURES[case]))
    with pytest.raises(InputError, match=r"a feature of class 'code_of_others\.Feature'") as error:
        open_pictures(tmp_path)
    assert "\n" not in str(error.value) and "code_of_others" not in sys.modules


def test_descriptions_are_files_of_bounded_size(tmp_path):
    pytest.importorskip("tensorflow_datasets")
    (tmp_path / "dataset_info.json").write_text('{"name": "x", "version": "1.0.0"}')
    os.mkfifo(tmp_path / "label.labels.txt")
    with pytest.raises(InputError, match=r"label\.labels\.txt: is a pipe"):
        open_pictures(tmp_path)
