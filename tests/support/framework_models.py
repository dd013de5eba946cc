"""Small models of Keras, Equinox and PyTorch, beside those of `models`; skipped where their framework is missing."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcircuits.network import Network
from support.models import Model, convention, model
from support.more_models import MODELS

__all__ = ["MODELS"]


def _keras():
    os.environ.setdefault("KERAS_BACKEND", "jax")  # read where Keras is first imported
    return pytest.importorskip("keras", reason="needs Keras")


def _from_keras(keras, module, source: str, target: str, size: int) -> Model:
    rng = np.random.default_rng(0)

    def draw(weight):
        shape, name = weight.shape, weight.path.rsplit("/", 1)[-1]
        if name in ("gamma", "moving_variance"):
            return rng.uniform(0.5, 1.5, shape)
        fan = np.prod(shape[:-2]) if "depthwise" in weight.path and name == "kernel" else np.prod(shape[:-1])
        return rng.normal(0, 0.3 if len(shape) == 1 else np.sqrt(2 / fan), shape)

    module.set_weights([draw(weight) for weight in module.weights])
    names = [layer.name for layer in module.layers if not isinstance(layer, keras.layers.InputLayer)]
    inner = keras.Model(module.input, {name: module.get_layer(name).output for name in names})

    def own(x):
        return inner(x, training=False)

    return Model(Network.from_keras(module, convention(size)), own, source, target)


@model("VGG, Keras")
def keras_vgg():
    keras = _keras()
    layers = keras.layers
    picture = x = layers.Input((16, 16, 3))
    for i, width in enumerate((6, 8), 1):
        x = layers.ReLU(name=f"relu{i}")(layers.Conv2D(width, 3, padding="same", name=f"conv{i}")(x))
        x = layers.MaxPooling2D(name=f"pool{i}")(x)
    module = keras.Model(picture, layers.Dense(5, name="head")(layers.Flatten(name="flatten")(x)))
    return _from_keras(keras, module, "relu1", "relu2", 16)


@model("MobileNetV2, Keras")
def keras_mobilenet():
    keras = _keras()
    module = keras.applications.MobileNetV2(
        (32, 32, 3), alpha=0.35, weights=None, classes=5, classifier_activation=None
    )
    return _from_keras(keras, module, "block_2_add", "block_3_expand_relu", 32)


@model("CNN, Equinox")
def equinox_cnn():
    eqx = pytest.importorskip("equinox", reason="needs Equinox")

    class CNN(eqx.Module):
        conv1: eqx.nn.Conv2d
        pool: eqx.nn.MaxPool2d
        conv2: eqx.nn.Conv2d
        head: eqx.nn.Linear

        def __init__(self, key):
            keys = jax.random.split(key, 3)
            self.conv1 = eqx.nn.Conv2d(3, 6, 3, padding=1, key=keys[0])
            self.pool = eqx.nn.MaxPool2d(2, 2)
            self.conv2 = eqx.nn.Conv2d(6, 8, 3, padding=1, key=keys[1])
            self.head = eqx.nn.Linear(8, 5, key=keys[2])

        def __call__(self, x):
            x = self.pool(jax.nn.relu(self.conv1(x)))
            return self.head(jax.nn.relu(self.conv2(x)).mean((1, 2)))

    module = CNN(jax.random.key(0))

    def own(x):
        x = jnp.moveaxis(x, -1, 1)
        first = jax.nn.relu(jax.vmap(module.conv1)(x))
        second = jax.nn.relu(jax.vmap(module.conv2)(jax.vmap(module.pool)(first)))
        maps = {"relu": first, "relu_1": second, "pool": jax.vmap(module.pool)(first)}
        return {name: jnp.moveaxis(value, 1, -1) for name, value in maps.items()} | {"output": jax.vmap(module)(x)}

    own_convention = convention()
    network = Network.from_equinox(module, type(own_convention)(**(own_convention.to_dict() | {"layout": "CHW"})))
    return Model(network, own, "relu", "relu_1")


def _from_torch(make: Callable[[], Any], source: str, target: str, seed: int) -> Model:
    """A PyTorch module's `Model`; what it computes itself is what forward hooks see of its submodules."""
    pytest.importorskip("torch", reason="needs PyTorch, the extra `torch`")
    from support.torch_models import activations, trained

    module = trained(make(), seed)

    def own(x):
        return activations(module, np.asarray(x))

    return Model(Network.from_torch(module, convention()), own, source, target)


@model("ResNet, PyTorch")
def torch_resnet():
    def make():
        from support.torch_models import ResNet

        return ResNet(width=8, classes=5, groups=(4, 1))

    return _from_torch(make, "blocks/0/relu_1", "blocks/1/relu", seed=33)


@model("ViT, PyTorch")
def torch_vit():
    def make():
        from support.torch_models import ViT

        return ViT(size=16, patch=4, width=8, heads=2, classes=5)

    return _from_torch(make, "layers/0/mlp/1", "layers/1/mlp/1", seed=0)
