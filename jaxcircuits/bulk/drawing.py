"""A drawing on record, and what its file says of it."""

from __future__ import annotations

import dataclasses
import functools
import io
import json
from collections.abc import Mapping

from etils import epath
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from jaxcircuits.bulk import place
from jaxcircuits.bulk.pictures import DESCRIPTION
from jaxcircuits.errors import InputError

LARGEST_PICTURE = 2**28
"""Bytes of a drawing."""


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
        try:
            with Image.open(
                io.BytesIO(place.read(self.path, "a picture", LARGEST_PICTURE)), formats=["PNG", "WEBP"]
            ) as image:
                found = image.text if isinstance(image, PngImageFile) else json.loads(image.getexif()[DESCRIPTION])
            return {str(name): str(value) for name, value in found.items()}
        except (OSError, SyntaxError, ValueError, KeyError, AttributeError) as error:
            raise InputError(f"{self.path}: cannot be read ({error})") from None

    @property
    def score(self) -> float:
        """The objective's mean over fresh random views; NaN where it is not known."""
        try:
            return float(self.facts.get("score", "nan"))
        except ValueError:
            return float("nan")
