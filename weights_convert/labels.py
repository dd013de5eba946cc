"""What a network's outputs stand for, from a text file."""

from __future__ import annotations

import re
from pathlib import Path

from jaxcircuits.errors import InputError
from weights_convert.files import check_size

IMAGENET = slice(1, 1001)
"""The lines with the 1000 ImageNet classes in Google's files, after the one of a dummy class."""


def read_labels(path: Path, outputs: int) -> tuple[str, ...]:
    """Reads labels, one a line; line i is output i.

    Google's networks have 1008 outputs, of which those after the ImageNet classes were never trained: a file may end
    before them (they are called `unused`) or go on after them (it is cut). For 1000 outputs such a file gives its
    ImageNet classes in the order of their synsets (`n02119789 kit fox, ...`), which is that of Caffe's networks.

    Args:
      path: a UTF-8 text file.
      outputs: how many labels are wanted.

    Returns:
      That many labels.

    Raises:
      InputError: where there are too few, or the file is no such text.
    """
    check_size(path)
    try:
        lines = [line.strip() for line in path.read_text("utf-8").split("\n")]
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file with one label a line ({error.reason})") from error
    if not lines[-1]:
        lines.pop()
    if outputs == 1000 and len(lines) > outputs:
        lines = sorted(lines[IMAGENET])
        for line in lines:
            if not re.match(r"n\d{8}\b", line):
                raise InputError(f"{path}: more than 1,000 labels, and {line!r} has no synset (n02119789) to sort by")
    if outputs == 1008 and len(lines) >= IMAGENET.stop:
        lines += ["unused"] * (outputs - len(lines))
    if len(lines) < outputs:
        raise InputError(f"{path}: {len(lines):,} labels; the network has {outputs:,} outputs")
    return tuple(lines[:outputs])
