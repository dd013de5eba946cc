"""A drawing on record, and what its file says of it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np
from etils import epath
from PIL.PngImagePlugin import PngImageFile

from jaxcircuits.bulk.pictures import DESCRIPTION, opened
from jaxcircuits.files import conforming, parse_json

LONGEST = 2**20
"""Characters of what a picture's file says."""


@dataclasses.dataclass(frozen=True)
class Drawing:
    """A unit's drawing.

    Attributes:
      layer, unit: whose.
      path: of the picture; of the text that says why, where it is not finite.
      seed: of the random starts.
      size: height and width in pixels.
      failure: why there is no picture; empty where there is one.
    """

    layer: str
    unit: int
    path: epath.Path
    seed: int
    size: tuple[int, int]
    failure: str = ""

    @functools.cached_property
    def facts(self) -> Mapping[str, str]:
        """What the picture's metadata says: network, layer, unit, seed, score, and hashes of recipe and weights.

        Raises:
          InputError: where the picture cannot be read.
        """
        if self.failure:
            return {}
        with opened(self.path, self.size) as image:
            if isinstance(image, PngImageFile):
                return {str(name): str(value) for name, value in image.text.items()}
            said = parse_json(str(image.getexif().get(DESCRIPTION)), "what a drawing says of itself", LONGEST)
            return conforming(said, dict[str, str], "what a drawing says of itself")

    def pixels(self) -> np.ndarray:
        """The picture, uint8 (height, width, 3); raises `InputError` where it cannot be read."""
        with opened(self.path, self.size) as image:
            return np.asarray(image.convert("RGB"))

    @property
    def score(self) -> float:
        """The objective's mean over fresh random views; NaN where it is not known."""
        try:
            return float(self.facts.get("score", "nan"))
        except ValueError:
            return float("nan")
