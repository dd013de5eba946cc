"""Random keys of pictures: from the seed, the layer and the unit, so that nothing else about a drawing changes them.

What a picture is drawn for is its objective's `identity`: the layer and the unit's number, or a hash of the numbers of
a direction. Captions, the place in a batch and the other pictures have no part in it.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.vis.objectives.base import Objective
from jaxcircuits.vis.objectives.seen import Rows
from jaxcircuits.vis.settings import compiled

IMPLEMENTATION = "threefry2x32"
"""Of JAX's random numbers: stated, so that no setting of the process changes pictures."""

TOGETHER = 64
"""Keys that are computed at once, so that one program serves any number."""


def picture_keys(objective: Objective, seeds: Sequence[int], group: int = 1) -> np.ndarray:
    """Each picture's random key: its seed's, with the picture's identity folded in.

    Args:
      objective: of N pictures.
      seeds: N whole numbers from 0 to 2**32 - 1.
      group: of pictures drawn together, which may be for the same unit: their place in the group is folded in too.

    Returns:
      uint32 (N, 2), the keys' data; `typed` makes keys of them.
    """
    count = len(seeds)
    identities = [zlib.crc32(objective.identity(i).encode()) for i in range(count)]
    padded = np.zeros((3, -(-count // TOGETHER) * TOGETHER), np.uint32)
    padded[:, :count] = seeds, identities, np.arange(count) % group
    program = _alone if group == 1 else _in_group
    # Handed over and fetched explicitly: they come out alike where implicit transfers are forbidden.
    parts = [
        jax.device_get(program(*jax.device_put(list(part))))
        for part in np.split(padded, padded.shape[1] // TOGETHER, 1)
    ]
    return np.concatenate(parts)[:count]


def typed(keys: Rows) -> jax.Array:
    """JAX's typed keys (N,) of keys' data (N, 2), within a program."""
    return jax.random.wrap_key_data(jnp.asarray(keys), impl=IMPLEMENTATION)


def _key(seed: jax.Array, identity: jax.Array) -> jax.Array:
    return jax.random.fold_in(jax.random.key(seed, impl=IMPLEMENTATION), identity)


@compiled
def _alone(seeds: jax.Array, identities: jax.Array, places: jax.Array) -> jax.Array:
    return jax.vmap(lambda seed, identity: jax.random.key_data(_key(seed, identity)))(seeds, identities)


@compiled
def _in_group(seeds: jax.Array, identities: jax.Array, places: jax.Array) -> jax.Array:
    def data(seed, identity, place):
        return jax.random.key_data(jax.random.fold_in(_key(seed, identity), place))

    return jax.vmap(data)(seeds, identities, places)
