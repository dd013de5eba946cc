"""A drawing on record, and what its file says of it."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping

from etils import epath
from PIL.PngImagePlugin import PngImageFile

from jaxcircuits.bulk.pictures import DESCRIPTION, opened


@dataclasses.dataclass(frozen=True)
class Drawing:
    """A unit's drawing.

    Attributes:
      layer, unit: whose.
      path: of the picture; of the text that says why, where it is not finite.
      seed: of the random starts.
      failure: why there is no picture; empty where there is one.
    """

    layer: str
    unit: int
    path: epath.Path
    seed: int
    failure: str = ""

    @functools.cached_property
    def facts(self) -> Mapping[str, str]:
        """What the picture's metadata says: network, layer, unit, seed, score, and hashes of recipe and weights.

        Raises:
          InputError: where the picture cannot be read.
        """
        if self.failure:
            return {}
        with opened(self.path) as image:
            found = image.text if isinstance(image, PngImageFile) else json.loads(image.getexif()[DESCRIPTION])
            return {str(name): str(value) for name, value in found.items()}

    @property
    def score(self) -> float:
        """The objective's mean over fresh random views; NaN where it is not known."""
        try:
            return float(self.facts.get("score", "nan"))
        except ValueError:
            return float("nan")
