"""A circuit as a page that a person explores: one HTML file, nothing fetched, light or dark.

The diagram is inline SVG and stands without scripts; with them it zooms and pans, and a unit or a line that is pointed
at shows its weights with numbers. The template is escaped throughout, so names in a circuit cannot become markup.
"""

from __future__ import annotations

from typing import Any

from jaxcircuits import __version__
from jaxcircuits.circuits import Circuit
from jaxcircuits.images.sheet import png_bytes
from jaxcircuits.pages.colors import STOPS, heatmap
from jaxcircuits.pages.layout import CAPTION, FIRST_CAPTION, Line, lay_out
from jaxcircuits.pages.painting import Pictures, bar_labels, share, unit_image
from jaxcircuits.pages.templating import data_url, template


def circuit_page(circuit: Circuit, pictures: Pictures, about: str = "") -> str:
    """Writes a circuit as a page.

    Args:
      circuit: of a few dozen units.
      pictures: of its units, from `draw_units`; they are embedded at their own size.
      about: how the pictures came about, in a line.

    Returns:
      HTML, to be kept as one file; about 20 kB a unit at 96 px.
    """
    layout = lay_out(circuit)
    numbers = {unit: i for i, unit in enumerate(circuit.units)}
    order = {(c.source, c.target): i for i, c in enumerate(circuit.connections)}

    def scale(layer: str) -> float:
        return layout.scales[circuit.layers.index(layer) - 1]

    def line(drawn: Line) -> dict[str, Any]:
        c = drawn.connection
        facts: dict[str, Any] = {
            "number": order[c.source, c.target],
            "path": "M{:.1f} {:.1f}C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}".format(*drawn.points.ravel()),
            "drawn": drawn,
            "heatmap": None,
        }
        if drawn.heatmap:
            height, width = (n * drawn.cell for n in c.weights.shape)
            facts["heatmap"] = {
                "picture": _embedded(heatmap(c.weights, scale(c.source.layer), 1)),
                "left": drawn.heatmap.x - width / 2,
                "top": drawn.heatmap.y - height / 2,
                "width": width,
                "height": height,
            }
        return facts

    units = [
        {
            "number": numbers[unit],
            "name": str(unit),
            "index": unit.index,
            "share": "" if unit in circuit.rows[0] else share(circuit.importance[unit]),
            "picture": _embedded(unit_image(pictures, unit)),
            "box": layout.units[unit],
            "caption": FIRST_CAPTION if unit in circuit.rows[0] else CAPTION,
        }
        for unit in circuit.units
    ]
    data = {
        "stops": STOPS,
        "units": [{"name": unit["name"], "share": unit["share"]} for unit in units],
        "connections": [
            {
                "source": numbers[c.source],
                "target": numbers[c.target],
                "norm": c.norm,
                "sum": c.sum,
                "excites": c.excitation >= c.inhibition,
                "scale": scale(c.source.layer),
                "weights": [[float(f"{weight:.6g}") for weight in row] for row in c.weights],
            }
            for c in circuit.connections
        ],
    }
    bars = [
        {"y": (top + bottom) / 2, "labels": bar_labels(level)}
        for level, (top, bottom) in zip(layout.scales, layout.bands)
    ]
    rows = [{"layer": row[0].layer, "y": layout.units[row[0]].y} for row in circuit.rows]
    return template("circuit.html").render(
        title=circuit.title,
        network=circuit.network,
        layers=circuit.layers,
        about=about,
        version=__version__,
        layout=layout,
        lines=[line(drawn) for drawn in layout.lines],
        units=units,
        rows=rows,
        bars=bars,
        stops=STOPS,
        data=data,
    )


def _embedded(image) -> str:
    return data_url("png", png_bytes(image))
