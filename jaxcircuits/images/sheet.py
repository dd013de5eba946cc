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
    """A picture (H, W, channels) with values in [0, 1] as an 8-bit Pillow image, rounded to nearest.

    One channel is grey, three are RGB, four are RGB and alpha; of any other number the first three are shown.
    """
    picture = np.asarray(picture, np.float32)
    if picture.ndim != 3 or not picture.size:
        raise InputError(f"a picture of shape {picture.shape}; expected (height, width, channels)")
    pixels = np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    if pixels.shape[-1] in (1, 2):
        return Image.fromarray(pixels[..., 0])
    return Image.fromarray(np.ascontiguousarray(pixels if pixels.shape[-1] == 4 else pixels[..., :3]))


def contact_sheet(pictures: np.ndarray, captions: Sequence[str] = (), columns: int | None = None) -> Image.Image:
    """Pictures (N, H, W, channels) in [0, 1] in rows on white, captions below; near square by default.

    Transparent pictures lie on a chequerboard.

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
        image = to_image(picture)
        if image.mode == "RGBA":
            sheet.paste(_chequerboard(width, height), (left, top))
        sheet.paste(image, (left, top), image if image.mode == "RGBA" else None)
        if captions:
            draw.text((left + width / 2, top + height + 1), captions[i], "#444444", font, anchor="mt")
    return sheet


def _chequerboard(width: int, height: int, cell: int = 8) -> Image.Image:
    rows, columns = np.indices((height, width)) // cell
    return Image.fromarray(np.where((rows + columns) % 2, 204, 255).astype(np.uint8))


def png_bytes(image: Image.Image) -> bytes:
    """The image as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
