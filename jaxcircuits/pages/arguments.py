"""The seven arguments as a page: each with its value beside what chance gives, with drawings, examples and tuning."""

from __future__ import annotations

import colorsys
from pathlib import Path
from typing import Any

import numpy as np

from jaxcircuits import __version__
from jaxcircuits.arguments import Argument, Arguments
from jaxcircuits.files import replacing
from jaxcircuits.images.sheet import png_bytes, to_image
from jaxcircuits.pages.templating import data_url, template

TITLES = {
    "drawing": "Drawing",
    "examples": "Dataset examples",
    "synthetic": "Synthetic examples",
    "joint": "Joint tuning",
    "implementation": "Feature implementation",
    "use": "Feature use",
    "by_hand": "Handwritten circuit",
}
PERCENT = ("drawing",)
"""Arguments whose value is a percentage; of the others it lies in [-1, 1]."""
SHOWN = 12
"""Units whose drawings and examples are shown."""
EXAMPLES = 4
RADIUS = 110


def arguments_page(arguments: Arguments) -> str:
    """Writes the arguments as a page.

    Args:
      arguments: from `evidence.arguments`.

    Returns:
      HTML, to be kept as one file; nothing is fetched and nothing is run.
    """
    rows = [_row(one) for one in arguments]
    return template("arguments.html").render(
        arguments=arguments,
        title=_title(arguments),
        rows=rows,
        held=sum(one.holds is True for one in arguments),
        curves=_curves(arguments),
        radius=RADIUS,
        units=_units(arguments),
        degrees={name: round(float(np.degrees(value)), 1) for name, value in arguments.preferred.items()},
        version=__version__,
    )


def write_arguments(folder: str | Path, arguments: Arguments) -> list[Path]:
    """Writes `arguments.json` and `arguments.html` into a folder; returns their paths.

    Raises:
      InputError: where the folder cannot be written to.
    """
    files = []
    for name, text in (("arguments.json", arguments.to_json() + "\n"), ("arguments.html", arguments_page(arguments))):
        files.append(Path(folder) / name)
        with replacing(files[-1]) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return files


def _title(arguments: Arguments) -> str:
    (first, *more), stimulus = arguments.units, arguments.stimulus.replace("_", " ")
    if not more:
        return f"Does {arguments.layer}:{first} detect a {stimulus}?"
    return f"Do {len(arguments.units)} units of {arguments.layer} detect a {stimulus}?"


def _row(argument: Argument) -> dict[str, Any]:
    """An argument as the template wants it: places of its marks on a bar from 0 to 100."""
    scale = 1 if argument.name in PERCENT else 100

    def place(value: float | None) -> float | None:
        return None if value is None else round(min(max(scale * value, 0), 100), 1)

    def said(value: float | None) -> str:
        return "" if value is None else f"{value:.1f} %" if argument.name in PERCENT else f"{value:.2f}"

    return {
        "title": TITLES[argument.name],
        "argument": argument,
        "verdict": {True: "holds", False: "fails", None: "not made"}[argument.holds],
        "value": said(argument.value),
        "chance": said(argument.chance),
        "bound": said(argument.bound),
        "interval": " to ".join(said(end) for end in argument.interval) if argument.interval else "",
        "places": {"value": place(argument.value), "chance": place(argument.chance), "bound": place(argument.bound)},
    }


def _curves(arguments: Arguments) -> list[dict[str, str]]:
    """The family's tuning as closed lines about the origin, clockwise, colored by what each unit prefers."""
    curves, values = arguments.shown.get("tuning"), arguments.shown.get("values")
    if curves is None or values is None:
        return []
    period = arguments.setting["period"]
    angles = np.asarray(values) * 2 * np.pi / period
    lines = []
    for unit, curve in zip(arguments.family, curves):
        reach = RADIUS * curve / max(float(curve.max()), 1e-12)
        points = " ".join(f"{r * np.cos(t):.1f},{r * np.sin(t):.1f}" for r, t in zip(reach, angles))
        name = f"{arguments.layer}:{unit}"
        hue = arguments.preferred[name] / period % 1
        color = "#" + "".join(f"{round(255 * part):02x}" for part in colorsys.hsv_to_rgb(hue, 0.85, 0.8))
        lines.append({"name": name, "points": points, "color": color})
    return lines


def _units(arguments: Arguments) -> list[dict[str, Any]]:
    """Units with their drawing and their strongest examples, as many as are shown."""
    drawings, examples = (arguments.shown.get(name) for name in ("drawings", "examples"))
    shown = []
    for i, unit in enumerate(arguments.units[:SHOWN]):
        shown.append(
            {
                "name": f"{arguments.layer}:{unit}",
                "drawing": None if drawings is None else _embedded(drawings[i]),
                "examples": [] if examples is None else [_embedded(one) for one in examples[i, :EXAMPLES]],
            }
        )
    return shown


def _embedded(picture: np.ndarray) -> str:
    return data_url("png", png_bytes(to_image(picture)))
