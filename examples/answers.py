"""What units answer to photographs, and by how much a kind of photograph moves them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import jaxcircuits as jc
from examples.figures import by_chance, figure, read

SETS = 1000
"""Random sets of photographs that a kind of photograph is compared with."""


def answers(network: jc.Network, pictures: np.ndarray, layers: Sequence[str]) -> dict[str, np.ndarray]:
    """Layer -> (N, h, w, channels)."""
    parts: dict[str, list[np.ndarray]] = {layer: [] for layer in layers}
    for start in range(0, len(pictures), 40):
        for layer, values in network.activations(pictures[start : start + 40], layers).items():
            parts[layer].append(np.asarray(values, np.float16))
    return {layer: np.concatenate(values) for layer, values in parts.items()}


def best(maps: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Layer -> each unit's answer at its best position, (N, channels)."""
    return {layer: values.max((1, 2)).astype(np.float32) for layer, values in maps.items()}


def baseline(network: jc.Network, pictures: jc.Pictures, layers: Sequence[str]) -> dict[str, np.ndarray]:
    """Layer -> best answers to all photographs, (N, channels)."""
    parts: dict[str, list[np.ndarray]] = {layer: [] for layer in layers}
    for start in range(0, len(pictures), 40):
        batch = read(pictures, np.arange(start, min(start + 40, len(pictures))))
        for layer, values in best(answers(network, batch, layers)).items():
            parts[layer].append(values)
    return {layer: np.concatenate(values) for layer, values in parts.items()}


def moved(all_answers: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """By how many standard deviations (over all photographs) the chosen ones raise each unit's mean answer.

    Args:
      all_answers: (photographs, units).
      chosen: bool (photographs,).

    Returns:
      (units,).
    """
    return (all_answers[chosen].mean(0) - all_answers.mean(0)) / np.maximum(all_answers.std(0), 1e-6)


def moved_by(all_answers: np.ndarray, chosen: np.ndarray, seed: int = 0) -> dict:
    """One unit's shift with its interval over the chosen photographs, and how often as many at random shift it as far.

    Args:
      all_answers: (photographs,).
      chosen: bool (photographs,).
      seed: of the random sets.
    """
    scale, rng = max(float(all_answers.std()), 1e-6), np.random.default_rng(seed)
    found = figure(lambda values: (values.mean() - all_answers.mean()) / scale, all_answers[chosen])
    chance = [rng.permutation(all_answers)[: chosen.sum()].mean() for _ in range(SETS)]
    return found | {"p_value": by_chance(float(all_answers[chosen].mean()), np.array(chance))}


def largest_by_chance(all_answers: np.ndarray, count: int, sets: int = 200, seed: int = 0) -> list[float]:
    """The largest shift of any unit by as many photographs at random: median and 95th percentile over random sets."""
    rng = np.random.default_rng(seed)
    largest = []
    for _ in range(sets):
        chosen = np.zeros(len(all_answers), bool)
        chosen[rng.permutation(len(all_answers))[:count]] = True
        largest.append(moved(all_answers, chosen).max())
    return np.quantile(largest, [0.5, 0.95]).round(2).tolist()
