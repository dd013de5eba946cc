"""The zoo: modules that mark what is published, and how little one more network takes."""

import dataclasses
import importlib
import math
import subprocess
import sys

import jax
import numpy as np
import pytest
from flax import nnx

from jaxcircuits import InputConvention, InputError
from jaxcircuits.naming import named
from jaxcircuits.network import Network, load
from jaxcircuits.network.adapters import by_layer, zoo_model
from jaxcircuits.zoo import ARCHITECTURES, GOOGLENET, INCEPTIONV1, SLIDE, SQUEEZENET, ZOO, Architecture, Entry
from jaxcircuits.zoo.squeezenet import Fire
from support.loops import slow_conv, slow_max_pool
from support.small import random_params
from weights_convert import convert, find_or_fetch, read_weights


def without_weights(entry):
    """A zoo network of shapes alone."""
    tensors = {name: jax.ShapeDtypeStruct(s, "float32") for name, s in entry.architecture.tensors().items()}
    return Network.from_architecture(entry.architecture, by_layer(tensors), entry.convention)


@pytest.mark.parametrize("architecture", [SLIDE, INCEPTIONV1, GOOGLENET], ids=lambda architecture: architecture.name)
def test_modules_compute_what_the_published_list_says(architecture):
    """Order, kinds, widths, windows and wiring, which the module writes as code and the list as data."""
    network = without_weights(next(entry for entry in ZOO.values() if entry.architecture == architecture))
    # Layers that pass their input through are it, so that others read what is before them.
    passing = {
        layer.name: layer.inputs[0] for layer in architecture.layers if layer.op == "lrn" and not architecture.lrn
    }
    assert list(network.layers) == [layer.name for layer in architecture.layers]
    for published in architecture.layers:
        found = network.layers[published.name]
        assert (found.op, found.channels) == (published.op, published.channels), published.name
        if published.name not in passing:
            assert found.inputs == tuple(passing.get(name, name) for name in published.inputs), published.name
        if published.op in ("conv", "max_pool"):
            assert found.window == (published.kernel,) * 2 and found.strides == (published.stride,) * 2, published.name


def test_squeezenet_has_its_published_names():
    """Those of the Caffe release, in its order; before an in-place ReLU `_pre_relu`."""
    fires = [
        f"fire{number}/{part}" for number in range(2, 10) for part in ("squeeze1x1", "expand1x1", "expand3x3", "concat")
    ]
    pools = {"conv1": "pool1", "fire3/concat": "pool3", "fire5/concat": "pool5"}
    expected = []
    for name in ("conv1", *fires, "conv10"):
        expected += [f"{name}_pre_relu", name, *([pools[name]] if name in pools else [])]
    network = without_weights(ZOO["squeezenet"])
    assert list(network.layers) == [*expected, "pool10", "prob"]
    assert network.logits == "pool10" and network.layers["pool10"].channels == 1000
    shapes = {name: network.layers[name].shape for name in ("conv1", "pool1", "pool3", "pool5", "fire9/concat")}
    assert shapes == {
        "conv1": (113, 113, 64),
        "pool1": (56, 56, 64),
        "pool3": (28, 28, 128),
        "pool5": (14, 14, 256),
        "fire9/concat": (14, 14, 512),
    }


@pytest.mark.parametrize(("name", "millions"), [("squeezenet", 1.235496), ("googlenet", 6.998552)])
def test_parameters_are_as_many_as_published(name, millions):
    assert sum(math.prod(shape) for shape in ZOO[name].architecture.tensors().values()) == round(1e6 * millions)


SMALL_SQUEEZENET = dataclasses.replace(
    SQUEEZENET, name="small", classes=7, stem=6, fires=tuple(Fire(2 + i, 3 + i) for i in range(8))
)


@pytest.mark.parametrize("size", [(65, 65), (58, 71)], ids=str)
def test_every_layer_of_a_small_squeezenet(size):
    """In float64, by loops over windows."""
    params = random_params(SMALL_SQUEEZENET)
    picture = np.random.default_rng(1).uniform(size=(*size, 3))
    network = Network.from_architecture(SMALL_SQUEEZENET, params, InputConvention(size=size, mean=0.5))
    expected = {}

    def conv(name, x, stride=1, padded=True):
        kernel, bias = (np.float64(params[name][kind]) for kind in ("kernel", "bias"))
        if padded:
            out = slow_conv(x, kernel, bias, stride, "CAFFE")
        else:
            places = [range(0, n - kernel.shape[0] + 1, stride) for n in x.shape[:2]]
            windows = [[x[i : i + 3, j : j + 3] for j in places[1]] for i in places[0]]
            out = np.einsum("yxijc,ijco->yxo", windows, kernel) + bias
        expected[f"{name}_pre_relu"], expected[name] = out, np.maximum(out, 0)
        return expected[name]

    def pool(name, x):
        expected[name] = slow_max_pool(x, 3, 2, "CAFFE")
        return expected[name]

    x = pool("pool1", conv("conv1", picture - 0.5, 2, padded=False))
    for number in range(2, 10):
        squeezed = conv(f"fire{number}/squeeze1x1", x)
        parts = [f"fire{number}/expand1x1", f"fire{number}/expand3x3"]
        x = np.concatenate([conv(part, squeezed) for part in parts], -1)
        expected[f"fire{number}/concat"] = x
        expected[f"fire{number}/concat_pre_relu"] = np.concatenate([expected[f"{part}_pre_relu"] for part in parts], -1)
        x = pool(f"pool{number}", x) if number in (3, 5) else x
    logits = expected["pool10"] = conv("conv10", x).mean((0, 1))
    expected["prob"] = np.exp(logits) / np.exp(logits).sum()
    found = network.activations(np.float32(picture)[None])
    assert found.keys() == expected.keys()
    for name, value in found.items():
        error, norm = np.linalg.norm(value[0] - expected[name]), np.linalg.norm(expected[name])
        assert error <= 1e-5 * norm + 1e-9, (name, error, norm)


def test_the_models_of_one_architecture_share_their_programs():
    first, second = zoo_model(SQUEEZENET), zoo_model(dataclasses.replace(SQUEEZENET))
    assert first == second and hash(first) == hash(second)
    assert first != zoo_model(SMALL_SQUEEZENET)


def test_what_is_said_of_networks_imports_no_jax():
    code = "import sys, jaxcircuits.zoo; print([m for m in ('jax', 'flax') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# One more network: a module, an entry, a line in the registry.


class Block(nnx.Module):
    """A convolution without a bias, and a normalization."""

    def __init__(self, rngs):
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.conv = nnx.Conv(5, 4, (1, 1), use_bias=False, rngs=rngs)

    def __call__(self, x):
        return nnx.relu(self.norm(self.conv(x)))


class Third(nnx.Module):
    """A network whose weights nobody has published."""

    def __init__(self, architecture, *, rngs):
        self.stem = nnx.Conv(3, 5, (3, 3), padding="SAME", rngs=rngs)
        self.blocks = nnx.List([Block(rngs)])
        self.head = nnx.Linear(4, architecture.classes, rngs=rngs)

    def __call__(self, images):
        x = named("stem", nnx.relu(self.stem(images)), kind="relu")
        x = named("blocks/0", self.blocks[0](x), kind="block")
        return named("logits", self.head(x.mean((1, 2))), kind="dense")


THIRD = Architecture("third", f"{__name__}:Third", logits="logits", output="logits", classes=3)
THIRD_ENTRY = Entry(
    "third-2026",
    "a third network",
    THIRD,
    InputConvention(size=(12, 12), mean=0.5),
    "Apache-2.0",
    first=("stem",),
    origin="third.npz, which is not to be had",
)


@pytest.fixture
def third(monkeypatch):
    """What the line in the registry does."""
    monkeypatch.setitem(ZOO, "third-2026", THIRD_ENTRY)
    monkeypatch.setitem(ARCHITECTURES, "third", THIRD)


@pytest.fixture
def tensors():
    random = np.random.default_rng(0)
    values = {name: random.normal(size=shape).astype(np.float32) for name, shape in THIRD.tensors().items()}
    return values | {"blocks/0/norm/var": np.full(4, 0.5, np.float32)}


def test_tensors_come_in_the_order_of_the_module_by_their_paths():
    assert list(THIRD.tensors().items()) == [
        ("stem/kernel", (3, 3, 3, 5)),
        ("stem/bias", (5,)),
        ("blocks/0/conv/kernel", (1, 1, 5, 4)),
        ("blocks/0/norm/mean", (4,)),
        ("blocks/0/norm/scale", (4,)),
        ("blocks/0/norm/var", (4,)),
        ("blocks/0/norm/bias", (4,)),
        ("head/kernel", (4, 3)),
        ("head/bias", (3,)),
    ]


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=lambda one: one.name)
def test_modules_without_keys_have_the_shapes_of_those_with_keys(architecture):
    package, _, name = architecture.module.partition(":")
    module = getattr(importlib.import_module(package), name)
    state = nnx.state(nnx.eval_shape(lambda: module(architecture, rngs=nnx.Rngs(0))))
    with_keys, without = (
        {path: (type(leaf), leaf.get_value()) for path, leaf in nnx.to_flat_state(one)}
        for one in (state, nnx.state(architecture.abstract()))
    )
    assert module.keyless and without == with_keys


def test_a_third_network_is_told_converted_verified_and_run(third, tensors, tmp_path):
    from weights_convert.verification import verify

    np.savez(tmp_path / "third.npz", **tensors)
    (tmp_path / "labels.txt").write_text("a\nb\nc\n")
    out = convert(tmp_path / "third.npz", tmp_path / "third-2026.safetensors", labels=tmp_path / "labels.txt")
    weights = read_weights(out)
    assert (weights.architecture, weights.convention) == (THIRD, THIRD_ENTRY.convention)
    assert all(check.ok for check in verify(out))
    network = load(out)
    marked = [name for name in network.layers if name in ("stem", "blocks/0", "logits")]
    assert marked == ["stem", "blocks/0", "logits"] and network.labels == ("a", "b", "c")
    picture = np.random.default_rng(1).uniform(size=(12, 12, 3))
    x = np.maximum(slow_conv(picture - 0.5, tensors["stem/kernel"], tensors["stem/bias"], 1, "SAME"), 0)
    scale, shift, mean, variance = (tensors[f"blocks/0/norm/{kind}"] for kind in ("scale", "bias", "mean", "var"))
    x = x @ tensors["blocks/0/conv/kernel"][0, 0]
    x = np.maximum((x - mean) / np.sqrt(variance + 1e-5) * scale + shift, 0)
    logits = x.mean((0, 1)) @ tensors["head/kernel"] + tensors["head/bias"]
    found = network.activations(np.float32(picture)[None], "logits")["logits"][0]
    np.testing.assert_allclose(found, logits, rtol=1e-4, atol=1e-5)


def test_a_third_network_says_what_is_wrong_with_its_weights(third, tensors, tmp_path, monkeypatch):
    np.savez(tmp_path / "third.npz", **tensors | {"head/kernel": np.ones((4, 2), np.float32)})
    with pytest.raises(InputError, match=r"'head/kernel' has shape \(4, 2\); third has \(4, 3\)"):
        convert(tmp_path / "third.npz", tmp_path / "out.safetensors")
    monkeypatch.setenv("JAXCIRCUITS_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(InputError, match=r"no weights of third-2026: .* get third.npz, which is not to be had"):
        find_or_fetch("third-2026")


def test_a_graph_that_nobody_published_is_not_taken_on_trust(tmp_path):
    """The converter compares nodes with the published ones; where it cannot, it does not pretend."""
    from weights_convert.graphdef import read

    node = b"\x0a\x01a\x12\x05Const"
    (tmp_path / "graph.pb").write_bytes(b"\x0a" + bytes([len(node)]) + node)
    contents = read(tmp_path / "graph.pb")
    with pytest.raises(InputError, match="a graph of squeezenet, whose nodes were never published"):
        contents.check(SQUEEZENET)
