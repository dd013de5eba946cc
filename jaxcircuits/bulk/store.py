"""Where pictures are kept: one folder a layer, one PNG file a unit."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL.PngImagePlugin import PngInfo

from jaxcircuits.files import replacing
from jaxcircuits.vis import Recipe, contact_sheet, to_image


@dataclasses.dataclass(frozen=True)
class LayerFolder:
    """The pictures of one layer: `UNIT.png` (four digits), `sheet.png` and `recipe.json`.

    Attributes:
      path: of the folder, OUT/NETWORK/LAYER.
    """

    path: Path

    def write_recipe(self, recipe: Recipe) -> Path:
        """Writes the recipe of the folder's pictures, for `Recipe.from_json`."""
        path = self.path / "recipe.json"
        with replacing(path) as temporary:
            temporary.write_text(recipe.to_json() + "\n")
        return path

    def write_picture(self, unit: int, picture: np.ndarray, facts: Mapping[str, object]) -> Path:
        """Writes one picture (H, W, channels) in [0, 1], with what is known of it as the PNG's text fields."""
        path = self.path / f"{unit:04d}.png"
        info = PngInfo()
        for name, value in facts.items():
            info.add_text(name, str(value))
        with replacing(path) as temporary:
            to_image(picture).save(temporary, "PNG", pnginfo=info)
        return path

    def write_sheet(self, pictures: np.ndarray, units: Sequence[int]) -> Path:
        """Writes the contact sheet of pictures (N, H, W, channels), captioned by their units."""
        path = self.path / "sheet.png"
        with replacing(path) as temporary:
            contact_sheet(pictures, [str(unit) for unit in units]).save(temporary, "PNG")
        return path
