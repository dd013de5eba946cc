"""A layer's page: all its units as a wall that is sorted and filtered as one looks."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxcircuits.pages.microscope.site import Known, Site, compact, rounded, write_text

DIMENSIONS = 16
"""Of the vectors by which the page sorts units by their likeness to one."""


def write_layer(site: Site, known: Known, beside: Sequence[str]) -> None:
    """Writes a layer's page and its table of numbers.

    Args:
      site: of the network.
      known: the layer.
      beside: names of the layers with pages before it and after it; empty where there is none.
    """
    view = known.view
    data = {
        "units": list(view.units),
        "measures": {name: rounded(np.asarray(values, np.float64), 3) for name, values in view.measures.items()},
        "families": {name: list(units) for name, units in view.families.items()},
        "likeness": _packed(view.likeness),
    }
    families = {
        name: present
        for name, units in view.families.items()
        if (present := [unit for unit in units if unit in known.units])
    }
    of = {unit: [name for name, units in families.items() if unit in units] for unit in view.units} if families else {}
    write_text(site.root / known.folder / "units.csv", _table(view.units, view.measures, of))
    sheets = sorted({place.file for unit in view.units if (place := known.thumbs.place(unit))}, key=len)
    site.page(
        f"{known.folder}/index.html",
        "layer.html",
        layer=view,
        thumbs=known.thumbs,
        sheets=sheets,
        families=families,
        data=compact(data).replace("<", "\\u003c"),
        beside=dict(zip(("previous", "next"), beside)),
        drawn=sum(known.thumbs.place(unit) is not None for unit in view.units),
    )


def _packed(vectors: np.ndarray | None) -> dict[str, Any] | None:
    """Unit vectors in few dimensions, as int8 in base64: their scalar products are nearly the cosines."""
    if vectors is None or len(vectors) < 2:
        return None
    rows = _normalized(np.nan_to_num(np.asarray(vectors, np.float64)))
    if rows.shape[1] > DIMENSIONS:
        # The best approximation of all scalar products by so few numbers (Eckart and Young, 1936).
        left, sizes, _ = np.linalg.svd(rows, full_matrices=False)
        rows = _normalized(left[:, :DIMENSIONS] * sizes[:DIMENSIONS])
    packed = np.round(127 * rows).astype(np.int8)
    return {"dimensions": packed.shape[1], "vectors": base64.b64encode(packed.tobytes()).decode()}


def _normalized(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _table(units: Sequence[int], measures: Any, families: dict[int, list[str]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["unit", *measures, "families"])
    for i, unit in enumerate(units):
        numbers = [f"{float(values[i]):.6g}" for values in measures.values()]
        writer.writerow([unit, *numbers, " ".join(families.get(unit, []))])
    return file.getvalue()
