"""Two networks on one page: matched units side by side, the map of their layers, families as rows of pictures.

The rows are laid out as in the figure of claim 3 of Zoom In (Olah et al., Distill 2020). One HTML file that fetches
nothing.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from jaxcircuits import __version__
from jaxcircuits.images.sheet import to_image
from jaxcircuits.network.units import Unit
from jaxcircuits.pages.templating import data_url, template
from jaxcircuits.universality import DepthMap, Families, Matching

if TYPE_CHECKING:
    from jaxtyping import Int

ROW = 8
"""Units of a family that are shown."""
LOW, HIGH = np.array([247, 251, 255]), np.array([8, 69, 148])
"""Colors of a map's least and largest score: light and dark blue."""
MAPS = {
    "hard": "mean correlation of the one-to-one matches",
    "cka": "linear CKA",
}


@dataclasses.dataclass(frozen=True)
class Shown:
    """A unit as the page shows it.

    Attributes:
      drawing: what it looks for, (H, W, channels) in [0, 1]; None where it was not drawn.
      examples: parts of pictures that it answers most, (H, W, channels) in [0, 1].
    """

    drawing: np.ndarray | None = None
    examples: Sequence[np.ndarray] = ()


Units = Mapping[tuple[str, Unit], Shown]
"""(network, unit) -> how it is shown."""


def compare_page(
    layers: DepthMap,
    matched: Sequence[tuple[Matching, Int[np.ndarray, "pairs 2"]]],
    families: Families,
    units: Units,
    about: str,
) -> str:
    """Writes the page.

    Args:
      layers: the map of the two networks' layers.
      matched: matchings, and of each the pairs (n, 2) that are shown.
      families: of the two networks.
      units: of the pairs and of the families.
      about: how the pictures came about, in a line.

    Returns:
      HTML, to be kept as one file.
    """
    return template("compare.html").render(
        networks=layers.networks,
        about=about,
        version=__version__,
        pictures=next(iter(layers.matchings.values())).pictures,
        maps=[_map(layers, score, title) for score, title in MAPS.items()],
        sections=[_section(matching, pairs, units) for matching, pairs in matched],
        families=[_family(families, name, units) for name in families.families if _there(families, name)],
        missing=[
            {"name": name, "networks": [n for n in families.networks if not families[name, n].there]}
            for name in families.families
            if not all(families[name, n].there for n in families.networks)
        ],
    )


def _map(layers: DepthMap, score: str, title: str) -> dict[str, Any]:
    values, chance = layers.table(score), layers.table(score, shuffled=True)
    most = max(float(values.max()), 1e-6)
    rows = []
    for i, layer in enumerate(layers.layers[0]):
        cells = [
            {"value": f"{value:.2f}", "color": _blue(value / most), "ink": "#fff" if value > 0.55 * most else "#1f2328",
             "best": j == int(values[i].argmax()), "chance": f"{chance[i, j]:.2f}"}
            for j, value in enumerate(values[i])
        ]  # fmt: skip
        rows.append({"layer": layer, "depth": f"{100 * layers.depths[0][i]:.0f} %", "cells": cells})
    columns = [
        {"layer": layer, "depth": f"{100 * depth:.0f} %"} for layer, depth in zip(layers.layers[1], layers.depths[1])
    ]
    return {"title": title, "rows": rows, "columns": columns, "chance": f"{chance.max():.2f}"}


def _section(matching: Matching, pairs: np.ndarray, units: Units) -> dict[str, Any]:
    shown = []
    for i, j in pairs:
        sides = [
            _unit(network, Unit(layer, int(number)), units)
            for network, layer, number in zip(matching.networks, matching.layers, (i, j))
        ]
        shown.append({"sides": sides, "correlation": f"{matching.correlation[i, j]:.2f}"})
    scores = [
        {"name": name, "value": f"{value:.2f}", "chance": f"{chance:.2f}"}
        for name, value, chance in zip(matching.scores._fields, matching.scores, matching.shuffled)
    ]
    return {"layers": matching.layers, "pairs": shown, "scores": scores}


def _there(families: Families, name: str) -> bool:
    return any(families[name, network].there for network in families.networks)


def _family(families: Families, name: str, units: Units) -> dict[str, Any]:
    rows = []
    for network in families.networks:
        found = families[name, network]
        chosen = spread(found.units[found.in_order]) if found.there else ()
        rows.append(
            {
                "network": network,
                "there": found.there,
                "layer": found.layer,
                "depth": f"{100 * found.depth:.0f} %",
                "count": len(found.units),
                "chance": f"{found.by_chance:.1f}",
                "p": f"{found.adjusted_p_value:.2g}",
                "coverage": None if found.coverage is None or not found.there else f"{100 * found.coverage:.0f} %",
                "units": [_unit(network, Unit(found.layer, int(unit)), units) for unit in chosen],
            }
        )
    first, second = families.networks
    related = families.related.get((name, first, second))
    return {
        "name": name,
        "note": families[name, families.networks[0]].family.note,
        "rows": rows,
        "related": related
        and {
            "share": f"{100 * related.share:.0f} %",
            "chance": f"{100 * related.chance:.0f} %",
            "correlation": f"{related.correlation:.2f}",
            "turned": None if np.isnan(related.turned) else f"{np.degrees(related.turned):.0f}°",
            "turned_by_chance": f"{np.degrees(related.turned_by_chance):.0f}°",
        },
    }


def spread(units: np.ndarray, most: int = ROW) -> np.ndarray:
    """Units evenly along a row, at most so many."""
    return units if len(units) <= most else units[np.linspace(0, len(units) - 1, most).round().astype(int)]


def _unit(network: str, unit: Unit, units: Units) -> dict[str, Any]:
    shown = units.get((network, unit), Shown())
    return {
        "name": str(unit),
        "index": unit.index,
        "drawing": None if shown.drawing is None else embedded(shown.drawing),
        "examples": [embedded(example, 64) for example in shown.examples],
    }


def embedded(picture: np.ndarray, side: int = 128) -> str:
    """A picture (H, W, channels) in [0, 1] as the address of an image in the page, its longer side `side` pixels."""
    image = to_image(picture).convert("RGB")
    scale = side / max(image.size)
    image = image.resize([max(round(length * scale), 1) for length in image.size], Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=82)
    return data_url("webp", buffer.getvalue())


def _blue(share: float) -> str:
    red, green, blue = (LOW + np.clip(share, 0, 1) * (HIGH - LOW)).round().astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"
