"""How many pictures to draw at once."""

from __future__ import annotations

import math

import jax

from jaxcircuits.network import Network
from jaxcircuits.vis import Recipe
from jaxcircuits.vis.batching import pictures_a_device

MOST = 256
"""More would make a shard, which is drawn whole or not at all, needlessly long."""

ROOM = 4
"""Memory set aside for a picture, in units of its activations.

XLA's own count for a step of 8 pictures or more of InceptionV1 on a CPU is 0.8 to 1.5 of them (`benchmarks/memory.py`);
convolutions on accelerators want workspace.
"""


def pictures_at_once(network: Network, layer: str, recipe: Recipe) -> int:
    """A batch size, for all local devices together, that should fit; by the cores of a CPU.

    Args:
      network: whose unit is drawn.
      layer: as far as which the network is computed.
      recipe: its view size and number of views count.
    """
    devices = jax.local_devices()
    stats = devices[0].memory_stats()
    if devices[0].platform == "cpu" or not stats or "bytes_limit" not in stats:
        return pictures_a_device(recipe) * len(devices)
    free = stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    return fitting(free, activation_bytes(network, layer, recipe)) * len(devices)


def fitting(free: int, picture: int) -> int:
    """Pictures whose activations take `picture` bytes each that fit in `free` bytes, from 1 to `MOST`."""
    return min(max(free // (ROOM * picture), 1), MOST)


def activation_bytes(network: Network, layer: str, recipe: Recipe) -> int:
    """Bytes of all activations that a step computes for one picture, in float32."""
    shapes = network.shapes(recipe.view_size, network.graph.needed([layer]))
    return 4 * recipe.views * sum(math.prod(shape) for shape in shapes.values())
