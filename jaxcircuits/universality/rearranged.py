"""Chance: the same network with every unit's weights in random arrangement.

Units of random networks have preferences, too, and some prefer curves to lines. How many do is what a family has to
exceed; and it is known only from such units, shown the same pictures. Every unit keeps its weights, their sum and its
bias, and loses which of them is for which input at which place, in all layers at once.
"""

from __future__ import annotations

import dataclasses

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


def more_than_by_chance(count: int, units: int, by_chance: int, rearranged_units: int) -> float:
    """The p-value of a share of members being larger than among rearranged units (Fisher's exact test, one-sided).

    Args:
      count: members.
      units: among how many.
      by_chance: members among rearranged units.
      rearranged_units: how many those are.

    Returns:
      How often as many of all members as are among the units would be, if these and rearranged ones were alike.
    """
    from scipy.stats import hypergeom

    return float(hypergeom.sf(count - 1, units + rearranged_units, count + by_chance, units))
