"""PyTorch models as networks: every module is a layer, channels last, drawn like any other."""

from __future__ import annotations

import numpy as np
import pytest

import jaxcircuits as jc
from jaxcircuits.errors import InputError

torch = pytest.importorskip("torch", reason="needs PyTorch, the extra `torch`")

from support.torch_models import ResNet, ViT, activations, trained  # noqa: E402

CONVENTION = jc.InputConvention(size=(32, 32), mean=0.5, std=0.25)


@pytest.fixture(scope="module")
def models():
    torch.manual_seed(0)
    modules = {"resnet": trained(ResNet()), "vit": trained(ViT())}
    return {name: (module, jc.Network.from_torch(module, CONVENTION)) for name, module in modules.items()}


def pictures(count, height=32, width=32):
    return np.random.default_rng(0).random((count, height, width, 3)).astype(np.float32)


def of_torch(module, images):
    return activations(module, (images - 0.5) / 0.25)


@pytest.mark.parametrize("name", ["resnet", "vit"])
@pytest.mark.parametrize("count", [1, 3])
def test_activations_are_pytorchs_at_every_module(models, name, count):
    module, network = models[name]
    images = pictures(count)
    theirs, own = of_torch(module, images), network.activations(images)
    for layer, expected in theirs.items():
        assert own[layer].shape == expected.shape
        assert np.abs(own[layer] - expected).max() <= 1e-5 * np.abs(expected).max(), layer


def test_activations_at_another_size(models):
    module, network = models["resnet"]
    images = pictures(2, 45, 38)
    own = network.activations(images, ["blocks/0/relu", "output"])
    theirs = of_torch(module, images)
    for layer, value in own.items():
        assert np.abs(value - theirs[layer]).max() <= 1e-5 * np.abs(theirs[layer]).max()


def test_a_size_that_the_model_does_not_take(models):
    with pytest.raises(InputError, match=r"ViT does not take pictures of .*native size is 32 x 32"):
        models["vit"][1].activations(pictures(1, 40, 40))


def test_layers_between_modules_and_what_they_are(models):
    """Names, classes, kinds, wiring; the second run of a module has a name of its own."""
    _, network = models["resnet"]
    layers = network.layers
    assert (layers["blocks/1/conv1"].kind, layers["blocks/1/conv1"].groups) == ("convolution", 8)
    assert layers["blocks/1/conv1"].strides == (2, 2)
    assert (layers["blocks/0/bn1"].op, layers["blocks/0/bn1"].kind) == ("BatchNorm2d", "affine")
    assert (layers["pool"].op, layers["pool"].kind, layers["pool"].window) == ("MaxPool2d", "pool", (3, 3))
    assert layers["blocks/0/add"].kind == "add"
    assert set(layers["blocks/0/add"].inputs) == {"blocks/0/bn2", "pool"}
    assert layers["blocks/0/relu"].inputs == ("blocks/0/bn1",)
    assert layers["blocks/0/relu_1"].inputs == ("blocks/0/add",)
    assert network.graph.stages == ("stem/2", "blocks/0/relu_1", "blocks/1/relu_1")
    _, network = models["vit"]
    assert network.layers["layers/0/mlp/1"].kind == "activation"
    assert network.layers["layers/1/attn/proj"].kind == "dense"


def test_kernels(models):
    module, network = models["resnet"]
    kernel = module.blocks[0].conv1.weight.detach().numpy()
    np.testing.assert_array_equal(network.kernel("blocks/0/conv1"), kernel.transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(network.kernel("head")[0, 0], module.head.weight.detach().numpy().T)


@pytest.mark.parametrize("name, unit", [("resnet", "blocks/0/relu_1:3"), ("vit", "layers/0/mlp/1:5")])
def test_units_are_drawn(models, name, unit):
    """Some steps raise what the unit answers above what noise gets."""
    _, network = models[name]
    recipe = jc.Recipe(size=32, steps=8, transforms=())
    layer, _, number = unit.partition(":")
    drawn = jc.render(network, jc.channel(layer, [int(number)]), recipe)
    assert drawn.images.shape == (1, 32, 32, 3)
    start = network.activations(pictures(16) * 0.1 + 0.45, layer)[layer]
    answer = network.activations(drawn.images, layer)[layer]
    mean = tuple(range(1, answer.ndim - 1))
    assert answer.mean(mean)[0, int(number)] > start.mean(mean)[:, int(number)].max()


def test_a_model_of_another_framework_is_told_its_way_in():
    with pytest.raises(InputError, match=r"is a function; .*from_function\(function, params\)"):
        jc.Network.from_torch(torch.relu)
