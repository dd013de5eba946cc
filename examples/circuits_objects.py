"""The car circuit and the oriented-head circuit in inceptionv1-2015, from photographs and weights.

Command:   python -m benchmarks.circuits_objects WEIGHTS.safetensors PHOTOGRAPHS --out RESULT.json
           (PHOTOGRAPHS: a folder of one folder a synset of JPEG files, such as 800 ImageNet pictures)
Hardware:  two CPU cores
Cost:      40 seconds
Result:    benchmarks/results/circuits_objects.NETWORK.json

Cars. The car unit is the unit of mixed4c with a kernel (no 1x1 or pool branch) that vehicles move most, among those
whose answer falls by 40 % or more when the photograph is upside down; left for right must not matter. Parts are units
of mixed4b that vehicles activate above or below the cell where it answers most; its weights should excite them on the
side where they are, and inhibit them on the other.

Heads. Two units of a layer are a pair that faces either way if one answers dogs as the other answers them mirrored
(correlation over photographs), and neither answers a dog and its mirror image alike. Weights from a pair of mixed4a to
a pair of mixed4b should excite alike and inhibit across; a unit of mixed4c that unites a pair has both among its
strongest inputs. `unions` looks for the same by weights alone.

Superposition: over how many units of mixed4d, and what they answer besides, the car units of mixed4c are spread.

Unions and superposition are compared with 99 shuffles that keep how strong channels and units are; p-values are given
as they are for one chosen before looking, and corrected for all that were searched.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import jaxcircuits as jc
from benchmarks.measuring import arguments_of, report
from benchmarks.photographs import Photographs
from jaxcircuits import circuits
from jaxcircuits.circuits import motifs

LAYERS = ("mixed4a", "mixed4b", "mixed4c", "mixed4d")
VEHICLES = (
    "beach wagon", "cab", "convertible", "fire engine", "garbage truck", "jeep", "minibus", "minivan", "moving van",
    "police van", "racer", "school bus", "tow truck", "trolleybus", "golfcart", "go-kart", "Model T", "limousine",
    "sports car", "pickup", "ambulance",
)  # fmt: skip
DOGS = ("n02085620", "n02113978")
"""The first and the last synset of dogs."""
SHUFFLES = 99
"""Of the weights, for unions and superposition."""
UPSIDE_DOWN, MIRRORED = 0.6, 0.3
"""A car unit's answer left upside down, at most; how much a facing unit's answers change under mirroring, at least."""


def answers(network: jc.Network, pictures: np.ndarray, layers: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Layer -> (N, h, w, channels)."""
    parts: dict[str, list[np.ndarray]] = {layer: [] for layer in layers}
    for start in range(0, len(pictures), 40):
        for layer, values in network.activations(pictures[start : start + 40], layers).items():
            parts[layer].append(np.asarray(values, np.float16))
    return {layer: np.concatenate(values) for layer, values in parts.items()}


def best(maps: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Layer -> each unit's answer at its best position, (N, channels)."""
    return {layer: values.max((1, 2)).astype(np.float32) for layer, values in maps.items()}


def baseline(network: jc.Network, photographs: Photographs) -> dict[str, np.ndarray]:
    """Layer -> best answers to all photographs, (N, channels)."""
    parts: dict[str, list[np.ndarray]] = {layer: [] for layer in LAYERS}
    for pictures in photographs.batches():
        for layer, values in best(answers(network, pictures, LAYERS)).items():
            parts[layer].append(values)
    return {layer: np.concatenate(values) for layer, values in parts.items()}


def moved(all_answers: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """By how many standard deviations (over all photographs) the chosen ones raise each unit's mean answer."""
    return (all_answers[chosen].mean(0) - all_answers.mean(0)) / np.maximum(all_answers.std(0), 1e-6)


def direct(network: jc.Network, source: str, target: str) -> np.ndarray:
    """All weights between connected layers, (units, h, w, channels)."""
    return circuits.direct_weights(network, source, target)


def cars(network: jc.Network, seen: dict[str, np.ndarray], photographs: Photographs, chosen: np.ndarray) -> dict:
    """The car unit, its parts, and the other candidates."""
    pictures, layers = photographs.read(chosen), ("mixed4b", "mixed4c", "mixed4d")
    plain = answers(network, pictures, layers)
    upside, mirrored = (
        best(answers(network, np.ascontiguousarray(turned), layers))
        for turned in (pictures[:, ::-1], pictures[:, :, ::-1])
    )
    weights = direct(network, "mixed4b", "mixed4c")
    strong = best(plain)["mixed4c"].mean(0)
    shift = moved(seen["mixed4c"], chosen)
    left = {"upside": upside["mixed4c"].mean(0) / strong, "mirrored": mirrored["mixed4c"].mean(0) / strong}
    # A 1x1 or pool branch reads above as below.
    slope = np.abs(weights[:, :2].sum((1, 2)) - weights[:, 3:].sum((1, 2))).max(1)
    has_kernel = slope > 1e-3 * np.abs(weights).max((1, 2, 3))
    candidates = np.flatnonzero(has_kernel & (left["upside"] <= UPSIDE_DOWN))
    candidates = candidates[np.argsort(-shift[candidates])][:6]
    described = [
        {
            "unit": int(unit),
            "moved_by_vehicles_sd": round(float(shift[unit]), 2),
            "answer_left_upside_down": round(float(left["upside"][unit]), 2),
            "answer_left_mirrored": round(float(left["mirrored"][unit]), 2),
            **arrangement(weights[unit], plain["mixed4b"], plain["mixed4c"][..., unit]),
        }
        for unit in candidates.tolist()
    ]
    return {
        "photographs": len(chosen),
        "layers": ["mixed4b", "mixed4c"],
        "car_unit": described[0]["unit"],
        "units": described,
    }


def arrangement(weights: np.ndarray, before: np.ndarray, unit: np.ndarray) -> dict[str, Any]:
    """Where a unit's inputs are active around the cell where it answers most, and where its weights want them.

    Args:
      weights: of the unit, (h, w, channels).
      before: activations of the layer it reads, (N, H, W, channels).
      unit: its own, (N, H, W).
    """
    margin = len(weights) // 2
    padded = np.pad(before.astype(np.float32), ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    windows = []
    for one, padded_one in zip(unit, padded):
        row, column = np.unravel_index(one.argmax(), one.shape)
        windows.append(padded_one[row : row + len(weights), column : column + len(weights)])
    active = np.mean(windows, axis=0)
    above, below = slice(0, margin), slice(margin + 1, None)
    seen = {"above": active[above].mean((0, 1)), "below": active[below].mean((0, 1))}
    read = {"above": weights[above].sum((0, 1)), "below": weights[below].sum((0, 1))}
    product = (seen["below"] - seen["above"]) * (read["below"] - read["above"])
    strongest = np.argsort(-np.linalg.norm(weights.reshape(-1, weights.shape[2]), axis=0))[:100]
    order = {name: (read[name] - read[other]) for name, other in (("above", "below"), ("below", "above"))}

    def part(channel: int) -> dict[str, Any]:
        return {
            "unit": int(channel),
            "activation": {side: round(float(seen[side][channel]), 1) for side in seen},
            "weights": {side: round(float(read[side][channel]), 3) for side in read},
        }

    agree = np.sign(seen["below"] - seen["above"]) == np.sign(read["below"] - read["above"])
    parts = np.argsort(-product)
    slopes = np.stack([(of["below"] - of["above"])[strongest] for of in (seen, read)])
    if not slopes[1].any():  # a 1x1 or pool branch
        return {"arrangement_correlation": None}
    return {
        "arrangement_correlation": round(float(np.corrcoef(slopes)[0, 1]), 3),
        "arrangement_agrees_of_100_strongest": int(agree[strongest].sum()),
        "parts_above": [part(c) for c in parts if order["above"][c] > 0][:5],
        "parts_below": [part(c) for c in parts if order["below"][c] > 0][:5],
        "against": [part(c) for c in parts[::-1][:3]],
    }


def facing_pairs(
    network: jc.Network, seen: dict[str, np.ndarray], photographs: Photographs, chosen: np.ndarray
) -> dict[str, list[dict[str, Any]]]:
    """Layer -> pairs of units for dogs that face either way, most alike under mirroring first."""
    pictures, layers = photographs.read(chosen), ("mixed4a", "mixed4b", "mixed4c")
    plain, mirrored = (
        best(answers(network, np.ascontiguousarray(p), layers)) for p in (pictures, pictures[:, :, ::-1])
    )
    result = {}
    for layer in layers:
        first, second = plain[layer], mirrored[layer]
        change = np.sqrt(
            np.square(first - second).mean(0) / np.maximum(np.square(first).mean(0) + np.square(second).mean(0), 1e-9)
        )
        units = np.flatnonzero((change >= MIRRORED) & (moved(seen[layer], chosen) > 0.5))
        both, swapped = np.concatenate([first, second])[:, units], np.concatenate([second, first])[:, units]
        likeness = np.corrcoef(both.T, swapped.T)[: len(units), len(units) :] if len(units) > 1 else np.zeros((0, 0))
        own = np.corrcoef(both.T) if len(units) > 1 else likeness
        found = []
        for i, j in zip(*np.triu_indices(len(units), 1)):
            if likeness[i, j] > 0.5 and likeness[i].argmax() == j and likeness[j].argmax() == i:
                found.append(
                    {
                        "units": [int(units[i]), int(units[j])],
                        "mirrored_correlation": round(float(likeness[i, j]), 2),
                        "correlation": round(float(own[i, j]), 2),
                        "change_under_mirroring": [round(float(change[units[k]]), 2) for k in (i, j)],
                    }
                )
        result[layer] = sorted(found, key=lambda pair: -pair["mirrored_correlation"])
    return result


def crossing(weights: np.ndarray, before: list[int], after: list[int]) -> dict[str, Any]:
    """Sums of weights from a pair to a pair, put so that like comes first, and how high they rank among all inputs."""
    sums = weights[after].sum((1, 2))[:, before]
    if sums[0, 0] + sums[1, 1] < sums[0, 1] + sums[1, 0]:
        before, sums = before[::-1], sums[:, ::-1]
    norms = np.linalg.norm(weights[after], axis=(1, 2))
    ranks = (norms[:, :, None] > norms[:, None, before]).sum(1) + 1
    return {
        "from": before,
        "to": after,
        "like": [round(float(sums[i, i]), 3) for i in (0, 1)],
        "across": [round(float(sums[i, 1 - i]), 3) for i in (0, 1)],
        "rank_of_like": [int(ranks[i, i]) for i in (0, 1)],
        "rank_of_across": [int(ranks[i, 1 - i]) for i in (0, 1)],
    }


def uniting(weights: np.ndarray, pair: list[int], count: int = 3) -> list[dict[str, Any]]:
    """Units that have both of a pair highest among their excitatory inputs."""
    excitation = np.linalg.norm(np.maximum(weights, 0), axis=(1, 2))
    ranks = (excitation[:, :, None] > excitation[:, None, pair]).sum(1) + 1
    sums = weights.sum((1, 2))[:, pair]
    return [
        {"unit": int(u), "ranks": ranks[u].tolist(), "weights": [round(float(w), 3) for w in sums[u]]}
        for u in np.argsort(ranks.sum(1))[:count]
    ]


def heads(network: jc.Network, seen: dict[str, np.ndarray], photographs: Photographs, chosen: np.ndarray) -> dict:
    """Pairs by layer, weights between them, units that unite them, and what weights alone find."""
    pairs = facing_pairs(network, seen, photographs, chosen)
    first, second = direct(network, "mixed4a", "mixed4b"), direct(network, "mixed4b", "mixed4c")
    found = motifs.unions(first, second, count=len(second), shuffles=SHUFFLES)
    by_unit = {union.unit: (rank, union) for rank, union in enumerate(found, 1)}
    united = []
    for pair in pairs["mixed4b"]:
        opposed = motifs.cross_inhibition(first)
        among = opposed[np.triu_indices(len(opposed), 1)]
        united.append(
            {
                "pair": pair["units"],
                "cross_inhibition": round(float(opposed[tuple(pair["units"])]), 3),
                "pairs_more_opposed": int((among > opposed[tuple(pair["units"])]).sum()),
                "of": len(among),
                "united_by": [
                    row
                    | {
                        "unions_rank": by_unit[row["unit"]][0],
                        "unions_cases": list(by_unit[row["unit"]][1].cases),
                        "unions_z": round(by_unit[row["unit"]][1].z, 1),
                        "unions_p_value": round(by_unit[row["unit"]][1].p_value, 4),
                        "unions_adjusted_p_value": round(by_unit[row["unit"]][1].adjusted_p_value, 4),
                    }
                    for row in uniting(second, pair["units"])
                ],
            }
        )
    return {
        "photographs": len(chosen),
        "pairs": pairs,
        "mixed4a_to_mixed4b": [
            crossing(first, a["units"], b["units"]) for a in pairs["mixed4a"] for b in pairs["mixed4b"]
        ],
        "united_in_mixed4b": [{"pair": a["units"], "united_by": uniting(first, a["units"])} for a in pairs["mixed4a"]],
        "united_in_mixed4c": united,
        "unions_by_weights_alone": [
            {
                "unit": u.unit,
                "cases": list(u.cases),
                "score": round(u.score, 4),
                "z": round(u.z, 1),
                "p_value": round(u.p_value, 4),
                "adjusted_p_value": round(u.adjusted_p_value, 4),
                "moved_by_dogs_sd": round(float(moved(seen["mixed4c"], chosen)[u.unit]), 2),
            }
            for u in found[:10]
        ],
        "unions_of": {
            "units": len(found),
            "shuffles": SHUFFLES,
            "p_value_below_0.05": sum(u.p_value < 0.05 for u in found),
            "adjusted_p_value_below_0.05": sum(u.adjusted_p_value < 0.05 for u in found),
        },
    }


def superposed(network: jc.Network, seen: dict[str, np.ndarray], vehicles: np.ndarray, dogs: np.ndarray) -> dict:
    """Over which units of mixed4d the units of mixed4c for vehicles are spread, and what those answer besides."""
    shift = {layer: moved(seen[layer], vehicles) for layer in ("mixed4c", "mixed4d")}
    sources = np.argsort(-shift["mixed4c"])[:6]
    found = motifs.superpositions(direct(network, "mixed4c", "mixed4d"), sources, strongest=10, shuffles=SHUFFLES)
    animals = moved(seen["mixed4d"], dogs)
    rows = []
    for one in found:
        rows.append(
            {
                "unit": one.source,
                "moved_by_vehicles_sd": round(float(shift["mixed4c"][one.source]), 2),
                "units": one.units.tolist(),
                "contexts": round(one.score, 2),
                "agreement": round(one.agreement, 3),
                "contexts_of_shuffles": [round(float(q), 1) for q in np.quantile(one.null, (0.05, 0.5, 0.95))],
                "p_value": round(one.p_value, 4),
                "adjusted_p_value": round(one.adjusted_p_value, 4),
                "of_them_moved_by_vehicles": int((shift["mixed4d"][one.units] > 1).sum()),
                "of_them_moved_by_dogs": int((animals[one.units] > 0.5).sum()),
                "of_them_moved_by_both": int(((shift["mixed4d"][one.units] > 1) & (animals[one.units] > 0.5)).sum()),
            }
        )
    return {"from": "mixed4c", "to": "mixed4d", "shuffles": SHUFFLES, "features": rows}


def measure(network: jc.Network, photographs: Photographs) -> dict[str, Any]:
    """All figures, as plain JSON types."""
    names = {label.split()[0]: label.partition(" ")[2].split(",")[0] for label in network.labels}
    vehicles = np.flatnonzero([names.get(synset) in VEHICLES for synset in photographs.synsets])
    dogs = np.flatnonzero((photographs.synsets >= DOGS[0]) & (photographs.synsets <= DOGS[1]))
    seen = baseline(network, photographs)
    return {
        "network": network.name,
        "cars": cars(network, seen, photographs, vehicles),
        "superposition": superposed(network, seen, vehicles, dogs),
        "heads": heads(network, seen, photographs, dogs),
    }


def main() -> None:
    parser = arguments_of(__doc__, size=False)
    parser.add_argument("photographs", type=Path)
    arguments = parser.parse_args()
    report(measure(jc.load(arguments.network), Photographs(arguments.photographs)), arguments.out)


if __name__ == "__main__":
    main()
