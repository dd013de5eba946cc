"""The seven arguments of Zoom In for the curve detectors of several networks, and their invariance to pose.

Command:   python -m examples.seven_arguments PHOTOGRAPHS NETWORK[=LAYER] ... --out RESULT.json [--pages FOLDER]
           (NETWORK as `jaxcircuits.load` takes it; PHOTOGRAPHS: a folder of photographs, such as 800 of ImageNet;
           slide, whose world has none, sees scenes of its own)
Hardware:  two CPU cores
Cost:      five to ten minutes a network, of which the drawings take half
Result:    examples/results/seven_arguments.json

What is finished is in the result; the same command does the rest.

Layers are where curve detectors begin, see examples/universality.py: mixed3b and its counterparts. The family of each
is found by stimuli alone: units that answer the best orientation of a curve three times better than the opposite one,
no line and no corner more than 0.7 times as well, and are strong. Curves have five radii and are dark and light; three
radii choose the family, and the third argument is measured with the two between them.

Each argument is one figure with its interval, what it would be by chance, a p-value, and that corrected for the seven
(Holm); it fails where the latter is above 0.05. What each compares is in the result, in words. Invariance to pose:
answers to a unit's own strongest examples, transformed, over those to the examples as they are, with intervals of the
bootstrap over units.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

import jaxcircuits as jc
from benchmarks.measuring import machine
from examples.figures import figure
from jaxcircuits import evidence
from jaxcircuits.pages import tuning_plot, write_arguments
from jaxcircuits.slide import scenes

LAYERS = {
    "inceptionv1": "mixed3b",
    "inceptionv1-2015": "mixed3b",
    "googlenet": "inception_3b/output",
    "squeezenet": "fire5/concat",
    "slide": "mixed4e",
}
"""In the order in which they are told."""
AROUND = np.arange(24) * 2 * np.pi / 24
SHADES = np.repeat([[0.1], [0.9]], 3, axis=1)
SIZE, RADII = 128, (25.0, 32.0, 40.0, 49.0, 60.0)
SCENES, OF_SCENES = 800, {"size": 96, "radii": (12.0, 16.0, 20.0, 25.0, 30.0)}
COUNT, SAMPLE, STEPS = 8, 48, 64
SEED = 0


def measure(network: jc.Network, layer: str, photographs: Path, pages: Path | None) -> dict[str, Any]:
    """All figures of a network, as plain JSON types; and its page and plots, where a folder for them is given."""
    own = network.name == "slide"
    pictures = jc.open_pictures(
        jc.Scenes(scenes.scene, SCENES, seed=SEED, classes=scenes.CLASSES) if own else str(photographs)
    )
    size, radii = (OF_SCENES["size"], OF_SCENES["radii"]) if own else (SIZE, RADII)
    grid = {"orientation": AROUND, "radius": radii, "color": SHADES}
    seen = evidence.examples(network, pictures, [layer], COUNT)
    found = evidence.arguments(
        network,
        layer,
        pictures,
        grid=grid,
        examples=seen,
        recipe=jc.Recipe(size=96, steps=STEPS),
        size=size,
        count=COUNT,
        sample=SAMPLE,
        seed=SEED,
    )
    names = [f"{layer}:{unit}" for unit in found.family]
    posed = evidence.invariance(network, names, seen, pictures, count=4, size=size)
    result = json.loads(found.to_json())
    result["setting"]["pictures"] = "scenes" if own else "photographs"
    result |= {
        "poses": {
            kind: {
                "median": figure(np.median, getattr(posed, kind)),
                "units": dict(zip(names, getattr(posed, kind).round(3).tolist())),
            }
            for kind in ("mirrored", "turned", "scaled", "shifted", "chance")
        }
    }
    if pages:
        folder = pages / network.name
        write_arguments(folder, found)
        tuned = evidence.tuning(network, evidence.stimuli.curve, grid, [layer], size=size)
        tuning_plot(tuned, layer, found.family, "orientation", folder / "tuning.png")
        tuning_plot(tuned, layer, found.family, "radius", folder / "radius.png", kind="line")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("networks", nargs="+", help="NETWORK or NETWORK=LAYER")
    parser.add_argument("--out", type=Path, required=True, help="file for the result")
    parser.add_argument("--pages", type=Path, help="folder for pages and plots")
    arguments = parser.parse_args()
    result = json.loads(arguments.out.read_text()) if arguments.out.exists() else {"networks": {}}
    for name in arguments.networks:
        source, _, layer = name.partition("=")
        network = jc.load(source)
        if network.name in result["networks"]:
            continue
        layer = layer or LAYERS.get(network.name, "")
        if not layer:
            raise SystemExit(f"{network.name}: state the layer, as {source}=LAYER; known are {', '.join(LAYERS)}")
        result["networks"][network.name] = measure(network, layer, arguments.photographs, arguments.pages)
        known = {name: place for place, name in enumerate(LAYERS)}
        ordered = sorted(result["networks"].items(), key=lambda one: known.get(one[0], len(known)))
        result["networks"] = dict(ordered)
        arguments.out.write_text(json.dumps({"machine": machine()} | result, indent=1) + "\n")
        for kind in ("drawing", "examples", "synthetic", "joint", "implementation", "use", "by_hand"):
            one = result["networks"][network.name][kind]
            p_values = one["p_value"], one["adjusted_p_value"]
            print(
                network.name, kind, one["value"], "by chance", one["chance"], "p", *p_values, one["missing"], flush=True
            )


if __name__ == "__main__":
    main()
