"""Weights between layers in closed form: kernels, composed backward from the target through the linearized network.

Of every layer on the way the weights of the target's units with respect to it are kept; they compose with each window
cell by cell, and add up, centered, where ways meet.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from jaxcircuits.network import Network
from jaxcircuits.network.graph import INPUT, Layer
from jaxcircuits.network.pointwise import functions
from jaxcircuits.network.trace import Operation

_OPERATIONS = {
    "convolution": ("conv_general_dilated", "add", "convert_element_type"),
    "dense": ("dot_general", "add", "convert_element_type"),
    "pool": ("reduce_window_max", "reduce_window_sum", "reduce_sum", "div", "mul"),
    "affine": ("add", "sub", "mul", "div", "neg", "convert_element_type"),
    "add": ("add", "add_any"),
    "concatenate": ("concatenate",),
}
"""What may lie between a layer of that kind and those that it reads."""


def closed_form(
    network: Network, source: str, target: str, units: np.ndarray, way: frozenset[str]
) -> np.ndarray | None:
    """The weights from a layer to units of a later one, in the linearized network, away from its borders.

    Args:
      network: any.
      source: a layer, or `input`.
      target: a layer; its activation function is left out.
      units: of the target.
      way: the layers that may lie between them.

    Returns:
      float32 (h, w, source channels, units), h and w centered on the target; None where something on the way has no
      closed form here, such as groups, dilation, a flattening or a resize.
    """
    graph = network.graph
    identity = np.eye(graph.layers[target].channels, dtype=np.float32)[None, None, :, units]
    weights = {target: identity}  # layer -> of the target's units, with respect to it
    for name in reversed(graph.needed([target])):
        if name not in weights or name == source:
            continue
        parts = _to_inputs(network, graph.layers[name], weights.pop(name))
        if parts is None:
            return None
        for before, part in parts:
            if before in way:
                weights[before] = _add_centered(weights[before], part) if before in weights else part
    return weights.get(source)


def _to_inputs(network: Network, layer: Layer, weights: np.ndarray) -> list[tuple[str, np.ndarray]] | None:
    """Weights with respect to a layer -> (name, weights with respect to it) for each of the layer's inputs."""
    operations = _between(network, layer)
    allowed = _OPERATIONS.get(layer.kind)
    if allowed and not all(operation.name in allowed for operation in operations):
        return None
    inputs = layer.inputs
    op = network.graph.kinds[network.graph.value[layer.name]].op if layer.kind == "pool" else ""
    channels = [network.convention.channels if name == INPUT else network.layers[name].channels for name in inputs]
    match layer.kind:
        case "convolution" | "dense":
            raw, operation = network.kernel(layer.name), network.graph.convolution(layer.name)
            settings = operation.params if operation else {}
            dilations = {*settings.get("rhs_dilation", ()), *settings.get("lhs_dilation", ())}
            if layer.groups > 1 or dilations - {1} or raw.shape[2] != channels[0]:
                return None
            return [(inputs[0], _spread(weights, layer, lambda cell: raw @ cell, raw.shape[2]))]
        case "pool" if op in ("mean", "max"):
            return [(inputs[0], weights)] if len(layer.shape) == 1 else None
        case "pool":
            cells = layer.window[0] * layer.window[1]
            if op not in ("max_pool", "avg_pool"):
                return None
            return [(inputs[0], _spread(weights, layer, lambda cell: cell / cells, layer.channels))]
        case "activation":
            slope = functions(network.graph.program)[network.graph.value[layer.name]].slope
            return [(inputs[0], weights if slope == 1 else weights * np.float32(slope))]
        case "affine":
            return [(inputs[0], weights * _scale(network, layer)[:, None])] if channels[0] == layer.channels else None
        case "normalization" if len(inputs) == 1:
            scale = _scale(network, layer)
            return [(inputs[0], weights if (scale == 1).all() else weights * scale[:, None])]
        case "add":
            same = all(name != INPUT and network.layers[name].shape == layer.shape for name in inputs)
            return [(name, weights) for name in inputs] if same and len(inputs) > 1 else None
        case "concatenate":
            if sum(channels) != layer.channels:
                return None
            return list(zip(inputs, np.split(weights, np.cumsum(channels)[:-1], axis=2)))
    return None


def _between(network: Network, layer: Layer) -> list[Operation]:
    """The operations from a layer's inputs to it."""
    graph = network.graph
    program, ends = graph.program, {graph.program.image if n == INPUT else graph.value[n] for n in layer.inputs}
    found, pending, seen = [], [graph.value[layer.name]], set()
    while pending:
        operation = program.made_by.get(pending.pop())
        if operation is None or operation in seen:
            continue
        seen.add(operation)
        found.append(operation)
        pending.extend(value for value in operation.reads if value in program.of_image and value not in ends)
    return found


def _scale(network: Network, layer: Layer) -> np.ndarray:
    """The factor (channels,) of an affine map, or of what the linearized network leaves of a normalization."""
    forward, (before,) = network.linearized().forward, layer.inputs
    size = network.convention.size
    x = jnp.zeros((1, *size, network.convention.channels))
    shape = (1, *(x.shape[1:] if before == INPUT else network.layers[before].shape))
    one, none = (
        forward.run(network.params, x, [layer.name], {before: jnp.full(shape, number)})[layer.name]
        for number in (1.0, 0.0)
    )
    return np.asarray(one - none).reshape(-1, layer.channels)[0]


def _spread(weights: np.ndarray, layer: Layer, window, inputs: int) -> np.ndarray:
    """Composes weights (h, w, channels, units) with the layer's window, which each of their cells reads.

    `window` maps a cell's weights (channels, units) to those of its window (kernel, kernel, inputs, units).
    """
    (rows, columns), (down, across) = layer.window, layer.strides
    height, width = (weights.shape[0] - 1) * down + rows, (weights.shape[1] - 1) * across + columns
    result = np.zeros((height, width, inputs, weights.shape[3]), np.float32)
    for i, j in np.ndindex(weights.shape[:2]):
        top, left = i * down, j * across
        result[top : top + rows, left : left + columns] += window(weights[i, j])
    return result


def _add_centered(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    height, width = (max(first.shape[axis], second.shape[axis]) for axis in (0, 1))

    def centered(part: np.ndarray) -> np.ndarray:
        rows, columns = (height - part.shape[0]) // 2, (width - part.shape[1]) // 2
        return np.pad(part, ((rows, rows), (columns, columns), (0, 0), (0, 0)))

    return centered(first) + centered(second)
