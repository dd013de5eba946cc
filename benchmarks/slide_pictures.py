"""Can the pictures that `slide` draws of its classes be recognized, by networks that had no part in drawing them?

Command:   python -m benchmarks.slide_pictures slide --readers SECOND.safetensors --out RESULT.json
           (SECOND: what `python -m jaxcircuits.slide.train --seed 1` wrote; several may be named)
Hardware:  two CPU cores
Cost:      7 minutes, and what training the readers took
Result:    benchmarks/results/slide_pictures.json; docs/slide-classes.jpg with --sheet, docs/slide.jpg with --first

Draws every class by its own logit, by the recipe in the network's file, as `jaxcircuits render` does. The networks that
read the pictures saw other scenes from another start; they share the world. Saturated are the values that are 0 or 255
as bytes. How many drawings of a layer stay gray, since their units are silent on all that the steps come by (a score of
0), is counted for the recipe's redirected steps and for Lucid's.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

import jaxcircuits as jc
from benchmarks.measuring import arguments_of, report
from jaxcircuits.images.sheet import contact_sheet, to_image
from jaxcircuits.vis.arguments import as_recipe
from jaxcircuits.zoo.slide import SLIDE_ENTRY

GRAY_LAYER, GRAY_UNITS = "mixed5b", 64


def saturated(image: np.ndarray) -> float:
    """The part of a picture's values that are black or white as bytes."""
    pixels = np.asarray(to_image(image))
    return float(((pixels == 0) | (pixels == 255)).mean())


def gray_drawings(network: jc.Network, recipe: jc.Recipe) -> dict[str, int]:
    """How many of some units' drawings stay gray, by the number of redirected steps."""
    found = {}
    for steps in (recipe.redirect_steps, jc.Recipe().redirect_steps):
        of_steps = dataclasses.replace(recipe, redirect_steps=steps)
        drawn = jc.render(network, jc.channel(GRAY_LAYER, range(GRAY_UNITS)), of_steps)
        found[str(steps)] = int((drawn.scores <= 0).sum())
    return found


def readings(network: jc.Network, rendering: jc.Rendering, readers: dict[str, jc.Network]) -> list[dict]:
    """One row for each class: how saturated its picture is, and what each network takes it for."""
    rows = [
        {"class": label, "saturated": round(saturated(image), 4), "score": round(float(score), 2), "read_as": {}}
        for label, image, score in zip(network.labels, rendering.images, rendering.scores)
    ]
    for name, reader in readers.items():
        logits = np.asarray(reader.activations(rendering.images, reader.logits)[reader.logits])
        for row, answer in zip(rows, logits.argmax(1)):
            row["read_as"][name] = reader.labels[answer]
    return rows


def main() -> None:
    parser = arguments_of(__doc__, size=False)
    parser.add_argument("--readers", nargs="+", default=[], help="weights files of other networks of the same world")
    parser.add_argument("--sheet", type=Path, help="file for a sheet of the pictures")
    parser.add_argument("--first", type=Path, help="file for a sheet of what `jaxcircuits render` draws of slide")
    arguments = parser.parse_args()
    network = jc.load(arguments.network)
    recipe = as_recipe(network, None)
    rendering = jc.render(network, jc.channel(network.logits, range(len(network.labels))), recipe)
    readers = {"itself": network} | {f"reader {i}": jc.load(path) for i, path in enumerate(arguments.readers, 1)}
    rows = readings(network, rendering, readers)
    if arguments.sheet:
        contact_sheet(rendering.images, network.labels, columns=8).save(arguments.sheet, quality=85)
    if arguments.first:
        rows_of_first = [jc.render(network, units, recipe) for units in SLIDE_ENTRY.first]
        images = np.concatenate([row.images for row in rows_of_first])
        captions = [caption for row in rows_of_first for caption in row.labels]
        contact_sheet(images, captions, columns=len(rows_of_first[0])).save(arguments.first, quality=88)
    result = {
        "network": network.name,
        "readers": [Path(path).name for path in arguments.readers],
        "recipe_steps": recipe.steps,
        "classes": len(rows),
        "recognized": {name: sum(row["read_as"][name] == row["class"] for row in rows) for name in readers},
        "mean_saturated": round(float(np.mean([row["saturated"] for row in rows])), 4),
        "classes_more_than_5_percent_saturated": sum(row["saturated"] > 0.05 for row in rows),
        "gray": {"layer": GRAY_LAYER, "units": GRAY_UNITS, "by_redirected_steps": gray_drawings(network, recipe)},
        "pictures": rows,
    }
    report(result, arguments.out)


if __name__ == "__main__":
    main()
