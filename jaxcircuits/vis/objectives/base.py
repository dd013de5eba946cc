"""The base of all objectives: what they have in common, and how they combine.

An objective is written for one picture: it maps what was seen of the picture to a number to maximize. It is a pytree
whose arrays have one row a picture (units, positions, directions, weights), so drawing another unit is another row of
data, not another program. What is said of several pictures at once (that they should differ, that they should line up)
is an objective of a group: consecutive pictures, `group` of them, each of which has its share of the score.

One's own objective is a function of what is seen, `lambda seen: seen["mixed4b"].max()`, or a class with `layers` and
`score`, whose arrays are data where it is registered:

>>> @node("layer")
... class Loudest(Objective):
...     layer: str
...
...     @property
...     def layers(self):
...         return (self.layer,)
...
...     def score(self, seen):
...         return seen.activations[self.layer].max()
"""

from __future__ import annotations

import dataclasses
import math
import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, dataclass_transform

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.vis.objectives.arguments import NumberLike, row_of
from jaxcircuits.vis.objectives.printed import printed
from jaxcircuits.vis.objectives.seen import INPUT, Attributed, Seen
from jaxcircuits.vis.recipe import Recipe

if TYPE_CHECKING:
    from jaxtyping import Float, Integer


class Objective:
    """Base of all objectives; `+`, `-` and `*` combine them with each other and with numbers, or one number a picture.

    Pictures pair up row by row; an objective for one picture pairs with any number of them.

    Attributes:
      group: how many consecutive pictures it looks at together.
    """

    __array_ufunc__ = None  # so that `array * objective` is ours, not NumPy's
    group: int = 1

    def score(self, seen: Seen) -> Float[jax.Array, ""]:
        """The score of one picture: a scalar to maximize."""
        raise NotImplementedError

    def scores(self, seen: Seen) -> Float[jax.Array, " pictures"]:
        """The scores (N,) of N pictures, for an objective with N rows."""
        return jax.vmap(lambda objective, one: objective.score(one))(self, seen)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers it reads, each once."""
        raise NotImplementedError

    @property
    def reference(self) -> Float[np.ndarray, "pictures height width channels"] | None:
        """Pictures (N, H, W, channels) that it compares with, shown to the network in the same views; None for none."""
        return None

    @property
    def attributed(self) -> tuple[Attributed, ...]:
        """What it wants attributed to layers, each in its place in `Seen.attributions`."""
        return ()

    def check(self, network: Network, recipe: Recipe) -> None:
        """Raises `InputError` where the network, looking at the recipe's views, has no such layer or unit."""
        for layer in self.layers:
            network.layer(layer)
        check_finite(self)

    def label(self, i: int) -> str:
        """What picture i is drawn for, in a few words, such as `mixed4b:3`: its caption."""
        return ":".join([*self.layers, type(self).__name__.lower()])

    def identity(self, i: int) -> str:
        """What picture i is drawn for, to the last number: what its random key follows from."""
        rows = [np.ascontiguousarray(row_of(leaf, i)).tobytes() for leaf in jax.tree.leaves(self)]
        digest = f"-{zlib.crc32(b''.join(rows)):08x}" if rows else ""
        return ":".join([*self.layers, f"{type(self).__name__.lower()}{digest}"])

    def __repr__(self) -> str:
        return printed(self)

    @property
    def count(self) -> int:
        """How many pictures it is for."""
        return max(self._rows, self.group)

    @property
    def _rows(self) -> int:
        return max((leaf.shape[0] for leaf in jax.tree.leaves(self)), default=1)

    def rows(self, count: int) -> Objective:
        """The same objective with `count` rows; one row is repeated. Raises `InputError` where they do not pair up."""
        if count % self.group:
            raise InputError(
                f"{count} pictures do not make groups of {self.group}; name each unit once a picture, "
                f"such as units=numpy.repeat(units, {self.group})"
            )
        return self._repeated(count)

    def _repeated(self, count: int) -> Objective:
        for leaf in jax.tree.leaves(self):
            if leaf.shape[0] not in (1, count):
                raise InputError(f"an objective for {leaf.shape[0]} pictures does not pair with {count}")
        return jax.tree.map(lambda leaf: np.broadcast_to(leaf, (count, *leaf.shape[1:])), self)

    def take(self, indices: Sequence[int] | Integer[np.ndarray, " chosen"]) -> Objective:
        """The objective of some of its pictures."""
        return jax.tree.map(lambda leaf: leaf[np.asarray(indices)], self.rows(self.count))

    def __add__(self, other: Objective | NumberLike) -> Objective:
        return Sum(*_paired(self, other))

    def __mul__(self, other: Objective | NumberLike) -> Objective:
        return Product(*_paired(self, other))

    def __neg__(self) -> Objective:
        return self * -1.0

    def __sub__(self, other: Objective | NumberLike) -> Objective:
        return self + _objective(other) * -1.0

    def __rsub__(self, other: NumberLike) -> Objective:
        return self * -1.0 + other

    __radd__ = __add__
    __rmul__ = __mul__


@dataclass_transform(frozen_default=True, eq_default=False)
def node(*static: str):
    """Class decorator: a frozen dataclass that is a pytree, with the fields named in `static` as structure."""

    def register(cls):
        cls = dataclasses.dataclass(frozen=True, eq=False, repr=False)(cls)
        data = [field.name for field in dataclasses.fields(cls) if field.name not in static]
        return jax.tree_util.register_dataclass(cls, data_fields=data, meta_fields=list(static))

    return register


class OfLayer(Objective):
    """Base of objectives that read one layer, or `INPUT`."""

    layer: str

    @property
    def layers(self) -> tuple[str, ...]:
        return () if self.layer == INPUT else (self.layer,)


@node()
class Number(Objective):
    """A number, or one a picture, in sums and products of objectives."""

    values: np.ndarray

    def score(self, seen: Seen) -> jax.Array:
        return jnp.asarray(self.values)

    @property
    def layers(self) -> tuple[str, ...]:
        return ()

    def of(self, i: int) -> float:
        """The number of picture i."""
        return float(self.values[i if len(self.values) > 1 else 0])

    def identity(self, i: int) -> str:
        return f"{self.of(i):g}"

    label = identity


class _Pair(Objective):
    """Two objectives, combined row by row."""

    first: Objective
    second: Objective
    symbol: str

    @property
    def group(self) -> int:
        return math.lcm(self.first.group, self.second.group)

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.first.layers + self.second.layers))

    @property
    def reference(self) -> np.ndarray | None:
        return self.first.reference if self.first.reference is not None else self.second.reference

    @property
    def attributed(self) -> tuple[Attributed, ...]:
        return self.first.attributed + self.second.attributed

    def both(self, seen: Seen) -> tuple[jax.Array, jax.Array]:
        """The scores of either."""
        count = len(self.first.attributed)
        first, second = seen.attributions[:count], seen.attributions[count:]
        return (
            self.first.scores(seen._replace(attributions=first)),
            self.second.scores(seen._replace(attributions=second)),
        )

    def check(self, network: Network, recipe: Recipe) -> None:
        self.first.check(network, recipe)
        self.second.check(network, recipe)
        one, other = self.first.reference, self.second.reference
        if one is not None and other is not None and not np.array_equal(one, other):
            raise InputError("an objective that compares with two sets of pictures; expected the same in both")

    def identity(self, i: int) -> str:
        return f"({self.first.identity(i)} {self.symbol} {self.second.identity(i)})"

    def _bracketed(self, objective: Objective, i: int) -> str:
        label = objective.label(i)
        return f"({label})" if " + " in label or " - " in label else label


@node()
class Sum(_Pair):
    """`first + second`."""

    first: Objective
    second: Objective
    symbol = "+"

    def scores(self, seen: Seen) -> jax.Array:
        first, second = self.both(seen)
        return first + second

    def label(self, i: int) -> str:
        first, second = self.first.label(i), self.second.label(i)
        return f"{first} - {second[1:]}" if second.startswith("-") else f"{first} + {second}"


@node()
class Product(_Pair):
    """`first * second`."""

    first: Objective
    second: Objective
    symbol = "*"

    def scores(self, seen: Seen) -> jax.Array:
        first, second = self.both(seen)
        return first * second

    def label(self, i: int) -> str:
        first, second = sorted((self.first, self.second), key=lambda one: not isinstance(one, Number))
        if not isinstance(first, Number):
            return f"{self._bracketed(first, i)} * {self._bracketed(second, i)}"
        factor, label = first.of(i), self._bracketed(second, i)
        if abs(factor) == 1:
            negative = (factor < 0) != label.startswith("-")
            return f"-{label.removeprefix('-')}" if negative else label.removeprefix("-")
        return f"{factor:g} {label}"


@node("function", "reads", "name")
class Own(Objective):
    """The score of a function, the same for every picture: it holds no numbers of single pictures."""

    function: Callable[[Seen], jax.Array]
    reads: tuple[str, ...]
    name: str

    @property
    def layers(self) -> tuple[str, ...]:
        return self.reads

    def score(self, seen: Seen) -> jax.Array:
        return self.function(seen)

    def label(self, i: int) -> str:
        return ":".join([*self.reads, self.name])

    identity = label


def registered(objective: Objective) -> Objective:
    """An objective that JAX knows as a pytree: itself, or one that stands for it.

    What an objective of an unregistered class holds is taken as fixed, so that it is compiled anew where it is drawn
    anew; `node` makes its arrays data, with one row a picture.

    Raises:
      InputError: where its class looks at several pictures, names no layers, or is held by a registered one.
    """
    leaves = jax.tree.leaves(objective)
    held = next((leaf for leaf in leaves if isinstance(leaf, Objective)), None)
    if held is None:
        return objective
    name, several = type(held).__name__, type(held).scores is not Objective.scores or held.group != 1
    if held is not objective or several:
        raise InputError(
            f"objective {name}: its class is not registered; write @node(...) from jaxcircuits.vis above it, "
            "with the names of the fields that are no arrays"
        )
    try:
        layers = objective.layers
    except NotImplementedError:
        raise InputError(
            f"objective {name} has no layers; expected a property `layers`, the names of what it reads"
        ) from None
    layers = (layers,) if isinstance(layers, str) else tuple(layers)
    return Own(lambda seen: objective.score(seen), layers, name.lower())


def check_finite(objective: Objective) -> None:
    """Raises `InputError` where a number of an objective is not finite."""
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(objective)):
        raise InputError(f"{type(objective).__name__.lower()} with numbers that are not finite")


def _objective(value: Objective | NumberLike) -> Objective:
    if isinstance(value, Objective):
        return registered(value)
    try:
        return Number(np.atleast_1d(np.asarray(value, np.float32)))
    except (TypeError, ValueError):
        raise InputError(f"{value!r} is neither an objective nor a number") from None


def _paired(first: Objective, other: Objective | NumberLike) -> tuple[Objective, Objective]:
    first, second = _objective(first), _objective(other)
    count = max(first._rows, second._rows)
    return first._repeated(count), second._repeated(count)
