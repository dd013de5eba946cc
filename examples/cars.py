"""The car unit of mixed4c, where its parts are, and over how many units of mixed4d cars are spread."""

from __future__ import annotations

from typing import Any

import numpy as np

import jaxcircuits as jc
from examples.answers import answers, best, largest_by_chance, moved, moved_by
from examples.figures import by_chance, figure, read, rounded
from jaxcircuits import circuits
from jaxcircuits.circuits import motifs
from jaxcircuits.universality.arrangement import (
    STRONGEST,
    arrangement,
    difference_interval,
    halves_of_windows,
    has_kernel,
)

BEFORE, LAYER, AFTER = "mixed4b", "mixed4c", "mixed4d"
UPSIDE_DOWN = 0.6
"""A car unit's answer left upside down, at most, on the photographs that choose."""
CANDIDATES, SOURCES = 6, 6
OTHERS = 120
"""Photographs without vehicles, beside which the arrangement of parts on those with vehicles is put."""
MOVED_BY_VEHICLES, MOVED_BY_DOGS = 1.0, 0.5
"""Standard deviations by which a unit that vehicles or dogs move is raised."""


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
) -> dict[str, Any]:
    """The car unit, its parts, and the other candidates.

    Args:
      network: whose units.
      seen: best answers of `LAYER` to all photographs, (N, units).
      pictures: the photographs.
      vehicles: bool (N,), those of vehicles.
      choice: bool (N,), those that choose; the others measure.
    """
    weights = circuits.direct_weights(network, BEFORE, LAYER)
    _, by_choice = views(network, read(pictures, np.flatnonzero(vehicles & choice)))
    maps, held_out = views(network, read(pictures, np.flatnonzero(vehicles & ~choice)))
    shift = moved(seen[choice], vehicles[choice])
    kernel = has_kernel(weights)
    minds_up = left(by_choice["upside_down"], by_choice["plain"]) <= UPSIDE_DOWN
    candidates = np.flatnonzero(kernel & minds_up)
    candidates = candidates[np.argsort(-shift[candidates])][:CANDIDATES]
    without = np.flatnonzero(~vehicles & ~choice)
    without = without[np.linspace(0, len(without) - 1, min(OTHERS, len(without))).astype(int)]
    others = answers(network, read(pictures, without), (BEFORE, LAYER))
    rows = arranged(weights, (maps[BEFORE], maps[LAYER]), (others[BEFORE], others[LAYER]), candidates.tolist())
    described = [
        {
            "unit": int(unit),
            "chosen_by": rounded(shift[unit]),
            "moved_by_vehicles_sd": moved_by(seen[~choice, unit], vehicles[~choice]),
            "answer_left_upside_down": figure(left, held_out["upside_down"][:, unit], held_out["plain"][:, unit]),
            "answer_left_mirrored": figure(left, held_out["mirrored"][:, unit], held_out["plain"][:, unit]),
            **row,
        }
        for unit, row in zip(candidates.tolist(), rows)
    ]
    return {
        "photographs": {"that_choose": int((vehicles & choice).sum()), "that_measure": int((vehicles & ~choice).sum())},
        "photographs_without_vehicles": len(without),
        "layers": [BEFORE, LAYER],
        "tried": {
            "units": len(weights),
            "with_a_kernel": int(kernel.sum()),
            "and_less_upside_down": int((kernel & minds_up).sum()),
        },
        "largest_shift_by_chance": dict(
            zip(("median", "95th_percentile"), largest_by_chance(seen[choice], int((vehicles & choice).sum())))
        ),
        "moved_most": [
            {
                "unit": int(u),
                "has_kernel": bool(kernel[u]),
                "moved_by_vehicles_sd": moved_by(seen[~choice, u], vehicles[~choice]),
            }
            for u in np.argsort(-shift)[:CANDIDATES]
        ],
        "car_unit": described[0]["unit"] if described else None,
        "units": described,
    }


def arranged(
    weights: np.ndarray,
    shown: tuple[np.ndarray, np.ndarray],
    others: tuple[np.ndarray, np.ndarray],
    units: list[int],
) -> list[dict[str, Any]]:
    """Where units' inputs are active around the cell where they answer most, and where their weights want them.

    That cell is chosen by the same weights, so that the correlation (`jaxcircuits.universality.arrangement`) is above 0
    for most units on any pictures. It stands beside that on pictures without the thing, with the difference. The
    p-values of both are ranks among all units of the layer with a kernel, each at its own cell of the same pictures:
    things stand elsewhere in pictures than the rest, so that the difference of many units is above 0, too.

    Args:
      weights: of all units of the layer, (units, h, w, channels).
      shown: activations of the layer that is read, (N, H, W, channels), and of the layer itself, (N, H, W, units), on
        pictures of the thing.
      others: the same on pictures without it.
      units: those to describe.
    """
    kernel = has_kernel(weights)
    own, without = (
        arrangement(weights, before.astype(np.float32), after.astype(np.float32)) for before, after in (shown, others)
    )
    mean, rows = own.mean(0), []
    apart = mean - without.mean(0)
    for unit in units:
        if not kernel[unit]:  # a 1x1 or pool branch
            rows.append({"arrangement_correlation": None})
            continue
        others_of_layer, apart_of_layer = (np.delete(of, unit)[np.delete(kernel, unit)] for of in (mean, apart))
        low, high = difference_interval(own[:, unit], without[:, unit])
        rows.append(
            {
                "arrangement_correlation": figure(np.mean, own[:, unit])
                | {"p_value": by_chance(mean[unit], others_of_layer)},
                "arrangement_of_other_units": len(others_of_layer),
                "arrangement_of_other_units_median": rounded(np.median(others_of_layer)),
                "arrangement_without": figure(np.mean, without[:, unit]),
                "arrangement_above_without": {
                    "value": rounded(apart[unit]),
                    "interval": [rounded(low), rounded(high)],
                    "p_value": by_chance(apart[unit], apart_of_layer),
                },
                **parts(weights[unit], shown[0], shown[1][..., unit]),
            }
        )
    return rows


def parts(weights: np.ndarray, before: np.ndarray, unit: np.ndarray) -> dict[str, Any]:
    """The inputs of a unit that fit its weights best and worst, by their mean activations above and below its cell.

    Args:
      weights: of the unit, (h, w, channels).
      before: activations of the layer it reads, (N, H, W, channels).
      unit: its own, (N, H, W).
    """
    halves = []
    for inputs, answer in zip(before, unit):
        cell = np.unravel_index(answer.argmax(), answer.shape)
        halves.append([half[cell] for half in halves_of_windows(inputs, weights.shape[:2], answer.shape)])
    seen = dict(zip(("above", "below"), np.mean(halves, axis=0)))
    middle = len(weights) // 2
    read_of = {"above": weights[:middle].sum((0, 1)), "below": weights[len(weights) - middle :].sum((0, 1))}
    slopes = read_of["below"] - read_of["above"]
    order = np.argsort(-(seen["below"] - seen["above"]) * slopes)
    strongest = np.argsort(-np.linalg.norm(weights, axis=(0, 1)), kind="stable")[:STRONGEST]
    agree = np.sign(seen["below"] - seen["above"])[strongest] == np.sign(slopes)[strongest]

    def part(channel: int) -> dict[str, Any]:
        return {
            "unit": int(channel),
            "activation": {side: rounded(seen[side][channel], 1) for side in seen},
            "weights": {side: rounded(read_of[side][channel], 3) for side in read_of},
        }

    return {
        "arrangement_inputs": len(strongest),
        "arrangement_agrees": int(agree.sum()),
        "parts_above": [part(c) for c in order if slopes[c] < 0][:5],
        "parts_below": [part(c) for c in order if slopes[c] > 0][:5],
        "against": [part(c) for c in order[::-1][:3]],
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
                "moved_by_vehicles_sd": moved_by(seen[LAYER][~choice, one.source], vehicles[~choice]),
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
