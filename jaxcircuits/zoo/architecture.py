"""A network's structure as data: its layers in order, each with where it comes from.

One list of `Layer` serves everything that must agree: the Flax module runs it, the converter takes names and shapes
from it, circuits read the wiring off it. Nothing here imports JAX.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal

from jaxcircuits.errors import unknown

INPUT = "input"
"""The name by which the first layer refers to the network's input."""


@dataclasses.dataclass(frozen=True)
class Layer:
    """One named activation and how it came about.

    Attributes:
      name: the published node name.
      op: `conv`, `dense`, `relu`, `max_pool`, `average`, `lrn`, `concat` or `softmax`; for networks from outside the
        zoo the class name of the module that made it.
      inputs: names of the layers it is computed from; empty where unknown.
      channels: size of the last axis.
      kernel, stride: window and step of `conv` and `max_pool`, in cells of the input layer.
      weights: prefix of its tensors (`WEIGHTS/kernel`, `WEIGHTS/bias`); empty for layers without any.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    channels: int
    kernel: int = 1
    stride: int = 1
    weights: str = ""


@dataclasses.dataclass(frozen=True)
class LRN:
    """Local response normalization, `x / (bias + alpha * sum(x^2 over 2 * radius + 1 channels)) ** beta`."""

    radius: int
    bias: float
    alpha: float
    beta: float


@dataclasses.dataclass(frozen=True)
class Architecture:
    """The layers of a network, in an order in which they can be computed.

    Attributes:
      name: its name in converted weight files.
      layers: every layer after those it is computed from.
      padding: `SAME` is TensorFlow's (total `max((ceil(n / s) - 1) * s + k - n, 0)`, the smaller half first);
        `CAFFE` pads `k // 2` on each side of stride-1 windows and of convolutions, and rounds the size of stride-2
        pools up. Pools pad with minus infinity.
      lrn: the numbers of the `lrn` layers; without them those layers pass their input through.
      logits: name of the layer whose channels are the classes.
      linear: ReLU as identity, max-pool as average-pool and no normalization, for reading weights.
    """

    name: str
    layers: tuple[Layer, ...]
    padding: Literal["SAME", "CAFFE"]
    lrn: LRN | None
    logits: str
    linear: bool = False

    @functools.cached_property
    def by_name(self) -> Mapping[str, Layer]:
        """Name -> layer, in order from the image."""
        return MappingProxyType({layer.name: layer for layer in self.layers})

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of every weight tensor: kernels (height, width, in, out), dense ones (in, out), biases."""
        shapes: dict[str, tuple[int, ...]] = {}
        for layer in self.layers:
            if layer.weights:
                window = (layer.kernel, layer.kernel) if layer.op == "conv" else ()
                shapes[f"{layer.weights}/kernel"] = (*window, self.fan_in(layer), layer.channels)
                shapes[f"{layer.weights}/bias"] = (layer.channels,)
        return shapes

    def fan_in(self, layer: Layer) -> int:
        """Channels that a layer reads: those of its input layer, or the three colours."""
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
