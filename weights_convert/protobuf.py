"""Protocol-buffer messages declared here, field by field, so that neither TensorFlow nor Caffe is needed.

Only what is read is declared; the rest of a file is skipped as unknown fields (protobuf.dev, Encoding). Packed floats
are declared as `bytes*`: on the wire a packed field is a run of bytes, and NumPy reads those without a copy.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sized
from pathlib import Path
from typing import Any

import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.files import read_bytes
from weights_convert.files import MOST_BYTES, WHAT

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

MOST_FIELDS = 1_000_000
"""Fields of a message and of those in it, whatever they are, beyond which it is not read at all."""

MOST_AXES = 8
"""As much as is read of a shape or a list of numbers; longer ones fit nothing."""


def parse(schema: Mapping[str, str], path: Path) -> Any | None:
    """Reads the first message type of a schema from a file.

    Args:
      schema: message name -> its fields, each `NUMBER NAME TYPE`, with `*` where repeated.
      path: of the encoded message.

    Returns:
      The message, or None where the bytes are not one.

    Raises:
      InputError: for one of absurdly many parts.
    """
    from google.protobuf import descriptor_pool, message, message_factory

    data = read_bytes(path, WHAT, MOST_BYTES)
    try:
        if _fields(schema, next(iter(schema)), memoryview(data), 0) is None:
            return None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file(schema))
    parsed = message_factory.GetMessageClass(pool.FindMessageTypeByName(next(iter(schema))))()
    try:
        parsed.ParseFromString(data)
    except message.DecodeError:
        return None
    return parsed


def _fields(schema: Mapping[str, str], name: str, data: memoryview, count: int) -> int | None:
    """How many fields a message has with those in it, before the library makes an object of each; None for damage.

    Encoding (protobuf.dev): a field is a varint of its number and wire type, then a varint (0), 8 bytes (1), a length
    and as many bytes (2), or 4 bytes (5); 3 and 4 begin and end a group.

    Raises:
      InputError: for more than `MOST_FIELDS`, of which `count` have been counted before.
    """
    kinds = _kinds(schema[name])
    place, end = 0, len(data)
    while place < end:
        count += 1
        if count > MOST_FIELDS:
            raise InputError(f"a message of more than {MOST_FIELDS:,} parts; expected the weights of one network")
        tag, place = _varint(data, place)
        wire = tag & 7
        if wire == 2:
            size, place = _varint(data, place)
            inner = kinds.get(tag >> 3)
            if place + size > end:
                return None
            if inner is not None and inner in schema:
                found = _fields(schema, inner, data[place : place + size], count)
                if found is None:
                    return None
                count = found
            place += size
        elif wire == 0:
            _, place = _varint(data, place)
        elif wire in (1, 5):
            place += 8 if wire == 1 else 4
        elif wire > 5:
            return None
    return count if place == end else None


@functools.cache
def _kinds(fields: str) -> Mapping[int, str]:
    """Number of a field -> its type, of a message's declaration."""
    parts = (field.split() for field in fields.split(", "))
    return {int(number): kind.removesuffix("*") for number, _, kind in parts}


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and the place after it; past the end where it is none."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            break
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    return value, len(data) + 1


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
