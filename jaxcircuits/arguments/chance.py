"""What chance gives for an argument: the same statistic of what stands for chance, again and again, and its p-value."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from jaxcircuits.arguments.argument import Argument
from jaxcircuits.p_values import among, holm

DRAWS = 999
"""Of chance, where a draw costs nothing."""
FEWEST_OTHERS = 24
"""Others that a unit is compared with at least, so that a p-value of 0.05 can be had: 1 / 25 is the least."""
RESAMPLES = 1000


class Judged(TypedDict):
    """The fields of an `Argument` that compare its value with chance."""

    value: float
    chance: float
    bound: float
    p_value: float


def judged(value: float, drawn: np.ndarray) -> Judged:
    """Compares a value with what chance gives.

    Args:
      value: of the argument.
      drawn: (draws,), the same statistic by chance, of as many units or examples each.

    Returns:
      The fields: chance is the mean of the draws, bound their 95th percentile, and the p-value the share of draws that
      are as large, the value itself counted among them.
    """
    drawn = np.asarray(drawn, np.float64)
    return {
        "value": float(value),
        "chance": float(drawn.mean()),
        "bound": float(np.percentile(drawn, 95)),
        "p_value": among(value, drawn),
    }


def exchanged(values: np.ndarray, own: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Means over units where each has what belongs to another, or to itself, by lot and all of them different ones.

    Args:
      values: (units, sources), what each unit gives with what belongs to each source.
      own: (units,), the source that is a unit's own.
      rng: of the lot.

    Returns:
      (DRAWS,); or fewer, of all orders but the units' own, where there are no more.
    """
    count, sources = values.shape
    if len(np.unique(own)) < count or count > sources:
        raise ValueError(f"{count} units with {len(np.unique(own))} sources of their own, of {sources}")
    if math.perm(sources, count) <= DRAWS:
        every = itertools.permutations(range(sources), count)
        orders = np.array([order for order in every if order != tuple(own)]).reshape(-1, count)
    else:
        orders = rng.permuted(np.tile(np.arange(sources), (DRAWS, 1)), axis=1)[:, :count]
    return values[np.arange(count), orders].mean(1)


def interval(values: np.ndarray, rng: np.random.Generator) -> tuple[float, float] | None:
    """The 95 % interval of a mean, by the percentile bootstrap.

    Args:
      values: (items,) or (items, ...); the numbers of one item, such as the turns of an example, stay together.
      rng: of the resamples.

    Returns:
      Its ends; None for fewer than two items, which do not say how much another one would differ.
    """
    values = np.asarray(values, np.float64)
    if len(values) < 2:
        return None
    means = values.reshape(len(values), -1).mean(1)
    return ends(means[rng.integers(0, len(means), (RESAMPLES, len(means)))].mean(1))


def ends(resampled: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """The ends of the 95 % interval of resamples."""
    low, high = np.percentile(resampled, [2.5, 97.5])
    return float(low), float(high)


def corrected(arguments: list[Argument]) -> list[Argument]:
    """The arguments with p-values that are corrected for how many of them were made (Holm, 1979).

    The chance that any of those which hold does so by chance alone is at most 0.05.
    """
    made = {place: one.p_value for place, one in enumerate(arguments) if one.p_value is not None}
    adjusted = dict(zip(made, holm(list(made.values())).tolist()))
    return [dataclasses.replace(one, adjusted_p_value=adjusted.get(place)) for place, one in enumerate(arguments)]
