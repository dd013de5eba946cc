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
import pytest
from flax import nnx

from jaxcircuits.naming import named
from jaxcircuits.network import Network
from jaxcircuits.zoo import SQUEEZENET, InputConvention
from jaxcircuits.zoo.squeezenet.names import Fire


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


class ConvNeXtBlock(nnx.Module):
    def __init__(self, width, rngs):
        self.depthwise = nnx.Conv(width, width, (7, 7), feature_group_count=width, rngs=rngs)
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.widen, self.narrow = nnx.Linear(width, 2 * width, rngs=rngs), nnx.Linear(2 * width, width, rngs=rngs)
        self.scale = nnx.Param(jnp.ones(width))

    def __call__(self, x):
        y = self.narrow(nnx.gelu(self.widen(self.norm(self.depthwise(x)))))
        return x + y * self.scale[...]


class ConvNeXt(nnx.Module):
    def __init__(self, rngs):
        self.stem, self.norm = nnx.Conv(3, 6, (2, 2), 2, rngs=rngs), nnx.LayerNorm(6, rngs=rngs)
        self.blocks = nnx.List([ConvNeXtBlock(6, rngs) for _ in range(2)])
        self.head = nnx.Linear(6, 5, rngs=rngs)

    def __call__(self, x):
        x = self.norm(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((1, 2)))


@model("ConvNeXt, NNX")
def convnext():
    def own(module, x):
        stem = module.norm(module.stem(x))
        one = module.blocks[0]
        wide = one.widen(one.norm(one.depthwise(stem)))
        return {
            "norm": stem,
            "blocks/0/depthwise": one.depthwise(stem),
            "blocks/0/gelu": nnx.gelu(wide),
            "blocks/0": one(stem),
            "output": module(x),
        }

    return from_nnx(ConvNeXt, own, "blocks/0/gelu", "blocks/1/gelu")


class MLP(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = x.reshape(len(x), -1)
        for width in (12, 10):
            x = nn.relu(nn.Dense(width)(x))
        return nn.Dense(5)(x)


@model("MLP, Linen")
def mlp():
    return from_linen(MLP(), "relu", "relu_1", size=8)


class ViTBlock(nnx.Module):
    def __init__(self, width, rngs):
        self.norm1, self.norm2 = (nnx.LayerNorm(width, rngs=rngs) for _ in range(2))
        self.attention = nnx.MultiHeadAttention(2, width, decode=False, rngs=rngs)
        self.widen, self.narrow = nnx.Linear(width, 2 * width, rngs=rngs), nnx.Linear(2 * width, width, rngs=rngs)

    def __call__(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.narrow(nnx.gelu(self.widen(self.norm2(x))))


class ViT(nnx.Module):
    """Tokens of 4 x 4 patches behind one of the class; a table of positions fixes the size."""

    def __init__(self, rngs):
        self.patches = nnx.Conv(3, 8, (4, 4), 4, padding="VALID", rngs=rngs)
        self.first, self.position = nnx.Param(jnp.zeros((1, 1, 8))), nnx.Param(jnp.zeros((1, 17, 8)))
        self.blocks = nnx.List([ViTBlock(8, rngs) for _ in range(2)])
        self.norm, self.head = nnx.LayerNorm(8, rngs=rngs), nnx.Linear(8, 5, rngs=rngs)

    def __call__(self, x):
        x = self.patches(x).reshape(len(x), -1, 8)
        x = jnp.concatenate([jnp.broadcast_to(self.first[...], (len(x), 1, 8)), x], 1) + self.position[...]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


@model("ViT, NNX")
def vit():
    def own(module, x):
        patches = module.patches(x)
        tokens = jnp.concatenate(
            [jnp.broadcast_to(module.first[...], (len(x), 1, 8)), patches.reshape(len(x), -1, 8)], 1
        )
        tokens = tokens + module.position[...]
        one = module.blocks[0]
        attended = one.attention(one.norm1(tokens))
        wide = one.widen(one.norm2(tokens + attended))
        return {
            "patches": patches,
            "blocks/0/norm1": one.norm1(tokens),
            "blocks/0/attention": attended,
            "blocks/0/gelu": nnx.gelu(wide),
            "blocks/0": one(tokens),
            "output": module(x),
        }

    return from_nnx(ViT, own, "blocks/0/gelu", "blocks/1/gelu")


class VGG(nn.Module):
    """A flatten before the dense layers fixes the size."""

    @nn.compact
    def __call__(self, x):
        for width in (6, 8):
            x = nn.relu(nn.Conv(width, (3, 3))(x))
            x = nn.max_pool(x, (2, 2), (2, 2))
        x = nn.relu(nn.Dense(10)(x.reshape(len(x), -1)))
        return nn.Dense(5)(x)


@model("VGG, Linen")
def vgg():
    return from_linen(VGG(), "relu", "relu_1")


def _conv(x, kernel, stride=1):
    return jax.lax.conv_general_dilated(x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _inline(params, x):
    """ReLUs inline; windows and cells that are merged into the axis of pictures on the way."""
    first = jnp.maximum(0, _conv(x, params["first"]))
    second = jnp.clip(_conv(first, params["second"], 2), 0, 6)
    n, h, w, c = second.shape
    third = jax.nn.relu(second.reshape(n * h * w, c) @ params["third"]).reshape(n, h, w, -1)
    third = named("third", third)
    return jnp.concatenate([second, third], -1).mean((1, 2)).squeeze() @ params["head"]


@model("function")
def function():
    shapes = {"first": (3, 3, 3, 6), "second": (3, 3, 6, 8), "third": (8, 4), "head": (12, 5)}
    params = lively({name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()})

    def own(x):
        first = jnp.maximum(0, _conv(x, params["first"]))
        second = jnp.clip(_conv(first, params["second"], 2), 0, 6)
        third = jax.nn.relu(second @ params["third"])
        return {"relu": first, "relu6": second, "third": third, "output": _inline(params, x)}

    return Model(Network.from_function(_inline, params, convention(), name="inline"), own, "relu", "relu6")


class JittedBlock(ResBlock):
    @nnx.jit
    def __call__(self, x):
        return super().__call__(x)


class RematBlock(ResBlock):
    @nnx.remat
    def __call__(self, x):
        return super().__call__(x)


class Lifted(nnx.Module):
    """Blocks inside `jit` and `remat` calls."""

    def __init__(self, rngs):
        self.stem = nnx.Conv(3, 6, (3, 3), rngs=rngs)
        self.jitted, self.remat = JittedBlock(6, 6, 1, rngs), RematBlock(6, 6, 1, rngs)
        self.head = nnx.Linear(6, 5, rngs=rngs)

    def __call__(self, x):
        return self.head(self.remat(self.jitted(nnx.relu(self.stem(x)))).mean((1, 2)))


@model("jit and remat, NNX")
def lifted():
    def own(module, x):
        first = nnx.relu(module.stem(x))
        second = ResBlock.__call__(module.jitted, first)
        inner = nnx.relu(module.remat.bn1(module.remat.conv1(second)))
        return {
            "relu": first,
            "jitted": second,
            "remat/relu": inner,
            "remat": ResBlock.__call__(module.remat, second),
            "output": module(x),
        }

    return from_nnx(Lifted, own, "jitted", "remat/relu")


class ScannedLayer(nn.Module):
    @nn.compact
    def __call__(self, x, _):
        return nn.relu(x + nn.Conv(6, (3, 3))(x)), None


class Scanned(nn.Module):
    """Three equal layers inside a `scan`, between two that are not."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(6, (3, 3), name="stem")(x))
        layers = nn.scan(ScannedLayer, variable_axes={"params": 0}, split_rngs={"params": True}, length=3)
        x, _ = layers(name="layers")(x, None)
        x = nn.relu(nn.Conv(8, (3, 3), name="last")(x))
        return nn.Dense(5, name="head")(x.mean((1, 2)))


@model("scan, Linen")
def scanned():
    return from_linen(Scanned(), "layers", "relu_1")


def from_torch(make: Callable[[], Any], source: str, target: str, seed: int) -> Model:
    """A PyTorch module's `Model`; what it computes itself is what forward hooks see of its submodules."""
    pytest.importorskip("torch", reason="needs PyTorch, the extra `torch`")
    from torch_models import activations, trained

    module = trained(make(), seed)
    own = lambda x: activations(module, np.asarray(x))  # noqa: E731
    return Model(Network.from_torch(module, convention()), own, source, target)


@model("ResNet, PyTorch")
def resnet_torch():
    def make():
        from torch_models import ResNet

        return ResNet(width=8, classes=5, groups=(4, 1))

    return from_torch(make, "blocks/0/relu_1", "blocks/1/relu", seed=33)


@model("ViT, PyTorch")
def vit_torch():
    def make():
        from torch_models import ViT

        return ViT(size=16, patch=4, width=8, heads=2, classes=5)

    return from_torch(make, "layers/0/mlp/1", "layers/1/mlp/1", seed=0)


@model("InceptionV1")
def inception():
    from conftest import SMALL, random_params

    return _of_zoo(SMALL["google"], random_params(SMALL["google"]), "mixed3a", "mixed3b", 64)


@model("SqueezeNet")
def squeezenet():
    from conftest import random_params

    small = dataclasses.replace(SQUEEZENET, name="small", classes=5, stem=6, fires=(Fire(4, 4),) * 8)
    return _of_zoo(small, random_params(small), "fire2/concat", "fire3/concat", 64)


def _of_zoo(architecture, params, source: str, target: str, size: int) -> Model:
    network = Network.from_architecture(architecture, params, convention(size))

    def own(x):
        return network.forward.model(params, x)

    return Model(network, own, source, target)
