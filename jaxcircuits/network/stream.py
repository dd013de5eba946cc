"""What layers answer to many pictures, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.network.graph import INPUT

BATCH = 16
"""Pictures that are held at once."""


def batches(pictures: np.ndarray | jax.Array) -> Iterator[tuple[np.ndarray | jax.Array, int]]:
    """Pictures in batches of one size, so that one program serves them all; and how many of each are not filling.

    Raises:
      InputError: where there are none.
    """
    if not len(pictures):
        raise InputError("no pictures; expected one or more")
    size = min(BATCH, len(pictures))
    for start in range(0, len(pictures), size):
        chosen = np.minimum(np.arange(start, start + size), len(pictures) - 1)
        yield pictures[chosen], min(size, len(pictures) - start)


def answers(network: Network, layer: str, pictures: np.ndarray | jax.Array) -> Iterator[np.ndarray]:
    """A layer's activations, float32 (n, ..., channels) of the next n pictures, batch by batch."""
    for batch, count in batches(pictures):
        yield np.asarray(network.activations(batch, layer)[layer])[:count]


def mean_answer(network: Network, layer: str, pictures: np.ndarray | jax.Array) -> np.ndarray:
    """A layer's activation, mean over pictures; float64 (h, w, channels), or (channels,) without positions.

    Of `input` it is the network's input.
    """
    if layer == INPUT:
        return np.asarray(network.convention(network.check_pictures(pictures)), np.float64).mean(0)
    return sum(seen.sum(0, dtype=np.float64) for seen in answers(network, layer, pictures)) / len(pictures)
