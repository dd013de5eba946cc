"""Small models of every kind, as users write them, with random but lively weights.

Each stands for a family: batch normalization and shortcuts, depthwise convolutions, skip connections, attention, one
fixed size, plain functions, lifted calls. What the framework itself computes is at hand beside the network.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxcircuits.network import Network
from jaxcircuits.zoo import InputConvention


@dataclasses.dataclass(frozen=True)
class Model:
    """A network beside what it was made of.

    Attributes:
      network: as the library sees it.
      own: network input -> {layer: activation}, computed by the framework, without the library.
      source, target: features; the target is directly connected to the source.
      name: in the table.
    """

    network: Network
    own: Callable[[jax.Array], Mapping[str, Any]]
    source: str
    target: str
    name: str = ""


MODELS: dict[str, Callable[[], Model]] = {}
"""Name -> a function that makes it, once."""


def model(name: str):
    """Adds a model to `MODELS`."""

    def add(make: Callable[[], Model]) -> Callable[[], Model]:
        MODELS[name] = functools.cache(lambda: dataclasses.replace(make(), name=name))
        return MODELS[name]

    return add


def convention(size: int = 16) -> InputConvention:
    return InputConvention(size=(size, size), mean=0.5, std=0.25)


def lively(tree: Any, seed: int = 0) -> Any:
    """The arrays of a tree of parameters, random: normalizations with statistics, scales and biases of their own."""
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        name = str(getattr(path[-1], "key", path[-1]))
        if name in ("mean", "bias", "position"):
            value = rng.normal(0, 0.3, leaf.shape)
        elif name in ("var", "scale"):
            value = rng.uniform(0.5, 1.5, leaf.shape)
        else:
            value = rng.normal(0, np.sqrt(2 / max(np.prod(leaf.shape[:-1]), 1)), leaf.shape)
        return jnp.asarray(value, jnp.float32) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    return jax.tree_util.tree_map_with_path(draw, tree)


def from_nnx(make: Callable[[nnx.Rngs], nnx.Module], own, source: str, target: str, size: int = 16) -> Model:
    """A Flax NNX module's `Model`, its parameters random; `own` is called with the module in evaluation mode."""
    graphdef, state = nnx.split(nnx.eval_shape(lambda: make(nnx.Rngs(0))))
    nnx.replace_by_pure_dict(state, lively(nnx.to_pure_dict(state)))
    module = nnx.merge(graphdef, state)
    network = Network.from_nnx(module, convention(size))
    module.eval()
    return Model(network, functools.partial(own, module), source, target)


def from_linen(module: nn.Module, source: str, target: str, size: int = 16, **call_kwargs) -> Model:
    """A Flax Linen module's `Model`; what it computes itself is what Linen captures of its submodules."""
    x = jnp.zeros((1, size, size, 3))
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), x, **call_kwargs))
    variables = lively(shapes)

    def own(x):
        output, state = module.apply(variables, x, capture_intermediates=True, mutable=["intermediates"], **call_kwargs)
        seen = {
            "/".join(key.key for key in path[:-1]): value[0]
            for path, value in jax.tree.leaves_with_path(state["intermediates"], is_leaf=lambda v: isinstance(v, tuple))
        }
        return {name: value for name, value in seen.items() if name} | {"output": output}

    return Model(Network.from_linen(module, variables, convention(size), **call_kwargs), own, source, target)


class ResBlock(nnx.Module):
    def __init__(self, inputs, width, stride, rngs):
        conv = functools.partial(nnx.Conv, use_bias=False, rngs=rngs)
        self.conv1 = conv(inputs, width, (3, 3), strides=stride)
        self.bn1 = nnx.BatchNorm(width, rngs=rngs)
        self.conv2 = conv(width, width, (3, 3))
        self.bn2 = nnx.BatchNorm(width, rngs=rngs)
        self.shortcut = conv(inputs, width, (1, 1), strides=stride) if stride > 1 else None
        self.bn3 = nnx.BatchNorm(width, rngs=rngs) if stride > 1 else None

    def __call__(self, x):
        y = nnx.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        x = x if self.shortcut is None else self.bn3(self.shortcut(x))
        return nnx.relu(x + y)


class ResNet(nnx.Module):
    """In Bonsai's style: ReLUs inline, nothing sown."""

    def __init__(self, rngs):
        self.stem = nnx.Conv(3, 6, (3, 3), use_bias=False, rngs=rngs)
        self.bn = nnx.BatchNorm(6, rngs=rngs)
        self.blocks = nnx.List([ResBlock(6, 6, 1, rngs), ResBlock(6, 8, 2, rngs)])
        self.head = nnx.Linear(8, 5, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.bn(self.stem(x)))
        x = nnx.max_pool(x, (3, 3), strides=(2, 2), padding="SAME")
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((1, 2)))


@model("ResNet, NNX")
def resnet_nnx():
    def own(module, x):
        stem = module.stem(x)
        first = nnx.relu(module.bn(stem))
        pooled = nnx.max_pool(first, (3, 3), strides=(2, 2), padding="SAME")
        one = module.blocks[0]
        inner = nnx.relu(one.bn1(one.conv1(pooled)))
        added = pooled + one.bn2(one.conv2(inner))
        return {
            "stem": stem,
            "bn": module.bn(stem),
            "relu": first,
            "max_pool": pooled,
            "blocks/0/relu": inner,
            "blocks/0/add": added,
            "blocks/0": nnx.relu(added),
            "output": module(x),
        }

    return from_nnx(ResNet, own, "blocks/0", "blocks/1/relu")


class LinenResNet(nn.Module):
    @nn.compact
    def __call__(self, x, train: bool = True):
        norm = functools.partial(nn.BatchNorm, use_running_average=not train)
        x = nn.relu(norm()(nn.Conv(6, (3, 3), use_bias=False)(x)))
        y = nn.relu(norm()(nn.Conv(6, (3, 3), use_bias=False)(x)))
        x = nn.relu(x + norm()(nn.Conv(6, (3, 3), use_bias=False)(y)))
        y = nn.relu(norm()(nn.Conv(8, (3, 3), 2, use_bias=False)(x)))
        y = norm()(nn.Conv(8, (3, 3), use_bias=False)(y))
        x = nn.relu(y + norm()(nn.Conv(8, (1, 1), 2, use_bias=False)(x)))
        return nn.Dense(5)(x.mean((1, 2)))


@model("ResNet, Linen")
def resnet_linen():
    return from_linen(LinenResNet(), "relu_2", "relu_3", train=False)


class Inverted(nnx.Module):
    """An inverted residual with a linear bottleneck."""

    def __init__(self, inputs, width, stride, rngs):
        conv = functools.partial(nnx.Conv, use_bias=False, rngs=rngs)
        self.expand, self.norm1 = conv(inputs, 2 * inputs, (1, 1)), nnx.BatchNorm(2 * inputs, rngs=rngs)
        self.depthwise = conv(2 * inputs, 2 * inputs, (3, 3), strides=stride, feature_group_count=2 * inputs)
        self.norm2 = nnx.BatchNorm(2 * inputs, rngs=rngs)
        self.project, self.norm3 = conv(2 * inputs, width, (1, 1)), nnx.BatchNorm(width, rngs=rngs)
        self.adds = stride == 1 and inputs == width

    def __call__(self, x):
        y = nnx.relu6(self.norm1(self.expand(x)))
        y = nnx.relu6(self.norm2(self.depthwise(y)))
        y = self.norm3(self.project(y))
        return x + y if self.adds else y


class MobileNet(nnx.Module):
    def __init__(self, rngs):
        self.stem, self.norm = nnx.Conv(3, 6, (3, 3), strides=2, rngs=rngs), nnx.BatchNorm(6, rngs=rngs)
        self.blocks = nnx.List([Inverted(6, 6, 1, rngs), Inverted(6, 8, 2, rngs)])
        self.last = nnx.Conv(8, 12, (1, 1), rngs=rngs)
        self.head = nnx.Linear(12, 5, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu6(self.norm(self.stem(x)))
        for block in self.blocks:
            x = block(x)
        return self.head(nnx.relu6(self.last(x)).mean((1, 2)))


@model("MobileNet, NNX")
def mobilenet():
    def own(module, x):
        stem = module.stem(x)
        first = nnx.relu6(module.norm(stem))
        one = module.blocks[0]
        wide = nnx.relu6(one.norm1(one.expand(first)))
        deep = nnx.relu6(one.norm2(one.depthwise(wide)))
        return {
            "stem": stem,
            "relu6": first,
            "blocks/0/relu6": wide,
            "blocks/0/depthwise": one.depthwise(wide),
            "blocks/0/relu6_1": deep,
            "blocks/0/project": one.project(deep),
            "blocks/0": one(first),
            "blocks/1": module.blocks[1](one(first)),
            "output": module(x),
        }

    return from_nnx(MobileNet, own, "relu6", "blocks/0/relu6_1")


class UNet(nn.Module):
    """Two levels: one comes up by a transposed convolution, the other by a resize."""

    @nn.compact
    def __call__(self, x):
        fine = nn.relu(nn.Conv(4, (3, 3), name="enc1")(x))
        middle = nn.relu(nn.Conv(6, (3, 3), name="enc2")(nn.max_pool(fine, (2, 2), (2, 2))))
        coarse = nn.relu(nn.Conv(8, (3, 3), name="enc3")(nn.max_pool(middle, (2, 2), (2, 2))))
        up = nn.ConvTranspose(6, (2, 2), (2, 2), name="up2")(coarse)
        middle = nn.relu(nn.Conv(6, (3, 3), name="dec2")(jnp.concatenate([middle, up], -1)))
        n, h, w, c = middle.shape
        up = jax.image.resize(middle, (n, 2 * h, 2 * w, c), "nearest")
        fine = nn.relu(nn.Conv(4, (3, 3), name="dec1")(jnp.concatenate([fine, up], -1)))
        return nn.Conv(2, (1, 1), name="out")(fine)


@model("U-Net, Linen")
def unet():
    return from_linen(UNet(), "concatenate", "relu_3")
