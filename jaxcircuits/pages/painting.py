"""What the figures share: text, color bars, unit pictures."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jaxcircuits.circuits import Unit
from jaxcircuits.pages.colors import heat, number
from jaxcircuits.vis import to_image

INK, GRAY, FAINT, PAPER = "#222222", "#6b6b6b", "#dddddd", "#ffffff"

Pictures = Mapping[Unit, np.ndarray]
"""Unit -> its picture (H, W, channels) in [0, 1]; units may be missing."""

font = functools.lru_cache(maxsize=32)(ImageFont.load_default)


def unit_image(pictures: Pictures, unit: Unit, side: int | None = None) -> Image.Image:
    """A unit's picture as a square, or at its own size for None; a faint one with its number where there is none."""
    if unit in pictures:
        picture = to_image(pictures[unit]).convert("RGB")
        return picture.resize((side, side), Image.Resampling.LANCZOS) if side else picture
    side = side or 96
    blank = Image.new("RGB", (side, side), "#f0f0f0")
    ImageDraw.Draw(blank).text((side / 2, side / 2), str(unit.index), GRAY, font(side // 4), anchor="mm")
    return blank


def color_bar(scale: float, length: int, thickness: int, upright: bool) -> Image.Image:
    """The colors from -scale to scale, from left to right or upright from the bottom up."""
    values = np.linspace(-scale, scale, length)
    row = np.repeat(heat(values, scale)[None], thickness, 0)
    return Image.fromarray(np.ascontiguousarray(row.swapaxes(0, 1)[::-1] if upright else row))


def bar_labels(scale: float) -> tuple[str, str, str]:
    """What stands at a color bar's lower end, middle and upper end."""
    return number(-scale), "0", number(scale)


def share(importance: float) -> str:
    """An importance as captions print it: two digits that count."""
    percent = 100 * importance
    return f"{percent:.0f} %" if percent >= 9.95 or not percent else f"{percent:#.2g} %"
