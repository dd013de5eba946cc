"""What units answer to pictures: one number a picture, read off a layer's map at its best place or in its middle."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxcircuits.errors import InputError, unknown
from jaxcircuits.network import Forward, Network
from jaxcircuits.network.stream import BATCH, LARGE_BATCH, PICTURES

Place = Literal["maximum", "center"]
"""Where in its map a unit is read: `maximum` is its best place, as in Curve Detectors; `center` the middle cell, or the
largest of the two along an axis of an even number of cells, for what is drawn in the middle of the picture."""
PLACES = ("maximum", "center")


def responses(
    network: Network, pictures: np.ndarray | jax.Array, layers: Sequence[str], place: Place = "maximum"
) -> dict[str, np.ndarray]:
    """What every unit answers to every picture.

    Args:
      network: whose units.
      pictures: (N, H, W, channels), in [0, 1].
      layers: names.
      place: where it is read, see `Place`.

    Returns:
      layer -> float32 (N, units).

    Raises:
      InputError: for an unknown layer, pictures that the network does not take, and answers that are not finite.
    """
    parts: dict[str, list[np.ndarray]] = {layer: [] for layer in layers}
    # Few pictures are seen at once, without filling.
    size = min(batch_size(), batch_size(max(len(pictures), 1)))
    answer = answering(network, layers, place)
    for chosen, count in in_batches(len(pictures), size):
        seen = answer(shared(network.check_pictures(pictures[chosen])))
        for layer, values in seen.items():
            parts[layer].append(np.asarray(values)[:count])
    return {layer: np.concatenate(values) for layer, values in parts.items()}


def answering(network: Network, layers: Sequence[str], place: Place) -> Callable[[jax.Array], dict[str, jax.Array]]:
    """The compiled program: pictures (N, H, W, channels) -> layer -> answers (N, units).

    Raises:
      InputError: for an unknown layer or place.
    """
    for layer in layers:
        network.layer(layer)
    if place not in PLACES:
        raise unknown("place", place, PLACES)
    params = jax.device_put(network.params, NamedSharding(_devices(), PartitionSpec()))
    return functools.partial(_answering(network.forward, tuple(layers), place), params)


def in_batches(count: int, size: int) -> Iterator[tuple[np.ndarray, int]]:
    """Numbers from 0 to before `count` in batches of one size, so that one program serves all; and how many are real.

    The last batch is filled with the last number.

    Raises:
      InputError: where there are none.
    """
    if not count:
        raise InputError("no pictures; expected one or more")
    for start in range(0, count, size):
        yield np.minimum(np.arange(start, start + size), count - 1), min(size, count - start)


def batch_size(asked: int | None = None) -> int:
    """Pictures at once on all of this process's devices together, a whole number each; by default what suits them."""
    devices = jax.local_devices()
    each = BATCH if devices[0].platform == "cpu" else LARGE_BATCH
    return -(-(asked or each * len(devices)) // len(devices)) * len(devices)


def shared(arrays: Any) -> Any:
    """Arrays whose first axis counts pictures, shared evenly by this process's devices."""
    return jax.device_put(arrays, NamedSharding(_devices(), PartitionSpec(PICTURES)))


def _devices() -> Mesh:
    return Mesh(np.array(jax.local_devices()), (PICTURES,))


def finite(network: Network, layer: str, values: np.ndarray) -> np.ndarray:
    """The answers; raises `InputError` where one is not finite."""
    if not np.isfinite(values).all():
        raise InputError(f"{network.name}: {layer} answers with numbers that are not finite")
    return values


@functools.lru_cache(maxsize=64)
def _answering(forward: Forward, names: tuple[str, ...], place: Place) -> Callable[..., dict[str, jax.Array]]:
    @jax.jit
    def run(params: Any, pictures: jax.Array) -> dict[str, jax.Array]:
        seen = forward(params, pictures, names)
        return {name: read_at(value.astype(jnp.float32), place) for name, value in seen.items()}

    return run


def read_at(activation: jax.Array, place: Place) -> jax.Array:
    """A layer's activation (N, ..., units) as one answer a picture, (N, units)."""
    places = tuple(range(1, activation.ndim - 1))
    if place == "center":
        for axis in places:
            length = activation.shape[axis]
            activation = jax.lax.slice_in_dim(activation, (length - 1) // 2, length // 2 + 1, axis=axis)
    return activation.max(places)
