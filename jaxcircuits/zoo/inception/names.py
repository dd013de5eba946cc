"""The published names, widths and layers of the networks of the Inception family, as data."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from jaxcircuits.errors import unknown
from jaxcircuits.zoo.architecture import INPUT, LRN, Architecture, Layer


@dataclasses.dataclass(frozen=True)
class Inception(Architecture):
    """A network of the family, with the list of its layers as published.

    Attributes:
      layers: every layer after those it is computed from.
      names: of its layers.
      blocks: of `names` the blocks, in order, such as 3a.
      padding: `SAME` is TensorFlow's (total `max((ceil(n / s) - 1) * s + k - n, 0)`, the smaller half first);
        `CAFFE` pads `k // 2` on each side of stride-1 windows and of convolutions, and rounds the size of stride-2
        pools up. Pools pad with minus infinity.
      lrn: the numbers of the `lrn` layers; without them those layers pass their input through.
    """

    layers: tuple[Layer, ...]
    names: Names
    blocks: tuple[str, ...]
    padding: Literal["SAME", "CAFFE"]
    lrn: LRN | None

    @functools.cached_property
    def by_name(self) -> Mapping[str, Layer]:
        """Name -> layer, in order from the image."""
        return MappingProxyType({layer.name: layer for layer in self.layers})

    def fan_in(self, layer: Layer) -> int:
        """Channels that a layer reads: those of its input layer, or the three colors."""
        (source,) = layer.inputs
        return 3 if source == INPUT else self.by_name[source].channels

    def needed(self, names: Iterable[str]) -> tuple[Layer, ...]:
        """The layers that must be computed for `names`, in order; raises `InputError` for an unknown name."""
        wanted = set()
        pending = list(names)
        while pending:
            name = pending.pop()
            if name in wanted or name == INPUT:
                continue
            if name not in self.by_name:
                raise unknown("layer", name, self.by_name, self.name)
            wanted.add(name)
            pending.extend(self.by_name[name].inputs)
        return tuple(layer for layer in self.layers if layer.name in wanted)


class BlockWidths(NamedTuple):
    """Channels of an inception block's convolutions."""

    one: int
    three_bottleneck: int
    three: int
    five_bottleneck: int
    five: int
    pool: int


class Names(NamedTuple):
    """The names a family member gives to its layers; `{}` stands for the block, such as 3a."""

    stem: tuple[str, str, str]
    pools: tuple[str, str, str, str]
    norms: tuple[str, str]
    one: str
    three_bottleneck: str
    three: str
    five_bottleneck: str
    five: str
    pool: str
    pool_reduce: str
    block: str
    average: str
    classifier: str
    logits: str
    softmax: str


GOOGLE_NAMES = Names(
    stem=("conv2d0", "conv2d1", "conv2d2"),
    pools=("maxpool0", "maxpool1", "maxpool4", "maxpool10"),
    norms=("localresponsenorm0", "localresponsenorm1"),
    one="mixed{}_1x1",
    three_bottleneck="mixed{}_3x3_bottleneck",
    three="mixed{}_3x3",
    five_bottleneck="mixed{}_5x5_bottleneck",
    five="mixed{}_5x5",
    pool="mixed{}_pool",
    pool_reduce="mixed{}_pool_reduce",
    block="mixed{}",
    average="avgpool0",
    classifier="softmax2",
    logits="softmax2_pre_activation",
    softmax="softmax2",
)

CAFFE_NAMES = Names(
    stem=("conv1/7x7_s2", "conv2/3x3_reduce", "conv2/3x3"),
    pools=("pool1/3x3_s2", "pool2/3x3_s2", "pool3/3x3_s2", "pool4/3x3_s2"),
    norms=("pool1/norm1", "conv2/norm2"),
    one="inception_{}/1x1",
    three_bottleneck="inception_{}/3x3_reduce",
    three="inception_{}/3x3",
    five_bottleneck="inception_{}/5x5_reduce",
    five="inception_{}/5x5",
    pool="inception_{}/pool",
    pool_reduce="inception_{}/pool_proj",
    block="inception_{}/output",
    average="pool5/7x7_s1",
    classifier="loss3/classifier",
    logits="loss3/classifier",
    softmax="prob",
)

GOOGLE_WIDTHS = {
    "3a": BlockWidths(64, 96, 128, 16, 32, 32),
    "3b": BlockWidths(128, 128, 192, 32, 96, 64),
    "4a": BlockWidths(192, 96, 204, 16, 48, 64),
    "4b": BlockWidths(160, 112, 224, 24, 64, 64),
    "4c": BlockWidths(128, 128, 256, 24, 64, 64),
    "4d": BlockWidths(112, 144, 288, 32, 64, 64),
    "4e": BlockWidths(256, 160, 320, 32, 128, 128),
    "5a": BlockWidths(256, 160, 320, 48, 128, 128),
    "5b": BlockWidths(384, 192, 384, 48, 128, 128),
}

BVLC_WIDTHS = GOOGLE_WIDTHS | {
    "4a": BlockWidths(192, 96, 208, 16, 48, 64),
    "5a": BlockWidths(256, 160, 320, 32, 128, 128),
}


def inception(
    name: str,
    *,
    names: Names,
    stem: tuple[int, int, int],
    blocks: dict[str, BlockWidths],
    classes: int,
    padding: Literal["SAME", "CAFFE"],
    lrn: LRN | None,
) -> Inception:
    """Lays out an InceptionV1: a stem of three convolutions, nine blocks in three stages, average, classifier.

    Args:
      name: the architecture's name.
      names: what its layers are called.
      stem: channels of the three stem convolutions.
      blocks: block id (`3a` to `5b`, stage digit first) -> channels.
      classes: number of outputs.
      padding: `SAME` or `CAFFE`, see `Inception`.
      lrn: numbers of the two normalizations, or None for identity.

    Returns:
      The `Inception`. Each convolution is followed by a ReLU: `X_pre_relu`, then `X`. A block's branches are
      concatenated 1x1, 3x3, 5x5, pool, after ReLU (`mixed3a`) and before it (`mixed3a_pre_relu`).
    """
    layers: list[Layer] = []

    def add(layer: Layer) -> str:
        layers.append(layer)
        return layer.name

    def conv(name: str, source: str, channels: int, kernel: int, stride: int = 1) -> str:
        before = add(Layer(f"{name}_pre_relu", "conv", (source,), channels, kernel, stride, name))
        return add(Layer(name, "relu", (before,), channels))

    def pool(name: str, source: str, stride: int) -> str:
        return add(Layer(name, "max_pool", (source,), layers[-1].channels, 3, stride))

    def norm(name: str, source: str) -> str:
        return add(Layer(name, "lrn", (source,), layers[-1].channels))

    def block(block_id: str, source: str, widths: BlockWidths) -> str:
        into = layers[-1].channels
        one = conv(names.one.format(block_id), source, widths.one, 1)
        three = conv(names.three_bottleneck.format(block_id), source, widths.three_bottleneck, 1)
        three = conv(names.three.format(block_id), three, widths.three, 3)
        five = conv(names.five_bottleneck.format(block_id), source, widths.five_bottleneck, 1)
        five = conv(names.five.format(block_id), five, widths.five, 5)
        pooled = add(Layer(names.pool.format(block_id), "max_pool", (source,), into, 3, 1))
        pooled = conv(names.pool_reduce.format(block_id), pooled, widths.pool, 1)
        branches = (one, three, five, pooled)
        channels = widths.one + widths.three + widths.five + widths.pool
        output = names.block.format(block_id)
        add(Layer(f"{output}_pre_relu", "concat", tuple(f"{b}_pre_relu" for b in branches), channels))
        return add(Layer(output, "concat", branches, channels))

    x = conv(names.stem[0], INPUT, stem[0], 7, 2)
    x = norm(names.norms[0], pool(names.pools[0], x, 2))
    x = conv(names.stem[2], conv(names.stem[1], x, stem[1], 1), stem[2], 3)
    x = pool(names.pools[1], norm(names.norms[1], x), 2)
    stage = "3"
    for block_id, widths in blocks.items():
        if block_id[0] != stage:
            stage = block_id[0]
            x = pool(names.pools[int(stage) - 2], x, 2)
        x = block(block_id, x, widths)
    x = add(Layer(names.average, "average", (x,), layers[-1].channels))
    x = add(Layer(names.logits, "dense", (x,), classes, weights=names.classifier))
    add(Layer(names.softmax, "softmax", (x,), classes))
    return Inception(
        name=name,
        module="jaxcircuits.zoo.inception.module:InceptionV1",
        logits=names.logits,
        output=names.softmax,
        classes=classes,
        layers=tuple(layers),
        names=names,
        blocks=tuple(blocks),
        padding=padding,
        lrn=lrn,
    )


INCEPTIONV1 = inception(
    "inceptionv1",
    names=GOOGLE_NAMES,
    stem=(64, 64, 192),
    blocks=GOOGLE_WIDTHS,
    classes=1008,
    padding="SAME",
    lrn=LRN(radius=5, bias=2.0, alpha=1e-4, beta=0.5),
)

GOOGLENET = inception(
    "googlenet",
    names=CAFFE_NAMES,
    stem=(64, 64, 192),
    blocks=BVLC_WIDTHS,
    classes=1000,
    padding="CAFFE",
    # Caffe divides alpha by the window's 5 channels.
    lrn=LRN(radius=2, bias=1.0, alpha=1e-4 / 5, beta=0.75),
)
