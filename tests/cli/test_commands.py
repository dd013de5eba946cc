"""The command line as a person uses it: pictures, sheets, errors, interruption."""

import itertools
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from jaxcircuits import InputError, Recipe, load
from jaxcircuits.cli.app import app
from jaxcircuits.cli.render import chosen_layers
from jaxcircuits.files import replacing
from jaxcircuits.network.units import numbers_of
from jaxcircuits.vis import contact_sheet, to_image
from jaxcircuits.zoo import ZOO
from support.command import command

QUICK = ["--layer", "conv2d1", "--size", "32", "--steps", "3"]


def test_render(converted, tmp_path):
    weights = converted("inceptionv1-2015")
    arguments = ["--network", "inceptionv1-2015", *QUICK, "--units", "3,0-2,5", "--seed", "7", "--batch-size", "2"]
    done = command("render", *arguments, "--out", tmp_path, weights=weights)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "inceptionv1-2015" / "conv2d1"
    units = [0, 1, 2, 3, 5]
    assert sorted(p.name for p in folder.iterdir()) == [*(f"{u:04d}.png" for u in units), "recipe.json", "sheet.png"]
    assert str(folder / "sheet.png") in done.stdout
    for unit in units:
        picture = Image.open(folder / f"{unit:04d}.png")
        assert picture.size == (32, 32) and picture.mode == "RGB"
        assert np.asarray(picture).std() > 3
        facts = {"network": "inceptionv1-2015", "layer": "conv2d1", "unit": str(unit), "seed": "7"}
        assert facts.items() <= picture.text.items() and float(picture.text["score"]) > 0
    assert Recipe.from_json((folder / "recipe.json").read_text()) == Recipe(size=32, steps=3)


def test_recipe_file_directions_and_format(tmp_path):
    """Options overrule the file; rows of directions are drawn in place of channels."""
    recipe = Recipe(size=32, steps=9, transforms=(), redirect_steps=0, learning_rate=0.1)
    (tmp_path / "recipe.json").write_text(recipe.to_json())
    np.save(tmp_path / "sae.npy", np.random.default_rng(0).normal(size=(18, 16)))
    arguments = ["--layer", "conv2d1", "--recipe", "recipe.json", "--steps", "2", "--directions", "sae.npy"]
    arguments += ["--dtype", "bfloat16"]
    done = command("render", *arguments, "--format", "webp", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "jaxcircuits: dtype bfloat16 takes longer than float32 on a CPU" in done.stderr.splitlines()[0]
    folder = tmp_path / "pictures" / "slide" / "conv2d1.sae"
    assert {path.name for path in folder.glob("0*")} == {f"{i:04d}.webp" for i in range(18)}  # all of them
    assert f"18 pictures in {folder.relative_to(tmp_path)}" in done.stdout
    kept = json.loads((folder / "recipe.json").read_text())
    assert kept == json.loads(recipe.to_json()) | {"steps": 2, "dtype": "bfloat16"}


def test_how_many_units_there_are_beside_the_first(tmp_path):
    quick = ["--size", "16", "--steps", "1", "--out", str(tmp_path)]
    first = CliRunner().invoke(app, ["render", "slide", "conv2d2", "conv2d0", *quick])
    assert first.exit_code == 0, first.output
    said = "the first 16 of the 48 units of conv2d2; conv2d2:all, or --units all, draws all"
    assert said in first.output.splitlines() and "units of conv2d0" not in first.output  # of which there are 16
    some = CliRunner().invoke(app, ["render", "slide", "conv2d2:0-2", *quick])
    assert some.exit_code == 0 and "the first" not in some.output


def test_layers_by_name():
    network = load("slide")
    first = {name.partition(":")[0]: name.partition(":")[2] for name in ZOO[network.name].first}
    assert chosen_layers(network, []) == first
    assert chosen_layers(network, [], "0,3") == dict.fromkeys(first, "0,3")
    assert chosen_layers(network, ["mixed4a:3", "conv2d0"], "7") == {"mixed4a": "3", "conv2d0": "7"}
    assert chosen_layers(network, ["mixed4a, conv2d0", "mixed4a"]) == {"mixed4a": "", "conv2d0": ""}
    assert chosen_layers(network, ["mixed4a:3,5-7,conv2d0"]) == {"mixed4a": "3,5-7", "conv2d0": ""}
    assert chosen_layers(network, ["mixed4a:3", "mixed4a:9"]) == {"mixed4a": "3,9"}
    with pytest.raises(InputError, match="layer '3'; expected LAYER or LAYER:UNITS"):
        chosen_layers(network, ["mixed4a,3"])
    everything = list(chosen_layers(network, ["mixed5b,all"]))
    assert everything[:2] == ["mixed5b", "conv2d0"] and len(everything) == len(set(everything)) == 12


@pytest.mark.slow
def test_one_bar_over_all_that_is_drawn(tmp_path):
    """A second command begins where the first ended, and its bar too."""
    (tmp_path / "recipe.json").write_text(Recipe(size=32, steps=3, transforms=(), redirect_steps=0).to_json())
    arguments = ["--layer", "conv2d0,conv2d1", "--recipe", str(tmp_path / "recipe.json"), "--out", str(tmp_path)]
    assert command("render", *arguments, "--units", "0-1").returncode == 0
    ours, theirs = pty.openpty()
    code = "from jaxcircuits.cli import main; main()"
    environment = dict(os.environ, JAX_PLATFORMS="cpu", COLUMNS="200", TERM="xterm")
    words = [sys.executable, "-c", code, "render", *arguments, "--units", "0-3"]
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert process.wait(timeout=60) == 0, shown.decode()
    units = [int(count) for count in re.findall(r"(\d+)/8 units", shown.decode())]
    assert units[0] == 4 and units[-1] == 8 and units == sorted(units)
    assert "pictures/s" in shown.decode()


@pytest.mark.slow
def test_the_network_is_named_first(tmp_path):
    """Or by --network, as before; layers, and their units, follow."""
    quick = ["--size", "32", "--steps", "1"]
    assert command("render", "slide", "conv2d0:1-2,5", "conv2d1:3", *quick, cwd=tmp_path).returncode == 0
    there = sorted(str(p.relative_to(tmp_path / "pictures" / "slide")) for p in tmp_path.rglob("0*.png"))
    assert there == [f"conv2d0/000{i}.png" for i in (1, 2, 5)] + ["conv2d1/0003.png"]
    done = command("render", "conv2d0:7", "--network", "slide", *quick, cwd=tmp_path)
    assert done.returncode == 0 and (tmp_path / "pictures" / "slide" / "conv2d0" / "0007.png").exists()
    # Other numbers of steps just work, in a folder of their own.
    done = command("render", "slide", "conv2d0:7", "--size", "32", "--steps", "2", cwd=tmp_path)
    assert done.returncode == 0 and (tmp_path / "pictures" / "slide" / "conv2d0" / "steps-2" / "0007.png").exists()


def test_version():
    import jaxcircuits

    for words in (["-m", "jaxcircuits"], ["-m", "jaxcircuits.cli"]):
        done = subprocess.run([sys.executable, *words, "--version"], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, f"jaxcircuits {jaxcircuits.__version__}\n"), done.stderr


def test_rooms_are_there_without_an_import():
    code = (
        "import jaxcircuits as jc; assert 'jax' not in __import__('sys').modules; "
        "print(jc.vis.RGBA, jc.circuits.motifs.rotation, jc.bulk.Plan, sorted({'vis', 'circuits'} & set(dir(jc)))); "
        "jc.nothing"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "['circuits', 'vis']" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("AttributeError: module 'jaxcircuits' has no attribute 'nothing'")


def test_networks_and_layers():
    listed = command("networks")
    assert listed.returncode == 0
    for name in ("inceptionv1", "inceptionv1-2015", "googlenet"):
        assert name in listed.stdout
    layers = command("layers", "googlenet")
    line = next(line for line in layers.stdout.splitlines() if line.split()[0] == "inception_4b/output")
    assert line.split()[1:4] == ["*", "512", "14x14"]
    inner = next(line for line in layers.stdout.splitlines() if line.split()[0] == "inception_4b/3x3")
    assert "*" not in inner.split()
    some = command("layers", "googlenet", "--stages", "--like", "inception_4")
    names = [line.split()[0] for line in some.stdout.splitlines()[1:]]
    assert names == [f"inception_4{block}/output" for block in "abcde"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, recipe", [("fast", Recipe.fast(size=96, steps=2)), ("maco", Recipe.maco(size=224, view=96, steps=2))]
)
def test_recipes_by_name(name, recipe, tmp_path):
    done = command("render", "slide", "mixed3a:3", "--recipe", name, "--steps", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (kept,) = tmp_path.glob("pictures/slide/*/recipe.json")
    assert Recipe.from_json(kept.read_text()) == recipe


def test_a_bad_recipe_file_is_named(tmp_path):
    (tmp_path / "ours.json").write_text('{"betas": 0.9}')
    done = command("render", "--recipe", "ours.json", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "jaxcircuits: ours.json: betas 0.9; expected two numbers from 0 to below 1\n"


BAD = {
    "network": (["render", "--network", "inceptionv7"], "unknown network 'inceptionv7'; did you mean inceptionv1"),
    "layer": (["render", "--layer", "mixed9z"], "unknown layer 'mixed9z' of inceptionv1-2015; did you mean mixed"),
    "unit": (["render", "--layer", "conv2d0", "--units", "64"], "unknown unit 64 of conv2d0; it has units 0 to 63"),
    "units twice": (
        ["render", "conv2d0:3", "--units", "0"],
        "--units 0 beside conv2d0:3, which names its own; name units once",
    ),
    "units": (["render", "--units", "1-x"], "units '1-x'; expected numbers and ranges such as 0-15,20"),
    "size": (["render", "--size", "0"], "size 0; expected a number of pixels"),
    "steps": (["render", "--steps", "-1"], "steps -1; expected a whole number"),
    "recipe": (["render", "--recipe", "none.json"], "expected lucid, fast, maco or a JSON file"),
    "directions": (
        ["render", "--directions", "none.npy"],
        "none.npy: cannot be read (none.npy: there is no such file); expected an .npy file",
    ),
    "dtype": (["render", "--dtype", "float46"], "unknown dtype 'float46'; did you mean"),
    "seed": (["render", "--seed", "-1"], "seed -1; expected a whole number"),
    "layers": (["layers", "googlenetx"], "unknown network 'googlenetx'; did you mean googlenet"),
    "file": (["render", "--network", "missing.safetensors"], "missing.safetensors"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(case, converted, tmp_path):
    arguments, message = BAD[case]
    if arguments[0] == "render" and "--network" not in arguments:
        arguments = [*arguments, "--network", "inceptionv1-2015"]
    done = command(*arguments, weights=converted("inceptionv1-2015"), cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert done.stderr.startswith("jaxcircuits: ") and message in done.stderr
    assert not list(tmp_path.iterdir())


def test_missing_weights_say_what_to_do(tmp_path):
    """Without a connection: every place tried, and the way out, in one line."""
    environment = dict(
        os.environ, JAXCIRCUITS_WEIGHTS=str(tmp_path), XDG_CACHE_HOME=str(tmp_path / "cache"), HOME=str(tmp_path)
    )
    for scheme in ("http", "https"):
        environment[f"{scheme}_proxy"] = environment[f"{scheme.upper()}_PROXY"] = "http://127.0.0.1:9"
    code = "from jaxcircuits.cli import main; main()"
    arguments = [sys.executable, "-c", code, "render", "--network", "inceptionv1", "--out", str(tmp_path / "out")]
    done = subprocess.run(arguments, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    for part in (str(tmp_path / "inceptionv1.safetensors"), "cache", "weights-convert", "JAXCIRCUITS_WEIGHTS"):
        assert part in last
    assert not (tmp_path / "out").exists()


def interrupted(arguments, wait, cwd):
    """A command that gets Ctrl-C when `wait` says so; its exit code, and what it said."""
    code = "from jaxcircuits.cli import main; print('begun', flush=True); main()"
    environment = dict(os.environ, JAX_PLATFORMS="cpu")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], env=environment, cwd=cwd, **pipes)
    assert process.stdout.readline() == "begun\n"
    began = time.monotonic()
    while not wait(time.monotonic() - began):
        assert process.poll() is None and time.monotonic() < began + 500, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=500)
    assert process.returncode == 130, error
    # On a busy machine there may be lines of progress before.
    said = [line for line in error.splitlines() if not re.match(r"\S+  \d", line)]
    assert not out and len(said) == 1 and said[0].startswith("jaxcircuits: stopped: "), error
    return said[0]


def test_interrupted_work_is_kept(tmp_path):
    """Ctrl-C after the first picture: what is finished stays, and nothing partial."""
    folder = tmp_path / "pictures" / "slide" / "conv2d1"
    arguments = ["render", "slide", "conv2d1:all", "--size", "32", "--steps", "400", "--batch-size", "1"]
    said = interrupted(arguments, lambda seconds: list(folder.glob("0*.png")), tmp_path)
    assert "of 16 pictures finished; the same command draws the rest" in said
    finished = sorted(folder.glob("0*.png"))
    assert 1 <= len(finished) < 16
    assert {p.name for p in folder.iterdir()} == {*(p.name for p in finished), "sheet.png", "recipe.json"}
    for path in [*finished, folder / "sheet.png"]:
        Image.open(path).load()


@pytest.mark.parametrize(
    "name, seconds", [*itertools.product(["render", "circuit"], [0.05, 0.2, 0.5, 2.0, 5.0]), ("layers", 0.1)]
)
def test_ctrl_c_at_any_time_is_one_line(name, seconds, tmp_path):
    """Also while JAX is imported, and while a program is compiled."""
    arguments = {
        "render": ["render", "slide", "mixed4b", "--size", "40"],
        "circuit": ["circuit", "slide", "mixed4b:3", "--size", "40"],
        "layers": ["layers", "slide"],
    }[name]
    said = interrupted(arguments, lambda passed: passed >= seconds, tmp_path)
    assert "the same command" in said


def test_unit_lists():
    assert numbers_of("0-3,7, 2 ,9-9", 10, "x") == [0, 1, 2, 3, 7, 9]
    assert numbers_of("all", 4, "x") == [0, 1, 2, 3]
    for text in ("", "a", "1--2", "-1", "1.5", "1,,2", "٣-x"):
        with pytest.raises(InputError, match="expected numbers and ranges"):
            numbers_of(text, 10, "x")
    for text in ("10", "0-99999999999"):
        with pytest.raises(InputError, match="it has units 0 to 9"):
            numbers_of(text, 10, "x")
    with pytest.raises(InputError, match="ends before it begins"):
        numbers_of("5-3", 10, "x")


def test_contact_sheet_holds_every_picture():
    pictures = np.zeros((5, 20, 30, 3), np.float32)
    pictures[:, :, :, 0] = np.linspace(0.2, 1, 5)[:, None, None]
    sheet = np.asarray(contact_sheet(pictures, [f"unit {i}" for i in range(5)]))
    for level in np.round(np.linspace(0.2, 1, 5) * 255):
        assert ((sheet == [level, 0, 0]).all(-1)).sum() == 16 * 20 * 30  # enlarged four times
    gray = contact_sheet(np.full((2, 100, 100, 1), 0.5, np.float32))
    assert (np.asarray(gray) == 128).all(-1).sum() == 2 * 100 * 100
    many = contact_sheet(np.zeros((4000, 40, 40, 3), np.float32))
    assert many.width * many.height < 4000 * 48 * 48  # not enlarged, or it would be huge
    with pytest.raises(InputError, match="picture of shape \\(4, 4\\)"):
        to_image(np.zeros((4, 4)))


def test_captions_never_overlap():
    """Whatever is below a picture stays within its column."""
    pictures = np.ones((2, 32, 32, 3), np.float32)
    alone = np.asarray(contact_sheet(pictures, ["mixed4b_3x3_bottleneck_pre_relu:123", ""]))
    assert (alone[96 + 6 :, 96 + 9 :] == 255).all() and (alone[96 + 6 :, : 96 + 9] < 255).any()
    both = np.asarray(contact_sheet(pictures, ["mixed4b_3x3_bottleneck_pre_relu:123"] * 2))
    np.testing.assert_array_equal(both[:, : 96 + 9], alone[:, : 96 + 9])
    with pytest.raises(InputError, match="1 captions for 2 pictures"):
        contact_sheet(pictures, ["one"])


def test_files_are_whole_or_absent(tmp_path):
    path = tmp_path / "new" / "file"
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert not list(path.parent.iterdir())
    with replacing(path) as temporary:
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    (tmp_path / "blocked").write_text("a file where a folder is wanted")
    with pytest.raises(InputError, match="blocked/file: cannot be written"), replacing(tmp_path / "blocked" / "file"):
        pass
