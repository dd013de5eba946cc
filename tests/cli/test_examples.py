"""`jaxcircuits examples`: a file of examples, and their sheets."""

import numpy as np
import pytest
from PIL import Image

from jaxcircuits import evidence
from support.command import command


@pytest.mark.slow
def test_the_command_writes_a_file_and_sheets(tmp_path):
    for label in ("a", "b"):
        (tmp_path / "set" / label).mkdir(parents=True)
        for number in range(3):
            pixels = np.random.default_rng(number).integers(0, 256, (60, 50, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / label / f"{number}.png")
    (tmp_path / "set" / "a" / "text.jpg").write_text("no picture")
    out = tmp_path / "out"
    arguments = ["slide", "conv2d0:3,5", "--images", str(tmp_path / "set"), "--out", str(out), "--count", "2"]
    done = command("examples", *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "" and "left out, as they cannot be read: a/text.jpg: no picture" in done.stdout
    found = evidence.Examples.read(out / "slide" / "conv2d0" / "examples.safetensors")
    assert found.seen.classes == ("a", "b") and found.seen.skipped == 1 and found.seen.size == (96, 96)
    assert found["conv2d0"].pictures.shape == (16, 2) and found["conv2d0"].pictures_seen == 6
    sheets = out / "slide" / "conv2d0" / "examples"
    assert sorted(path.name for path in sheets.iterdir()) == ["0003.png", "0005.png"]
    assert np.asarray(Image.open(sheets / "0003.png")).std() > 10
    # Again: nothing is to be seen; another count would be other examples.
    assert command("examples", *arguments).stdout == done.stdout
    done = command("examples", *arguments[:-1], "3")
    assert done.returncode == 2 and "holds examples taken otherwise (count: theirs 2, ours 3)" in done.stderr
    done = command("examples", "slide", "conv2d0", "--images", str(tmp_path / "nothing"))
    assert done.returncode == 2 and done.stderr.startswith("jaxcircuits: ") and done.stderr.count("\n") == 1


@pytest.mark.slow
def test_scenes_of_the_box_are_pictures(tmp_path):
    done = command("examples", "slide", "conv2d0:3", "--images", "scenes:8", "--out", str(tmp_path), "--count", "2")
    assert done.returncode == 0, done.stderr
    found = evidence.Examples.read(tmp_path / "slide" / "conv2d0" / "examples.safetensors")
    assert found["conv2d0"].pictures_seen == 8 and "car" in found.seen.classes
    for count in ("many", "0"):
        done = command("examples", "slide", "conv2d0:3", "--images", f"scenes:{count}", "--out", str(tmp_path))
        assert done.returncode == 2 and f"--images 'scenes:{count}'; expected scenes:COUNT" in done.stderr
