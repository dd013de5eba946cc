"""A unit's page, its pictures and its numbers: `UNIT.html`, `UNIT.webp`, `UNIT.json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from jaxcircuits.pages.microscope import addresses, charts
from jaxcircuits.pages.microscope.pictures import CROP, Sprite, bounded, masks_url, strip, weights_url, write_webp
from jaxcircuits.pages.microscope.site import Known, Site, compact, rounded, write_text
from jaxcircuits.pages.microscope.views import Example, UnitView, Wire, Wiring

DRAWING = 224
"""Longer side of a unit's own drawings at most, in pixels."""

MOST_CLASSES = 5
"""Classes that are named of either end."""


def write_unit(site: Site, known: Known, unit: int) -> UnitView:
    """Reads a unit and writes its files; returns what was read."""
    view, layer = known.view.unit(unit), known.view
    address = addresses.unit(site.network.name, layer.name, unit)
    shown, mask = _pictures(site, known, view)
    place = layer.units.index(unit)
    neighbors = {
        "previous": layer.units[place - 1] if place else None,
        "next": layer.units[place + 1] if place + 1 < len(layer.units) else None,
    }
    histogram = None
    if view.histogram is not None:
        bounds = [(i.low, i.high) for i in view.intervals or () if not i.title]
        histogram = charts.histogram(view.histogram, bounds)
    numbers = _numbers(view)
    write_text(site.root / known.folder / f"{unit}.json", compact(numbers) + "\n")
    site.page(
        address,
        "unit.html",
        view=view,
        layer=layer,
        shown=shown,
        mask=mask,
        neighbors=neighbors,
        histogram=histogram,
        curves=[(curve, charts.curve(curve)) for curve in view.tuning or () if curve.y.any()],
        unanswered=[curve.title for curve in view.tuning or () if not curve.y.any()],
        classes=_ends(view),
        inputs=_wirings(view.inputs),
        outputs=_wirings(view.outputs),
        name=f"{layer.name}:{unit}",
    )
    return view


class _Shown:
    """The sheet of a page's pictures, and where each is on it, by what they belong to."""

    def __init__(self):
        self.sheet = ""
        self.drawings: list[tuple[str, Sprite]] = []
        self.intervals: list[list[tuple[Example, Sprite, int | None]]] = []
        self.meanings: list[tuple[Sprite | None, list[tuple[Example, Sprite, int | None]]]] = []


def _pictures(site: Site, known: Known, view: UnitView) -> tuple[_Shown, dict[str, Any]]:
    """Writes a unit's sheet of pictures; returns what is where, and the masks that show where it fires."""
    examples = [e for interval in view.intervals or () for e in interval.examples]
    examples += [e for meaning in view.meanings or () for e in meaning.examples]
    drawn = [(caption, bounded(picture, DRAWING)) for caption, picture in view.drawings.items()]
    meant = [bounded(m.drawing, DRAWING) for m in view.meanings or () if m.drawing is not None]
    # The same picture, in an interval and in a meaning, is there once.
    unique: dict[int, Image.Image] = {id(e.image): bounded(e.image, CROP) for e in examples}
    images = [picture for _, picture in drawn] + meant + list(unique.values())
    shown = _Shown()
    url, masks = masks_url([e.heat for e in examples])
    mask = {"url": url, "count": sum(m is not None for m in masks) + 1}
    if not images:
        return shown, mask
    sheet, sprites = strip(images)
    shown.sheet = f"{view.unit}.webp"
    write_webp(site.root / known.folder / shown.sheet, sheet)
    left = iter(sprites)
    shown.drawings = [(caption, next(left)) for caption, _ in drawn]
    own = [next(left) for _ in meant]
    place = dict(zip(unique, left))
    masked = iter(masks)
    shown.intervals = [[(e, place[id(e.image)], next(masked)) for e in i.examples] for i in view.intervals or ()]
    drawings = iter(own)
    shown.meanings = [
        (
            next(drawings) if meaning.drawing is not None else None,
            [(e, place[id(e.image)], next(masked)) for e in meaning.examples],
        )
        for meaning in view.meanings or ()
    ]
    return shown, mask


def _ends(view: UnitView) -> dict[str, Any]:
    """The classes with the largest and the smallest numbers, with the length of each one's bar, 0 to 1."""
    ranked = sorted(view.classes.items(), key=lambda item: -item[1])
    up = [(label, value) for label, value in ranked[:MOST_CLASSES] if value > 0]
    down = [(label, value) for label, value in reversed(ranked[-MOST_CLASSES:]) if value < 0]
    most = max((abs(value) for _, value in up + down), default=1.0) or 1.0
    return {
        side: [(label, value, round(abs(value) / most, 3)) for label, value in rows]
        for side, rows in (("up", up), ("down", down))
    }


def _wirings(wirings: Sequence[Wiring] | None) -> list[dict[str, Any]] | None:
    """For the template; None where the wiring was not read."""
    if wirings is None:
        return None

    def row(place: int, wire: Wire, strongest: float) -> dict[str, Any]:
        height, width = wire.weights.shape
        low, high = float(wire.weights.min()), float(wire.weights.max())
        return {
            "layer": wire.layer,
            "unit": wire.unit,
            "strength": wire.strength,
            "bar": round(wire.strength / (strongest or 1), 3),
            "place": place,
            "said": f"{height} x {width} weights, {charts.short(low)} to {charts.short(high)}",
        }

    found = []
    for wiring in wirings:
        wires = [*wiring.excitatory, *wiring.inhibitory]
        strongest = max((wire.strength for wire in wires), default=0.0)
        rows = [row(place, wire, strongest) for place, wire in enumerate(wires)]
        found.append(
            {
                "layer": wiring.layer,
                "excitatory": rows[: len(wiring.excitatory)],
                "inhibitory": rows[len(wiring.excitatory) :],
                "scale": wiring.scale,
                "picture": weights_url([wire.weights for wire in wires], wiring.scale) if wires else "",
                "count": len(wires) + 1,
                "shape": wires[0].weights.shape if wires else (1, 1),
            }
        )
    return found


def _numbers(view: UnitView) -> dict[str, Any]:
    """A unit's numbers, for download."""

    def wired(wirings: Sequence[Wiring] | None) -> Any:
        return wirings and [
            {"layer": w.layer, "unit": w.unit, "strength": w.strength, "kind": kind, "weights": w.weights}
            for one in wirings
            for kind, wires in (("excites", one.excitatory), ("inhibits", one.inhibitory))
            for w in wires
        ]

    return rounded(
        {
            "layer": view.layer,
            "unit": view.unit,
            "facts": view.facts,
            "families": view.families,
            "examples": [
                {
                    "low": i.low,
                    "high": i.high,
                    "share": i.share,
                    "examples": [{"picture": e.name, "label": e.label, "activation": e.value} for e in i.examples],
                }
                for i in view.intervals or ()
            ],
            "histogram": view.histogram and {"edges": view.histogram.edges, "counts": view.histogram.counts},
            "classes": view.classes,
            "inputs": wired(view.inputs),
            "outputs": wired(view.outputs),
            "similar": [{"layer": s.layer, "unit": s.unit, "value": s.value} for s in view.similar],
            "counterparts": [
                {"network": c.network, "layer": c.layer, "unit": c.unit, "value": c.value} for c in view.counterparts
            ],
            "tuning": [{"title": c.title, "unit": c.unit, "x": c.x, "y": c.y} for c in view.tuning or ()],
            "arguments": [{"name": a.name, "holds": a.holds, "said": a.said} for a in view.arguments or ()],
            "meanings": [{"share": m.share, "inputs": [f"{a}:{b}" for a, b in m.inputs]} for m in view.meanings or ()],
            "meanings_said": view.meanings_said,
        }
    )
