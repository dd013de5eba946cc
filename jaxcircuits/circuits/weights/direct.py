"""Weights between features, read off the kernels in closed form.

A unit behind a 1x1 bottleneck has no weights of its own to the units before it: what is shown is the bottleneck
multiplied into the larger kernel, leaving out the ReLU between (Olah et al., Zoom In, Distill 2020, footnote to
"Circuits"). Pools and normalizations on the way are those of `Network.linearized`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.network.units import Unit, channels, check_units, convolutions, unit, zoo_architecture
from jaxcircuits.zoo import INPUT, Architecture, Layer


class Kernel(NamedTuple):
    """A layer's raw weights.

    Attributes:
      weights: float32 (h, w, in, out).
      input_layer: the layer whose channels are `in`.
    """

    weights: np.ndarray
    input_layer: str


def kernel(network: Network, layer: str) -> Kernel:
    """The raw kernel of a layer; the classifier's is (1, 1, in, out).

    Args:
      network: of the zoo.
      layer: a convolution, its ReLU, or the logits.

    Returns:
      The `Kernel`.

    Raises:
      InputError: for layers without one kernel, such as blocks, naming those that have; and outside the zoo.
    """
    architecture = zoo_architecture(network, "look in its params")
    made = convolutions(architecture, layer)
    if len(made) > 1:
        raise InputError(f"{layer} has several kernels: those of {', '.join(name for name, _ in made)}")
    conv = architecture.by_name[made[0][0]]
    return Kernel(_raw(network, conv), conv.inputs[0])


def weights_between(network: Network, source: str | Unit, target: str | Unit) -> np.ndarray:
    """The weights from one unit to another, of directly connected layers; see `layer_weights`.

    Args:
      network: of the zoo.
      source, target: units, such as `mixed3a:147` and `mixed3b:379`.

    Returns:
      float32 (h, w), in cells of the source layer, centred on the target: (5, 5) from block to block.

    Raises:
      InputError: for unknown units, for layers that are not directly connected, and outside the zoo.
    """
    source, target = unit(network, source), unit(network, target)
    return layer_weights(network, source.layer, target.layer, [target.index])[:, :, source.index, 0]


def layer_weights(
    network: Network, source_layer: str, target_layer: str, units: list[int] | np.ndarray | None = None
) -> np.ndarray:
    """All weights between two directly connected layers, bottlenecks multiplied out.

    Directly connected is what the target reads through its own kernel and 1x1 bottlenecks before it, through pools,
    normalizations and ReLUs, but through no other block and no second larger kernel: mixed3a -> mixed3b, and
    mixed3b -> mixed4a through maxpool4. The weights are those of the linearized network, away from its borders: a
    3x3 pool is the mean of its window, so mixed3b -> mixed4a is the 5x5 kernel, on every other cell, spread over 3x3
    cells: (11, 11). A block's branches are centred in the frame of the largest. Logits read the mean over positions
    of the last block: (1, 1).

    Args:
      network: of the zoo.
      source_layer: a layer, or `input`.
      target_layer: a layer.
      units: of the target; None for all.

    Returns:
      float32 (h, w, source channels, units), in cells of the source layer, h and w odd, centred on the target.

    Raises:
      InputError: for unknown layers and units, for layers that are not directly connected, and outside the zoo.
    """
    architecture = zoo_architecture(network, "use expanded_weights with at=, a picture")
    units = check_units(network, target_layer, units)
    channels(network, source_layer)  # says so where the layer is unknown
    direct = directly_read(architecture, target_layer)
    if source_layer not in direct:
        ends = ", ".join(name for name, end in direct.items() if end)
        raise InputError(
            f"{target_layer} is not directly connected to {source_layer}; it reads {ends}: "
            "expanded_weights spans any two layers"
        )
    identity = np.eye(channels(network, target_layer), dtype=np.float32)[None, None, :, units]
    weights = {target_layer: identity}  # layer -> of the target's units, with respect to it
    for layer in reversed(architecture.needed([target_layer])):
        if layer.name in weights and layer.name != source_layer:
            for name, part in _to_inputs(network, layer, weights.pop(layer.name)):
                if name in direct:
                    weights[name] = _add_centred(weights[name], part) if name in weights else part
    return weights[source_layer]


def directly_read(architecture: Architecture, target: str) -> dict[str, bool]:
    """The layers that a target is directly connected to; True where its reach ends: the features before it."""
    crossed = {target: False}  # layer -> whether a convolution lies between it and the target
    ends = {}
    for layer in reversed(architecture.needed([target])):
        if layer.name not in crossed:
            continue
        before = architecture.by_name.get(layer.inputs[0])
        feature = layer.op == "concat" or (layer.op == "relu" and before.kernel > 1)
        ends[layer.name] = crossed[layer.name] and feature
        if not ends[layer.name]:
            for name in layer.inputs:
                crossed[name] = crossed.get(name, False) or crossed[layer.name] or layer.op in ("conv", "dense")
    if INPUT in crossed:
        ends[INPUT] = True
    del ends[target]
    return ends


def _raw(network: Network, conv: Layer) -> np.ndarray:
    weights = np.asarray(network.params[conv.weights]["kernel"], np.float32)
    return weights[None, None] if conv.op == "dense" else weights


def _to_inputs(network: Network, layer: Layer, weights: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Weights with respect to a layer -> (name, weights with respect to it) for each of the layer's inputs."""
    match layer.op:
        case "conv" | "dense":
            raw = _raw(network, layer)
            return [(layer.inputs[0], _spread(weights, layer, lambda cell: raw @ cell, raw.shape[2]))]
        case "max_pool":
            return [(layer.inputs[0], _spread(weights, layer, lambda cell: cell / layer.kernel**2, layer.channels))]
        case "relu" | "lrn" | "average":
            return [(layer.inputs[0], weights)]
        case "concat":
            sizes = [network.layers[name].channels for name in layer.inputs]
            return list(zip(layer.inputs, np.split(weights, np.cumsum(sizes)[:-1], axis=2)))
    raise InputError(f"{layer.name} is a {layer.op}, which has no weights; take the layer before it, {layer.inputs[0]}")


def _spread(weights: np.ndarray, layer: Layer, window, inputs: int) -> np.ndarray:
    """Composes weights (h, w, channels, units) with the layer's window, which each of their cells reads.

    `window` maps a cell's weights (channels, units) to those of its window (kernel, kernel, inputs, units).
    """
    height, width = ((n - 1) * layer.stride + layer.kernel for n in weights.shape[:2])
    result = np.zeros((height, width, inputs, weights.shape[3]), np.float32)
    for i, j in np.ndindex(weights.shape[:2]):
        top, left = i * layer.stride, j * layer.stride
        result[top : top + layer.kernel, left : left + layer.kernel] += window(weights[i, j])
    return result


def _add_centred(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    small, large = sorted((first, second), key=len)
    margin = (len(large) - len(small)) // 2
    return large + np.pad(small, ((margin, margin), (margin, margin), (0, 0), (0, 0)))
