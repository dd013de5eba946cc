"""Protocol-buffer messages declared here, field by field, so that neither TensorFlow nor Caffe is needed.

Only what is read is declared; the rest of a file is skipped as unknown fields (protobuf.dev, Encoding). Packed floats
are declared as `bytes*`: on the wire a packed field is a run of bytes, and NumPy reads those without a copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from pathlib import Path
from typing import Any

import numpy as np

from jaxcircuits.errors import InputError

GRAPHDEF = {
    "GraphDef": "1 node NodeDef*",
    "NodeDef": "1 name string, 2 op string, 3 input string*, 5 attr Attribute*",
    "Attribute": "1 key string, 2 value AttrValue",
    "AttrValue": "1 list ListValue, 2 s bytes, 3 i int64, 4 f float, 5 b bool, 8 tensor TensorProto",
    "ListValue": "3 i int64*",
    "TensorProto": "1 dtype int32, 2 tensor_shape Shape, 4 tensor_content bytes, 5 float_val bytes*, 7 int_val int32*",
    "Shape": "2 dim Dim*",
    "Dim": "1 size int64",
}
"""tensorflow/core/framework: graph.proto, node_def.proto, attr_value.proto, tensor.proto, tensor_shape.proto."""

NETPARAMETER = {
    "NetParameter": "2 layers V1Layer*, 100 layer Layer*",
    "V1Layer": "4 name string, 6 blobs Blob*",
    "Layer": "1 name string, 7 blobs Blob*",
    "Blob": "1 num int32, 2 channels int32, 3 height int32, 4 width int32, 5 data bytes*, 7 shape Shape",
    "Shape": "1 dim int64*",
}
"""caffe.proto; `layers` is the older form of `layer`, and num to width that of `shape`."""


MOST_PARTS = 10_000
"""Nodes, attributes, layers or blobs beyond which a file is not looked at: published ones have some hundreds."""

MOST_AXES = 8
"""As much as is read of a shape or a list of numbers; longer ones fit nothing."""


def parse(schema: Mapping[str, str], data: bytes) -> Any | None:
    """Reads the first message type of a schema.

    Args:
      schema: message name -> its fields, each `NUMBER NAME TYPE`, with `*` where repeated.
      data: the encoded message.

    Returns:
      The message, or None where the bytes are not one.
    """
    from google.protobuf import descriptor_pool, message, message_factory

    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file(schema))
    parsed = message_factory.GetMessageClass(pool.FindMessageTypeByName(next(iter(schema))))()
    try:
        parsed.ParseFromString(data)
    except message.DecodeError:
        return None
    return parsed


def check_count(path: Path, parts: Iterable[Sized]) -> None:
    """Raises `InputError` for lists of absurdly many parts together, before Python makes an object of each."""
    count = sum(map(len, parts))
    if count > MOST_PARTS:
        raise InputError(f"{path}: a message of {count:,} parts; expected at most {MOST_PARTS:,}")


def packed(chunks: list[bytes], dtype: str = "<f4") -> np.ndarray:
    """The values of a packed field, declared as `bytes*`; a last incomplete value is left out."""
    data = b"".join(chunks)
    return np.frombuffer(data, dtype, len(data) // np.dtype(dtype).itemsize)


def _file(schema: Mapping[str, str]):
    from google.protobuf import descriptor_pb2

    file = descriptor_pb2.FileDescriptorProto(name="schema.proto", syntax="proto3")
    for name, fields in schema.items():
        declared = file.message_type.add(name=name)
        for field in fields.split(", "):
            number, field_name, kind = field.split()
            added = declared.field.add(name=field_name, number=int(number))
            added.label = added.LABEL_REPEATED if kind.endswith("*") else added.LABEL_OPTIONAL
            kind = kind.removesuffix("*")
            if kind in schema:
                added.type, added.type_name = added.TYPE_MESSAGE, kind
            else:
                added.type = getattr(added, f"TYPE_{kind.upper()}")
    return file
