"""Do groups do what they are for: does diversity make pictures differ, does alignment make neighbors alike?

Command:   python -m benchmarks.groups_of_pictures WEIGHTS.safetensors --out RESULT.json [--sheets FOLDER]
Hardware:  two CPU cores
Cost:      6 minutes
Result:    benchmarks/results/groups_of_pictures.json

Diversity: four pictures of a unit of mixed4e with `- WEIGHT * diversity("mixed4a")` against four seeds without it. The
units are those of which the twelve strongest of 800 photographs were least alike at mixed5b, so of many meanings.
Distance is the mean over pairs between the mean activations of mixed4e; the score is the unit's mean activation on the
finished pictures. The weight is a thirtieth of the score without diversity.

Alignment: six pictures from one unit of mixed4a to another, each drawn for itself, with 0.02 times `alignment`, and
with shared parameters; distance is the root mean square between neighbors, as activations of mixed3a relative to their
norm, and the score is the mean of the interpolated objective.
"""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np

import jaxcircuits as jc
from benchmarks.measuring import arguments_of, report
from jaxcircuits.vis import Shared

UNITS = (571, 440)
ENDS = ((3, 77), (120, 201))
ALIGNMENT = 0.02
STEPS = 6


def diverse(network: jc.Network, unit: int, recipe: jc.Recipe, sheets: Path | None) -> dict:
    """Scores and distances of four pictures without and with diversity."""
    plain = jc.render(network, jc.channel("mixed4e", unit), recipe, seed=range(4))
    weight = float(plain.scores.mean()) / 30
    objective = jc.channel("mixed4e", [unit] * 4) - weight * jc.diversity("mixed4a", group=4)
    apart = jc.render(network, objective, recipe)
    result = {"unit": unit, "weight": round(weight, 1)}
    for name, rendering in (("seeds", plain), ("diversity", apart)):
        seen = np.asarray(network.activations(rendering.images, "mixed4e")["mixed4e"]).mean((1, 2))
        pairs = [np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)]
        result[name] = {"score": round(float(seen[:, unit].mean()), 1), "distance": round(float(np.mean(pairs)), 1)}
        _save(rendering, sheets, f"diversity_{unit}_{name}")
    return result


def aligned(network: jc.Network, ends: tuple[int, int], recipe: jc.Recipe, sheets: Path | None) -> dict:
    """Scores and distances of neighbors on a way from one unit to another."""
    way = jc.channel_interpolate("mixed4a", ends[0], "mixed4a", ends[1], STEPS)
    shared = dataclasses.replace(recipe, parametrization=Shared(group=STEPS))
    cases = {
        "alone": (way, recipe),
        "alignment": (way + ALIGNMENT * jc.alignment("mixed3a", STEPS), recipe),
        "shared": (way, shared),
    }
    result: dict = {"ends": ends}
    for name, (objective, used) in cases.items():
        rendering = jc.render(network, objective, used)
        seen = network.activations(rendering.images, ["mixed3a", "mixed4a"])
        early = np.asarray(seen["mixed3a"]).reshape(STEPS, -1)
        apart = [np.linalg.norm(a - b) / np.linalg.norm(a) for a, b in itertools.pairwise(early)]
        mean = np.asarray(seen["mixed4a"]).mean((1, 2))
        t = np.linspace(0, 1, STEPS)
        score = ((1 - t) * mean[:, ends[0]] + t * mean[:, ends[1]]).mean()
        result[name] = {"score": round(float(score), 1), "distance": round(float(np.mean(apart)), 3)}
        _save(rendering, sheets, f"way_{ends[0]}_{ends[1]}_{name}")
    return result


def _save(rendering: jc.Rendering, sheets: Path | None, name: str) -> None:
    if sheets is not None:
        sheets.mkdir(parents=True, exist_ok=True)
        jc.contact_sheet(rendering.images, columns=len(rendering.images)).save(sheets / f"{name}.png")


def main() -> None:
    parser = arguments_of(__doc__)
    parser.add_argument("--steps", type=int, default=192)
    parser.add_argument("--sheets", type=Path, help="folder for contact sheets")
    arguments = parser.parse_args()
    network = jc.load(arguments.network)
    recipe = jc.Recipe(size=arguments.size, steps=arguments.steps)
    result: dict = {"network": network.name, "size": arguments.size, "steps": arguments.steps}
    result["diversity"] = []
    for unit in UNITS:
        result["diversity"].append(diverse(network, unit, recipe, arguments.sheets))
        print(result["diversity"][-1], flush=True)
    result["interpolation"] = []
    for ends in ENDS:
        result["interpolation"].append(aligned(network, ends, recipe, arguments.sheets))
        print(result["interpolation"][-1], flush=True)
    report(result, arguments.out)


if __name__ == "__main__":
    main()
