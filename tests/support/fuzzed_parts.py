"""Changes that leave a file sound in form, so that what lies behind its form is reached: tensors, chunks of a PNG."""

from __future__ import annotations

import io
import json
import random
import struct
import zlib
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from jaxcircuits.errors import InputError
from jaxcircuits.files import tensor_bytes
from jaxcircuits.files.tensors import DTYPES

PNG = b"\x89PNG\r\n\x1a\n"
EXTREMES = (float("nan"), float("inf"), -float("inf"), 0, -1, 1, 1e-320, 1e30, 3e38, -3e38, 2**31 - 1, -(2**31), 2**62)


def form_of(data: bytes) -> Callable[[bytes, random.Random], bytes] | None:
    """What changes a file of this form, if any does."""
    if data[:8] == PNG:
        return changed_png
    if data[:4] == b"RIFF":
        return changed_riff
    return changed_tensors if data[8:9] == b"{" else None


def changed_tensors(data: bytes, dice: random.Random) -> bytes:
    """A safetensors file with one tensor of other values, type, shape, or gone; or two of them exchanged."""
    size = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + size])
        metadata = header.pop("__metadata__", {})
        body, tensors = data[8 + size :], {}
        for name, entry in header.items():
            array = np.frombuffer(body[slice(*entry["data_offsets"])], DTYPES[entry["dtype"]])
            tensors[name] = array.reshape(entry["shape"])
        name = dice.choice(sorted(tensors))
        tensors[name] = _changed(tensors[name], dice)
        if dice.random() < 0.1:
            other = dice.choice(sorted(tensors))
            tensors[name], tensors[other] = tensors[other], tensors[name]
        if dice.random() < 0.1:
            del tensors[name]
        return tensor_bytes(tensors, metadata)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OverflowError, InputError):
        return data


def _changed(array: np.ndarray, dice: random.Random) -> np.ndarray:
    array = array.copy()
    if array.dtype == np.uint8 and array.ndim == 1 and array.size > 12 and dice.random() < 0.7:  # a file in a tensor
        inner = array.tobytes()
        change = form_of(inner)
        inner = change(inner, dice) if change and dice.random() < 0.5 else foreign_picture(dice)
        return np.frombuffer(inner, np.uint8)
    with np.errstate(all="ignore"):
        match dice.randrange(8):
            case 0 | 1 if array.size:
                array.reshape(-1)[dice.randrange(array.size)] = _as(dice.choice(EXTREMES), array.dtype)
            case 2:
                array[...] = _as(dice.choice(EXTREMES), array.dtype)
            case 3:
                return array.astype(dice.choice(list(DTYPES.values())))
            case 4 if array.ndim:
                axis = dice.randrange(array.ndim)
                return np.take(array, range(array.shape[axis] - 1), axis)
            case 5 if array.ndim:
                return np.take(array, [], dice.randrange(array.ndim))
            case 6 if array.ndim:
                return np.repeat(array, dice.choice((2, 3, 50)), dice.randrange(array.ndim))
            case _:
                return dice.choice((array[None], array.T, array.ravel(), array.reshape(*array.shape, 1)))
    return array


def _as(value: float, dtype: np.dtype) -> np.ndarray:
    if dtype.kind in "iu" and not abs(value) < 2**63:
        value = np.iinfo(dtype).max
    return np.asarray(value).astype(dtype)


def changed_png(data: bytes, dice: random.Random) -> bytes:
    """A PNG file with one chunk changed, doubled, moved or gone, and sound checksums; or another picture."""
    if dice.random() < 0.2:
        return foreign_picture(dice)
    chunks, place = [], len(PNG)
    while place + 8 <= len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + size]))
        place += 12 + size
    if not chunks:
        return data
    at = dice.randrange(len(chunks))
    kind, inside = chunks[at]
    match dice.randrange(6):
        case 0:
            width, height = (dice.choice((0, 1, 15, 16, 17, 5000, 20000, 2**31 - 1)) for _ in range(2))
            depth, color = dice.choice((1, 2, 8, 16)), dice.choice((0, 2, 3, 4, 6))
            chunks[0] = chunks[0][0], struct.pack(">IIBB", width, height, depth, color) + bytes(3)
        case 1:
            del chunks[at]
        case 2:
            chunks[at:at] = [chunks[at]] * dice.choice((1, 3))
        case 3:
            name = dice.choice((b"score", b"units", b"recipe", b"\xff"))
            said = dice.choice((b"nan", b"[" * 5000, b"9" * 5000, b"[0, 1]", b"\xed\xa0\x80", b"[1e999]", b"{}", b""))
            packed = zlib.compress(dice.choice((said, bytes(2**22))))
            text = [(b"tEXt", name + b"\0" + said), (b"zTXt", name + b"\0\0" + packed), (b"zTXt", name)]
            text += [(b"iTXt", name + b"\0\1\0\0\0" + packed), (b"iTXt", name + b"\0\0\0en\0x\0" + said)]
            chunks[1:1] = [dice.choice(text)]
        case 4:
            kinds = b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"iCCP", b"eXIf", b"acTL", b"fcTL", b"fdAT", b"pHYs", b"sRGB"
            chunks[1:1] = [(dice.choice(kinds), dice.randbytes(dice.choice((0, 1, 3, 8, 26))))]
        case _:
            inside = bytearray(inside)
            if inside:
                inside[dice.randrange(len(inside))] = dice.choice((0, 1, 0xFF, dice.randrange(256)))
            chunks[at] = kind, bytes(inside)
    return png_of(chunks)


def png_of(chunks: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A PNG file of chunks, with right checksums."""
    parts = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return PNG + b"".join(parts)


def changed_riff(data: bytes, dice: random.Random) -> bytes:
    """A WebP file with other EXIF data, with changed bytes, or another picture."""
    if dice.random() < 0.3:
        return foreign_picture(dice)
    if dice.random() < 0.5:
        exif, file = Image.Exif(), io.BytesIO()
        said = "[" * 5000, "9" * 5000, '{"score": "nan"}', '{"score": {}}', "[]", "null", "", '{"score": "\\ud800"}'
        exif[dice.choice((0x010E, 0x010E, 0x0112))] = dice.choice((*said, 7, b"\xff\0", (1, 2)))
        try:
            given = exif.tobytes()
        except (TypeError, ValueError, struct.error):
            given = dice.randbytes(40)
        given = dice.choice((given, given, dice.randbytes(40), b"Exif\0\0II*\0\x08"))
        Image.new("RGB", (16, 16)).save(file, "WEBP", exif=given)
        return file.getvalue()
    changed = bytearray(data)
    for _ in range(dice.choice((1, 2, 8))):
        changed[dice.randrange(min(len(data), 200))] = dice.randrange(256)
    return bytes(changed)


def foreign_picture(dice: random.Random) -> bytes:
    """Another picture: of another size, mode or format, or a few bytes that stand for very many pixels."""
    file = io.BytesIO()
    mode = dice.choice(("1", "L", "LA", "P", "RGB", "RGBA", "I;16"))
    size = dice.choice(((1, 1), (16, 16), (17, 16), (16383, 3), (2000, 2000)))
    form = dice.choice(("PNG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "JPEG"))
    if dice.random() < 0.2:  # declared only
        sides = dice.choice(((9000, 9000), (16000, 11000), (2**31 - 1, 2**31 - 1)))
        head = struct.pack(">IIBB", *sides, 1, 0) + bytes(3)
        return png_of([(b"IHDR", head), (b"IDAT", zlib.compress(bytes(99)))])
    try:
        Image.new(mode, size).save(file, form)
    except (OSError, ValueError):
        Image.new("RGB", size).save(file, "PNG")
    return file.getvalue()
