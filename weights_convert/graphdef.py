"""Reader of a frozen TensorFlow GraphDef: its float constants, and whether its nodes are those of an architecture.

A graph says how its tensors are used, so what contradicts the architecture (another stride, padding, normalization or
order of branches) is refused: the pictures would be wrong without any other sign.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.zoo import INPUT, LRN, Architecture, Layer
from jaxcircuits.zoo.inception import Inception
from weights_convert.protobuf import GRAPHDEF, MOST_AXES, check_count, packed, parse
from weights_convert.published import Contents, Published

DT_FLOAT = 1

DEFAULTS = {"data_format": "NHWC", "dilations": [1, 1, 1, 1], "depth_radius": 5, "bias": 1.0, "alpha": 1.0, "beta": 0.5}
"""TensorFlow's defaults of the attributes that are compared: a graph may leave those out."""

PASSING = ("Identity", "CheckNumerics")
"""Operations that hand their input on, as freezing tools put them between a constant and its use."""


def read(path: Path) -> Contents | None:
    """The float constants of a frozen graph under their node names.

    Returns:
      The contents, with a check of the nodes; None where the file is not a GraphDef.
    """
    graph = parse(GRAPHDEF, path)
    if graph is None or not graph.node or not all(node.name and node.op for node in graph.node):
        return None
    check_count(path, [graph.node])
    check_count(path, (node.attr for node in graph.node))
    nodes = {node.name: node for node in graph.node}
    if len(nodes) < len(graph.node):
        (name, _), *_ = Counter(node.name for node in graph.node).most_common(1)
        raise InputError(f"{path}: node {name!r} is there twice")
    constants = {name: _constant(node) for name, node in nodes.items() if node.op == "Const"}
    floats = {name: tensor for name, tensor in constants.items() if tensor and tensor.dtype == DT_FLOAT}
    tensors = {name: _tensor(path, name, tensor) for name, tensor in floats.items()}

    def check(architecture: Architecture) -> None:
        if not isinstance(architecture, Inception):
            raise InputError(
                f"{path}: a graph of {architecture.name}, whose nodes were never published to compare with"
            )
        _Check(path, nodes, architecture).all_layers()

    return Contents(tensors, check)


def _attributes(node: Any) -> dict[str, Any]:
    return {entry.key: entry.value for entry in node.attr}


def _constant(node: Any) -> Any:
    """The tensor of a constant, or None where the node has none."""
    return next((entry.value.tensor for entry in node.attr if entry.key == "value"), None)


def _tensor(path: Path, name: str, tensor: Any) -> Published:
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim[:MOST_AXES])

    def load() -> np.ndarray:
        size = math.prod(shape)
        values = packed(tensor.float_val or [tensor.tensor_content])
        # TensorFlow writes a constant of equal values as one value, and never as bytes.
        if len(tensor.float_val) and values.size == 1:
            values = np.full(size, values[0])
        if values.size != size or (tensor.float_val and tensor.tensor_content) or len(tensor.tensor_content) % 4:
            held = sum(map(len, tensor.float_val)) + len(tensor.tensor_content)
            raise InputError(f"{path}: tensor {name!r} of shape {shape} holds {held:,} bytes; expected {4 * size:,}")
        return values.reshape(shape)

    return Published(shape, "float32", load)


class _Check:
    """Walks an architecture's layers and compares each with the node of its name and those that feed it."""

    def __init__(self, path: Path, nodes: dict[str, Any], architecture: Inception):
        self.path, self.nodes, self.architecture = path, nodes, architecture

    def all_layers(self) -> None:
        """Raises `InputError` for the first node that is not what the architecture says."""
        layers, lrn = self.architecture.by_name, self.architecture.lrn
        for layer in self.architecture.layers:
            match layer.op:
                case "relu":
                    # From the activation backwards: 5h calls one of its nodes before the ReLU `2`.
                    before = self._fed_by(self._node(layer.name, "Relu"), 0, "BiasAdd")
                    self._convolution(before, layers[layer.inputs[0]])
                case "max_pool":
                    self._window(self._node(layer.name, "MaxPool"), layer, self.architecture.padding)
                case "lrn" if lrn:
                    self._normalization(self._node(layer.name, "LRN"), layer, lrn)
                case "concat" if all(layers[name].op == "relu" for name in layer.inputs):
                    self._concatenation(self._node(layer.name, "Concat", "ConcatV2"), layer)
                case "softmax":
                    before = self._fed_by(self._node(layer.name, "Softmax"), 0, "BiasAdd")
                    self._classifier(before, layers[layer.inputs[0]])

    def _convolution(self, bias: Any, layer: Layer) -> None:
        conv = self._fed_by(bias, 0, "Conv2D")
        self._expect_input(bias, 1, f"{layer.weights}_b")
        self._expect_input(conv, 1, f"{layer.weights}_w")
        self._expect(conv, "dilations", [1, 1, 1, 1])
        self._window(conv, layer, self.architecture.padding)

    def _window(self, node: Any, layer: Layer, padding: str) -> None:
        self._expect_input(node, 0, layer.inputs[0])
        self._expect(node, "strides", [1, layer.stride, layer.stride, 1])
        self._expect(node, "padding", padding)
        self._expect(node, "data_format", "NHWC")
        if node.op != "Conv2D":
            self._expect(node, "ksize", [1, layer.kernel, layer.kernel, 1])

    def _normalization(self, node: Any, layer: Layer, lrn: LRN) -> None:
        self._expect_input(node, 0, layer.inputs[0])
        numbers = dataclasses.asdict(lrn)
        self._expect(node, "depth_radius", numbers.pop("radius"))
        for attribute, value in numbers.items():
            self._expect(node, attribute, value)

    def _concatenation(self, node: Any, layer: Layer) -> None:
        # Concat names its axis first, ConcatV2 last.
        axis, first = (0, 1) if node.op == "Concat" else (len(layer.inputs), 0)
        if len(node.input) != len(layer.inputs) + 1:
            raise self._contradiction(node, "number of inputs", len(node.input) - 1, len(layer.inputs))
        for index, name in enumerate(layer.inputs):
            self._expect_input(node, first + index, name)
        tensor = _constant(self._fed_by(node, axis, "Const"))
        found = tensor and [*tensor.int_val[:MOST_AXES], *packed([tensor.tensor_content], "<i4")[:MOST_AXES].tolist()]
        if found not in ([3], [-1]):
            raise self._contradiction(node, "axis", found, [3])

    def _classifier(self, bias: Any, layer: Layer) -> None:
        product = self._fed_by(bias, 0, "MatMul")
        self._expect_input(bias, 1, f"{layer.weights}_b")
        self._expect_input(product, 1, f"{layer.weights}_w")
        for attribute in ("transpose_a", "transpose_b"):
            self._expect(product, attribute, False)
        flat = self._fed_by(product, 0, "Reshape", "Squeeze")
        average = self.architecture.by_name[layer.inputs[0]]
        self._expect_input(flat, 0, average.name)
        # The published window covers the whole map at 224 px.
        window = Layer(average.name, "average", average.inputs, average.channels, kernel=7)
        self._window(self._node(average.name, "AvgPool"), window, "VALID")

    def _node(self, name: str, *ops: str) -> Any:
        node = self.nodes.get(name)
        if node is None:
            raise InputError(f"{self.path}: lacks node {name!r} of {self.architecture.name}")
        if node.op not in ops:
            raise self._contradiction(node, "operation", node.op, ops[0])
        return node

    def _fed_by(self, node: Any, index: int, *ops: str) -> Any:
        return self._node(self._input(node, index), *ops)

    def _input(self, node: Any, index: int) -> str:
        """The name of the node that feeds an input, past those that only hand it on."""
        name = node.input[index] if index < len(node.input) else ""
        for _ in self.nodes:
            name = name.removesuffix(":0")
            feeding = self.nodes.get(name)
            if feeding is None or feeding.op not in PASSING or not feeding.input:
                break
            name = feeding.input[0]
        return name

    def _expect_input(self, node: Any, index: int, expected: str) -> None:
        found = self._input(node, index)
        is_picture = expected == INPUT and found in self.nodes and self.nodes[found].op == "Placeholder"
        if found != expected and not is_picture:
            raise self._contradiction(node, f"input {index}", found, expected)

    def _expect(self, node: Any, attribute: str, expected: Any) -> None:
        value = _attributes(node).get(attribute)
        if value is None:
            found = DEFAULTS.get(attribute)
        elif isinstance(expected, str):
            found = value.s.decode("utf-8", "replace")
        elif isinstance(expected, list):
            found = list(value.list.i[:MOST_AXES])
        elif isinstance(expected, bool):
            found = value.b
        else:
            found = value.i if isinstance(expected, int) else value.f
        if found != (float(np.float32(expected)) if isinstance(expected, float) else expected):
            raise self._contradiction(node, attribute, found, expected)

    def _contradiction(self, node: Any, attribute: str, found: Any, expected: Any) -> InputError:
        found = f"{found:.6g}" if isinstance(found, float) else repr(found)
        return InputError(
            f"{self.path}: node {node.name!r} ({node.op!r}) contradicts {self.architecture.name}: "
            f"{attribute} is {found}, expected {expected!r}"
        )
