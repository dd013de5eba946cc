"""A folder of photographs, as the programs that need some read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (224, 224)


class Photographs:
    """JPEG files in a folder of one folder a class, such as 800 ImageNet pictures in folders named by synset.

    Args:
      folder: where.

    Raises:
      SystemExit: where there is none.
    """

    def __init__(self, folder: Path):
        self.paths = sorted(folder.glob("*/*.jpg"))
        if not self.paths:
            raise SystemExit(f"{folder}: no photographs there; expected CLASS/NAME.jpg in it")
        self.synsets = np.array([path.parent.name for path in self.paths])

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, chosen: Iterable[int]) -> np.ndarray:
        """Those of the given places, resized: (N, 224, 224, 3) in [0, 1]."""
        pictures = [Image.open(self.paths[i]).convert("RGB").resize(SIZE, Image.BILINEAR) for i in chosen]
        return np.stack([np.asarray(picture) for picture in pictures]) / np.float32(255)

    def batches(self, size: int = 40) -> Iterator[np.ndarray]:
        """All of them, `size` at a time."""
        for start in range(0, len(self), size):
            yield self.read(range(start, min(start + size, len(self))))
