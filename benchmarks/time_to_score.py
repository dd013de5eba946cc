"""Which recipe reaches the default's score soonest?

Command:   python -m benchmarks.time_to_score WEIGHTS.safetensors --out RESULT.json --pictures PICTURES.png
Hardware:  two CPU cores that others use too
Cost:      half an hour
Result:    benchmarks/results/time_to_score.json

`share_of_the_first` is a recipe's mean score after its own number of steps over that of the first recipe after all of
its own, with its bootstrap interval over the units.

Scores are means over the units of their activation under fresh random views of the default recipe, whatever views a
recipe itself draws with. `cost` is in steps of the default recipe, from the compiler's count of FLOPs, since clocks on
a shared machine tell little.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
from PIL import Image

import jaxcircuits as jc
from benchmarks.measuring import Drawing, arguments_of, report
from examples.figures import figure

UNITS = tuple(range(3, 480, 20))
"""Evenly over the smallest of the layers, so that no look chose them."""

COLUMNS = 8
"""Of the sheet of pictures, which shows that many of the units."""

RECIPES = {"default": jc.Recipe(), "fast": jc.Recipe.fast()}


def scores_on_the_way(
    network: jc.Network, objective: jc.Objective, recipe: jc.Recipe, at_steps: list[int]
) -> tuple[list[np.ndarray], jc.Rendering]:
    """Scores (units,) after each number of steps, under the default recipe's views, and the finished drawing."""
    recipe = dataclasses.replace(recipe, steps=at_steps[-1])
    rendering = jc.render(network, objective, recipe, snapshots=at_steps)
    look = jc.Recipe(size=recipe.size, steps=0)
    return [
        jc.render(network, objective, look, start=rendering.snapshots[step], progress=False).scores for step in at_steps
    ], rendering


def sheet(pictures: list[np.ndarray]) -> Image.Image:
    """A row a recipe, of units evenly over those drawn."""
    rows = [np.concatenate(list(row[:: max(len(row) // COLUMNS, 1)][:COLUMNS]), axis=1) for row in pictures]
    return Image.fromarray((255 * np.concatenate(rows)).round().astype(np.uint8))


def steps_to(score: float, at_steps: list[int], means: list[float]) -> int | None:
    """After how many steps a mean score is reached, by straight lines between those known; None where it is not."""
    for last, step, before, after in zip(at_steps, at_steps[1:], means, means[1:]):
        if before <= score <= after:
            return round(last + (step - last) * (score - before) / (after - before))
    return None


def main() -> None:
    parser = arguments_of(__doc__)
    parser.add_argument("--layers", type=lambda text: text.split(","), default=["mixed3b", "mixed4b", "mixed5a"])
    parser.add_argument("--units", type=lambda text: [int(n) for n in text.split(",")], default=UNITS)
    parser.add_argument("--steps", type=int, default=512, help="of the longest drawing")
    parser.add_argument("--recipes", type=lambda text: text.split(","), default=list(RECIPES))
    parser.add_argument("--pictures", type=Path, help="file for each recipe's pictures after its own steps, a row each")
    arguments = parser.parse_args()
    network, rows, pictures = jc.load(arguments.network), [], []
    at_steps = [arguments.steps // part for part in (16, 8, 4, 2, 1) if arguments.steps >= part]
    for layer in arguments.layers:
        objective, first = jc.channel(layer, arguments.units), None
        for name in arguments.recipes:
            recipe = dataclasses.replace(RECIPES[name], size=arguments.size)
            scores, rendering = scores_on_the_way(network, objective, recipe, at_steps)
            cost = Drawing(network, layer, len(arguments.units), recipe).lowered().cost_analysis()["flops"]
            means = [float(f"{score.mean():.4g}") for score in scores]
            first = first or {"score": means[-1], "cost": cost, "units": scores[-1]}
            row = {"layer": layer, "recipe": name, "scores": means, "cost_of_a_step": round(cost / first["cost"], 3)}
            row["scores_of_units"] = [[float(f"{one:.4g}") for one in score] for score in scores]
            own = scores[at_steps.index(recipe.steps)] if recipe.steps in at_steps else scores[-1]
            row["share_of_the_first"] = figure(lambda a, b: a.mean() / b.mean(), own, first["units"], digits=4)
            row["steps_to_the_score_of_the_first"] = steps_to(first["score"], at_steps, means)
            rows.append(row | {"fields": json.loads(recipe.to_json())})
            pictures.append(rendering.snapshots.get(recipe.steps, rendering.images))
            print(row, flush=True)
    if arguments.pictures:
        sheet(pictures).save(arguments.pictures)
    task = {"network": network.name, "units": list(arguments.units), "at_steps": at_steps}
    report(task | {"rows": rows}, arguments.out)


if __name__ == "__main__":
    main()
