"""Which findings in `slide` hold when it is trained again from other seeds: universality in the box.

Command:   python -m examples.slide_seeds FIRST SECOND THIRD --out RESULT.json
           (each a slide.safetensors that `python -m jaxcircuits.slide.train --seed N --out FOLDER` wrote, with its
           slide.json beside it)
Hardware:  two CPU cores
Cost:      3 minutes, and the training
Result:    examples/results/slide_seeds.json

For every network: its accuracy, the curve units and whether like excites like, whether weights alone order and turn
them, the car units that mind the order of their parts, the units for heads that face left, right and either way, and
whether their weights agree. Definitions are those of slide.json, `circuits_curves` and `circuits_slide`. A finding has
a statement, and holds in a network or does not; p-values are those of the programs, and 0.05 after correction, where
several were tried, decides.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import jaxcircuits as jc
from benchmarks.measuring import arguments_of, report
from examples import circuits_curves, circuits_slide
from jaxcircuits.p_values import holm

LEVEL = 0.05
GAP = 90.0
"""Degrees: the widest gap between curve units that still leaves none of four directions out."""


def corrected(p_values: list[float]) -> int:
    """How many of some p-values are below `LEVEL` when all have been tried (Holm, 1979)."""
    return int((holm(p_values) < LEVEL).sum())


def findings(known: dict[str, Any], curves: dict[str, Any], circuits: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Statement -> what was found, and whether it `holds`.

    Args:
      known: slide.json.
      curves: of `circuits_curves.measure`.
      circuits: of `circuits_slide.measure`.
    """
    heads = known["heads"]
    sides = circuits["heads"]["correlation_of_weights_with_inputs_preferring_their_side"]
    sides = [row["p_value"] for rows in sides.values() for row in rows]
    either = circuits["heads_either_way"]
    turns = [row for row in curves["equivariance"] if "turn" in row]
    gap, by_weights = curves["late"]["largest_gap_degrees"], curves["orientations_by_weights_alone"]
    like = curves["early_to_late"]
    return {
        "curve units cover the circle of orientations": {
            "units": len(curves["late"]["units"]),
            "largest_gap_degrees": gap,
            "holds": gap <= GAP,
        },
        "curve units of like orientation excite each other": {
            "correlation": like["correlation_with_cosine"],
            "p_value": like["p_value"],
            "holds": like["p_value"] < LEVEL,
        },
        "orientations of curve units can be told from their weights alone": {
            "median_error_degrees": by_weights["median_error_degrees"],
            "by_chance": by_weights["median_error_by_chance"],
            "p_value": by_weights["p_value"],
            # 19 shuffles: p is 0.05 at best.
            "holds": by_weights["p_value"] <= LEVEL,
        },
        "a curve unit's weights, rotated, are those of the rotated unit": {
            "turns": len(turns),
            "adjusted_p_at_most_0.05": sum(row["adjusted_p_value"] <= LEVEL for row in turns),
            "median_error_degrees": [row["median_error_degrees"]["value"] for row in turns],
            "holds": all(row["adjusted_p_value"] <= LEVEL for row in turns),
        },
        "car units respond less where wheels and windows are swapped": {
            "units": len(circuits["cars"]),
            "layers": sorted({car["layer"] for car in circuits["cars"]}),
            "holds": bool(circuits["cars"]),
        },
        "there are units for heads facing left, and for heads facing right": {
            side: {layer: of[side] for layer, of in heads.items() if of[side]} for side in ("left", "right")
        }
        | {"holds": all(any(of[side] for of in heads.values()) for side in ("left", "right"))},
        "weights of head units prefer inputs of their own side": {
            "units": len(sides),
            "holding_after_correction": corrected(sides),
            "holds": len(sides) > 0 and corrected(sides) > len(sides) / 2,
        },
        "there are units for bare heads facing either way": {
            kind: {layer: of[kind] for layer, of in heads.items() if of[kind]} for kind in ("both", "cat")
        }
        | {"holds": any(of[kind] for of in heads.values() for kind in ("both", "cat"))},
        "weights of these units prefer inputs of both sides": {
            "units": len(either),
            "holding_after_correction": corrected([unit["p_value"] for unit in either]),
            "holds": corrected([unit["p_value"] for unit in either]) > 0,
        },
        "there are units for heads with a neck behind": {
            "units": {layer: of["neck_behind"] for layer, of in heads.items() if of["neck_behind"]},
            "holds": any(of["neck_behind"] for of in heads.values()),
        },
    }


def main() -> None:
    parser = arguments_of(__doc__, network=False, size=False)
    parser.add_argument("weights", nargs="+", type=Path, help="slide.safetensors of several seeds")
    arguments = parser.parse_args()
    networks, found = [], []
    for path in arguments.weights:
        known, network = circuits_slide.known_of(path), jc.load(path)
        found.append(findings(known, circuits_curves.measure(network), circuits_slide.measure(network, known)))
        accuracies = {name: known[name] for name in ("accuracy", "accuracy_attacked")}
        networks.append(known["training"] | accuracies | {"most_dead": max(known["dead"].values())})
    result = {
        "networks": networks,
        "findings": [
            {
                "finding": name,
                "holds_in": int(np.sum([one[name]["holds"] for one in found])),
                "by_network": [one[name] for one in found],
            }
            for name in found[0]
        ],
    }
    report(result, arguments.out)


if __name__ == "__main__":
    main()
