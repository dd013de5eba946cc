"""Circuits of objects in any network, from pictures that show them: heads that face either way, cars right side up.

Zoom In (Olah et al., Distill 2020), "Oriented dog heads" and "Cars". A pair of units for heads that face either way
answers as its mirror image: one answers a picture as the other answers it mirrored. A car unit answers less where the
picture is upside down; its weights want its inputs where they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcircuits.circuits import expanded_weights
from jaxcircuits.evidence.responses import responses
from jaxcircuits.network import Network

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
"""Other units of its layer that a unit's weights are held against."""


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
      As plain JSON types. `like_over_across`: of the connections from pairs to pairs of the next layer, the share with
      more weight between those of the same side than across, where sides are told by the answers alone; by chance half.
      `unions`: connections from both of a pair to a unit that answers heads either way, strong ones, and how many
      there are where the second of each pair is that of another.
    """
    plain, mirrored, rest = (responses(network, x, layers) for x in (heads, heads[:, :, ::-1], others))
    raised = {layer: moved(plain[layer], rest[layer]) for layer in layers}
    pairs = {layer: facing_pairs(plain[layer], mirrored[layer], raised[layer]) for layer in layers}
    rng = np.random.default_rng(seed)
    like, unions, dealt = [], 0, []
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
                side = _same_side(plain[before][:, one], plain[after][:, two])
                a, b = np.searchsorted(read, two if side else two[::-1])
                like.append(sums[a, one[0]] + sums[b, one[1]] - sums[a, one[1]] - sums[b, one[0]])
        strong = _strong_inputs(weights)[np.searchsorted(read, either)]
        unions += int((strong[:, first[:, 0]] & strong[:, first[:, 1]]).sum())
        deals = [rng.permutation(len(first)) for _ in range(DEALS)] if len(first) > 1 else []
        dealt.append([int((strong[:, first[:, 0]] & strong[:, first[d, 1]]).sum()) for d in deals] or [0] * DEALS)
    by_chance = np.sum(dealt, axis=0) if dealt else np.zeros(DEALS)
    share = float(np.mean(np.array(like) > 0)) if like else None
    return {
        "circuit": "heads: pairs and their unions",
        "network": network.name,
        "found": share is not None and share > 0.5 and _sign_test(np.array(like)) < 0.05,
        "pictures": len(heads),
        "pairs": {layer: found.tolist() for layer, found in pairs.items() if len(found)},
        "connections": len(like),
        "like_over_across": None if share is None else round(share, 3),
        "p_value": None if share is None else round(_sign_test(np.array(like)), 4),
        "unions": unions,
        "unions_by_chance": round(float(np.mean(by_chance)), 2),
        "unions_p_value": round(float((1 + (by_chance >= unions).sum()) / (1 + DEALS)), 4),
    }


def car_circuit(
    network: Network,
    layers: Sequence[str],
    cars: Float[np.ndarray, "pictures height width channels"],
    others: Float[np.ndarray, "others _ _ channels"],
    seed: int = 0,
) -> dict[str, Any]:
    """The unit that cars raise most and that responds less to them upside down; where its weights expect its inputs.

    Args:
      network: whose units.
      layers: in order from the image.
      cars: pictures (N, H, W, channels) that show cars, at the network's size.
      others: pictures of all kinds.
      seed: of the units that it is held against.

    Returns:
      As plain JSON types. `arrangement`: over the unit's 100 strongest inputs, the correlation of how much more they
      are active below than above the place where the unit answers most, with how much more its weights want them below;
      `by_chance`: the 95th percentile over `HELD_AGAINST` other units of the layer, with the same inputs.
    """
    row = {"circuit": "cars: windows over wheels", "network": network.name, "found": False, "pictures": len(cars)}
    plain, upside, rest = (responses(network, x, layers[1:]) for x in (cars, cars[:, ::-1], others))
    best = None
    for before, layer in itertools.pairwise(layers):
        raised = moved(plain[layer], rest[layer])
        left = upside[layer].mean(0) / np.maximum(plain[layer].mean(0), 1e-12)
        unit = int(np.where(left <= UPSIDE_DOWN, raised, -np.inf).argmax())
        if left[unit] <= UPSIDE_DOWN and (best is None or raised[unit] > best[0]):
            best = float(raised[unit]), before, layer, unit, float(left[unit])
    if best is None:
        return row | {"why": "no unit minds cars being upside down"}
    raised, before, layer, unit, left = best
    # The unit first, then others to hold it against.
    rest = np.random.default_rng(seed).permutation(np.delete(np.arange(network.layers[layer].channels), unit))
    weights = expanded_weights(network, before, layer, [unit, *rest[:HELD_AGAINST]])
    if min(weights.shape[1:3]) < 3:
        return row | {"layers": [before, layer], "unit": unit, "why": "its weights read one place"}
    seen = _below_over_above(network, before, layer, unit, cars, weights.shape[1])
    middle = weights.shape[1] // 2
    wanted = weights[:, middle + 1 :].sum((1, 2)) - weights[:, :middle].sum((1, 2))
    norms = np.linalg.norm(weights, axis=(1, 2))

    def agreement(which: int) -> float:
        inputs = np.argsort(-norms[which])[:100]
        if seen[inputs].std() == 0 or wanted[which, inputs].std() == 0:
            return 0.0
        return float(np.corrcoef(seen[inputs], wanted[which, inputs])[0, 1])

    own, *null = (agreement(which) for which in range(len(weights)))
    p_value = float((1 + (np.array(null) >= own).sum()) / (1 + len(null)))
    return row | {
        "found": p_value < 0.05 and own > 0,
        "layers": [before, layer],
        "unit": unit,
        "moved_by_sd": round(raised, 2),
        "left_upside_down": round(left, 2),
        "arrangement": round(own, 3),
        "by_chance": round(float(np.quantile(null, 0.95)), 3) if null else None,
        "p_value": round(p_value, 4),
    }


def _same_side(one: np.ndarray, two: np.ndarray) -> bool:
    """Whether the first of a pair answers the pictures that the first of another answers; both (pictures, 2)."""
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


def _sign_test(values: np.ndarray) -> float:
    """How often as many of so many would be above 0, if each were by a coin's toss."""
    from scipy.stats import binomtest

    return float(binomtest(int((values > 0).sum()), len(values), alternative="greater").pvalue)


def _below_over_above(
    network: Network, before: str, layer: str, unit: int, pictures: np.ndarray, window: int
) -> np.ndarray:
    """How much more each input is active below than above the place where a unit answers most, (channels,)."""
    total, middle = 0.0, window // 2
    for start in range(0, len(pictures), 16):
        # Of one size, so that one program serves all.
        chosen = np.minimum(np.arange(start, start + 16), len(pictures) - 1)
        seen = network.activations(pictures[chosen], [before, layer])
        inputs, own = np.asarray(seen[before]), np.asarray(seen[layer])[..., unit]
        scale = inputs.shape[1] / own.shape[1]
        for i in range(min(16, len(pictures) - start)):
            row, column = np.unravel_index(own[i].argmax(), own[i].shape)
            row, column = int((row + 0.5) * scale), int((column + 0.5) * scale)
            columns = slice(max(column - middle, 0), column + middle + 1)
            above = inputs[i, max(row - middle, 0) : row, columns]
            below = inputs[i, row + 1 : row + middle + 1, columns]
            mean = [part.mean((0, 1)) if part.size else np.zeros(inputs.shape[-1]) for part in (below, above)]
            total = total + mean[0] - mean[1]
    return np.asarray(total) / len(pictures)
