"""Whether a device can hold a drawing at all: said before it is tried, for what a CPU cannot hold ends the process."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Sequence
from pathlib import Path

import jax

from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.vis.recipe import Recipe

SMALL = 2**20
"""Pixels of a picture, and of its views together, below which nobody has to look: a second picture would be cheap."""

STATES = 4
"""Copies of a picture's parameters at least: themselves, the optimizer's two, their gradient."""

COPIES = 2
"""Of a picture and of its views at least: the values and their gradient."""

CONTAINER = Path("/sys/fs/cgroup/memory.max")
"""Where Linux says how many bytes the processes of a container may have (cgroup v2)."""

KEPT = 0.5
"""Of the activations that a step computes, the part that has to be there at once, at least; XLA's own count is 0.8 to
1.5 of them (`benchmarks/memory.py`)."""


def check_room(network: Network, layers: Sequence[str], recipe: Recipe, pictures: int) -> None:
    """Raises `InputError` where pictures that are drawn together on a device cannot fit there, by a lower bound.

    Args:
      network: whose units.
      layers: that are drawn; the network is computed as far as these.
      recipe: how.
      pictures: together, on one device.
    """
    least, room = least_bytes(network, layers, recipe, pictures), memory()
    if least > room:
        size, many = "x".join(map(str, recipe.size)), f"{pictures} pictures" if pictures > 1 else "a picture"
        raise InputError(
            f"{many} of {size} pixels, seen at {'x'.join(map(str, recipe.view_size))} in {recipe.views} views, want "
            f"{least / 2**30:.3g} GiB at least; there are {room / 2**30:.3g} GiB. Expected smaller or fewer ones"
        )


def least_bytes(network: Network, layers: Sequence[str], recipe: Recipe, pictures: int) -> int:
    """Bytes that pictures drawn together take at least; 0 where they are small."""
    seen = recipe.views * math.prod(recipe.view_size)
    if max(math.prod(recipe.size), seen) * pictures <= SMALL:
        return 0
    part, channels = recipe.parametrization, network.convention.channels
    shape = recipe.shape(channels)
    parameters = jax.eval_shape(lambda: part.init(_keys(part.group), shape))
    own = STATES * 4 * sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(parameters)) / part.group
    picture = 4 * COPIES * (math.prod(recipe.size) * part.channels(channels) + seen * channels)
    shapes = network.shapes(recipe.view_size, network.graph.needed(layers))
    activations = KEPT * 4 * recipe.views * sum(math.prod(answer) for answer in shapes.values())
    return int(pictures * (own + picture + activations))


def _keys(group: int) -> jax.Array:
    key = jax.random.key(0)
    return jax.random.split(key, group) if group > 1 else key


def memory() -> int:
    """Bytes of one device; of a CPU the machine's, or what its container may have, but for what the system needs."""
    stats = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return stats["bytes_limit"]
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", ()):
        return 2**40
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError):
        machine = min(machine, int(CONTAINER.read_text()))
    return int(0.9 * machine)
