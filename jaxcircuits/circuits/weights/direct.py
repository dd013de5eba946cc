"""Weights between features, read off the kernels in closed form.

A unit behind a 1x1 bottleneck has no weights of its own to the units before it: what is shown is the bottleneck
multiplied into the larger kernel, leaving out the ReLU between (Olah et al., Zoom In, Distill 2020, footnote to
"Circuits"). Activation functions, pools and normalizations on the way are those of `Network.linearized`.

Where the way holds something that has no closed form here (groups, dilation, a transposed convolution, a resize), the
same weights are had by gradients, `expanded_weights`.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxcircuits.circuits.weights.closed import closed_form
from jaxcircuits.circuits.weights.expanded import expanded_weights, gradients_to
from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.network.graph import INPUT
from jaxcircuits.network.units import Unit, channels, check_units, unit

if TYPE_CHECKING:
    from jaxtyping import Float, Integer


class Kernel(NamedTuple):
    """A layer's raw weights.

    Attributes:
      weights: float32 (h, w, in, out); of a convolution in groups, `in` are the channels of one group.
      input_layer: the layer whose channels are `in`.
    """

    weights: Float[np.ndarray, "*window in out"]
    input_layer: str


def kernel(network: Network, layer: str) -> Kernel:
    """The raw kernel of a layer; that of a dense layer is (1, 1, in, out).

    Args:
      network: any.
      layer: a convolution or dense layer, or its activation.

    Returns:
      The `Kernel`.

    Raises:
      InputError: for layers without one kernel, such as blocks, naming those that have.
    """
    made = convolutions(network, layer)
    if len(made) > 1:
        raise InputError(f"{layer} has several kernels: those of {', '.join(name for name, _ in made)}")
    name = made[0][0]
    return Kernel(network.kernel(name), network.layer(name).inputs[0])


def convolutions(network: Network, layer: str) -> list[tuple[str, int]]:
    """The convolutions (or dense layers) that make a layer's channels: their names and channel counts, in order.

    One for a convolution, its normalization and its activation; one a branch for a block.

    Raises:
      InputError: for an unknown layer, and for layers without weights of their own.
    """
    made = network.layer(layer)
    if made.kind in ("convolution", "dense"):
        return [(layer, made.channels)]
    if made.kind in ("activation", "concatenate", "affine") and INPUT not in made.inputs:
        return [found for name in made.inputs for found in convolutions(network, name)]
    raise InputError(f"{layer} is a {made.op} layer and has no weights; it reads {', '.join(made.inputs)}")


def weights_between(network: Network, source: str | Unit, target: str | Unit) -> Float[np.ndarray, "h w"]:
    """The weights from one unit to another, of directly connected layers; see `direct_weights`.

    Args:
      network: any.
      source: a unit, such as `mixed3a:147`.
      target: a unit of a layer that reads it, such as `mixed3b:379`.

    Returns:
      float32 (h, w), in cells of the source layer, centered on the target: (5, 5) from block to block.

    Raises:
      InputError: for unknown units, and for layers that are not directly connected.
    """
    source, target = unit(network, source), unit(network, target)
    return direct_weights(network, source.layer, target.layer, [target.index])[0, :, :, source.index]


def direct_weights(
    network: Network,
    source_layer: str,
    target_layer: str,
    units: list[int] | Integer[np.ndarray, " units"] | None = None,
) -> Float[np.ndarray, "units h w sources"]:
    """All weights between two directly connected layers, bottlenecks multiplied out.

    Directly connected is what the target reads through its own kernel and 1x1 bottlenecks before it, through pools,
    normalizations, sums and activation functions, but through no other block and no second larger kernel:
    mixed3a -> mixed3b, and mixed3b -> mixed4a through maxpool4. The weights are those of the linearized network, away
    from its borders: a 3x3 pool is the mean of its window, so mixed3b -> mixed4a is the 5x5 kernel, on every other
    cell, spread over 3x3 cells: (11, 11). A block's branches are centered in the frame of the largest. Logits read the
    mean over positions of the last block: (1, 1).

    Args:
      network: any.
      source_layer: a layer, or `input`.
      target_layer: a layer.
      units: of the target; None for all.

    Returns:
      float32 (units, h, w, source channels), in cells of the source layer, centered on the target.

    Raises:
      InputError: for unknown layers and units, and for layers that are not directly connected.
    """
    units = check_units(network, target_layer, units)
    channels(network, source_layer)  # says so where the layer is unknown
    source_layer, target_layer = map(network.graph.first_name, (source_layer, target_layer))
    direct = directly_read(network, target_layer)
    if source_layer not in direct:
        ends = ", ".join(name for name, end in direct.items() if end)
        raise InputError(
            f"{target_layer} is not directly connected to {source_layer}; it reads {ends}: "
            "expanded_weights spans any two layers"
        )
    edited = bool(network.forward.patches)  # an edit is not in the kernels
    closed = None if edited else closed_form(network, source_layer, target_layer, units, frozenset(direct))
    if closed is not None:
        return np.moveaxis(closed, 3, 0)
    # Ways through other features are no direct ones.
    others = (name for name, end in direct.items() if end and network.graph.follows(source_layer, name))
    return _framed(gradients_to(network, source_layer, target_layer, units, fixed=tuple(others)))


def layer_weights(
    network: Network,
    source_layer: str,
    target_layer: str,
    units: list[int] | Integer[np.ndarray, " units"] | None = None,
) -> Float[np.ndarray, "h w sources units"]:
    """`direct_weights` with the units last, (h, w, source channels, units); use `direct_weights` in new code."""
    warnings.warn("layer_weights has the units last; use direct_weights, (units, h, w, source)", FutureWarning, 2)
    return np.moveaxis(direct_weights(network, source_layer, target_layer, units), 0, 3)


def _framed(weights: np.ndarray) -> np.ndarray:
    """Expanded weights as (units, h, w, channels): those to a layer without positions are one cell, tokens one row."""
    missing = max(4 - weights.ndim, 0)
    return weights.reshape(len(weights), *(1,) * missing, *weights.shape[1:])


def directly_read(network: Network, target: str) -> dict[str, bool]:
    """The layers that a target is directly connected to, by first names; True where its reach ends, at features."""
    network.layer(target)
    graph = network.graph
    target = graph.first_name(target)
    crossed = {target: False}  # layer -> whether a convolution lies between it and the target
    ends = {}
    for name in reversed(graph.needed([target])):
        if name not in crossed:
            continue
        layer = graph.layers[name]
        ends[name] = crossed[name] and _is_feature(network, name)
        if not ends[name]:
            for before in layer.inputs:
                crossed[before] = crossed.get(before, False) or crossed[name] or layer.kind in ("convolution", "dense")
    if INPUT in crossed:
        ends[INPUT] = True
    del ends[target]
    return ends


def connecting_weights(network: Network, source: str, target: str, units: np.ndarray | list[int] | None) -> np.ndarray:
    """float32 (units, h, w, source channels), by every way: a residual block's shortcut and its convolutions alike.

    In closed form where all ways are direct, as between the blocks of InceptionV1; expanded weights elsewhere.
    """
    network.layer(target)
    channels(network, source)  # says so where the layer is unknown
    direct = directly_read(network, target)
    other_ways = any(end and network.graph.follows(source, name) for name, end in direct.items())
    if network.graph.first_name(source) in direct and not other_ways:
        return direct_weights(network, source, target, units)
    return _framed(expanded_weights(network, source, target, units))


def _is_feature(network: Network, name: str) -> bool:
    """Whether a layer is what circuits run to: a block, or an activation that is no 1x1 bottleneck's."""
    layer = network.layers[name]
    if layer.kind == "concatenate":
        return any(network.layers[before].kind == "activation" for before in layer.inputs if before != INPUT)
    while (
        layer.kind in ("activation", "affine", "normalization") and len(layer.inputs) == 1 and INPUT not in layer.inputs
    ):
        before = network.layers[layer.inputs[0]]
        if before.kind in ("convolution", "dense"):
            return network.layers[name].kind == "activation" and (before.kind == "dense" or max(before.window) > 1)
        layer = before
    return network.layers[name].kind == "activation"
