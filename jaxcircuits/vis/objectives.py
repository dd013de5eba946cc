"""What a picture is drawn for.

An objective is written for one picture: it maps the picture's activations to a number. It is a pytree whose arrays
have one row a picture (units, positions, directions, weights), so the renderer vmaps it, and drawing another unit is
another row of data, not another program.

    channel("mixed4b", range(16))                                    # 16 pictures
    channel("mixed4b", 3) + 0.5 * neuron("mixed4c", [7, 8, 9])       # 3 pictures
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.network import Network

Activations = Mapping[str, jax.Array]
"""Layer name -> activation of one picture, (h, w, channels) or (channels,)."""


class Objective:
    """Base of all objectives; `+`, `-` and `*` combine them with each other and with numbers, or one number a picture.

    Pictures pair up row by row; an objective for one picture pairs with any number of them.
    """

    __array_ufunc__ = None  # so that `array * objective` is ours, not NumPy's

    def __call__(self, activations: Activations) -> jax.Array:
        """The score of one picture: a scalar to maximise."""
        raise NotImplementedError

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers it reads, each once."""
        raise NotImplementedError

    def check(self, network: Network) -> None:
        """Raises `InputError` where the network has no such layer or unit."""
        raise NotImplementedError

    def label(self, i: int) -> str:
        """What picture i is drawn for, such as `mixed4b:3`; the picture's random key follows from it."""
        raise NotImplementedError

    @property
    def count(self) -> int:
        """How many pictures it is for."""
        return max((leaf.shape[0] for leaf in jax.tree.leaves(self)), default=1)

    def rows(self, count: int) -> Objective:
        """The same objective with `count` rows; one row is repeated. Raises `InputError` where they do not pair up."""
        if self.count not in (1, count):
            raise InputError(f"an objective for {self.count} pictures does not pair with {count}")
        return jax.tree.map(lambda leaf: np.broadcast_to(leaf, (count, *leaf.shape[1:])), self)

    def take(self, indices: Sequence[int]) -> Objective:
        """The objective of some of its pictures."""
        return jax.tree.map(lambda leaf: leaf[np.asarray(indices)], self.rows(self.count))

    def __add__(self, other: Objective | float | Sequence[float]) -> Objective:
        return Sum(*_paired(self, other))

    def __mul__(self, other: Objective | float | Sequence[float]) -> Objective:
        return Product(*_paired(self, other))

    def __neg__(self) -> Objective:
        return self * -1.0

    def __sub__(self, other: Objective | float | Sequence[float]) -> Objective:
        return self + _objective(other) * -1.0

    def __rsub__(self, other: float) -> Objective:
        return self * -1.0 + other

    __radd__ = __add__
    __rmul__ = __mul__


def _node(*static: str):
    """Class decorator: a frozen dataclass that is a pytree, with the fields named in `static` as structure."""

    def register(cls):
        cls = dataclasses.dataclass(frozen=True, eq=False)(cls)
        data = [field.name for field in dataclasses.fields(cls) if field.name not in static]
        return jax.tree_util.register_dataclass(cls, data_fields=data, meta_fields=list(static))

    return register


@_node("layer")
class Channel(Objective):
    """See `channel`."""

    layer: str
    units: np.ndarray

    def __call__(self, activations: Activations) -> jax.Array:
        return _mean_over_space(activations[self.layer])[self.units]

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.layer,)

    def check(self, network: Network) -> None:
        _check_units(network, self.layer, self.units)

    def label(self, i: int) -> str:
        return f"{self.layer}:{_row(self.units, i)}"


@_node("layer")
class Neuron(Objective):
    """See `neuron`."""

    layer: str
    units: np.ndarray
    position: np.ndarray | None

    def __call__(self, activations: Activations) -> jax.Array:
        activation = activations[self.layer]
        height, width = activation.shape[:2]
        row, column = (height // 2, width // 2) if self.position is None else self.position
        return activation[row, column, self.units].astype(jnp.float32)

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.layer,)

    def check(self, network: Network) -> None:
        _check_units(network, self.layer, self.units)
        _check_spatial(network, self.layer, "neuron", "use channel")

    def label(self, i: int) -> str:
        where = "center" if self.position is None else "{},{}".format(*_row(self.position, i))
        return f"{self.layer}:{_row(self.units, i)}@{where}"


@_node("layer")
class Direction(Objective):
    """See `direction`."""

    layer: str
    vectors: np.ndarray

    def __call__(self, activations: Activations) -> jax.Array:
        return (_mean_over_space(activations[self.layer]) * self.vectors).sum()

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.layer,)

    def check(self, network: Network) -> None:
        channels = network.layer(self.layer).channels
        if self.vectors.shape[-1] != channels:
            raise InputError(f"a direction of {self.vectors.shape[-1]} numbers; {self.layer} has {channels} channels")
        if not np.isfinite(self.vectors).all():
            raise InputError(f"a direction of {self.layer} has values that are not finite")

    def label(self, i: int) -> str:
        return f"{self.layer}:direction-{zlib.crc32(np.ascontiguousarray(_row(self.vectors, i)).tobytes()):08x}"


@_node("layer")
class DeepDream(Objective):
    """See `deepdream`."""

    layer: str

    def __call__(self, activations: Activations) -> jax.Array:
        return jnp.square(activations[self.layer].astype(jnp.float32)).mean()

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.layer,)

    def check(self, network: Network) -> None:
        network.layer(self.layer)

    def label(self, i: int) -> str:
        return f"{self.layer}:deepdream"


@_node()
class Number(Objective):
    """A number, or one a picture, in sums and products of objectives."""

    values: np.ndarray

    def __call__(self, activations: Activations) -> jax.Array:
        return self.values

    @property
    def layers(self) -> tuple[str, ...]:
        return ()

    def check(self, network: Network) -> None:
        if not np.isfinite(self.values).all():
            raise InputError("an objective is combined with a number that is not finite")

    def label(self, i: int) -> str:
        return f"{_row(self.values, i):g}"


class _Pair(Objective):
    """Two objectives, combined row by row."""

    first: Objective
    second: Objective
    symbol: str

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.first.layers + self.second.layers))

    def check(self, network: Network) -> None:
        self.first.check(network)
        self.second.check(network)

    def label(self, i: int) -> str:
        return f"({self.first.label(i)} {self.symbol} {self.second.label(i)})"


@_node()
class Sum(_Pair):
    """`first + second`."""

    first: Objective
    second: Objective
    symbol = "+"

    def __call__(self, activations: Activations) -> jax.Array:
        return self.first(activations) + self.second(activations)


@_node()
class Product(_Pair):
    """`first * second`."""

    first: Objective
    second: Objective
    symbol = "*"

    def __call__(self, activations: Activations) -> jax.Array:
        return self.first(activations) * self.second(activations)


def channel(layer: str, units: int | Sequence[int]) -> Objective:
    """Mean over space of a channel's activation.

    Args:
      layer: a name of `network.layers`.
      units: the channel, or one for each picture.
    """
    return Channel(layer, _units(units))


def neuron(
    layer: str, units: int | Sequence[int], position: tuple[int, int] | Sequence[tuple[int, int]] | None = None
) -> Objective:
    """A channel's activation at one position.

    Args:
      layer: a name of `network.layers`, with positions.
      units: the channel, or one for each picture.
      position: row and column in the layer's map of the view, or one such pair for each picture; by default the
        centre, (height // 2, width // 2).
    """
    rows = None if position is None else _whole_numbers("position", position, 2)
    return _equal_rows(Neuron(layer, _units(units), rows))


def direction(layer: str, vectors: Sequence[float] | np.ndarray) -> Objective:
    """Dot product of a direction with the mean over space of a layer's activation.

    Args:
      layer: a name of `network.layers`.
      vectors: (channels,), or (N, channels) for N pictures.
    """
    return Direction(layer, np.atleast_2d(np.asarray(vectors, np.float32)))


def deepdream(layer: str) -> Objective:
    """Mean of a layer's squared activations: whatever excites it (Mordvintsev et al., Inceptionism, 2015)."""
    return DeepDream(layer)


def class_logit(layer: str, classes: int | Sequence[int]) -> Objective:
    """A class's logit.

    Args:
      layer: the network's logits, `network.logits`; Olah et al. (2017) explain why not the softmax behind them.
      classes: output number, see `network.class_index`, or one for each picture.
    """
    return Channel(layer, _units(classes))


def picture_keys(objective: Objective, seeds: Sequence[int]) -> jax.Array:
    """Each picture's random key: folded from its seed, its layer and its unit, never from its place in a batch.

    Args:
      objective: of N pictures.
      seeds: N whole numbers.

    Returns:
      (N,) typed PRNG keys.
    """
    names = np.array([zlib.crc32(objective.label(i).encode()) for i in range(len(seeds))], np.uint32)
    fold = jax.vmap(lambda seed, name: jax.random.fold_in(jax.random.key(seed), name))
    return fold(np.asarray(seeds, np.uint32), names)


def _objective(value: Objective | float | Sequence[float]) -> Objective:
    if isinstance(value, Objective):
        return value
    try:
        return Number(np.atleast_1d(np.asarray(value, np.float32)))
    except (TypeError, ValueError):
        raise InputError(f"{value!r} is neither an objective nor a number") from None


def _paired(first: Objective, other: Objective | float | Sequence[float]) -> tuple[Objective, Objective]:
    second = _objective(other)
    count = max(first.count, second.count)
    return first.rows(count), second.rows(count)


def _equal_rows(objective: Objective) -> Objective:
    return objective.rows(objective.count)


def _units(units: int | Sequence[int]) -> np.ndarray:
    return _whole_numbers("unit", units, 0)


def _whole_numbers(kind: str, values, columns: int) -> np.ndarray:
    array = np.asarray(list(values) if isinstance(values, range) else values)
    array = np.atleast_1d(array) if columns == 0 else np.atleast_2d(array)
    expected_shape = array.ndim == 1 if columns == 0 else array.ndim == 2 and array.shape[1] == columns
    if not array.size or array.dtype.kind not in "iu" or not expected_shape:
        each = "a whole number" if columns == 0 else f"{columns} whole numbers"
        raise InputError(f"{kind} {values!r}; expected {each}, or a sequence with one for each picture")
    return array.astype(np.int32)


def _row(array: np.ndarray, i: int):
    row = array[i if array.shape[0] > 1 else 0]
    return row.tolist() if array.dtype.kind == "i" else row


def _mean_over_space(activation: jax.Array) -> jax.Array:
    """(..., channels) -> float32 (channels,)."""
    return activation.mean(tuple(range(activation.ndim - 1)), dtype=jnp.float32)


def _check_units(network: Network, layer: str, units: np.ndarray) -> None:
    channels = network.layer(layer).channels
    for unit in np.asarray(units).ravel().tolist():
        if not 0 <= unit < channels:
            nearest = min(max(unit, 0), channels - 1)
            raise InputError(f"unknown unit {unit} of {layer}; it has units 0 to {channels - 1} (nearest: {nearest})")


def _check_spatial(network: Network, layer: str, what: str, instead: str) -> None:
    if network.layer(layer).op in ("average", "dense", "softmax"):
        raise InputError(f"{what} wants a layer with positions; {layer} has none: {instead}")
