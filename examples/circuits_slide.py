"""The car circuit and the oriented-head circuit in `slide`, whose units are known.

Command:   python -m examples.circuits_slide slide --out RESULT.json
           python -m examples.circuits_slide FOLDER/slide.safetensors --out RESULT.json
           (FOLDER: what `python -m jaxcircuits.slide.train --out FOLDER` wrote)
Hardware:  two CPU cores
Cost:      1 minute
Result:    examples/results/circuits_slide.json

Which units are for cars and for heads that face left or right is written in slide.json beside the weights, found with
pictures of figures alone. Here weights are held against it, and scenes that had no part in that. All those units are
described.

Cars. Of every car unit that minds the order of its parts (less than half of its answer is left where wheels and windows
swap places), between all blocks of the same grid: where its inputs are active around the cell where it answers most,
above or below it, on 64 fresh scenes of cars; and where its weights want them. The cell is chosen by the same weights,
so this stands beside the same on 64 scenes of the other classes. Intervals are bootstrap ones over scenes; p-values are
the rank among all units of the layer with a kernel, each at its own cell.

Heads. How opposed the weights of units for left and for right heads are, against all pairs of mixed5b: the mean over
pairs, with a p-value against random units in their place. Pairs that share units are not independent, and three units a
side are too few to resample, so there is no interval. The correlation
of their weights with the side that their inputs prefer, (left - right) / (left + right) of the answers to bare heads,
over the half of the inputs that answer heads most, with p-values against the preferences in random order; what the
logits make of them. `unions` looks for units that unite two cases, and what those prefer is said.

Units that answer bare heads facing either way, hounds' or cats': do their weights excite them from inputs that prefer
heads facing left and from those that prefer heads facing right? The smaller of the two mean weights is compared with
that for the same preferences in random order.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxcircuits as jc
from benchmarks.measuring import arguments_of, report
from examples.cars import arranged
from examples.circuits_objects import SHUFFLES
from examples.figures import by_chance, figure, rounded
from jaxcircuits.circuits import direct_weights, kernel, motifs
from jaxcircuits.evidence.responses import responses
from jaxcircuits.evidence.stimuli import figures
from jaxcircuits.slide import scenes

WEIGHTS = Path(jc.__file__).parent / "zoo" / "weights" / "slide.safetensors"
BEFORE, LAYER = "mixed5a", "mixed5b"
BLOCKS = ("mixed4a", "mixed4b", "mixed4c", "mixed4d", "mixed4e"), ("mixed5a", "mixed5b")
"""Blocks of one grid each, in which above and below are those of the layer before."""
ARRANGED = 0.5
SCENES = 64
ORDERS = 1000
"""Random orders of units or inputs, for what is by chance."""


def cars(network: jc.Network, known: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Of each car unit that minds the order of its parts, where its inputs are and where its weights want them.

    Args:
      network: `slide`.
      known: the car units of each layer, as slide.json has them.
    """
    car = scenes.CLASSES.index("car")
    without = np.resize(np.delete(np.arange(len(scenes.CLASSES)), car), SCENES)
    pictures, others = (
        jax.vmap(scenes.scene_of)(jax.random.split(jax.random.key(seed), SCENES), jnp.asarray(kinds))
        for seed, kinds in ((11, np.full(SCENES, car)), (12, without))
    )
    found = []
    for before, layer in (pair for blocks in BLOCKS for pair in itertools.pairwise(blocks)):
        units = [car["unit"] for car in known[layer] if car["swapped"] < ARRANGED]
        if units:
            shown, rest = (
                tuple(np.asarray(network.activations(images, [before, layer])[name]) for name in (before, layer))
                for images in (pictures, others)
            )
            rows = arranged(direct_weights(network, before, layer), shown, rest, units)
            found += [{"before": before, "layer": layer, "unit": unit} | row for unit, row in zip(units, rows)]
    return found


def sides(network: jc.Network, kind: float = figures.HOUND) -> dict[str, np.ndarray]:
    """Answers of mixed5a to bare heads that face left and right, mean over sizes, nods and light and dark, (units,)."""
    grid = [jnp.asarray(a.ravel(), jnp.float32) for a in np.meshgrid((13.0, 15, 17), (-0.15, 0.15), (0.15, 0.85))]

    @jax.jit
    def draw(facing: float) -> jax.Array:
        def head(radius: jax.Array, nod: jax.Array, shade: jax.Array) -> jax.Array:
            return figures.head(facing, radius, nod, kind=kind, color=jnp.full(3, shade))

        return jax.vmap(head)(*grid)

    facings = {"left": figures.LEFT, "right": figures.RIGHT}
    return {side: responses(network, draw(facing), [BEFORE])[BEFORE].mean(0) for side, facing in facings.items()}


def prefers_left(answers: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(left - right) / (left + right) of each input, and whether it is of the half that answers heads most."""
    total = answers["left"] + answers["right"]
    return (answers["left"] - answers["right"]) / np.maximum(total, 1e-6), total > np.median(total)


def unites(sums: np.ndarray, preference: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    """Whether a unit is excited by inputs for heads facing left and by those for heads facing right.

    Args:
      sums: its weights to the inputs that heads move, summed over the window, (inputs,).
      preference: from -1 (right alone) to 1 (left alone), (inputs,).
      rng: of the random orders.
    """

    def both(preference: np.ndarray) -> tuple[float, float]:
        left, right = np.maximum(preference, 0), np.maximum(-preference, 0)
        return sums @ left / max(left.sum(), 1e-9), sums @ right / max(right.sum(), 1e-9)

    chance = np.array([min(both(rng.permutation(preference))) for _ in range(ORDERS)])
    left, right = both(preference)
    return {
        "mean_weight_from_left": rounded(left, 3),
        "mean_weight_from_right": rounded(right, 3),
        "smaller_by_chance": rounded(np.median(chance), 3),
        "p_value": by_chance(min(left, right), chance),
    }


def heads_either_way(network: jc.Network, known: dict[str, list[int]]) -> list[dict[str, Any]]:
    """Of the units of mixed5b for bare heads that face either way, what they are made of."""
    sums, rng = direct_weights(network, BEFORE, LAYER).sum((1, 2)), np.random.default_rng(0)
    found = []
    for name, kind, units in (("hound", figures.HOUND, known["both"]), ("cat", figures.CAT, known["cat"])):
        preference, active = prefers_left(sides(network, kind))
        found += [{"head": name, "unit": unit} | unites(sums[unit][active], preference[active], rng) for unit in units]
    return found


def share_less_opposed(opposed: np.ndarray, pairs: list[tuple[int, int]]) -> dict[str, Any] | None:
    """The mean share of all pairs that are less opposed than some, and how often random units in their places have it.

    Args:
      opposed: how opposed the weights of any two units are, (units, units).
      pairs: of units; they may share units.
    """
    if not pairs:
        return None
    among = np.sort(opposed[np.triu_indices(len(opposed), 1)])
    ranks = (among.searchsorted(opposed.ravel()) / len(among)).reshape(opposed.shape)
    first, second = np.array(pairs).T
    rng = np.random.default_rng(0)
    orders = (rng.permutation(len(opposed)) for _ in range(ORDERS))
    chance = np.array([ranks[order[first], order[second]].mean() for order in orders])
    value = ranks[first, second].mean()
    return {
        "value": rounded(value, 3),
        "pairs": len(pairs),
        "units": len(np.unique(pairs)),
        "p_value": by_chance(value, chance),
    }


def heads(network: jc.Network, left: list[int], right: list[int], both: list[int]) -> dict[str, Any]:
    """Weights of the head units of mixed5b."""
    weights = direct_weights(network, BEFORE, LAYER)
    opposed = motifs.cross_inhibition(weights)
    preference, active = prefers_left(sides(network))
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
            "left and right": share_less_opposed(opposed, [(a, b) for a in left for b in right]),
            "left and left": share_less_opposed(opposed, [(a, b) for a in left for b in left if a < b]),
            "right and right": share_less_opposed(opposed, [(a, b) for a in right for b in right if a < b]),
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


def measure(network: jc.Network, known: dict[str, Any]) -> dict[str, Any]:
    """All figures, as plain JSON types.

    Args:
      network: `slide`, of any seed.
      known: its slide.json.
    """
    units = known["heads"][LAYER]
    return {
        "network": network.name,
        "layers": [BEFORE, LAYER],
        "scenes": SCENES,
        "cars": cars(network, known["cars"]),
        "heads": heads(network, units["left"], units["right"], units["both_with_neck"]),
        "heads_either_way": heads_either_way(network, units),
    }


def known_of(weights: Path) -> dict[str, Any]:
    """The slide.json beside the weights."""
    return json.loads(weights.with_suffix(".json").read_text())


def main() -> None:
    arguments = arguments_of(__doc__, size=False).parse_args()
    path = WEIGHTS if arguments.network == "slide" else Path(arguments.network)
    report(measure(jc.load(path), known_of(path)), arguments.out)


if __name__ == "__main__":
    main()
