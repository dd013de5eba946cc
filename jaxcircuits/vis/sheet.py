"""Contact sheets: many pictures on one, with their names."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jaxcircuits.errors import InputError

MARGIN = 6
CAPTION = 16


def to_image(picture: np.ndarray) -> Image.Image:
    """A picture (H, W, 3) or (H, W, 1) with values in [0, 1] as an 8-bit Pillow image, rounded to nearest."""
    picture = np.asarray(picture, np.float32)
    if picture.ndim != 3 or picture.shape[-1] not in (1, 3):
        raise InputError(f"a picture of shape {picture.shape}; expected (height, width, 3) or (height, width, 1)")
    pixels = np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(pixels if pixels.shape[-1] == 3 else pixels[..., 0])


def contact_sheet(pictures: np.ndarray, captions: Sequence[str] = (), columns: int | None = None) -> Image.Image:
    """Pictures (N, H, W, channels) in [0, 1] in rows on white, captions below; near square by default.

    Args:
      pictures: at least one.
      captions: one for each, or none.
      columns: pictures a row.

    Returns:
      An RGB image.
    """
    count, height, width = pictures.shape[:3]
    columns = min(columns or math.ceil(math.sqrt(count * height / width)), count)
    rows = math.ceil(count / columns)
    cell_height = height + MARGIN + (CAPTION if captions else 0)
    sheet = Image.new("RGB", (columns * (width + MARGIN) + MARGIN, rows * cell_height + MARGIN), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for i, picture in enumerate(pictures):
        left, top = MARGIN + i % columns * (width + MARGIN), MARGIN + i // columns * cell_height
        sheet.paste(to_image(picture), (left, top))
        if captions:
            draw.text((left + width / 2, top + height + 1), captions[i], "#444444", font, anchor="mt")
    return sheet


def png_bytes(image: Image.Image) -> bytes:
    """The image as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
