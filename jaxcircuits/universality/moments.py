"""Sums over pictures and positions from which every comparison of two networks' units follows, in one pass.

Sums are of deviations from a value that each unit has once had, in float32 with what rounding takes from them, and are
put together in float64: batches and devices change nothing but the last digits.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.evidence.exact import Count, Sum
from jaxcircuits.images import Pictures
from jaxcircuits.network import Network
from jaxcircuits.network.stream import Reduced, View, reduce_views
from jaxcircuits.universality import grids
from jaxcircuits.universality.grids import Grid
from jaxcircuits.universality.shuffled import exchanged

LARGEST = 2**33
"""Bytes of the sums that are kept."""

FIRST, SECOND = 0, 1
PLAIN, SHUFFLED = 0, 1


class Covariance(NamedTuple):
    """Of units with units, over pictures and the cells of a grid.

    Attributes:
      count: of pictures times cells.
      means: of either's units, (units,) each.
      value: float64 (units, units of the other), divided by the count.
    """

    count: int
    means: tuple[np.ndarray, np.ndarray]
    value: np.ndarray

    def merged(self, other: Covariance) -> Covariance:
        """Of what both have seen, of different pictures (Chan et al., 1979)."""
        if not (self.count and other.count):
            return self if self.count else other
        total = self.count + other.count
        share = other.count / total
        first, second = (theirs - mine for mine, theirs in zip(self.means, other.means))
        means = self.means[0] + share * first, self.means[1] + share * second
        between = share * (1 - share) * np.multiply.outer(first, second)
        return Covariance(total, means, (1 - share) * self.value + share * other.value + between)


class Compared(NamedTuple):
    """Two layers, compared over the pictures that both networks could read.

    Attributes:
      cross: of the first's units with the second's.
      shuffled: the same where the second network sees another picture.
      first, second: of either's units with themselves.
      pictures: how many.
    """

    cross: Covariance
    shuffled: Covariance
    first: Covariance
    second: Covariance
    pictures: int


class _Sums(NamedTuple):
    """What is kept. Sums of layers are by (view, layer, grid), of pairs by (first layer, second layer)."""

    counts: tuple[Count, Count]
    shifts: dict
    totals: dict
    shuffled_totals: dict
    grams: dict
    crosses: dict
    shuffled_crosses: dict


@dataclasses.dataclass(frozen=True)
class Comparing:
    """The reduction, see `jaxcircuits.network.stream.JointReduction`; of every pair of layers."""

    first: tuple[str, ...]
    second: tuple[str, ...]

    def start(self, shapes) -> _Sums:
        grid = self.grids(shapes)
        units = {(v, name): shape[-1] for v, of_view in enumerate(shapes) for name, shape in of_view.items()}
        layers = [(v, name, at) for v, name in units for at in self._at(grid, v, name)]
        pairs = [(a, b) for a in self.first for b in self.second]

        def zeros() -> dict:
            return {key: Sum.zero((units[key[:2]],)) for key in layers}

        def crosses() -> dict:
            return {(a, b): Sum.zero((units[FIRST, a], units[SECOND, b])) for a, b in pairs}

        return _Sums(
            counts=(Count.zero(()), Count.zero(())),
            shifts={key: jnp.zeros(count) for key, count in units.items()},
            totals=zeros(),
            shuffled_totals=zeros(),
            grams={key: Sum.zero((units[key[:2]],) * 2) for key in layers},
            crosses=crosses(),
            shuffled_crosses=crosses(),
        )

    def update(self, state: _Sums, seen, batch) -> _Sums:
        (one,), (other, shuffled) = batch
        both = one.real & other.real
        exchange = one.real & shuffled.real
        first = (state.counts[PLAIN].low == 0) & (state.counts[PLAIN].high == 0)
        maps = [[{name: _as_map(x) for name, x in part.items()} for part in of_view] for of_view in seen]
        grid = self.grids([{name: x.shape[1:] for name, x in of_view[0].items()} for of_view in maps])
        shifts = jax.lax.cond(
            first,
            lambda: {(v, name): _typical(maps[v][PLAIN][name], both) for v, name in state.shifts},
            lambda: state.shifts,
        )

        def moved(view: int, sequence: int, real: jax.Array) -> dict[str, jax.Array]:
            return {
                name: jnp.where(real[:, None, None, None], x - shifts[view, name], 0)
                for name, x in maps[view][sequence].items()
            }

        plain = moved(FIRST, PLAIN, both), moved(SECOND, PLAIN, both)
        # Of the first network the same pictures, of the second the others that they are exchanged with.
        dealt = moved(FIRST, PLAIN, exchange), moved(SECOND, SHUFFLED, exchange)
        return _Sums(
            counts=(state.counts[PLAIN].add(both.sum()), state.counts[SHUFFLED].add(exchange.sum())),
            shifts=shifts,
            totals={key: old.add(grids.total(plain[key[0]][key[1]], key[2])) for key, old in state.totals.items()},
            shuffled_totals={
                key: old.add(grids.total(dealt[key[0]][key[1]], key[2])) for key, old in state.shuffled_totals.items()
            },
            grams={key: old.add(_gram(plain[key[0]][key[1]], key[2])) for key, old in state.grams.items()},
            crosses=self._crosses(state.crosses, plain, grid),
            shuffled_crosses=self._crosses(state.shuffled_crosses, dealt, grid),
        )

    def grids(self, shapes) -> dict[tuple[int, str], Grid]:
        """(view, layer) -> rows and columns of its map."""
        return {(v, name): _grid(shape) for v, of_view in enumerate(shapes) for name, shape in of_view.items()}

    def _at(self, grid: Mapping[tuple[int, str], Grid], view: int, name: str) -> list[Grid]:
        """The grids at which a layer is compared with the other network's."""
        others = [grid[SECOND, b] for b in self.second] if view == FIRST else [grid[FIRST, a] for a in self.first]
        return sorted({grids.common(grid[view, name], other) for other in others})

    def _crosses(self, old: dict, maps: tuple[dict, dict], grid: Mapping[tuple[int, str], Grid]) -> dict:
        @functools.cache
        def brought(view: int, name: str, at: Grid, to: Grid) -> jax.Array:
            return grids.onto(maps[view][name], at, to)

        new = {}
        for (a, b), before in old.items():
            mine, theirs = grid[FIRST, a], grid[SECOND, b]
            to = grids.common(mine, theirs)
            if np.prod(mine) <= np.prod(theirs):
                found = grids.product(maps[FIRST][a], brought(SECOND, b, mine, to))
            else:
                found = grids.product(brought(FIRST, a, theirs, to), maps[SECOND][b])
            new[a, b] = before.add(found)
        return new


def _typical(x: jax.Array, real: jax.Array) -> jax.Array:
    """Of each unit the value nearest to its mean, (units,), over the real ones of pictures (n, h, w, units).

    A value that it has, so that what never changes differs from it by nothing.
    """
    x, real = x.reshape(len(x), -1, x.shape[-1]), real[:, None, None]
    mean = jnp.where(real, x, 0).mean(1).sum(0) / jnp.maximum(real.sum(), 1)
    away = jnp.where(real, jnp.abs(x - mean), jnp.inf).reshape(-1, x.shape[-1])
    return jnp.take_along_axis(x.reshape(away.shape), away.argmin(0)[None], axis=0)[0]


def _gram(x: jax.Array, grid: Grid) -> jax.Array:
    return grids.product(x, grids.onto(x, (x.shape[1], x.shape[2]), grid))


def _grid(shape: tuple[int, ...]) -> Grid:
    rows, columns, *_ = *shape[:-1], 1, 1
    return rows, columns


def _as_map(x: jax.Array) -> jax.Array:
    """(n, units), (n, places, units) or (n, h, w, units) as (n, h, w, units)."""
    return x.reshape(len(x), *_grid(x.shape[1:]), x.shape[-1])


def compare(
    first: Network,
    first_layers: tuple[str, ...],
    second: Network,
    second_layers: tuple[str, ...],
    pictures: Pictures,
    *,
    seed: int,
    batch_size: int | None,
    progress: bool | Callable[[int, int], None],
) -> tuple[Callable[[str, str], Compared], Reduced]:
    """Compares every layer of one list with every layer of another, in one pass over pictures.

    Returns:
      What was found of a pair of layers, made when it is asked for; and the outcome of the pass.

    Raises:
      InputError: see `match`.
    """
    comparing = Comparing(first_layers, second_layers)
    sizes = [
        pictures.at(network.convention.size, network.convention.channels)[_first_read(pictures)].image.shape[:2]
        for network in (first, second)
    ]
    shapes = [
        network.shapes(size, names)
        for network, size, names in zip((first, second), sizes, (first_layers, second_layers))
    ]
    _check(comparing, shapes, (first, second))
    views = [
        View(first, (pictures,), first_layers),
        View(second, (pictures, exchanged(pictures, seed)), second_layers),
    ]
    reduced = reduce_views(views, comparing, batch_size=batch_size, progress=progress)
    states = [state for state in reduced.states if state.counts[PLAIN].value() > 0]
    grid = comparing.grids(shapes)
    for view, (network, names) in enumerate(((first, first_layers), (second, second_layers))):
        for name in names:
            sums = [total.value() for s in states for key, total in s.totals.items() if key[:2] == (view, name)]
            if not all(np.isfinite(one).all() for one in sums):
                raise InputError(f"{network.name}: {name} answers some pictures with numbers that are not finite")

    def of_pair(a: str, b: str) -> Compared:
        to = grids.common(grid[FIRST, a], grid[SECOND, b])
        one, other = (FIRST, a, to), (SECOND, b, to)
        parts = [
            Compared(
                _covariance(s, PLAIN, s.crosses[a, b], s.totals, one, other),
                _covariance(s, SHUFFLED, s.shuffled_crosses[a, b], s.shuffled_totals, one, other),
                _covariance(s, PLAIN, s.grams[one], s.totals, one, one),
                _covariance(s, PLAIN, s.grams[other], s.totals, other, other),
                int(s.counts[PLAIN].value()),
            )
            for s in states
        ]
        return functools.reduce(_merged, parts)

    return of_pair, reduced


def _covariance(state: _Sums, sequence: int, products: Sum, totals: dict, one: tuple, other: tuple) -> Covariance:
    count = int(state.counts[sequence].value()) * int(np.prod(one[2]))
    if not count:
        return Covariance(0, (np.zeros(0), np.zeros(0)), np.zeros(np.shape(products.main)))
    first, second = (totals[key].value() / count for key in (one, other))
    shifts = [state.shifts[key[:2]].astype(np.float64) for key in (one, other)]
    means = shifts[0] + first, shifts[1] + second
    return Covariance(count, means, products.value() / count - np.multiply.outer(first, second))


def _merged(one: Compared, other: Compared) -> Compared:
    return Compared(
        one.cross.merged(other.cross),
        one.shuffled.merged(other.shuffled),
        one.first.merged(other.first),
        one.second.merged(other.second),
        one.pictures + other.pictures,
    )


def _first_read(pictures: Pictures) -> int:
    for index in range(len(pictures)):
        try:
            pictures[index]
        except InputError:
            continue
        return index
    return 0


def _check(comparing: Comparing, shapes: list, networks: tuple[Network, Network]) -> None:
    """Says what cannot be compared, before anything is seen."""
    for a, b in ((a, b) for a in comparing.first for b in comparing.second):
        one, other = shapes[FIRST][a], shapes[SECOND][b]
        lengths = {len(one), len(other)}
        if max(lengths) > 3 or (2 in lengths and 1 not in lengths and one[:-1] != other[:-1]):
            raise InputError(
                f"{a} of {networks[0].name} {one} and {b} of {networks[1].name} {other}: positions along one axis "
                "alone have no place in another's map; expected layers (h, w, channels) or (channels,)"
            )
    state = jax.eval_shape(lambda: comparing.start(shapes))
    size = sum(np.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
    if size > LARGEST:
        raise InputError(
            f"{len(comparing.first)} layers by {len(comparing.second)}: their sums take {size / 2**30:.0f} GiB, more "
            f"than {LARGEST / 2**30:.0f}; name fewer layers"
        )
