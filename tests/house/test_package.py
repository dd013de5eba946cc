"""What is built from the project: one wheel that draws on a machine without a connection."""

import os
import subprocess
import sys
import zipfile

import pytest
from PIL import Image

from support.data import ROOT

UNPLUGGED = {f"{scheme}_proxy": "http://127.0.0.1:9" for scheme in ("http", "https", "HTTP", "HTTPS")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_wheel_holds_code_weights_and_tables_only(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for needed in ("jaxcircuits/zoo/weights/slide.safetensors", "jaxcircuits/zoo/inception/inceptionv1-2015.json"):
        assert needed in names
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"jaxcircuits", "weights_convert"}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert wheel.stat().st_size < 3e6


@pytest.mark.slow
def test_wheel_draws_without_a_connection(wheel, tmp_path):
    """From an empty folder, with an empty home: no cache, no clone, no network."""
    site, empty = tmp_path / "site", tmp_path / "empty"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    empty.mkdir()
    environment = dict(os.environ, PYTHONPATH=str(site), HOME=str(tmp_path), XDG_CACHE_HOME=str(tmp_path), **UNPLUGGED)
    environment.pop("JAXCIRCUITS_WEIGHTS", None)
    code = "import jaxcircuits.cli; print(jaxcircuits.__file__, flush=True); jaxcircuits.cli.main()"
    command = [sys.executable, "-c", code, "render", "--units", "0,3", "--steps", "4"]
    done = subprocess.run(command, cwd=empty, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(site))
    sheets = list(empty.glob("pictures/slide/*/sheet.png"))
    assert len(sheets) == 3
    for sheet in sheets:
        assert str(sheet.relative_to(empty)) in done.stdout
        assert sorted(p.name for p in sheet.parent.glob("0*.png")) == ["0000.png", "0003.png"]
        with Image.open(sheet) as picture:
            assert picture.width > 2 * 96
