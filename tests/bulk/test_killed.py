"""Real processes that draw, killed at any moment: nothing but whole files, and in the end all of them."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from PIL import Image

from support.recorded import contents, digest

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
        process.communicate()


def finish(process):
    out, error = process.communicate(timeout=240)
    assert process.returncode == 0, error
    return out


class Watch(threading.Thread):
    """Looks at every file under a final name, again and again, and keeps what it ever saw of each."""

    def __init__(self, folder):
        super().__init__()
        self.folder, self.seen, self.over = folder, {}, threading.Event()

    def run(self):
        while not self.over.is_set():
            for path in self.folder.rglob("[!.]*"):
                if path.is_file() and ".json" not in path.name and path.name != "sheet.png":
                    self.seen.setdefault(str(path.relative_to(self.folder)), set()).add(digest(path.read_bytes()))
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
        finish(start("--format", format, "--out", out))
    assert hit >= 1  # a loaded machine may finish before it is told to stop
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
