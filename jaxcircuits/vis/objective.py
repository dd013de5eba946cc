"""The base of all objectives: what they have in common, and how they combine.

An objective is written for one picture: it maps the picture's activations to a number. It is a pytree whose arrays
have one row a picture (units, positions, directions, weights), so the renderer vmaps it, and drawing another unit is
another row of data, not another program.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping, Sequence

import jax
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

    def check(self, network: Network, view: tuple[int, int]) -> None:
        """Raises `InputError` where the network, looking at views of that height and width, has no such unit."""
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


def node(*static: str):
    """Class decorator: a frozen dataclass that is a pytree, with the fields named in `static` as structure."""

    def register(cls):
        cls = dataclasses.dataclass(frozen=True, eq=False)(cls)
        data = [field.name for field in dataclasses.fields(cls) if field.name not in static]
        return jax.tree_util.register_dataclass(cls, data_fields=data, meta_fields=list(static))

    return register


@node()
class Number(Objective):
    """A number, or one a picture, in sums and products of objectives."""

    values: np.ndarray

    def __call__(self, activations: Activations) -> jax.Array:
        return self.values

    @property
    def layers(self) -> tuple[str, ...]:
        return ()

    def check(self, network: Network, view: tuple[int, int]) -> None:
        if not np.isfinite(self.values).all():
            raise InputError("an objective is combined with a number that is not finite")

    def label(self, i: int) -> str:
        return f"{row_of(self.values, i):g}"


class _Pair(Objective):
    """Two objectives, combined row by row."""

    first: Objective
    second: Objective
    symbol: str

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.first.layers + self.second.layers))

    def check(self, network: Network, view: tuple[int, int]) -> None:
        self.first.check(network, view)
        self.second.check(network, view)

    def label(self, i: int) -> str:
        return f"({self.first.label(i)} {self.symbol} {self.second.label(i)})"


@node()
class Sum(_Pair):
    """`first + second`."""

    first: Objective
    second: Objective
    symbol = "+"

    def __call__(self, activations: Activations) -> jax.Array:
        return self.first(activations) + self.second(activations)


@node()
class Product(_Pair):
    """`first * second`."""

    first: Objective
    second: Objective
    symbol = "*"

    def __call__(self, activations: Activations) -> jax.Array:
        return self.first(activations) * self.second(activations)


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


def row_of(array: np.ndarray, i: int) -> int | list[int] | float | np.ndarray:
    """Row i of an array with one row a picture, or its only row; whole numbers as Python's own."""
    row = array[i if array.shape[0] > 1 else 0]
    return row.tolist() if array.dtype.kind == "i" else row
