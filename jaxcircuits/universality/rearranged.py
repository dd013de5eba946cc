"""Chance: the same network with every unit's weights in random arrangement.

Units of random networks have preferences, too, and some prefer curves to lines. How many do is what a family has to
exceed; and it is known only from such units, shown the same pictures. Every unit keeps its weights, their sum and its
bias, and loses which of them is for which input at which place, in all layers at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np

from jaxcircuits.network import Network


def rearranged(network: Network, seed: int) -> Network:
    """A network whose units read their weights in random arrangement.

    Args:
      network: any. Arrays of two axes or more are taken for weights, and their last axis for the units; the first one
        where the model's pictures are (channels, height, width), as in PyTorch.
      seed: of the arrangements.

    Returns:
      The network, with the same layers.
    """
    rng, last = np.random.default_rng(seed), network.convention.layout == "HWC"

    def moved(leaf: jax.Array) -> jax.Array | np.ndarray:
        values = np.asarray(leaf)
        if values.ndim < 2 or not np.issubdtype(values.dtype, np.floating):
            return leaf
        units = np.moveaxis(values, -1, 0) if last else values
        flat = rng.permuted(units.reshape(len(units), -1), axis=1).reshape(units.shape)
        return np.moveaxis(flat, 0, -1) if last else flat

    params = jax.tree.map(moved, network.params)
    return dataclasses.replace(network, name=f"{network.name}, rearranged", params=jax.device_put(params))


def more_than_by_chance(count: int, units: int, by_chance: Sequence[int]) -> float:
    """The p-value of a layer having more members than the same layer of rearranged networks, one-sided.

    Units of one network share its lower layers, so their number varies from network to network by far more than that of
    independent units. The network is the draw: by Student's t, the count is held against the mean of those of k
    rearranged networks and their variance, with k - 1 degrees of freedom and the variance of a prediction,
    (1 + 1 / k) times as large. Counts are transformed as x = 2 sqrt(n + 1/2) arcsin sqrt((c + 3/8) / (n + 3/4))
    (Anscombe, 1948), so that c of n independent units have variance 1, below which none is taken to be. It takes
    networks for normally distributed on that scale: where few have far more members than the rest, it is too small.

    Args:
      count: members.
      units: of the layer, n.
      by_chance: members of the same layer in each of k rearranged networks.

    Returns:
      The p-value; 1 for fewer than two networks.
    """
    from scipy.stats import t

    k = len(by_chance)
    if k < 2:
        return 1.0
    counts = np.array([count, *by_chance], np.float64)
    own, *others = 2 * np.sqrt(units + 0.5) * np.arcsin(np.sqrt((counts + 0.375) / (units + 0.75)))
    variance = max(float(np.var(others, ddof=1)), 1.0)
    return float(t.sf((own - np.mean(others)) / np.sqrt(variance * (1 + 1 / k)), k - 1))
