"""Networks by a name: a name means one network, and a function of one's own stands for its network."""

import dataclasses
import shutil
import subprocess
import sys

import numpy as np
import pytest

import jaxcircuits as jc
from jaxcircuits import InputError
from jaxcircuits.vis.arguments import as_recipe
from jaxcircuits.zoo.slide import SLIDE, SLIDE_INPUT
from support.data import data
from weights_convert import convert, write_weights

MODULE = """
import jax.numpy as jnp
import jaxcircuits as jc

def edges():
    return jc.Network.from_function(lambda params, x: x[:, 1:] - x[:, :-1], (), jc.InputConvention(size=(8, 8)))

def nothing():
    return 3

def fails():
    return 1 / 0

number = 3
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module of its own in the working directory."""
    name = f"own_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    yield name
    sys.modules.pop(name, None)


def test_a_function_stands_for_its_network(module):
    network = jc.load(f"{module}:edges")
    assert network.layers["output"].shape == (7, 8, 3)
    command = [sys.executable, "-c", "from jaxcircuits.cli import main; main()", "layers", f"{module}:edges"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0 and "output" in run.stdout, run.stderr


BAD_FUNCTIONS = {
    "no module": ("nowhere_at_all:edges", "nowhere_at_all:edges: cannot be imported .ModuleNotFoundError"),
    "no function": ("{}:edgse", "unknown function 'edgse' of own_.*did you mean edges"),
    "no callable": ("{}:number", "unknown function 'number'"),
    "no network": ("{}:nothing", "nothing returns a int; expected a Network"),
}


@pytest.mark.parametrize("case", BAD_FUNCTIONS)
def test_functions_that_are_none(case, module):
    name, message = BAD_FUNCTIONS[case]
    with pytest.raises(InputError, match=message) as error:
        jc.load(name.format(module))
    assert "\n" not in str(error.value)


def test_an_error_of_ones_own_is_shown_as_it_is(module):
    with pytest.raises(ZeroDivisionError):
        jc.load(f"{module}:fails")


def test_a_name_means_one_network(converted, tmp_path, monkeypatch):
    """The 2015 weights under the name of the articles' network, whose unit numbers they do not have."""
    shutil.copy(converted("inceptionv1-2015"), tmp_path / "inceptionv1.safetensors")
    monkeypatch.setenv("JAXCIRCUITS_WEIGHTS", str(tmp_path))
    with pytest.raises(InputError, match=r"inceptionv1\.safetensors: holds the weights of inceptionv1-2015, not of "):
        jc.load("inceptionv1")
    shutil.copy(converted("inceptionv1-2015"), tmp_path / "inceptionv1-2015.safetensors")
    assert jc.load("inceptionv1-2015").name == "inceptionv1-2015"
    # By its path it is what it is, whatever the file is called.
    assert jc.load(tmp_path / "inceptionv1.safetensors").name == "inceptionv1-2015"


def test_a_converted_file_is_named_after_what_was_recognized(tmp_path):
    source = data("weights", "squeezenet_v1.1.caffemodel")
    assert convert(source, tmp_path) == tmp_path / "squeezenet.safetensors"
    command = [sys.executable, "-m", "weights_convert", str(source), "--out", str(tmp_path / "googlenet.safetensors")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0
    assert "googlenet.safetensors is named googlenet, but its weights are those of squeezenet" in run.stderr


def _with_recipe(path, recipe):
    tensors = {name: np.zeros(shape, np.float32) for name, shape in SLIDE.tensors().items()}
    write_weights(path, tensors, architecture=SLIDE, convention=SLIDE_INPUT, recipe=recipe)
    return jc.load(path)


def test_a_file_says_how_its_units_are_best_drawn(tmp_path):
    own = jc.Recipe(size=40, steps=1, learning_rate=0.02)
    network = _with_recipe(tmp_path / "own.safetensors", own.to_json())
    assert as_recipe(network, None) == own == as_recipe(network.linearized(), None)
    assert as_recipe(network, None, steps=3, size=None) == dataclasses.replace(own, steps=3)
    assert as_recipe(network, "lucid") == jc.Recipe(size=96)
    assert jc.render(network, "conv2d0:0", progress=False).images.shape == (1, 40, 40, 3)
    plain = _with_recipe(tmp_path / "plain.safetensors", "")
    assert as_recipe(plain, None) == jc.Recipe(size=96)
    assert network.identity == plain.identity


@pytest.mark.parametrize("recipe", ["3", "{", '{"steps": -1}', '{"type": "Recipe", "nothing": 1}'])
def test_a_file_with_a_recipe_that_is_none(recipe, tmp_path):
    network = _with_recipe(tmp_path / "own.safetensors", recipe)
    with pytest.raises(InputError, match=r"^own: its own recipe: ") as error:
        jc.render(network, "conv2d0:0", progress=False)
    assert "\n" not in str(error.value)
