"""A network's page with its trunk and layers, the page of its classes, and the first page of a site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxcircuits.pages.colors import heat
from jaxcircuits.pages.microscope import charts
from jaxcircuits.pages.microscope.site import Site, compact, write_text

STRIP = 12
"""Drawings in a layer's row."""
PER_CLASS = 8
"""Units named for a class, of each layer."""


def write_network(site: Site, units_of_class: Mapping[str, Sequence[tuple[str, int, float]]]) -> None:
    """Writes the pages of a network and of its classes, and the names that are searched.

    Args:
      site: of the network.
      units_of_class: label -> layer, unit and number of the units that the class has most to do with.
    """
    network = site.network
    rows = []
    for known in site.layers.values():
        view = known.view
        drawn = [unit for unit in view.units if known.thumbs.place(unit)]
        # Evenly over the layer, so that a strip shows what kinds there are.
        strip = [drawn[i * len(drawn) // min(STRIP, len(drawn))] for i in range(min(STRIP, len(drawn)))]
        density = np.asarray(view.measures.get("density", ()), np.float64)
        seen = density[np.isfinite(density)]
        rows.append(
            {
                "view": view,
                "strip": strip,
                "drawn": len(drawn),
                "density": float(np.median(seen)) if seen.size else None,
                "spread": tuple(map(float, np.percentile(seen, [10, 90]))) if seen.size else None,
            }
        )
    site.page(
        f"{site.folder}/index.html",
        "network.html",
        rows=rows,
        trunk=charts.trunk(network.stages, network.size),
        maps=[(one, _colored(one.values)) for one in network.maps],
        classes=bool(units_of_class),
        total=sum(len(known.view.units) for known in site.layers.values()),
    )
    if units_of_class:
        site.page(f"{site.folder}/classes.html", "classes.html", units_of_class=units_of_class)
    names: dict[str, Any] = {
        "network": network.name,
        "layers": [
            [
                known.view.name,
                known.folder.removeprefix(f"{site.folder}/"),
                _ranges(known.view.units),
                known.thumbs.sheets,
            ]
            for known in site.layers.values()
        ],
        "families": [
            [known.view.name, name, sorted(set(units) & known.units)]
            for known in site.layers.values()
            for name, units in known.view.families.items()
        ],
        "classes": list(units_of_class),
    }
    write_text(site.root / site.folder / "names.js", f"window.names = {compact(names)};\n")


def _colored(values: Sequence[Sequence[float]]) -> list[list[tuple[float, str, bool]]]:
    """Each value with its color, from paper to the house's red, and whether dark text is legible on it."""
    found = []
    for row, shades in zip(values, heat(np.nan_to_num(np.asarray(values, np.float64)), 1.0)):
        light = shades.astype(np.float64) @ [0.299, 0.587, 0.114] > 140
        found.append([(v, "#{:02x}{:02x}{:02x}".format(*c), bool(x)) for v, c, x in zip(row, shades, light)])
    return found


def _ranges(units: Sequence[int]) -> list[list[int]]:
    """Increasing numbers as first and last of each stretch."""
    found: list[list[int]] = []
    for unit in units:
        if found and unit == found[-1][1] + 1:
            found[-1][1] = unit
        else:
            found.append([unit, unit])
    return found
