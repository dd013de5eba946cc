"""Contact sheets: many pictures on one, with their names."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jaxcircuits.errors import InputError
from jaxcircuits.files import replacing

if TYPE_CHECKING:
    from jaxtyping import Num

MARGIN = 6
CAPTION = 16
FONT = 11

LEGIBLE = 96
"""Pixels of a picture's longer side below which it is enlarged, so that its caption fits and it can be seen."""

LARGEST = 2**23
"""Pixels that a sheet has at most where pictures are enlarged."""


def to_image(picture: Num[np.ndarray, "height width channels"]) -> Image.Image:
    """A picture (H, W, channels) with values in [0, 1] as an 8-bit Pillow image, rounded to nearest.

    One channel is gray, three are RGB, four are RGB and alpha; of any other number the first three are shown.
    """
    picture = np.asarray(picture, np.float32)
    if picture.ndim != 3 or not picture.size:
        raise InputError(f"a picture of shape {picture.shape}; expected (height, width, channels)")
    if not np.isfinite(picture).all():
        raise InputError("a picture with values that are not finite; expected numbers in [0, 1]")
    pixels = np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    if pixels.shape[-1] in (1, 2):
        return Image.fromarray(pixels[..., 0])
    return Image.fromarray(np.ascontiguousarray(pixels if pixels.shape[-1] == 4 else pixels[..., :3]))


def shown(pictures: np.ndarray, transparent: bool) -> np.ndarray:
    """The channels of pictures (..., channels) that can be shown.

    Args:
      pictures: as a network reads them, with alpha as the last channel where they are `transparent`.
      transparent: whether they are. Four channels alone do not tell: they may be red, green, blue and infrared.

    Returns:
      One channel, three, or four with alpha; of any other number the first three.
    """
    channels = pictures.shape[-1] - transparent
    color = pictures[..., : 1 if channels < 3 else 3]
    if not transparent:
        return color
    return np.concatenate([np.repeat(color, 3 // color.shape[-1], -1), pictures[..., -1:]], -1)


def contact_sheet(
    pictures: Num[np.ndarray, "pictures height width channels"],
    captions: Sequence[str] = (),
    columns: int | None = None,
) -> Image.Image:
    """Pictures (N, H, W, channels) in [0, 1] in rows on white, captions below; near square by default.

    Transparent pictures lie on a checkerboard; those of less than `LEGIBLE` pixels are enlarged a whole number of
    times; in place of those that are not finite there is a crossed-out cell.

    Args:
      pictures: at least one.
      captions: one for each, or none; what is wider than its picture is shortened in the middle.
      columns: pictures a row.

    Returns:
      An RGB image.

    Raises:
      InputError: for no pictures, pictures of another shape, or another number of captions.
    """
    pictures = np.asarray(pictures)
    if pictures.ndim != 4 or not pictures.size:
        raise InputError(f"pictures of shape {pictures.shape}; expected (N, height, width, channels), one or more")
    count, height, width = pictures.shape[:3]
    if len(captions) not in (0, count):
        raise InputError(f"{len(captions)} captions for {count} pictures; expected one for each, or none")
    times = max(min(-(-LEGIBLE // max(height, width)), math.isqrt(LARGEST // (count * height * width))), 1)
    height, width = times * height, times * width
    columns = min(columns or math.ceil(math.sqrt(count * height / width)), count)
    rows = math.ceil(count / columns)
    cell_height = height + MARGIN + (CAPTION if captions else 0)
    sheet = Image.new("RGB", (columns * (width + MARGIN) + MARGIN, rows * cell_height + MARGIN), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT)
    # All captions of a row stand on one line, whether or not their letters reach up.
    baseline = 1 - font.getbbox("0", anchor="ls")[1]
    for i, picture in enumerate(pictures):
        left, top = MARGIN + i % columns * (width + MARGIN), MARGIN + i // columns * cell_height
        if np.isfinite(picture).all():
            image = to_image(picture).resize((width, height), Image.Resampling.NEAREST)
            if image.mode == "RGBA":
                sheet.paste(_checkerboard(width, height), (left, top))
            sheet.paste(image, (left, top), image if image.mode == "RGBA" else None)
        else:
            right, bottom = left + width - 1, top + height - 1
            draw.rectangle((left, top, right, bottom), "#f4f4f4", "#bb4444")
            draw.line((left, top, right, bottom), "#bb4444")
            draw.line((left, bottom, right, top), "#bb4444")
        if captions:
            text = _shortened(captions[i], width + MARGIN - 2, font)
            draw.text((left + width / 2, top + height + baseline), text, "#444444", font, anchor="ms")
    return sheet


def _shortened(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Text of at most that many pixels: the middle gives way, since names of layers differ at both ends."""
    if font.getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 0, -1):
        short = f"{text[: kept // 3]}…{text[len(text) - (kept - kept // 3) :]}"
        if font.getlength(short) <= width:
            return short
    return ""


def _checkerboard(width: int, height: int, cell: int = 8) -> Image.Image:
    rows, columns = np.indices((height, width)) // cell
    return Image.fromarray(np.where((rows + columns) % 2, 204, 255).astype(np.uint8))


def save_image(image: Image.Image, path: Path) -> Path:
    """Writes an image whole or not at all, in the format that its ending says; PNG for any that says none."""
    kind = {".webp": "WEBP", ".jpg": "JPEG", ".jpeg": "JPEG"}.get(path.suffix.lower(), "PNG")
    with replacing(path) as temporary:
        image.save(temporary, kind, **({"optimize": True} if kind == "PNG" else {"quality": 95}))
    return path


def png_bytes(image: Image.Image) -> bytes:
    """The image as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
