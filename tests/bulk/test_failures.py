"""What may go wrong with a folder: another command, full disks, files in the way."""

import contextlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from jaxcircuits import InputError, bulk
from jaxcircuits.bulk import Series, place
from support.drawn import QUICK, draw
from support.recorded import contents


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


@pytest.mark.parametrize("case", ["no picture", "another size", "another format", "other channels"])
def test_a_foreign_picture_under_its_own_hash_is_one_line(case, drawn, slide, tmp_path):
    """Who hands on a folder may have written its index too: what it names as finished is read as untrusted."""
    shutil.copytree(drawn, tmp_path / "slide")
    path = tmp_path / "slide" / "conv2d1" / "0001.png"
    with Image.open(path) as image:
        size = image.size
    match case:
        case "no picture":
            path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
        case "another size":
            Image.new("RGB", (size[0] + 1, size[1])).save(path)
        case "another format":
            Image.new("RGB", size).save(path, "BMP")
        case "other channels":
            Image.new("L", size).save(path)
    stamp = place.Stamp.of(path.read_bytes())
    for entry in (tmp_path / "slide").rglob("*.json"):
        told = json.loads(entry.read_text())
        files = told.get("files") if isinstance(told, dict) else None
        if files and "conv2d1/0001.png" in files:
            files["conv2d1/0001.png"] = [*stamp]
            entry.write_text(json.dumps(told))
    (tmp_path / "slide" / "conv2d1" / "sheet.png").unlink()
    with pytest.raises(InputError, match="conv2d1") as error:
        draw(slide, tmp_path, range(6))
    assert "\n" not in str(error.value)
