"""Figures of the circuits that `circuits_curves`, `circuits_objects` and `circuits_slide` found.

Command:   python -m benchmarks.circuit_figures WEIGHTS.safetensors --out docs
           python -m benchmarks.circuit_figures slide --out docs
Hardware:  two CPU cores
Cost:      about 10 minutes for InceptionV1, 3 for slide
Result:    docs/curves.NETWORK.jpg, docs/car.NETWORK.jpg, docs/heads.NETWORK.jpg

The units are those of the JSON results; of the curve families, some that go round the circle. Where only targets are
named, the units below are their strongest inputs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

import jaxcircuits as jc
from jaxcircuits import circuits
from jaxcircuits.pages import circuit_diagram, draw_units, weight_grid

Rows = list[tuple[str, list[int]]]

FIGURES: dict[str, dict[str, Rows]] = {
    "inceptionv1-2015": {
        "curves": [
            ("mixed3b", [362, 327, 360, 356, 376, 384, 349, 374]),
            ("mixed3a", [102, 66, 104, 184, 135, 103, 173, 131]),
        ],
        "car": [("mixed4c", [389]), ("mixed4b", [416, 271, 300, 286, 280, 472])],
        "heads": [("mixed4c", [374]), ("mixed4b", [386, 403]), ("mixed4a", [339, 319])],
    },
    "slide": {
        "curves": [("mixed4b", [107, 86, 18, 62]), ("mixed4a", [36, 92, 108, 101])],
        "car": [("mixed5b", [178])],
        "heads": [("mixed5b", [134, 126])],
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("network")
    parser.add_argument("--only", choices=("curves", "car", "heads"))
    parser.add_argument("--steps", type=int, default=192)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    network = jc.load(arguments.network)
    recipe = jc.Recipe(size=96, steps=arguments.steps)
    for name, rows in FIGURES[network.name].items():
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
