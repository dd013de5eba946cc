"""More models, beside the convolutional ones of `models`: no convolutions, one size, plain, lifted, the zoo's."""

from __future__ import annotations

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx

from jaxcircuits.naming import named
from jaxcircuits.network import Network
from jaxcircuits.zoo import SQUEEZENET
from jaxcircuits.zoo.squeezenet.names import Fire
from support.models import MODELS, Model, ResBlock, convention, from_linen, from_nnx, lively, model

__all__ = ["MODELS"]


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


@model("InceptionV1")
def inception():
    from support.small import SMALL, random_params

    return _of_zoo(SMALL["google"], random_params(SMALL["google"]), "mixed3a", "mixed3b", 64)


@model("SqueezeNet")
def squeezenet():
    from support.small import random_params

    small = dataclasses.replace(SQUEEZENET, name="small", classes=5, stem=6, fires=(Fire(4, 4),) * 8)
    return _of_zoo(small, random_params(small), "fire2/concat", "fire3/concat", 64)


def _of_zoo(architecture, params, source: str, target: str, size: int) -> Model:
    network = Network.from_architecture(architecture, params, convention(size))

    def own(x):
        return network.forward.model(params, x)

    return Model(network, own, source, target)
