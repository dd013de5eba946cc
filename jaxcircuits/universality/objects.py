"""Circuits of objects in any network, from pictures that show them: heads that face either way, cars right side up.

Zoom In (Olah et al., Distill 2020), "Oriented dog heads" and "Cars". A pair of units for heads that face either way
answers as its mirror image: one answers a picture as the other answers it mirrored. A car unit answers less where the
picture is upside down; where its weights want its inputs is compared with where they are (`arrangement`).
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcircuits.circuits import expanded_weights
from jaxcircuits.evidence.responses import responses
from jaxcircuits.network import Network
from jaxcircuits.p_values import among
from jaxcircuits.universality.arrangement import arrangement, difference_interval, has_kernel

if TYPE_CHECKING:
    from jaxtyping import Float

MOVED = 0.5
"""Standard deviations by which pictures of the thing raise a unit's answer, at least."""
MIRRORED, UPSIDE_DOWN = 0.3, 0.6
"""How much mirroring changes a facing unit's answers, at least; what is left of a car unit's upside down, at most."""
STRONGEST = 16
"""Inputs of a unit that count as strong."""
DEALS = 1000
HELD_AGAINST = 200
"""Other units of its layer that a unit is held against, before those without a kernel are left out."""


def moved(chosen: np.ndarray, others: np.ndarray) -> np.ndarray:
    """By how many standard deviations of the others the mean answer to the chosen is higher, (units,)."""
    return (chosen.mean(0) - others.mean(0)) / np.maximum(others.std(0), 1e-6)


def facing_pairs(plain: np.ndarray, mirrored: np.ndarray, raised: np.ndarray) -> np.ndarray:
    """Pairs of units that answer pictures as the other answers them mirrored.

    Args:
      plain, mirrored: answers (pictures, units).
      raised: see `moved`.

    Returns:
      int (n, 2), each other's best, most alike first.
    """
    squares = np.square(plain).mean(0) + np.square(mirrored).mean(0)
    change = np.sqrt(np.square(plain - mirrored).mean(0) / np.maximum(squares, 1e-12))
    units = np.flatnonzero((change >= MIRRORED) & (raised > MOVED))
    if len(units) < 2:
        return np.zeros((0, 2), int)
    both, swapped = np.concatenate([plain, mirrored])[:, units], np.concatenate([mirrored, plain])[:, units]
    likeness = np.corrcoef(both.T, swapped.T)[: len(units), len(units) :]
    np.fill_diagonal(likeness, -1)
    best = likeness.argmax(1)
    found = [(i, j) for i, j in enumerate(best) if i < j and best[j] == i and likeness[i, j] > 0.5]
    found.sort(key=lambda pair: -likeness[pair])
    return units[np.array(found, int).reshape(-1, 2)]


def head_circuit(
    network: Network,
    layers: Sequence[str],
    heads: Float[np.ndarray, "pictures height width channels"],
    others: Float[np.ndarray, "others _ _ channels"],
    seed: int = 0,
) -> dict[str, Any]:
    """Pairs for heads that face either way, and how they act on the pairs and the unions of the next layer.

    Args:
      network: whose units.
      layers: in order from the image; of each two neighbors the weights are read.
      heads: pictures (N, H, W, channels) that show heads, at the network's size.
      others: pictures of all kinds.
      seed: of the deals.

    Returns:
      As plain JSON types. `tried`: units of each layer, and of these raised by heads. `like_over_across`: of the
      connections from pairs to pairs of the next layer, the share with more weight between those of the same side than
      across, where sides are told by the answers alone; by chance half.
      `p_value`: of that share, see `coin_tosses`.
      `unions`: connections from both of a pair to a unit that answers heads either way, strong ones, and how many
      there are where the second of each pair is that of another.
    """
    plain, mirrored, rest = (responses(network, x, layers) for x in (heads, heads[:, :, ::-1], others))
    raised = {layer: moved(plain[layer], rest[layer]) for layer in layers}
    pairs = {layer: facing_pairs(plain[layer], mirrored[layer], raised[layer]) for layer in layers}
    rng = np.random.default_rng(seed)
    like, between, unions, dealt = [], [], 0, []
    for before, after in itertools.pairwise(layers):
        first, second = pairs[before], pairs[after]
        if not len(first):
            continue
        either = _either_way(plain[after], mirrored[after], raised[after])
        read = np.unique([*second.ravel(), *either])
        if not len(read):
            continue
        weights = expanded_weights(network, before, after, read)
        sums = weights.sum((1, 2), dtype=np.float64)
        for one in first:
            for two in second:
                between.append(((before, *map(int, one)), (after, *map(int, two))))
                side = same_side(plain[before][:, one], plain[after][:, two])
                a, b = np.searchsorted(read, two if side else two[::-1])
                like.append(sums[a, one[0]] + sums[b, one[1]] - sums[a, one[1]] - sums[b, one[0]])
        strong = _strong_inputs(weights)[np.searchsorted(read, either)]
        unions += int((strong[:, first[:, 0]] & strong[:, first[:, 1]]).sum())
        deals = [rng.permutation(len(first)) for _ in range(DEALS)] if len(first) > 1 else []
        dealt.append([int((strong[:, first[:, 0]] & strong[:, first[d, 1]]).sum()) for d in deals] or [0] * DEALS)
    by_chance = np.sum(dealt, axis=0) if dealt else np.zeros(DEALS)
    share = float(np.mean(np.array(like) > 0)) if like else None
    p_value = coin_tosses(np.array(like), between, rng) if like else None
    return {
        "circuit": "heads: pairs and their unions",
        "network": network.name,
        "found": p_value is not None and p_value < 0.05,
        "pictures": len(heads),
        "tried": {layer: {"units": len(of), "raised": int((of > MOVED).sum())} for layer, of in raised.items()},
        "pairs": {layer: found.tolist() for layer, found in pairs.items() if len(found)},
        "connections": len(like),
        "like_over_across": None if share is None else round(share, 3),
        "p_value": None if p_value is None else round(p_value, 5),
        "unions": unions,
        "unions_by_chance": round(float(np.mean(by_chance)), 2),
        "unions_p_value": round(among(unions, by_chance), 4),
    }


def car_circuit(
    network: Network,
    layers: Sequence[str],
    cars: Float[np.ndarray, "pictures height width channels"],
    others: Float[np.ndarray, "others _ _ channels"],
    seed: int = 0,
) -> dict[str, Any]:
    """The unit that cars raise most and that responds less to them upside down; where its weights expect its inputs.

    The unit is chosen on the pictures of even numbers, among those with a kernel (see `arrangement.has_kernel`), and
    everything is measured on those of odd numbers. Where its inputs are is read around the cell where it answers most,
    which its own weights choose: so the figure is compared with that of other units, each at its own cell, and with
    that on pictures of all kinds.

    Args:
      network: whose units.
      layers: in order from the image.
      cars: pictures (N, H, W, channels) that show cars, at the network's size; two or more.
      others: pictures of all kinds, two or more. Cars among them make the difference smaller.
      seed: of the units that it is held against, and of the bootstrap.

    Returns:
      As plain JSON types. `pictures` and `others`: how many choose and measure. `left_upside_down`: what is left of the
      mean answer. `arrangement`: the correlation, mean over pictures of cars (`arrangement.arrangement`).
      `held_against`: how many other units of the layer with a kernel, at most `HELD_AGAINST`, it is compared with;
      `by_chance` and `p_value`: the 95th percentile of theirs, and the share of them that is as high. `on_others`: the
      unit's own on pictures of all kinds; `difference`: between the two, with `interval`, the bootstrap's at 95 % over
      pictures. Things stand in other places of pictures than the rest, so that the difference of many units is above 0:
      `difference_by_chance` and `difference_p_value` compare it with that of the other units, as above. It cannot be
      large for a unit whose parts are arranged so wherever it answers. `found`: the p-value is below 0.05 and the
      interval above 0. `tried`: units of all layers but the first, of these less active upside down, and how many of
      those that cars raise more have no kernel. Without such a unit `why` says so.
    """
    choosing, measuring = ((cars[start::2], others[start::2]) for start in (0, 1))
    row = {
        "circuit": "cars: windows over wheels",
        "network": network.name,
        "found": False,
        "pictures": {"that_choose": len(choosing[0]), "that_measure": len(measuring[0])},
        "others": {"that_choose": len(choosing[1]), "that_measure": len(measuring[1])},
    }
    chosen, row["tried"] = _car_unit(network, layers, *choosing)
    if chosen is None:
        return row | {"why": "no unit with a kernel minds cars being upside down"}
    before, layer, unit, own = chosen
    shown, rest = measuring
    plain, upside, world = (responses(network, x, [layer])[layer][:, unit] for x in (shown, shown[:, ::-1], rest))
    row |= {
        "layers": [before, layer],
        "unit": unit,
        "moved_by_sd": round(float(moved(plain[:, None], world[:, None])[0]), 2),
        "left_upside_down": round(float(upside.mean() / max(plain.mean(), 1e-12)), 2),
    }
    rng = np.random.default_rng(seed)
    against = rng.permutation(np.delete(np.arange(network.layers[layer].channels), unit))[:HELD_AGAINST]
    weights = expanded_weights(network, before, layer, against) if len(against) else own[:0]
    kernel = has_kernel(weights)
    units, weights = [unit, *against[kernel]], np.concatenate([own, weights[kernel]])
    if len(units) == 1:
        return row | {"why": "no other unit of its layer has a kernel"}
    on_cars, on_others = (_arrangement(network, before, layer, units, weights, pictures) for pictures in (shown, rest))
    (value, *null), (apart, *apart_by_chance) = on_cars.mean(0), on_cars.mean(0) - on_others.mean(0)
    p_value = among(value, null)
    interval = difference_interval(on_cars[:, 0], on_others[:, 0], seed)
    return row | {
        "found": p_value < 0.05 and interval[0] > 0,
        "arrangement": round(float(value), 3),
        "held_against": len(null),
        "by_chance": round(float(np.quantile(null, 0.95)), 3),
        "p_value": round(p_value, 4),
        "on_others": round(float(on_others[:, 0].mean()), 3),
        "difference": round(float(apart), 3),
        "interval": [round(end, 3) for end in interval],
        "difference_by_chance": round(float(np.quantile(apart_by_chance, 0.95)), 3),
        "difference_p_value": round(among(apart, apart_by_chance), 4),
    }


def same_side(one: Float[np.ndarray, "pictures 2"], two: Float[np.ndarray, "pictures 2"]) -> bool:
    """Whether the first unit of a pair answers the pictures that the first of another pair answers.

    Args:
      one, two: answers of either pair to the same pictures.

    Returns:
      False where the other way round fits better.
    """
    sides = [
        pair[:, 0] / max(pair[:, 0].std(), 1e-12) - pair[:, 1] / max(pair[:, 1].std(), 1e-12) for pair in (one, two)
    ]
    return float(np.corrcoef(*sides)[0, 1]) >= 0


def _either_way(plain: np.ndarray, mirrored: np.ndarray, raised: np.ndarray) -> np.ndarray:
    squares = np.square(plain).mean(0) + np.square(mirrored).mean(0)
    change = np.sqrt(np.square(plain - mirrored).mean(0) / np.maximum(squares, 1e-12))
    return np.flatnonzero((change < MIRRORED) & (raised > 2 * MOVED))


def _strong_inputs(weights: np.ndarray) -> np.ndarray:
    """Whether each channel is among a unit's strongest excitatory inputs, bool (units, channels)."""
    excitation = np.linalg.norm(np.maximum(weights, 0), axis=(1, 2))
    least = np.sort(excitation, axis=1)[:, -min(STRONGEST, excitation.shape[1]), None]
    return (excitation >= least) & (excitation > 0)


def coin_tosses(
    values: Float[np.ndarray, " connections"],
    between: Sequence[tuple[Hashable, Hashable]],
    rng: np.random.Generator,
    tosses: int = 10_000,
) -> float:
    """How often as many connections of pairs are above 0, if a coin says for every pair which unit is on which side.

    Connections of one pair are not independent: exchanging its units changes the sign of all of them.

    Args:
      values: of the connections.
      between: the two pairs that each connects.
      rng: of the tosses.
      tosses: of all coins; no p-value is below 1 / (1 + tosses).

    Returns:
      The p-value.
    """
    number = {pair: i for i, pair in enumerate(dict.fromkeys(itertools.chain(*between)))}
    first, second = np.array([[number[pair] for pair in both] for both in between]).T
    sides = rng.choice([-1, 1], (tosses, len(number)))
    counts = (values * sides[:, first] * sides[:, second] > 0).sum(1)
    return among((values > 0).sum(), counts)


def _car_unit(
    network: Network, layers: Sequence[str], cars: np.ndarray, others: np.ndarray
) -> tuple[tuple[str, str, int, np.ndarray] | None, dict[str, int]]:
    """The layer before, the layer, the unit that cars raise most of those that mind them upside down and have a kernel,
    and its weights (1, h, w, channels); and how many were tried."""
    plain, upside, rest = (responses(network, x, layers[1:]) for x in (cars, cars[:, ::-1], others))
    candidates = []
    for before, layer in itertools.pairwise(layers):
        raised = moved(plain[layer], rest[layer])
        left = upside[layer].mean(0) / np.maximum(plain[layer].mean(0), 1e-12)
        units = np.flatnonzero((left <= UPSIDE_DOWN) & (plain[layer].mean(0) > 0))
        candidates += [(-float(raised[unit]), before, layer, int(unit)) for unit in units]
    tried = {
        "units": sum(network.layers[layer].channels for layer in layers[1:]),
        "less_upside_down": len(candidates),
        "passed_over_without_a_kernel": 0,
    }
    for _, before, layer, unit in sorted(candidates):
        weights = expanded_weights(network, before, layer, [unit])
        if has_kernel(weights)[0]:
            return (before, layer, unit, weights), tried
        tried["passed_over_without_a_kernel"] += 1
    return None, tried


def _arrangement(
    network: Network, before: str, layer: str, units: Sequence[int], weights: np.ndarray, pictures: np.ndarray
) -> np.ndarray:
    """`arrangement` of units on pictures, (pictures, units)."""
    parts = []
    for start in range(0, len(pictures), 16):
        # Of one size, so that one program serves all.
        chosen = np.minimum(np.arange(start, start + 16), len(pictures) - 1)
        seen = network.activations(pictures[chosen], [before, layer])
        inputs, answers = (np.asarray(seen[name])[: len(pictures) - start] for name in (before, layer))
        parts.append(arrangement(weights, inputs, answers[..., list(units)]))
    return np.concatenate(parts)
