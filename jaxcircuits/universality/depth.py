"""How deep a layer lies, so that layers of networks of different lengths can be set side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxcircuits.network import Network
from jaxcircuits.network.graph import INPUT

if TYPE_CHECKING:
    from jaxtyping import Float

WEIGHTED = ("convolution", "dense")


def depths(network: Network, layers: Sequence[str]) -> Float[np.ndarray, " layers"]:
    """Depth of layers: convolutions and dense layers on the longest way to each, by those on the longest of all.

    Args:
      network: whose layers.
      layers: names.

    Returns:
      float64 (layers,), from 0 at the picture to 1 behind the last weights.

    Raises:
      InputError: for an unknown layer.
    """
    return weights_before(network, layers) / max(weights_before(network, list(network.layers)).max(), 1)


def weights_before(network: Network, layers: Sequence[str]) -> np.ndarray:
    """How many convolutions and dense layers are on the longest way from the picture to each layer, int64 (layers,)."""
    before = {INPUT: 0}
    for name, layer in network.layers.items():
        before[name] = max((before[one] for one in layer.inputs), default=0) + (layer.kind in WEIGHTED)
    return np.array([before[network.layer(name).name] for name in layers], np.int64)


def apart(network: Network, layers: Sequence[str], least: int = 2) -> list[str]:
    """Selects layers that are each at least so many weights after the last one selected: no two share a bottleneck."""
    kept, last = [], -least
    for name, count in zip(layers, weights_before(network, layers)):
        if count >= last + least:
            kept, last = [*kept, name], int(count)
    return kept
