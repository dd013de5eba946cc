"""Every block of the README, executed: Python in one session, commands one by one; on the network in the box."""

import dataclasses
import os
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import jaxcircuits as jc
from jaxcircuits.vis.arguments import as_recipe
from support.data import ROOT

README = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line.strip().partition("  #")[0]
    for block in re.findall(r"(?:^    \S.*\n)+", README, re.MULTILINE)
    for line in block.splitlines()
    if line.strip().startswith("jaxcircuits ")
]
QUICK = {"size": 32, "steps": 1, "redirect_steps": 0, "tolerance": 0.0, "views": 1}


def on_slide(text: str) -> str:
    """The same lines for the network in the box, which has fewer units."""
    text = text.replace("inceptionv1", "slide").replace("Siberian husky", "a class")
    return re.sub(r'(?<=:)\d{2,3}(?=")|(?<=\[)\d{2,3}(?=\])|(?<=", )\d{2,3}(?=\))', lambda n: str(int(n[0]) % 20), text)


def drawn(network, objective, recipe=None, **options):
    """`render`, small and short."""
    quick = QUICK | {"steps": max(options.get("snapshots", [1]))}
    return jc.render(network, objective, dataclasses.replace(as_recipe(network, recipe), **quick), **options)


def of_flax():
    """What a user brings along."""
    import flax.linen as nn
    import jax

    class Model(nn.Module):
        @nn.compact
        def __call__(self, x, train=True):
            return nn.Dense(4)(nn.relu(nn.Conv(16, (3, 3))(x)).mean((1, 2)))

    model = Model()
    return model, model.init(jax.random.key(0), np.zeros((1, 32, 32, 3), np.float32))


@pytest.fixture(scope="module")
def session():
    """The names that the blocks take for granted, and make."""
    rng = np.random.default_rng(0)
    model, variables = of_flax()
    return {
        "jc": jc,
        "vectors": rng.normal(size=(2, jc.load("slide").layers["mixed4d"].channels)).astype(np.float32),
        "photograph": rng.uniform(size=(32, 32, 3)).astype(np.float32),
        "photographs": rng.uniform(size=(4, 64, 64, 3)).astype(np.float32),
        "model": model,
        "variables": variables,
        "render": drawn,
    }


def test_blocks_are_found():
    assert len(PYTHON) >= 5 and len(COMMANDS) >= 6


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:dtype bfloat16")  # a block is for accelerators
@pytest.mark.parametrize("i", range(len(PYTHON)))
def test_python(i, session, tmp_path, monkeypatch):
    """In order: later blocks use what earlier ones made; `network` is the one in the box at the start of each."""
    monkeypatch.chdir(tmp_path)
    session["network"] = network = jc.load("slide")
    code = on_slide(PYTHON[i]).replace("a class", network.labels[3]).replace("jc.render(", "render(")
    exec(compile(code, f"README block {i}", "exec"), session)


@pytest.mark.slow
@pytest.mark.parametrize("line", COMMANDS)
def test_commands(line, tmp_path):
    np.save(
        tmp_path / "sae.npy", np.random.default_rng(0).normal(size=(2, jc.load("slide").layers["mixed4b"].channels))
    )
    words = shlex.split(on_slide(line).replace("gs://bucket/pictures", "bucket"))[1:]
    if words[0] == "render":
        # All units of all layers take minutes.
        words = [re.sub(r"^all$", "conv2d0" if i < 3 else "0-1", word) for i, word in enumerate(words)]
        words += ["--size", "32", "--steps", "1"]
    if words[0] == "circuit":
        words += ["--size", "32", "--steps", "1"]
    if words[0] == "examples":
        pixels = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
        (tmp_path / "photographs").mkdir()
        for i, picture in enumerate(pixels):
            Image.fromarray(picture).save(tmp_path / "photographs" / f"{i}.png")
    words = [word.replace("scenes:2000", "scenes:4") for word in words]
    if words[0] == "microscope":
        words += ["--layer", "conv2d0", "--units", "0-1", "--steps", "1", "--size", "32"]
    done = subprocess.run(
        [sys.executable, "-m", "jaxcircuits", *words],
        cwd=tmp_path,
        env=dict(os.environ, JAX_PLATFORMS="cpu"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
