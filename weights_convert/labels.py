"""What a network's outputs stand for, from a text file."""

from __future__ import annotations

import re
from pathlib import Path

from jaxcircuits.errors import InputError, shown
from jaxcircuits.files import read_text

IMAGENET = slice(1, 1001)
"""The lines with the 1000 ImageNet classes in Google's files, after the one of a dummy class."""

LONGEST_LABEL = 1000
"""Characters; the longest of ImageNet has 121."""


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
    lines = [line.strip() for line in read_text(path, "a text file with one label a line").split("\n")]
    if not lines[-1]:
        lines.pop()
    if outputs == 1000 and len(lines) > outputs:
        lines = sorted(lines[IMAGENET])
        for line in lines:
            if not re.match(r"n\d{8}\b", line):
                raise InputError(
                    f"{path}: more than 1,000 labels, and {shown(line)} has no synset (n02119789) to sort by"
                )
    if outputs == 1008 and len(lines) >= IMAGENET.stop:
        lines += ["unused"] * (outputs - len(lines))
    if len(lines) < outputs:
        raise InputError(f"{path}: {len(lines):,} labels; the network has {outputs:,} outputs")
    longest = max(map(len, lines[:outputs]))
    if longest > LONGEST_LABEL:
        raise InputError(f"{path}: a label of {longest:,} characters; expected at most {LONGEST_LABEL:,}")
    return tuple(lines[:outputs])
