"""`open_pictures`: one call for whatever pictures there are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcircuits.errors import InputError, pixels
from jaxcircuits.images.decode import Fit
from jaxcircuits.images.pictures import Pictures
from jaxcircuits.images.prepared import DESCRIPTION_FILE, Prepared
from jaxcircuits.images.sources import Arrays, Files, Scenes, Source

if TYPE_CHECKING:
    from jaxtyping import Num

TFDS = "tfds:"
EXPECTED = "expected tfds:NAME, a folder, paths, an array (N, height, width, channels), or Scenes"


def open_pictures(
    source: str | os.PathLike | Sequence[str | os.PathLike] | Num[np.ndarray, "pictures height width channels"] | Any,
    split: str | None = None,
    *,
    size: int | tuple[int, int] | None = None,
    fit: Fit = "crop",
) -> Pictures:
    """Pictures of any kind as one sequence; nothing is read yet.

    Args:
      source: one of
        `tfds:NAME` or `tfds:NAME:CONFIG`, a prepared data set of TensorFlow Datasets (ArrayRecord or Parquet), read
        without TensorFlow;
        a folder with pictures, with a folder a class, or with a folder a split and in it a folder a class; or one in
        which a TFDS data set was prepared;
        a picture's path, or several;
        an array (N, H, W, channels), uint8, or float in [0, 1], taken as it is; or such an array and labels (N,);
        `Scenes`, a function that draws a picture from a key.
      split: of a data set, as TFDS writes it (`train`, `test[:1%]`); of a folder, a subfolder. None for all.
      size: height and width in pixels that files are brought to, one number for a square; by default the native size
        of the network that looks at them.
      fit: `crop` for the central part (the short side fills the size), `whole` for all of a picture, out of proportion.

    Returns:
      The `Pictures`.

    Raises:
      InputError: where there are none, or `source` is something else.
    """
    return Pictures(_source(source, split), None if size is None else pixels("size of pictures", size), fit)


def _source(source: Any, split: str | None) -> Source:
    if isinstance(source, str) and source.startswith(TFDS):
        return Prepared.named(source.removeprefix(TFDS), split)
    if isinstance(source, (str, os.PathLike)):
        path = Path(source).expanduser()
        if path.is_dir():
            prepared = (path / DESCRIPTION_FILE).is_file()
            return Prepared.at(path, split) if prepared else Files.below(path, split)
        if not path.exists():
            raise InputError(f"{source}: no such file or folder; {EXPECTED}")
        source = [path]
    if split is not None:
        raise InputError(f"split {split!r} of {type(source).__name__}; only data sets and folders have splits")
    if isinstance(source, Scenes):
        return source
    if hasattr(source, "shape"):
        return Arrays.of(source)
    if isinstance(source, tuple) and len(source) == 2 and all(hasattr(part, "shape") for part in source):
        return Arrays.of(*source)
    if isinstance(source, Iterable) and not isinstance(source, (bytes, dict)):
        if iter(source) is source:
            raise InputError(
                f"a {type(source).__name__} is read once only, in one order; expected Scenes(draw, count), which draws "
                "picture i from its own key, or an array"
            )
        paths = list(source)
        if not paths:
            raise InputError(f"an empty {type(source).__name__} of pictures; {EXPECTED}")
        if all(isinstance(path, (str, os.PathLike)) for path in paths):
            return Files.listed(paths)
        raise InputError(f"a {type(source).__name__} of {type(paths[0]).__name__}; {EXPECTED}")
    raise InputError(f"pictures from {type(source).__name__}; {EXPECTED}")
