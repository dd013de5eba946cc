"""The wire format of protocol buffers (protobuf.dev, Encoding), apart from the converter's own use of the library."""

import struct


def varint(number):
    parts = []
    while True:
        number, low = number >> 7, number & 127
        parts.append(low | (128 if number else 0))
        if not number:
            return bytes(parts)


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(data):
    """[number, value] of each field of a message: an int, a float or bytes."""
    position, found = 0, []

    def read_varint():
        nonlocal position
        number = shift = 0
        while True:
            byte = data[position]
            position += 1
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    while position < len(data):
        key = read_varint()
        if key & 7 == 0:
            value = read_varint()
        elif key & 7 == 5:
            (value,) = struct.unpack_from("<f", data, position)
            position += 4
        else:
            size = read_varint()
            value = data[position : position + size]
            position += size
        found.append([key >> 3, value])
    return found


def encoded(found):
    return b"".join(field(number, value) for number, value in found)
