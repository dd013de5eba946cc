"""The documentation: it builds strictly, it has every public name, and every block of its pages runs."""

import collections
import dataclasses
import importlib
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

import jaxcircuits as jc
from jaxcircuits.vis.arguments import as_recipe
from support.data import ROOT

pytestmark = pytest.mark.usefixtures("compiled_quickly")

PAGES = sorted(
    path for folder in ("start", "concepts", "howto", "explanation") for path in (ROOT / "docs" / folder).glob("*.md")
)
FRONT = ROOT / "docs" / "index.md"
ROOMS = ("network", "vis", "circuits", "evidence", "arguments", "universality", "images", "bulk", "pages")
QUICK = {"size": 32, "steps": 1, "redirect_steps": 0, "tolerance": 0.0, "views": 1}


def cars_alone(session: dict):
    """What the page on one unit's meaning says of its own figures, in words."""
    found, names, pictures, network = (session[name] for name in ("found", "names", "pictures", "network"))
    cars = found.class_sizes[pictures.classes.index("car")]
    assert cars < 100 and set(names[:cars]) == {"car"} and "car" not in names[cars:]
    assert [pictures.classes[i] for i in session["order"][:2]] == ["car", "scrambled head"]
    assert found.class_means[24, session["order"][1]] < found.class_means[24, session["order"][0]] / 2
    responses = session["tuning"]["mixed5b"][24].max((2, 3)).ravel()
    assert responses.argmax() == 1 and np.sort(responses)[-2] < responses[1] / 2
    poses = session["invariance"]
    assert poses.mirrored[0] > 0.95 and poses.shifted[0] > 0.9 and max(poses.turned[0], poses.scaled[0]) < 0.5
    assert (poses.mirrored[1:] < 0.05).all()
    assert [network.labels[one.target.index] for one in session["readers"].excitatory[:2]] == ["car", "scrambled head"]
    assert network.labels[session["change"].argmin()] == "car"
    one, several = session["one"], session["several"]
    assert one.count == 1 and several.count == 2 and one.chosen.values[-1] >= 0.75 * one.chosen.values[0]
    held = [
        collections.Counter(
            pictures.classes[pictures[int(n)].label] for n in several.chosen.pictures[several.labels == meaning]
        )
        for meaning in range(2)
    ]
    (vehicles,) = (one for one in held if "car" in one)
    (heads,) = (one for one in held if "scrambled head" in one)
    assert set(heads) == {"scrambled head"} and vehicles["car"] == cars and 0 < vehicles.total() - cars < cars / 5


CLAIMS = {"meaning": cars_alone}
"""What a page says in words about what its blocks compute, from the names that they leave."""


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def drawn(network, objective, recipe=None, **options):
    """`render`, small and short, at the native size of networks that have only that."""
    chosen = as_recipe(network, recipe)
    quick = QUICK | {"steps": max(options.get("snapshots", [1]))} | ({"size": 16} if chosen.size == (16, 16) else {})
    return jc.render(network, objective, dataclasses.replace(chosen, **quick), **options)


def test_pages_hold_blocks():
    assert sum(len(blocks(page)) for page in [FRONT, *PAGES]) >= 15


@pytest.mark.slow
@pytest.mark.parametrize("page", [FRONT, *PAGES], ids=lambda page: page.stem)
def test_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session = {"render": drawn}
    for number, block in enumerate(blocks(page)):
        code = re.sub(r"snapshots=\[\d+\]", "snapshots=[1]", block.replace("jc.render(", "render("))
        exec(compile(code, f"{page.name}, block {number}", "exec"), session)
    CLAIMS.get(page.stem, lambda session: None)(session)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site, and what it says while it is built."""
    pytest.importorskip("mkdocs", reason="needs the documentation's tools: pip install '.[docs]'")
    pytest.importorskip("mkdocstrings", reason="needs the documentation's tools: pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    # A proxy that nobody answers: whatever asks for the network fails.
    alone = {f"{scheme}_proxy": "http://127.0.0.1:9" for scheme in ("http", "https", "HTTP", "HTTPS")}
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | alone,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_every_public_name_is_in_the_reference(site):
    inventory = (site / "objects.inv").read_bytes().split(b"\n", 4)
    names = {line.split(" ")[0] for line in zlib.decompress(inventory[4]).decode().splitlines()}
    tails = {name.rsplit(".", 1)[-1] for name in names}
    missing = [
        f"{room}.{name}"
        for room in ROOMS
        for name in importlib.import_module(f"jaxcircuits.{room}").__all__
        if f"jaxcircuits.{room}.{name}" not in names and name not in tails
    ]
    missing += [name for name in jc.__all__ if name not in tails]
    assert missing == []


def test_links_and_pictures_are_there(site):
    """Of every page, within the site: files, and the anchors in them."""
    lost = []
    for page in site.rglob("*.html"):
        # The demonstration's addresses say after # what its pages show; its links are tested with the microscope's.
        if page.name in ("404.html", "gallery.html") or "demo" in page.parts:
            continue
        for target in re.findall(r'(?:href|src)="([^"]+)"', page.read_text()):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path.partition("?")[0]).resolve() if path else page
            file = file / "index.html" if file.is_dir() else file
            if not file.exists() or (anchor and f'id="{anchor}"' not in file.read_text()):
                lost.append(f"{page.relative_to(site)}: {target}")
    assert not lost


def test_no_page_asks_for_anything_outside(site):
    asked = re.compile(r'<(?:script|img|link rel="stylesheet"|iframe)[^>]*(?:src|href)="(https?://[^"]+)"')
    assert not [found for page in site.rglob("*.html") for found in asked.findall(page.read_text())]
