"""Figures of the circuits that `circuits_curves`, `circuits_objects` and `circuits_slide` found.

Command:   python -m examples.circuit_figures WEIGHTS.safetensors --out docs
           python -m examples.circuit_figures slide --out docs
Hardware:  two CPU cores
Cost:      about 10 minutes for InceptionV1, 3 for slide
Result:    docs/curves.NETWORK.jpg, docs/car.NETWORK.jpg, docs/heads.NETWORK.jpg

The units are those of the JSON results, whatever these are: of the curve families the nearest to eight directions round
the circle (four in `slide`), of the car unit that comes first its three best parts above and below, of the pairs of
heads the one whose union has them highest among its inputs. Where only targets are named, the units below are their
strongest inputs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import jaxcircuits as jc
from jaxcircuits import circuits
from jaxcircuits.evidence.circular import difference
from jaxcircuits.pages import circuit_diagram, draw_units, weight_grid
from jaxcircuits.vis.arguments import as_recipe

Rows = list[tuple[str, list[int]]]
RESULTS = Path(__file__).parent / "results"
PARTS = 3


def result(name: str) -> dict[str, Any]:
    """A program's result, by the name of its file without `.json`."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def round_the_circle(family: list[dict[str, Any]], count: int) -> list[int]:
    """Of a family's units those nearest to as many directions, each once."""
    facing = np.radians([unit["degrees"] for unit in family])
    nearest = [int(np.abs(difference(facing, 2 * np.pi * i / count)).argmin()) for i in range(count)]
    return [family[i]["unit"] for i in dict.fromkeys(nearest)]


def curves(network: str, count: int) -> Rows:
    """Some of the late curve units over some of the early ones."""
    found = result(f"circuits_curves.{network}")
    return [(found[part]["layer"], round_the_circle(found[part]["units"], count)) for part in ("late", "early")]


def of_inception(network: str) -> dict[str, Rows]:
    """Figure -> its rows, the target first."""
    found = result(f"circuits_objects.{network}")
    before, layer = found["cars"]["layers"]
    car = found["cars"]["units"][0]
    parts = [part["unit"] for side in ("parts_above", "parts_below") for part in car[side][:PARTS]]
    united = min(found["heads"]["united_in_mixed4c"], key=lambda row: max(row["united_by"][0]["ranks"]))
    below = [row for row in found["heads"]["mixed4a_to_mixed4b"] if set(row["to"]) == set(united["pair"])]
    source = min(below, key=lambda row: sum(row["rank_of_like"]))["from"]
    return {
        "curves": curves(network, 8),
        "car": [(layer, [car["unit"]]), (before, parts)],
        "heads": [("mixed4c", [united["united_by"][0]["unit"]]), ("mixed4b", united["pair"]), ("mixed4a", source)],
    }


def of_slide() -> dict[str, Rows]:
    """Figure -> its rows."""
    found = result("circuits_slide")
    layer = found["layers"][1]
    cars = [car for car in found["cars"] if car["arrangement_correlation"]] or found["cars"]
    cars.sort(key=lambda car: -car["arrangement_correlation"]["value"] if car["arrangement_correlation"] else 0.0)
    facing = [found["heads"][side][0] for side in ("left", "right") if found["heads"][side]]
    figures = {"curves": curves("slide", 4)}
    if cars:
        figures["car"] = [(cars[0]["layer"], [cars[0]["unit"]])]
    return figures | ({"heads": [(layer, facing)]} if facing else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("network")
    parser.add_argument("--only", choices=("curves", "car", "heads"))
    parser.add_argument("--steps", type=int, default=192)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    network = jc.load(arguments.network)
    recipe = as_recipe(network, None, size=96, steps=arguments.steps)
    figures = of_slide() if network.name == "slide" else of_inception(network.name)
    for name, rows in figures.items():
        if arguments.only in (None, name):
            named = [[f"{layer}:{unit}" for unit in units] for layer, units in rows]
            if len(named) > 1:
                circuit = circuits.circuit_between(network, named)
            else:
                circuit = circuits.extract_circuit(network, named[0], depth=1, top=8)
            pictures = draw_units(network, circuit, recipe)
            image = weight_grid(circuit, pictures) if name == "curves" else circuit_diagram(circuit, pictures)
            width = min(image.width, 1200)
            image = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
            image.save(arguments.out / f"{name}.{network.name}.jpg", quality=85)


if __name__ == "__main__":
    main()
