"""Reader of Caffe's `.caffemodel`, an encoded NetParameter (github.com/BVLC/caffe, src/caffe/proto/caffe.proto)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from jaxcircuits.errors import InputError
from weights_convert.protobuf import MOST_AXES, NETPARAMETER, check_count, packed, parse
from weights_convert.published import Contents, Published


def read(path: Path) -> Contents | None:
    """The blobs of a `.caffemodel` as `LAYER blob I`: a layer's kernel (out, in, height, width) and bias.

    Returns:
      The contents, or None where the file is not a NetParameter with layers.
    """
    net = parse(NETPARAMETER, path)
    if net is None or not (net.layers or net.layer):
        return None
    check_count(path, (net.layers, net.layer))
    layers = [*net.layers, *net.layer]
    check_count(path, (layer.blobs for layer in layers))
    tensors = {}
    for layer in layers:
        for index, blob in enumerate(layer.blobs):
            name = f"{layer.name} blob {index}"
            if name in tensors:
                raise InputError(f"{path}: layer {layer.name!r} is there twice")
            tensors[name] = _tensor(path, name, blob)
    return Contents(tensors)


def _tensor(path: Path, name: str, blob: Any) -> Published:
    shape = tuple(blob.shape.dim[:MOST_AXES])
    if not blob.HasField("shape"):
        shape = (blob.num, blob.channels, blob.height, blob.width)
        # Old blobs always have four axes; a matrix or a vector has ones in front.
        while len(shape) > 1 and shape[0] == 1:
            shape = shape[1:]

    def load() -> np.ndarray:
        values = packed(blob.data)
        if values.size != math.prod(shape):
            raise InputError(f"{path}: tensor {name!r} of shape {shape} holds {values.size:,} values")
        return values.reshape(shape)

    return Published(shape, "float32", load)
