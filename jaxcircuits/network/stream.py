"""What layers answer to many pictures, a batch at a time."""

from __future__ import annotations

import collections
import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxcircuits.errors import InputError
from jaxcircuits.images.pictures import Batch, Pictures, floats
from jaxcircuits.images.progress import LookingProgress
from jaxcircuits.network import Forward, Network
from jaxcircuits.network.graph import INPUT

BATCH = 16
"""Pictures that are held at once."""
LARGE_BATCH = 128
"""Pictures that an accelerator sees at once."""
AHEAD = 2
"""Batches that are under way before the next is read."""
NAMED = 100
"""Pictures that could not be read and are named; more are counted."""
PICTURES = "pictures"
"""The axis of the devices that share a batch."""


class NothingSeen(InputError):
    """None of the pictures of a pass, or of a share of one, can be read.

    Attributes:
      unreadable: `NAME: why` of the first of them.
    """

    def __init__(self, message: str, unreadable: tuple[str, ...]):
        super().__init__(message)
        self.unreadable = unreadable


State = Any
"""A pytree of arrays."""


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
    totals = (seen.sum(0, dtype=np.float64) for seen in answers(network, layer, pictures))
    return functools.reduce(np.add, totals) / len(pictures)


class Held(NamedTuple):
    """Which pictures a batch holds, on the device that sees them.

    Attributes:
      numbers: int32 (n,), increasing from batch to batch.
      labels: int32 (n,), -1 where there is none.
      real: bool (n,): false for filling and for pictures that could not be read, which are to be ignored.
    """

    numbers: jax.Array
    labels: jax.Array
    real: jax.Array


class Reduction(Protocol):
    """What is kept of activations. Frozen and hashable; its methods are pure functions that are traced."""

    def start(self, shapes: Mapping[str, tuple[int, ...]]) -> State:
        """What is kept before the first picture; `shapes` are of the layers, for one picture."""
        ...

    def update(self, state: State, seen: Mapping[str, jax.Array], batch: Held) -> State:
        """What is kept after a batch; `seen` are the layers' activations (n, ..., channels)."""
        ...


class Reduced(NamedTuple):
    """The outcome of a pass.

    Attributes:
      states: what the reduction kept, as NumPy arrays: one a device, each of its share of every batch.
      size: height and width in pixels at which pictures were shown, to the first network where there are several.
      read: how many were seen.
      skipped: how many could not be read.
      unreadable: `NAME: why` of the first `NAMED` of those.
    """

    states: tuple[State, ...]
    size: tuple[int, int]
    read: int
    skipped: int
    unreadable: tuple[str, ...]


class View(NamedTuple):
    """A network, and what it sees in a pass together with others.

    Attributes:
      network: what sees.
      pictures: one sequence or several, of one length and shape, which it sees side by side.
      layers: names.
    """

    network: Network
    pictures: tuple[Pictures, ...]
    layers: tuple[str, ...]


class JointReduction(Protocol):
    """What is kept of the activations of several networks, as a `Reduction` of those of one."""

    def start(self, shapes: Sequence[Mapping[str, tuple[int, ...]]]) -> State:
        """What is kept before the first picture; `shapes` are of each view's layers, for one picture."""
        ...

    def update(
        self, state: State, seen: Sequence[Sequence[Mapping[str, jax.Array]]], batch: Sequence[Sequence[Held]]
    ) -> State:
        """What is kept after a batch; `seen[v][s]` and `batch[v][s]` are of view v and its sequence s."""
        ...


def reduce(
    network: Network,
    pictures: Pictures,
    layers: Sequence[str],
    reduction: Reduction,
    *,
    batch_size: int | None = None,
    start: int = 0,
    stop: int | None = None,
    progress: bool | Callable[[int, int], None] = True,
) -> Reduced:
    """Shows pictures to a network, once, and keeps of the layers' activations what a reduction keeps.

    Activations never leave the device, and memory does not depend on the number of pictures. A batch is shared evenly
    by this process's devices, each of which reduces its own share; nothing is exchanged between them.

    Args:
      network: what sees.
      pictures: what is seen, at the network's native size where they have no other.
      layers: names.
      reduction: what is kept.
      batch_size: pictures at once, on all devices together; by default `BATCH` a device on CPUs, `LARGE_BATCH` on
        accelerators.
      start: number of the first picture, for a share of them.
      stop: number of the picture before which to end; by default all the rest is shown.
      progress: show a bar; or a function that is told (pictures done, pictures in all).

    Returns:
      The `Reduced`.

    Raises:
      InputError: for an unknown layer; `NothingSeen` where no picture can be read.
    """
    view, options = View(network, (pictures,), tuple(layers)), {"start": start, "stop": stop, "progress": progress}
    return reduce_views([view], OfOne(reduction), batch_size=batch_size, **options)


class OfOne(NamedTuple):
    """A reduction of one network, as one of several."""

    reduction: Reduction

    def start(self, shapes):
        return self.reduction.start(shapes[0])

    def update(self, state, seen, batch):
        return self.reduction.update(state, seen[0][0], batch[0][0])


def reduce_views(
    views: Sequence[View],
    reduction: JointReduction,
    *,
    batch_size: int | None = None,
    start: int = 0,
    stop: int | None = None,
    progress: bool | Callable[[int, int], None] = True,
) -> Reduced:
    """Shows pictures to several networks, once, and keeps of all their activations together what a reduction keeps.

    As `reduce`: every network sees the pictures at its own native size, and a network with several sequences sees all
    of them in one program.

    Args:
      views: the networks, with sequences of pictures that are equally long.
      reduction: what is kept.
      batch_size: pictures of each sequence at once, see `reduce`.
      start: see `reduce`.
      stop: see `reduce`.
      progress: see `reduce`.

    Returns:
      The `Reduced`; what could be read is counted in the first sequence of the first view.

    Raises:
      InputError: for an unknown layer; `NothingSeen` where no picture can be read.
    """
    for network, _, names in views:
        for name in names:
            network.layer(name)
    devices = jax.local_devices()
    mesh = Mesh(np.array(devices), (PICTURES,))
    each = BATCH if devices[0].platform == "cpu" else LARGE_BATCH
    size = -(-(batch_size or each * len(devices)) // len(devices)) * len(devices)
    sequences = [
        [one.at(view.network.convention.size, view.network.convention.channels) for one in view.pictures]
        for view in views
    ]
    source = sequences[0][0].source
    stop = len(source) if stop is None else min(stop, len(source))
    looks = tuple((view.network.forward, view.layers, len(view.pictures)) for view in views)
    compiled = programs(looks, reduction, mesh)
    params = jax.device_put([view.network.params for view in views], NamedSharding(mesh, PartitionSpec()))
    state, pending, read, skipped, unreadable = None, collections.deque(), 0, 0, []
    title = " and ".join(dict.fromkeys(view.network.name for view in views))
    with LookingProgress(title, stop - start, progress) as bar:
        for batches_of_views in _side_by_side(sequences, size, start, stop):
            batch = batches_of_views[0][0]
            read, skipped = read + int(batch.read.sum()), skipped + len(batch.skipped)
            unreadable += batch.skipped[: NAMED - len(unreadable)]
            if not all(any(one.read.any() for one in of_view) for of_view in batches_of_views):
                continue
            if state is None:
                shapes = []
                for view, of_view in zip(views, batches_of_views):
                    view.network.check_pictures(np.zeros((1, *of_view[0].images.shape[1:]), np.float32))
                    shapes.append(tuple(view.network.shapes(of_view[0].images.shape[1:3], view.layers).items()))
                shown_at = batch.images.shape[1:3]
                state = compiled.start(tuple(shapes))
            arrays = [[(b.images, (b.numbers, b.labels, b.read)) for b in of_view] for of_view in batches_of_views]
            arrays = jax.device_put(arrays, NamedSharding(mesh, PartitionSpec(PICTURES)))
            held = [[(images, Held(*which)) for images, which in of_view] for of_view in arrays]
            state, done = compiled.step(params, state, held)
            # Reading may be faster than seeing: were it not held back, all pictures would wait in memory.
            pending.append((done, int(batch.numbers[0]) + size))
            if len(pending) > AHEAD:
                _wait(pending.popleft(), start, stop, bar)
        while pending:
            _wait(pending.popleft(), start, stop, bar)
    if state is None:
        why = f" ({unreadable[0]})" if unreadable else ""
        said = f"{source.description}: none of {stop - start} pictures can be read{why}"
        raise NothingSeen(said, tuple(unreadable))
    states = jax.device_get(state)
    return Reduced(
        tuple(jax.tree.map(lambda leaf, i=i: leaf[i], states) for i in range(len(devices))),
        shown_at,
        read,
        skipped,
        tuple(unreadable),
    )


def _side_by_side(sequences: list[list[Pictures]], size: int, start: int, stop: int) -> Iterator[list[list[Batch]]]:
    """The batches of all sequences together; equal sequences are read once."""
    different = list(dict.fromkeys(one for of_view in sequences for one in of_view))
    with contextlib.ExitStack() as stack:
        reading = [stack.enter_context(contextlib.closing(one.batches(size, start, stop))) for one in different]
        for together in zip(*reading):
            batch = dict(zip(different, together))
            yield [_of_one_shape([batch[one] for one in of_view]) for of_view in sequences]


def _of_one_shape(batches_of_view: list[Batch]) -> list[Batch]:
    """Batches of a view; those in which nothing could be read have the shape of the others."""
    like = next((one.images for one in batches_of_view if one.read.any()), None)
    if like is None:
        return batches_of_view
    return [one if one.read.any() else one._replace(images=np.zeros_like(like)) for one in batches_of_view]


def _wait(step: tuple[jax.Array, int], start: int, stop: int, bar: LookingProgress) -> None:
    done, end = step
    done.block_until_ready()
    bar.update(min(end, stop) - start)


class _Programs(NamedTuple):
    """Compiled: (layers' shapes) -> state, and (params, state, images and batches) -> state and whether it is done."""

    start: Callable[..., State]
    step: Callable[..., tuple[State, jax.Array]]


@functools.lru_cache(maxsize=64)
def programs(
    looks: tuple[tuple[Forward, tuple[str, ...], int], ...], reduction: JointReduction, mesh: Mesh
) -> _Programs:
    """What a pass runs: of each view its network, layers and number of sequences; `mesh` has the axis `PICTURES`."""
    everywhere, shared = PartitionSpec(), PartitionSpec(PICTURES)

    def begin(shapes):
        start = reduction.start(tuple(map(dict, shapes)))
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (mesh.size, *jnp.shape(leaf))), start)

    def look(forward, names, count, params, images):
        images = floats(jnp.concatenate(images))
        seen = {name: value.astype(jnp.float32) for name, value in forward(params, images, names).items()}
        parts = {name: jnp.split(value, count) for name, value in seen.items()}
        return [{name: parts[name][i] for name in parts} for i in range(count)]

    def update(params, state, held):
        seen = [look(*view, own, [images for images, _ in of_view]) for view, own, of_view in zip(looks, params, held)]
        batch = [[numbers for _, numbers in of_view] for of_view in held]
        state = reduction.update(jax.tree.map(lambda leaf: leaf[0], state), seen, batch)
        return jax.tree.map(lambda leaf: leaf[None], state), batch[0][0].real.any()[None]

    # Unchecked, since a network's own scans and loops need not say over which devices their values vary.
    step = jax.shard_map(
        update, mesh=mesh, in_specs=(everywhere, shared, shared), out_specs=(shared, shared), check_vma=False
    )
    return _Programs(
        jax.jit(begin, static_argnums=0, out_shardings=NamedSharding(mesh, shared)), jax.jit(step, donate_argnums=1)
    )
