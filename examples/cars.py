"""The car unit of mixed4c, where its parts are, and over how many units of mixed4d cars are spread."""

from __future__ import annotations

from typing import Any

import numpy as np

import jaxcircuits as jc
from examples.answers import answers, best, largest_by_chance, moved, moved_by
from examples.figures import by_chance, figure, read, rounded
from jaxcircuits import circuits
from jaxcircuits.circuits import motifs

BEFORE, LAYER, AFTER = "mixed4b", "mixed4c", "mixed4d"
UPSIDE_DOWN = 0.6
"""A car unit's answer left upside down, at most, on the photographs that choose."""
CANDIDATES, SOURCES, STRONGEST = 6, 6, 100
MOVED_BY_VEHICLES, MOVED_BY_DOGS = 1.0, 0.5
"""Standard deviations by which a unit that vehicles or dogs move is raised."""
ORDERS = 1000


def views(network: jc.Network, pictures: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Answers to photographs by layer, and each unit of `LAYER`'s best answers to them plain, upside down, mirrored."""
    plain = answers(network, pictures, (BEFORE, LAYER))
    turned = {"upside_down": pictures[:, ::-1], "mirrored": pictures[:, :, ::-1]}
    return plain, {"plain": best(plain)[LAYER]} | {
        name: best(answers(network, np.ascontiguousarray(values), (LAYER,)))[LAYER] for name, values in turned.items()
    }


def left(changed: np.ndarray, plain: np.ndarray) -> Any:
    """How much of the answers is left, summed over photographs."""
    return changed.sum(0) / np.maximum(plain.sum(0), 1e-6)


def cars(
    network: jc.Network,
    seen: np.ndarray,
    pictures: jc.Pictures,
    vehicles: np.ndarray,
    choice: np.ndarray,
    shuffles: int,
) -> dict[str, Any]:
    """The car unit, its parts, and the other candidates.

    Args:
      network: whose units.
      seen: best answers of `LAYER` to all photographs, (N, units).
      pictures: the photographs.
      vehicles: bool (N,), those of vehicles.
      choice: bool (N,), those that choose; the others measure.
      shuffles: of parts' places.
    """
    weights = circuits.direct_weights(network, BEFORE, LAYER)
    _, by_choice = views(network, read(pictures, np.flatnonzero(vehicles & choice)))
    maps, held_out = views(network, read(pictures, np.flatnonzero(vehicles & ~choice)))
    shift = moved(seen[choice], vehicles[choice])
    # A 1x1 or pool branch reads above as below.
    slope = np.abs(weights[:, :2].sum((1, 2)) - weights[:, 3:].sum((1, 2))).max(1)
    has_kernel = slope > 1e-3 * np.abs(weights).max((1, 2, 3))
    minds_up = left(by_choice["upside_down"], by_choice["plain"]) <= UPSIDE_DOWN
    candidates = np.flatnonzero(has_kernel & minds_up)
    candidates = candidates[np.argsort(-shift[candidates])][:CANDIDATES]
    described = [
        {
            "unit": int(unit),
            "chosen_by": rounded(shift[unit]),
            "moved_by_vehicles_sd": moved_by(seen[~choice, unit], vehicles[~choice]),
            "answer_left_upside_down": figure(left, held_out["upside_down"][:, unit], held_out["plain"][:, unit]),
            "answer_left_mirrored": figure(left, held_out["mirrored"][:, unit], held_out["plain"][:, unit]),
            **arrangement(weights[unit], maps[BEFORE], maps[LAYER][..., unit], shuffles),
        }
        for unit in candidates.tolist()
    ]
    all_shift = moved(seen[~choice], vehicles[~choice])
    return {
        "photographs": {"that_choose": int((vehicles & choice).sum()), "that_measure": int((vehicles & ~choice).sum())},
        "layers": [BEFORE, LAYER],
        "tried": {
            "units": len(weights),
            "with_a_kernel": int(has_kernel.sum()),
            "and_less_upside_down": int((has_kernel & minds_up).sum()),
        },
        "largest_shift_by_chance": dict(
            zip(("median", "95th_percentile"), largest_by_chance(seen[choice], int((vehicles & choice).sum())))
        ),
        "moved_most": [
            {"unit": int(u), "has_kernel": bool(has_kernel[u]), "moved_by_vehicles_sd": rounded(all_shift[u])}
            for u in np.argsort(-shift)[:CANDIDATES]
        ],
        "car_unit": described[0]["unit"] if described else None,
        "units": described,
    }


def arrangement(weights: np.ndarray, before: np.ndarray, unit: np.ndarray, shuffles: int = ORDERS) -> dict[str, Any]:
    """Where a unit's inputs are active around the cell where it answers most, and where its weights want them.

    Args:
      weights: of the unit, (h, w, channels).
      before: activations of the layer it reads, (N, H, W, channels).
      unit: its own, (N, H, W).
      shuffles: of the inputs' places among one another, for what is by chance.
    """
    margin = len(weights) // 2
    padded = np.pad(before.astype(np.float32), ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    windows = []
    for one, padded_one in zip(unit, padded):
        row, column = np.unravel_index(one.argmax(), one.shape)
        windows.append(padded_one[row : row + len(weights), column : column + len(weights)])
    above, below = slice(0, margin), slice(margin + 1, None)
    sides = {name: np.stack(windows)[:, rows].mean((1, 2)) for name, rows in (("above", above), ("below", below))}
    seen = {side: values.mean(0) for side, values in sides.items()}
    read_of = {"above": weights[above].sum((0, 1)), "below": weights[below].sum((0, 1))}
    product = (seen["below"] - seen["above"]) * (read_of["below"] - read_of["above"])
    strongest = np.argsort(-np.linalg.norm(weights.reshape(-1, weights.shape[2]), axis=0))[:STRONGEST]
    slopes = (read_of["below"] - read_of["above"])[strongest]
    if not slopes.any():  # a 1x1 or pool branch
        return {"arrangement_correlation": None}
    by_picture = (sides["below"] - sides["above"])[:, strongest]

    def correlation(by_picture: np.ndarray) -> float:
        return float(np.corrcoef(by_picture.mean(0), slopes)[0, 1])

    rng = np.random.default_rng(0)
    active = by_picture.mean(0)
    chance = [np.corrcoef(active, rng.permutation(slopes))[0, 1] for _ in range(shuffles)]
    agree = np.sign(active) == np.sign(slopes)
    parts = np.argsort(-product)

    def part(channel: int) -> dict[str, Any]:
        return {
            "unit": int(channel),
            "activation": {side: rounded(seen[side][channel], 1) for side in seen},
            "weights": {side: rounded(read_of[side][channel], 3) for side in read_of},
        }

    return {
        "arrangement_correlation": figure(correlation, by_picture)
        | {"p_value": by_chance(correlation(by_picture), np.array(chance))},
        "arrangement_inputs": len(strongest),
        "arrangement_agrees": int(agree.sum()),
        "parts_above": [part(c) for c in parts if read_of["above"][c] > read_of["below"][c]][:5],
        "parts_below": [part(c) for c in parts if read_of["below"][c] > read_of["above"][c]][:5],
        "against": [part(c) for c in parts[::-1][:3]],
    }


def superposed(
    network: jc.Network,
    seen: dict[str, np.ndarray],
    vehicles: np.ndarray,
    dogs: np.ndarray,
    choice: np.ndarray,
    shuffles: int,
) -> dict[str, Any]:
    """Over which units of mixed4d the units of mixed4c for vehicles are spread, and what those answer besides.

    The units are those that vehicles move most on the photographs that choose; what moves their readers is measured on
    the others.
    """
    by_choice = moved(seen[LAYER][choice], vehicles[choice])
    shift = {layer: moved(seen[layer][~choice], vehicles[~choice]) for layer in (LAYER, AFTER)}
    animals = moved(seen[AFTER][~choice], dogs[~choice])
    sources = np.argsort(-by_choice)[:SOURCES]
    weights = circuits.direct_weights(network, LAYER, AFTER)
    rows = []
    for one in motifs.superpositions(weights, sources, strongest=10, shuffles=shuffles):
        vehicle, dog = shift[AFTER][one.units] > MOVED_BY_VEHICLES, animals[one.units] > MOVED_BY_DOGS
        rows.append(
            {
                "unit": one.source,
                "moved_by_vehicles_sd": rounded(shift[LAYER][one.source]),
                "units": one.units.tolist(),
                "contexts": rounded(one.score),
                "agreement": rounded(one.agreement, 3),
                "contexts_of_shuffles": [rounded(q, 1) for q in np.quantile(one.null, (0.05, 0.5, 0.95))],
                "p_value": rounded(one.p_value, 4),
                "adjusted_p_value": rounded(one.adjusted_p_value, 4),
                "of_them_moved_by_vehicles": int(vehicle.sum()),
                "of_them_moved_by_dogs": int(dog.sum()),
                "of_them_moved_by_both": int((vehicle & dog).sum()),
            }
        )
    return {
        "from": LAYER,
        "to": AFTER,
        "shuffles": shuffles,
        "all_moved_by_vehicles": rounded((shift[AFTER] > MOVED_BY_VEHICLES).mean()),
        "all_moved_by_dogs": rounded((animals > MOVED_BY_DOGS).mean()),
        "features": rows,
    }
