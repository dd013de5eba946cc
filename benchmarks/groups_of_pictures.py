"""Do groups do what they are for: does diversity make pictures differ, does alignment make neighbors alike?

Command:   python -m benchmarks.groups_of_pictures WEIGHTS.safetensors --out RESULT.json [--sheets FOLDER]
Hardware:  two CPU cores
Cost:      25 minutes
Result:    benchmarks/results/groups_of_pictures.json

Diversity: four pictures of a unit of mixed4e with `- WEIGHT * diversity("mixed4a")` against four seeds without it. The
units lie evenly over the layer, so that no look chose them; one more, whose twelve strongest of 800 photographs were
among the least alike, is the one that is shown. Distance is the mean over pairs between the mean activations of
mixed4e; the score is the unit's mean activation on the finished pictures. The weight is a thirtieth of the score
without diversity.

Alignment: six pictures from one unit of mixed4a to another, each drawn for itself, with 0.02 times `alignment`, and
with shared parameters; distance is the root mean square between neighbors, as activations of mixed3a relative to their
norm, and the score is the mean of the interpolated objective. The ends lie evenly over the layer, too.

Ratios to what is drawn without are of sums over all units or ways, with bootstrap intervals over these.
"""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np

import jaxcircuits as jc
from benchmarks.measuring import arguments_of, report
from examples.figures import figure
from jaxcircuits.vis import Shared

ALIGNMENT = 0.02
STEPS = 6


def evenly(network: jc.Network, layer: str, count: int) -> list[int]:
    """Units evenly over a layer."""
    apart = network.layers[layer].shape[-1] // count
    return [apart // 2 + apart * i for i in range(count)]


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


def ratios(rows: list[dict], kind: str, plain: str) -> dict:
    """What a kind of drawing has of the distances and the scores of a plainer one."""
    return {
        what: figure(
            lambda own, other: own.sum() / other.sum(),
            *(np.array([row[name][what] for row in rows]) for name in (kind, plain)),
            digits=3,
        )
        for what in ("distance", "score")
    }


def _save(rendering: jc.Rendering, sheets: Path | None, name: str) -> None:
    if sheets is not None:
        sheets.mkdir(parents=True, exist_ok=True)
        jc.contact_sheet(rendering.images, columns=len(rendering.images)).save(sheets / f"{name}.png")


def main() -> None:
    parser = arguments_of(__doc__)
    parser.add_argument("--steps", type=int, default=192)
    parser.add_argument("--count", type=int, default=8, help="units, and pairs of units")
    parser.add_argument("--shown", type=int, default=440, help="one unit more, in front")
    parser.add_argument("--sheets", type=Path, help="folder for contact sheets")
    arguments = parser.parse_args()
    network = jc.load(arguments.network)
    recipe = jc.Recipe(size=arguments.size, steps=arguments.steps)
    result: dict = {"network": network.name, "size": arguments.size, "steps": arguments.steps}
    result["diversity"] = []
    for unit in (arguments.shown, *evenly(network, "mixed4e", arguments.count)):
        result["diversity"].append(diverse(network, unit, recipe, arguments.sheets))
        print(result["diversity"][-1], flush=True)
    result["diversity_to_seeds"] = ratios(result["diversity"][1:], "diversity", "seeds")
    result["interpolation"] = []
    ends_of_ways = evenly(network, "mixed4a", 2 * arguments.count)
    for ends in zip(ends_of_ways, ends_of_ways[arguments.count :]):
        result["interpolation"].append(aligned(network, ends, recipe, arguments.sheets))
        print(result["interpolation"][-1], flush=True)
    for kind in ("alignment", "shared"):
        result[f"{kind}_to_alone"] = ratios(result["interpolation"], kind, "alone")
    report(result, arguments.out)


if __name__ == "__main__":
    main()
