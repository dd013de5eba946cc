"""What one pass over pictures keeps of every unit, on the device: see `jaxcircuits.evidence.examples`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.evidence import grid
from jaxcircuits.evidence.counting import counted
from jaxcircuits.evidence.exact import Count, Sum
from jaxcircuits.network.stream import Held

SLOTS = 2
"""Examples that are kept of each interval of activation."""

NONE = -1
"""The number of a picture that is not there."""
LATER = np.iinfo(np.int32).max
"""The number of a picture that comes after all others."""

_LAST = np.uint32(0xFFFFFFFF)


class Best(NamedTuple):
    """The pictures with the largest values, largest first, (units, count) each.

    Attributes:
      values: float32; minus infinity where there are no more pictures.
      pictures: int32.
      places: int32, of the value in the picture, in row order.
    """

    values: jax.Array
    pictures: jax.Array
    places: jax.Array


class Spread(NamedTuple):
    """Pictures from every interval of activation, (units * INTERVALS * SLOTS,) each.

    Attributes:
      ranks: uint32, the lot that each drew, by which the examples of an interval are chosen.
      pictures: int32; -1 where there is none.
      values: float32, the largest activation in the picture.
      places: int32, where.
    """

    ranks: jax.Array
    pictures: jax.Array
    values: jax.Array
    places: jax.Array


class LayerTally(NamedTuple):
    """What is kept of a layer.

    Attributes:
      strongest: by the largest activation in each picture.
      weakest: by the smallest one, negated.
      spread: one or two pictures from every interval, by lot.
      histogram: (units * INTERVALS,), of activations at all places.
      peaks: (units * INTERVALS,), of the largest activations in each picture.
      shift: float32 (units,), an activation from which deviations are summed, so that squares do not cancel.
      deviations, squares: (units,), sums over pictures of the mean over places of deviations from `shift`, and of their
        squares.
      by_class: (classes, units), sums over the pictures of a class of the mean over places.
      unsound: int32, the first picture with an activation that is not finite.
    """

    strongest: Best
    weakest: Best
    spread: Spread
    histogram: Count
    peaks: Count
    shift: jax.Array
    deviations: Sum
    squares: Sum
    by_class: Sum
    unsound: jax.Array


class Tally(NamedTuple):
    """What is kept of all layers, and how many pictures they have seen: of all, and of each class."""

    layers: dict[str, LayerTally]
    pictures: Count
    of_class: Count


@dataclasses.dataclass(frozen=True)
class Tallying:
    """The reduction, see `jaxcircuits.network.stream.Reduction`.

    Attributes:
      count: of the strongest and the weakest pictures.
      classes: how many there are.
      together: pictures of a batch that are looked at together, each counted into a histogram of its own; None for all
        of them, counted into one.
    """

    count: int
    classes: int
    together: int | None = None

    def start(self, shapes: Mapping[str, tuple[int, ...]]) -> Tally:
        layers = {name: self._nothing(shape[-1]) for name, shape in shapes.items()}
        return Tally(layers, Count.zero(()), Count.zero((self.classes,)))

    def update(self, state: Tally, seen: Mapping[str, jax.Array], batch: Held) -> Tally:
        member = (batch.labels[:, None] == jnp.arange(self.classes)) & batch.real[:, None]
        first = (state.pictures.low == 0) & (state.pictures.high == 0)
        n = len(batch.real)
        # The pictures of a block, and the histograms that they are counted in.
        block, lanes = (n, 1) if self.together is None else (math.gcd(n, self.together),) * 2
        layers = {name: _updated(state.layers[name], seen[name], batch, member, first, block, lanes) for name in seen}
        return Tally(layers, state.pictures.add(batch.real.sum()), state.of_class.add(member.sum(0)))

    def _nothing(self, units: int) -> LayerTally:
        cells = units * grid.INTERVALS * SLOTS

        def best() -> Best:
            values = jnp.full((units, self.count), -jnp.inf)
            return Best(values, jnp.full(values.shape, NONE), jnp.zeros(values.shape, jnp.int32))

        spread = Spread(
            jnp.full(cells, _LAST), jnp.full(cells, NONE), jnp.zeros(cells, jnp.float32), jnp.zeros(cells, jnp.int32)
        )
        return LayerTally(
            strongest=best(),
            weakest=best(),
            spread=spread,
            histogram=Count.zero((units * grid.INTERVALS,)),
            peaks=Count.zero((units * grid.INTERVALS,)),
            shift=jnp.zeros(units, jnp.float32),
            deviations=Sum.zero((units,)),
            squares=Sum.zero((units,)),
            by_class=Sum.zero((self.classes, units)),
            unsound=jnp.int32(LATER),
        )


def lot(picture: jax.Array | np.ndarray) -> jax.Array:
    """A number that looks random, and another one for every picture: the finalizer of MurmurHash3 (public domain)."""
    x = picture.astype(jnp.uint32) ^ jnp.uint32(0x9E3779B9)
    x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
    return x ^ (x >> 16)


class _Block(NamedTuple):
    """What is seen of some pictures, (n, units) each: the largest and smallest activations and where, and means."""

    high: jax.Array
    high_place: jax.Array
    low: jax.Array
    low_place: jax.Array
    mean: jax.Array
    square: jax.Array


def _updated(
    tally: LayerTally, x: jax.Array, batch: Held, member: jax.Array, first: jax.Array, block: int, lanes: int
) -> LayerTally:
    """With activations (n, ..., units) of a batch; `member` (n, classes) says which picture is of which class."""
    x = x.reshape(len(x), -1, x.shape[-1])
    real, units = batch.real[:, None], x.shape[-1]
    shift = jnp.where(first, x[jnp.argmax(batch.real), 0], tally.shift)

    def look(
        histograms: tuple[jax.Array, ...], pictures: tuple[jax.Array, jax.Array]
    ) -> tuple[tuple[jax.Array, ...], _Block]:
        own, own_real = pictures
        away = own - shift
        seen = _Block(*_at(own, own.max(1)), *_at(own, own.min(1)), away.mean(1), jnp.square(away).mean(1))
        shares = zip(histograms, jnp.split(own, lanes), jnp.split(own_real, lanes), strict=True)
        return tuple(counted(*share) for share in shares), seen

    # Block by block, so that on a CPU all of these read a picture's activations while the cache holds them; and into
    # several histograms, since counting into one keeps a single core busy; the first is the tally's, changed in place.
    blocks = jax.tree.map(lambda part: part.reshape(-1, block, *part.shape[1:]), (x, batch.real))
    none = (jnp.zeros_like(tally.histogram.low),) * (lanes - 1)
    histograms, seen = jax.lax.scan(look, (tally.histogram.low, *none), blocks)
    seen = jax.tree.map(lambda part: part.reshape(-1, units), seen)
    sound = jnp.isfinite(seen.high).all(1) & jnp.isfinite(seen.low).all(1) | ~batch.real
    peaks = counted(tally.peaks.low, seen.high[:, None], batch.real)
    # A mean lies between the ends of what it is of, whatever rounding says: that of a silent picture is 0, not below.
    means = jnp.clip(seen.mean + shift, seen.low, seen.high)
    of_class = jnp.matmul(member.T.astype(jnp.float32), jnp.where(real, means, 0), precision=jax.lax.Precision.HIGHEST)
    return LayerTally(
        strongest=_merged(tally.strongest, jnp.where(real, seen.high, -jnp.inf), batch.numbers, seen.high_place),
        weakest=_merged(tally.weakest, jnp.where(real, -seen.low, -jnp.inf), batch.numbers, seen.low_place),
        spread=_spread(tally.spread, seen.high, seen.high_place, batch),
        histogram=Count(tally.histogram.high, sum(histograms[1:], start=histograms[0])).carried(),
        peaks=Count(tally.peaks.high, peaks).carried(),
        shift=shift,
        deviations=tally.deviations.add(jnp.where(real, seen.mean, 0).sum(0)),
        squares=tally.squares.add(jnp.where(real, seen.square, 0).sum(0)),
        by_class=tally.by_class.add(of_class),
        unsound=jnp.minimum(tally.unsound, jnp.where(sound, LATER, batch.numbers).min()),
    )


def _at(x: jax.Array, extreme: jax.Array) -> tuple[jax.Array, jax.Array]:
    """An extreme (n, units) over the places of (n, places, units), and the first place that has it."""
    # A plain reduction: an argmax takes ten times as long on CPUs.
    places = jnp.arange(x.shape[1], dtype=jnp.int32)[:, None]
    place = jnp.where(x == extreme[:, None], places, x.shape[1] - 1).min(1)
    # Minus zero is zero, and neither is the larger.
    return jnp.where(extreme == 0, 0.0, extreme), place


def _merged(best: Best, values: jax.Array, numbers: jax.Array, places: jax.Array) -> Best:
    """With the values (n, units) of more pictures, whose numbers are larger than those seen before."""
    values = jnp.concatenate([best.values, values.T], axis=1)
    numbers = jnp.broadcast_to(numbers, (len(values), len(numbers)))
    pictures = jnp.concatenate([best.pictures, numbers], axis=1)
    places = jnp.concatenate([best.places, places.T], axis=1)
    # Of equal values the first stays first, which is that of the picture with the lower number.
    values, chosen = jax.lax.top_k(values, best.values.shape[1])
    return Best(values, *(jnp.take_along_axis(part, chosen, axis=1) for part in (pictures, places)))


def _spread(spread: Spread, high: jax.Array, places: jax.Array, batch: Held) -> Spread:
    """With the largest activations (n, units) of more pictures: in every cell, the picture with the lowest lot stays.

    A picture's lot also says which of an interval's slots it may take, so that what stays depends on which pictures
    were seen, and not on when and where.
    """
    units, size = high.shape[1], len(spread.ranks)
    ranks = lot(batch.numbers)
    slot = (ranks % SLOTS).astype(jnp.int32)
    cells = (jnp.arange(units) * grid.INTERVALS + grid.interval(high)) * SLOTS + slot[:, None]
    cells = jnp.where(batch.real[:, None], cells, size).reshape(-1)
    ranks = jnp.broadcast_to(ranks[:, None], high.shape).reshape(-1)
    numbers = jnp.broadcast_to(batch.numbers[:, None], high.shape).reshape(-1)
    lowest = spread.ranks.at[cells].min(ranks, mode="drop")
    # Each cell is written by one picture at most: no two have the same lot.
    chosen = jnp.where(ranks == lowest.at[cells].get(mode="fill", fill_value=0), cells, size)
    return Spread(
        lowest,
        spread.pictures.at[chosen].set(numbers, mode="drop"),
        spread.values.at[chosen].set(high.reshape(-1), mode="drop"),
        spread.places.at[chosen].set(places.reshape(-1), mode="drop"),
    )
