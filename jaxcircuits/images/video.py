"""Moving pictures: an optimization as it goes, or a way from one unit to another.

>>> rendering = render(network, channel("mixed4b", 3), snapshots=range(8, 513, 8))
>>> save_video(list(rendering.snapshots.values()), "unit.gif")
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from jaxcircuits.errors import InputError, unknown
from jaxcircuits.files import replacing
from jaxcircuits.images.sheet import contact_sheet, to_image

if TYPE_CHECKING:
    from jaxtyping import Num

FORMATS = (".gif", ".png", ".webp", ".mp4")


def save_video(
    frames: Sequence[Num[np.ndarray, "*pictures height width channels"]],
    path: str | Path,
    *,
    fps: float = 12,
    loop: bool = True,
) -> Path:
    """Writes frames as an animated GIF, PNG (APNG) or WebP, or as MP4 where `ffmpeg` is installed.

    Args:
      frames: pictures (H, W, channels) in [0, 1], or (N, H, W, channels) for N of them side by side.
      path: the ending says the format.
      fps: frames a second.
      loop: begin again at the end.

    Returns:
      The path.

    Raises:
      InputError: for no frames, another format, or MP4 without `ffmpeg`.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise unknown("video format", path.suffix, FORMATS)
    images = [contact_sheet(np.asarray(f)) if np.ndim(f) == 4 else to_image(f) for f in frames]
    if not images:
        raise InputError(f"no frames for {path}; expected some, such as render(..., snapshots=range(8, 513, 8))")
    if path.suffix.lower() == ".mp4" and shutil.which("ffmpeg") is None:
        raise InputError(f"{path}: MP4 wants the program ffmpeg, which is not installed; use .gif, .png or .webp")
    with replacing(path) as temporary:
        if path.suffix.lower() == ".mp4":
            _ffmpeg(images, temporary, fps)
        else:
            options = {"loop": 0} if loop else {}
            form = {".gif": "GIF", ".png": "PNG", ".webp": "WEBP"}[path.suffix.lower()]
            first, *rest = [image.convert("RGB") for image in images] if form == "GIF" else images
            first.save(temporary, form, save_all=True, append_images=rest, duration=round(1000 / fps), **options)
    return path


def _ffmpeg(images: list[Image.Image], path: Path, fps: float) -> None:
    """H.264 as all browsers play it; odd sizes lose a row or column."""
    width, height = images[0].size
    command = ["ffmpeg", "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{width}x{height}", "-r", str(fps), "-i", "-"]
    command += ["-vf", "crop=trunc(iw/2)*2:trunc(ih/2)*2", "-pix_fmt", "yuv420p", "-f", "mp4", str(path)]
    raw = b"".join(image.convert("RGB").tobytes() for image in images)
    done = subprocess.run(command, input=raw, capture_output=True)
    if done.returncode:
        raise InputError(f"ffmpeg: {done.stderr.decode(errors='replace').strip().splitlines()[-1]}")
