"""Where the project and the test data lie, and the photographs among them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from jaxcircuits.images import open_pictures

ROOT = Path(__file__).parents[2]
"""The project's folder."""

SHARED = Path(os.environ.get("JAXCIRCUITS_TEST_DATA", ROOT.parent / "shared"))
"""Published weights, photographs and independently computed activations, where they are at hand."""

PUBLISHED = {
    "inceptionv1-2015": ("inceptionv1_google2015.pb", "inceptionv1_google2015.labels.txt"),
    "googlenet": ("bvlc_googlenet.caffemodel", "inceptionv1_google2015.labels.txt"),
    "squeezenet": ("squeezenet_v1.1.caffemodel", "inceptionv1_google2015.labels.txt"),
}


def data(*parts: str) -> Path:
    """A file or folder of the test data; skips the test where it is missing."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs {'/'.join(parts)} of the test data, looked for in {SHARED}")
    return path


def photographs(batch: int = 50, size: int = 224) -> Iterator[tuple[list[str], np.ndarray]]:
    """Batches of 800 photographs, one an ImageNet class: their synsets, and (N, size, size, 3) in [0, 1]."""
    pictures = open_pictures(data("images", "train"), size=size, fit="whole")
    for found in pictures.batches(batch):
        synsets = [Path(pictures.name(number)).parent.name for number in found.numbers[found.read]]
        yield synsets, found.images[found.read] / np.float32(255)
