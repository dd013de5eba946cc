"""Pairs of units for heads that face either way, what they inhibit, and the units that unite them."""

from __future__ import annotations

from typing import Any

import numpy as np

import jaxcircuits as jc
from examples.answers import answers, best, moved, moved_by
from examples.figures import figure, read, rounded
from jaxcircuits import circuits
from jaxcircuits.circuits import motifs
from jaxcircuits.universality.objects import MOVED, facing_pairs, same_side

LAYERS = ("mixed4a", "mixed4b", "mixed4c")
CHANCE = 20
"""Times that the mirrored dogs are exchanged for other dogs, for the number of pairs by chance."""


def both_ways(network: jc.Network, pictures: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Layer -> best answers to photographs, and to them mirrored, both (N, units)."""
    plain, mirrored = (
        best(answers(network, np.ascontiguousarray(p), LAYERS)) for p in (pictures, pictures[:, :, ::-1])
    )
    return {layer: (plain[layer], mirrored[layer]) for layer in LAYERS}


def change(plain: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """How much answers change under mirroring: 0 for none, 1 where either is 0 when the other is not."""
    squares = np.square(plain).mean(0) + np.square(mirrored).mean(0)
    return np.sqrt(np.square(plain - mirrored).mean(0) / np.maximum(squares, 1e-9))


def mirrored_correlation(plain: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """Of units' answers with others' to the mirrored photographs, (units, units)."""
    both, swapped = np.concatenate([plain, mirrored]), np.concatenate([mirrored, plain])
    return np.corrcoef(both.T, swapped.T)[: both.shape[1], both.shape[1] :]


def pairs_by_layer(
    choosing: dict[str, tuple[np.ndarray, np.ndarray]],
    measuring: dict[str, tuple[np.ndarray, np.ndarray]],
    raised_by_dogs: dict[str, np.ndarray],
) -> dict[str, dict[str, Any]]:
    """Layer -> pairs of units found on the photographs that choose, and what they do on the others.

    Args:
      choosing, measuring: of either half of the dogs, see `both_ways`.
      raised_by_dogs: layer -> (units,), by how many standard deviations.
    """
    result = {}
    for layer in LAYERS:
        raised, (plain, mirrored) = raised_by_dogs[layer], choosing[layer]
        found = facing_pairs(plain, mirrored, raised).tolist()
        rng = np.random.default_rng(0)
        chance = [len(facing_pairs(plain, mirrored[rng.permutation(len(mirrored))], raised)) for _ in range(CHANCE)]
        first, second = measuring[layer]
        rows = []
        for pair in found:

            def alike(first: np.ndarray, second: np.ndarray) -> float:
                return mirrored_correlation(first, second)[0, 1]

            def plainly(first: np.ndarray, second: np.ndarray) -> float:
                return np.corrcoef(np.concatenate([first, second]).T)[0, 1]

            of = first[:, pair], second[:, pair]
            rows.append(
                {
                    "units": pair,
                    "mirrored_correlation": figure(alike, *of),
                    "correlation": figure(plainly, *of),
                    "change_under_mirroring": [figure(change, *(part[:, i] for part in of)) for i in (0, 1)],
                }
            )
        result[layer] = {
            "tried": {"units": len(raised), "raised_by_dogs": int((raised > MOVED).sum())},
            "pairs_by_chance": rounded(np.mean(chance), 1),
            "pairs": rows,
        }
    return result


def crossing(
    weights: np.ndarray, before: list[int], after: list[int], sides: tuple[np.ndarray, np.ndarray]
) -> dict[str, Any]:
    """Sums of weights from a pair to a pair, and how high they rank among all inputs.

    Which units are alike is told by their answers, never by the weights between them: the first of `from` is the one
    that answers the photographs that the first of `to` answers.

    Args:
      weights: from the layer of the one pair to that of the other, (units, h, w, channels).
      before, after: the pairs.
      sides: answers to photographs of the layer before and of the layer after, (N, channels) and (N, units).
    """
    if not same_side(sides[0][:, before], sides[1][:, after]):
        before = before[::-1]
    sums = weights[after].sum((1, 2))[:, before]
    norms = np.linalg.norm(weights[after], axis=(1, 2))
    ranks = (norms[:, :, None] > norms[:, None, before]).sum(1) + 1
    return {
        "from": before,
        "to": after,
        "like": [rounded(sums[i, i], 3) for i in (0, 1)],
        "across": [rounded(sums[i, 1 - i], 3) for i in (0, 1)],
        "rank_of_like": [int(ranks[i, i]) for i in (0, 1)],
        "rank_of_across": [int(ranks[i, 1 - i]) for i in (0, 1)],
        "inputs": weights.shape[3],
    }


def ranks_among_inputs(weights: np.ndarray) -> np.ndarray:
    """The rank of each channel among a unit's excitatory inputs, 1 for the strongest: (units, channels)."""
    excitation = np.linalg.norm(np.maximum(weights, 0), axis=(1, 2))
    descending = np.sort(-excitation, axis=1)
    return np.stack([np.searchsorted(row, -own) for row, own in zip(descending, excitation)]) + 1


def uniting(weights: np.ndarray, pair: list[int], raised: np.ndarray, count: int = 3) -> list[dict[str, Any]]:
    """Units that have both of a pair highest among their excitatory inputs, by the sum of the two ranks.

    Args:
      weights: (units, h, w, channels).
      pair: of channels.
      raised: bool (units,), those that heads raise; no others unite heads.
      count: of units; where more have the last one's sum of ranks, these follow.

    Returns:
      For each its ranks and weights, and the others of the same sum of ranks as `tied_with`. Of units that tie, that
      with the larger weights from the pair comes first.
    """
    ranks, sums = ranks_among_inputs(weights)[:, pair], weights.sum((1, 2))[:, pair]
    order = [int(u) for u in np.lexsort((-sums.sum(1), ranks.sum(1))) if raised[u]]
    total = ranks.sum(1)
    return [
        {
            "unit": u,
            "ranks": ranks[u].tolist(),
            "weights": [rounded(w, 3) for w in sums[u]],
            "tied_with": [v for v in order if total[v] == total[u] and v != u],
        }
        for u in order
        if total[u] <= total[order[:count][-1]]
    ]


def united_by_chance(weights: np.ndarray, pair: list[int], raised: dict[str, np.ndarray]) -> dict[str, Any]:
    """How many pairs of channels some unit has as high among its excitatory inputs as the best one has this pair.

    Args:
      weights: (units, h, w, channels).
      pair: of channels.
      raised: bool of `channels` and of `units`, those that heads raise; units are searched among these.

    Returns:
      The sum of ranks, and the shares of all pairs of channels, and of those of two channels that heads raise, with a
      sum as low; the pair itself is counted.
    """
    ranks = ranks_among_inputs(weights)[raised["units"]]
    least = np.array(
        [(ranks + ranks[:, [channel]]).min(0, initial=2 * ranks.shape[1]) for channel in range(ranks.shape[1])]
    )
    as_low = least <= least[tuple(pair)]

    def share(channels: np.ndarray) -> float:
        among = as_low[np.ix_(channels, channels)][np.triu_indices(len(channels), 1)]
        return rounded(among.mean(), 4)

    return {
        "sum_of_ranks": int(least[tuple(pair)]),
        "share_of_all_pairs": share(np.arange(ranks.shape[1])),
        "share_of_pairs_that_dogs_raise": share(np.flatnonzero(raised["channels"])),
    }


def heads(
    network: jc.Network,
    seen: dict[str, np.ndarray],
    pictures: jc.Pictures,
    dogs: np.ndarray,
    choice: np.ndarray,
    shuffles: int,
) -> dict[str, Any]:
    """Pairs by layer, weights between them, units that unite them, and what weights alone find."""
    choosing, measuring = (
        both_ways(network, read(pictures, np.flatnonzero(dogs & half))) for half in (choice, ~choice)
    )
    shift = {layer: moved(seen[layer][choice], dogs[choice]) for layer in LAYERS}
    raised = {layer: values > MOVED for layer, values in shift.items()}
    by_layer = pairs_by_layer(choosing, measuring, shift)
    pairs = {layer: [row["units"] for row in of["pairs"]] for layer, of in by_layer.items()}
    first = circuits.direct_weights(network, "mixed4a", "mixed4b")
    second = circuits.direct_weights(network, "mixed4b", "mixed4c")
    found = motifs.unions(first, second, count=len(second), shuffles=shuffles)
    by_unit = {union.unit: (rank, union) for rank, union in enumerate(found, 1)}
    opposed = motifs.cross_inhibition(first)
    among = opposed[np.triu_indices(len(opposed), 1)]

    def raised_by(unit: int) -> dict[str, Any]:
        return moved_by(seen["mixed4c"][~choice, unit], dogs[~choice])

    def by_weights(unit: int) -> dict[str, Any]:
        rank, union = by_unit[unit]
        return {
            "unions_rank": rank,
            "unions_cases": list(union.cases),
            "unions_z": rounded(union.z, 1),
            "unions_p_value": rounded(union.p_value, 4),
            "unions_adjusted_p_value": rounded(union.adjusted_p_value, 4),
            "moved_by_dogs_sd": raised_by(unit),
        }

    return {
        "photographs": {"that_choose": int((dogs & choice).sum()), "that_measure": int((dogs & ~choice).sum())},
        "units_are_raised_by_sd": MOVED,
        "pairs": by_layer,
        "mixed4a_to_mixed4b": [
            crossing(first, a, b, (choosing["mixed4a"][0], choosing["mixed4b"][0]))
            for a in pairs["mixed4a"]
            for b in pairs["mixed4b"]
        ],
        "united_in_mixed4b": [{"pair": a, "united_by": uniting(first, a, raised["mixed4b"])} for a in pairs["mixed4a"]],
        "united_in_mixed4c": [
            {
                "pair": pair,
                "cross_inhibition": rounded(opposed[tuple(pair)], 3),
                "pairs_more_opposed": int((among > opposed[tuple(pair)]).sum()),
                "of": len(among),
                "united_by": [row | by_weights(row["unit"]) for row in uniting(second, pair, raised["mixed4c"])],
                "united_by_chance": united_by_chance(
                    second, pair, {"channels": raised["mixed4b"], "units": raised["mixed4c"]}
                ),
            }
            for pair in pairs["mixed4b"]
        ],
        "unions_by_weights_alone": [
            {
                "unit": u.unit,
                "cases": list(u.cases),
                "score": rounded(u.score, 4),
                "z": rounded(u.z, 1),
                "p_value": rounded(u.p_value, 4),
                "adjusted_p_value": rounded(u.adjusted_p_value, 4),
                "moved_by_dogs_sd": raised_by(u.unit),
            }
            for u in found[:10]
        ],
        "unions_of": {
            "units": len(found),
            "shuffles": shuffles,
            "p_value_below_0.05": sum(u.p_value < 0.05 for u in found),
            "adjusted_p_value_below_0.05": sum(u.adjusted_p_value < 0.05 for u in found),
        },
    }
