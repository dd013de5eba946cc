"""The car circuit and the oriented-head circuit in `slide`, whose units are known.

Command:   python -m examples.circuits_slide --out RESULT.json
Hardware:  two CPU cores
Cost:      10 seconds
Result:    examples/results/circuits_slide.json

Which units are for cars and for heads that face left or right is written in jaxcircuits/zoo/weights/slide.json, found
with pictures of figures alone. Here weights are held against it, and scenes that had no part in that. All those units
are described.

Cars. Where the inputs (mixed5a) of the car units of mixed5b are active around the cell where those answer most, above
or below it, on 64 fresh scenes of cars; and where their weights want them. Intervals are bootstrap ones over scenes;
p-values are against inputs in random order.

Heads. How opposed the weights of units for left and for right heads are, against all pairs of mixed5b; the correlation
of their weights with the side that their inputs prefer, (left - right) / (left + right) of the answers to bare heads,
over the half of the inputs that answer heads most, with p-values against the preferences in random order; what the
logits make of them. `unions` looks for units that unite two cases, and what those prefer is said.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxcircuits as jc
from benchmarks.measuring import arguments_of, report
from examples.cars import ORDERS, arrangement
from examples.circuits_objects import SHUFFLES
from examples.figures import by_chance, figure, rounded
from jaxcircuits.circuits import direct_weights, kernel, motifs
from jaxcircuits.evidence.responses import responses
from jaxcircuits.evidence.stimuli import figures
from jaxcircuits.slide import scenes

WEIGHTS = Path(jc.__file__).parent / "zoo" / "weights" / "slide.json"
BEFORE, LAYER = "mixed5a", "mixed5b"
SCENES = 64


def cars(network: jc.Network, units: list[int]) -> list[dict[str, Any]]:
    """Of each car unit of mixed5b, where its inputs are and where its weights want them."""
    keys = jax.random.split(jax.random.key(11), SCENES)
    pictures = jax.vmap(lambda key: scenes.scene_of(key, scenes.CLASSES.index("car")))(keys)
    seen = {layer: np.asarray(values) for layer, values in network.activations(pictures, [BEFORE, LAYER]).items()}
    weights = direct_weights(network, BEFORE, LAYER)
    return [{"unit": unit} | arrangement(weights[unit], seen[BEFORE], seen[LAYER][..., unit]) for unit in units]


def sides(network: jc.Network) -> dict[str, np.ndarray]:
    """Answers of mixed5a to bare heads that face left and right, mean over sizes, nods and light and dark, (units,)."""
    grid = [jnp.asarray(a.ravel(), jnp.float32) for a in np.meshgrid((13.0, 15, 17), (-0.15, 0.15), (0.15, 0.85))]

    @jax.jit
    def draw(facing: float) -> jax.Array:
        return jax.vmap(lambda radius, nod, shade: figures.head(facing, radius, nod, colour=jnp.full(3, shade)))(*grid)

    facings = {"left": figures.LEFT, "right": figures.RIGHT}
    return {side: responses(network, draw(facing), [BEFORE])[BEFORE].mean(0) for side, facing in facings.items()}


def heads(network: jc.Network, left: list[int], right: list[int], both: list[int]) -> dict[str, Any]:
    """Weights of the head units of mixed5b."""
    weights = direct_weights(network, BEFORE, LAYER)
    opposed = motifs.cross_inhibition(weights)
    among = opposed[np.triu_indices(len(opposed), 1)]

    def share_below(pairs: list[tuple[int, int]]) -> dict[str, Any] | None:
        shares = np.array([(among < opposed[pair]).mean() for pair in pairs])
        return figure(np.mean, shares, digits=3) if pairs else None

    answers = sides(network)
    total = answers["left"] + answers["right"]
    preference = (answers["left"] - answers["right"]) / np.maximum(total, 1e-6)
    active = total > np.median(total)
    sums = weights.sum((1, 2))
    logits = kernel(network, network.logits).weights[0, 0]
    rng = np.random.default_rng(0)

    def follows(unit: int, sign: int) -> dict[str, Any]:
        """Whether a unit's weights are larger to the inputs that prefer its side."""
        own, liked = sums[unit][active], sign * preference[active]
        chance = [np.corrcoef(own, rng.permutation(liked))[0, 1] for _ in range(ORDERS)]
        found = figure(lambda a, b: np.corrcoef(a, b)[0, 1], own, liked)
        return {"unit": unit} | found | {"p_value": by_chance(np.corrcoef(own, liked)[0, 1], np.array(chance))}

    found = motifs.unions(direct_weights(network, "mixed4e", BEFORE), weights, count=len(weights), shuffles=SHUFFLES)
    return {
        "left": left,
        "right": right,
        "mean_share_of_pairs_less_opposed": {
            "left and right": share_below([(a, b) for a in left for b in right]),
            "left and left": share_below([(a, b) for a in left for b in left if a < b]),
            "right and right": share_below([(a, b) for a in right for b in right if a < b]),
        },
        "correlation_of_weights_with_inputs_preferring_their_side": {
            side: [follows(unit, sign) for unit in units]
            for side, units, sign in (("left", left, 1), ("right", right, -1))
        },
        "mean_weight_to_logits": {
            name: {
                side: rounded(logits[units, network.class_index(name)].mean(), 3)
                for side, units in (("left", left), ("right", right), ("both, with neck", both))
                if units
            }
            for name in ("head left", "head right", "head and neck", "scrambled head")
        },
        "unions_of": {"units": len(found), "shuffles": SHUFFLES},
        "unions_by_weights_alone": [
            {
                "unit": union.unit,
                "rank": rank,
                "cases": list(union.cases),
                "cases_prefer_left_by": [rounded(preference[case]) for case in union.cases],
                "z": rounded(union.z, 1),
                "p_value": rounded(union.p_value, 4),
                "adjusted_p_value": rounded(union.adjusted_p_value, 4),
                "known_for_both_sides": union.unit in both,
            }
            for rank, union in enumerate(found, 1)
            if rank <= 5 or union.unit in both
        ],
    }


def main() -> None:
    arguments = arguments_of(__doc__, network=False, size=False).parse_args()
    network = jc.load("slide")
    known = json.loads(WEIGHTS.read_text())
    units = known["heads"][LAYER]
    result = {
        "network": network.name,
        "layers": [BEFORE, LAYER],
        "scenes": SCENES,
        "cars": cars(network, [car["unit"] for car in known["cars"][LAYER]]),
        "heads": heads(network, units["left"], units["right"], units["both_with_neck"]),
    }
    report(result, arguments.out)


if __name__ == "__main__":
    main()
