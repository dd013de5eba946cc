"""How deep a layer lies, so that layers of networks of different lengths can be set side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jaxcircuits.network import Network
from jaxcircuits.network.graph import INPUT

WEIGHTED = ("convolution", "dense")


def depths(network: Network, layers: Sequence[str]) -> np.ndarray:
    """Depth of layers: convolutions and dense layers on the longest way to each, by those on the longest of all.

    Args:
      network: whose layers.
      layers: names.

    Returns:
      float64 (layers,), from 0 at the picture to 1 behind the last weights.

    Raises:
      InputError: for an unknown layer.
    """
    before = {INPUT: 0}
    for name, layer in network.layers.items():
        before[name] = max((before[one] for one in layer.inputs), default=0) + (layer.kind in WEIGHTED)
    most = max(before.values()) or 1
    return np.array([before[network.layer(name).name] / most for name in layers])
