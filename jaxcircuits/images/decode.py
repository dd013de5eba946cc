"""Picture files as pixels: the common formats and modes, upright, of a stated size; or one line that says why not.

Alpha lies on white, as on a page; 16-bit grays keep their upper eight bits; of several frames the first counts. What
color profile a file carries is not looked at.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal

import numpy as np
from PIL import Image

from jaxcircuits.errors import InputError
from jaxcircuits.files import opened

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
"""Endings of picture files, in lower case."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""What Pillow may take a file for. Others run foreign programs (EPS) or are no pictures of the world."""

MOST_BYTES = 2**30
"""Of a picture's file."""

Fit = Literal["crop", "whole"]
"""How a picture comes to a size: `crop` scales the largest central part of the size's shape, `whole` the whole picture,
which changes its proportions."""

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture upright, by its EXIF orientation; 5 to 8 lie on their side."""


def decode(
    file: str | os.PathLike | bytes,
    size: tuple[int, int] | None = None,
    fit: Fit = "crop",
    channels: int = 3,
) -> np.ndarray:
    """The pixels of a picture file.

    Sizes are looked at before anything is allocated: a picture of more than `PIL.Image.MAX_IMAGE_PIXELS` is refused.
    Large JPEG files are decoded at a half, a quarter or an eighth of their size where that is at least twice what is
    asked for.

    Args:
      file: a path, of a regular file of at most `MOST_BYTES`; or the bytes of a file.
      size: height and width, in pixels; None for its own.
      fit: how it comes to that size; resampled bilinearly, with antialiasing.
      channels: 3 for RGB, 1 for gray.

    Returns:
      uint8 (height, width, channels).

    Raises:
      FileNotFoundError: where there is no such file.
      InputError: where it cannot be read as a picture; the message says why, and not which. Damage inside the pixels
        of a JPEG or WebP file, which carry no checksum, shows in the picture only.
    """
    with _stream(file) as stream:
        with picture(stream) as image:
            if image.format != "PNG":
                return _pixels(image, size, fit, channels)
            # Pillow reads the damaged rest of a PNG as black without a word; its checksums tell.
            image.verify()
        stream.seek(0)
        with picture(stream) as image:
            return _pixels(image, size, fit, channels)


@contextlib.contextmanager
def picture(file: IO[bytes] | bytes, formats: tuple[str, ...] = FORMATS) -> Iterator[Image.Image]:
    """The one way to Pillow: a picture with its header read and its size looked at, for as long as the block lasts.

    Whatever Pillow raises in the block, of the picture or of what is written beside it, is one line.

    Args:
      file: open, where the picture begins; or its bytes.
      formats: that it may have.

    Raises:
      InputError: where it is no such picture, is damaged, or has more than `PIL.Image.MAX_IMAGE_PIXELS`.
    """
    try:
        with Image.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=formats) as image:
            limit = Image.MAX_IMAGE_PIXELS or math.inf
            if image.width * image.height > limit:
                raise InputError(f"{image.width} x {image.height} pixels; at most {limit} are read")
            yield image
    except (InputError, MemoryError):
        raise
    except Exception as error:  # Pillow's readers raise whatever a damaged file brings about, KeyError and all
        said = "no picture" if isinstance(error, Image.UnidentifiedImageError) else str(error) or type(error).__name__
        raise InputError(said.splitlines()[0]) from error


@contextlib.contextmanager
def _stream(file: str | os.PathLike | bytes) -> Iterator[IO[bytes]]:
    """A file's bytes; raises `FileNotFoundError` where there is none, and what it says does not name it."""
    if isinstance(file, bytes):
        yield io.BytesIO(file)
        return
    try:
        with opened(file, "a picture", MOST_BYTES) as stream:
            yield stream
    except InputError as error:
        if not os.path.exists(file):
            raise FileNotFoundError(f"{os.fspath(file)}: there is no such file") from None
        raise InputError(str(error).removeprefix(f"{os.fspath(file)}: ")) from error


def fitted(height: int, width: int, size: tuple[int, int], fit: Fit) -> tuple[float, float, float, float]:
    """The part of a picture that is shown at a size, (left, top, right, bottom) in the picture's pixels."""
    if fit == "whole":
        return 0.0, 0.0, float(width), float(height)
    scale = min(height / size[0], width / size[1])
    part_height, part_width = size[0] * scale, size[1] * scale
    left, top = (width - part_width) / 2, (height - part_height) / 2
    # Rounding must not lead over the border.
    return max(left, 0.0), max(top, 0.0), min(left + part_width, width), min(top + part_height, height)


def _pixels(image: Image.Image, size: tuple[int, int] | None, fit: Fit, channels: int) -> np.ndarray:
    turn = _UPRIGHT.get(_orientation(image))
    sideways = turn is not None and turn not in (
        Image.Transpose.FLIP_LEFT_RIGHT,
        Image.Transpose.FLIP_TOP_BOTTOM,
        Image.Transpose.ROTATE_180,
    )
    # Resized first and turned then: there is less to turn. The size is then that of the picture as it lies in the file.
    lying = (size[1], size[0]) if size and sideways else size
    if lying:
        box = fitted(image.height, image.width, lying, fit)
        enlarged = (2 * lying[1] * image.width / (box[2] - box[0]), 2 * lying[0] * image.height / (box[3] - box[1]))
        image.draft(None, (math.ceil(enlarged[0]), math.ceil(enlarged[1])))
    image = _plain(image)
    if lying:
        box = fitted(image.height, image.width, lying, fit)
        image = image.resize((lying[1], lying[0]), Image.Resampling.BILINEAR, box=box)
    if image.mode == "F":
        image = Image.fromarray(np.clip(np.asarray(image) / 257 + 0.5, 0, 255).astype(np.uint8))
    if turn is not None:
        image = image.transpose(turn)
    if image.mode in ("RGBA", "LA"):
        alpha = image.getchannel("A")
        ground = Image.new("RGB", image.size, "white")
        ground.paste(image.convert("RGB"), mask=alpha)
        image = ground
    pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return pixels[..., None] if channels == 1 else pixels


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 where there is none or where the EXIF data is damaged, which the picture need not be."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return 1


def _plain(image: Image.Image) -> Image.Image:
    """The picture as L, LA, RGB, RGBA, or F for grays in [0, 65535]: modes that are resized as light, not as codes."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return Image.fromarray(np.asarray(image).astype(np.float32))
    if image.mode in ("I", "F"):
        raise InputError(f"pixels of mode {image.mode}, whose range is not stated; expected 8 or 16 bits")
    if image.has_transparency_data:
        return image.convert("LA" if image.mode in ("L", "LA", "La") else "RGBA")
    if image.mode in ("1", "L"):
        return image.convert("L")
    return image.convert("RGB")


def is_picture(name: str | Path) -> bool:
    """Whether a file's ending is a picture's."""
    return os.fspath(name).lower().endswith(SUFFIXES)
