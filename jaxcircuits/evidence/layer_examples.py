"""What a unit's examples are made of, as arrays on the host: merged exactly, written to a file and read from it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxcircuits.brief import Brief
from jaxcircuits.errors import InputError
from jaxcircuits.evidence import grid
from jaxcircuits.evidence.tally import LATER, NONE, SLOTS, Best, LayerTally, Tally, lot
from jaxcircuits.network.tokens import Grid

if TYPE_CHECKING:
    from jaxtyping import Float, Int


class Chosen(NamedTuple):
    """Pictures chosen for units, and where in them.

    Attributes:
      values: float32, activations; NaN where there is no picture.
      pictures: int64, their numbers; -1 where there is none.
      places: int32 (..., 2), row and column in the layer's map, or in the grid that its tokens make; -1 and its number
        for a token beside the grid, such as the class's; -1 twice where there is no picture.
    """

    values: Float[np.ndarray, " *chosen"]
    pictures: Int[np.ndarray, " *chosen"]
    places: Int[np.ndarray, "*chosen 2"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class LayerExamples(Brief):
    """What makes the units of one layer fire.

    Of equal activations the one in the picture with the lower number comes first, and in a picture the first in row
    order. Layers without positions have one place, (0, 0).

    Attributes:
      layer: its name.
      shape: of its activations to one picture.
      strongest: (units, count), the pictures with the largest activations, at most one place a picture.
      weakest: (units, count), those with the smallest.
      spread: (units, INTERVALS, SLOTS), pictures whose largest activation lies in each of `intervals`, chosen by lot.
      histogram: int64 (units, INTERVALS), activations at all places of all pictures, by interval.
      peaks: int64 (units, INTERVALS), largest activations of pictures, by interval.
      mean: float64 (units,), over pictures and places; of float32's precision.
      variance: float64 (units,).
      class_means: float64 (units, classes), over places and the pictures of a class; NaN for a class without any.
      pictures_seen: how many.
      class_sizes: int64 (classes,), how many of each class.
    """

    layer: str
    shape: tuple[int, ...]
    strongest: Chosen
    weakest: Chosen
    spread: Chosen
    histogram: Int[np.ndarray, "units intervals"]
    peaks: Int[np.ndarray, "units intervals"]
    mean: Float[np.ndarray, " units"]
    variance: Float[np.ndarray, " units"]
    class_means: Float[np.ndarray, "units classes"]
    pictures_seen: int
    class_sizes: Int[np.ndarray, " classes"]

    @property
    def values(self) -> Float[np.ndarray, "units count"]:
        """float32 (units, count): the largest activations, largest first."""
        return self.strongest.values

    @property
    def pictures(self) -> Int[np.ndarray, "units count"]:
        """int64 (units, count): the numbers of the pictures that have them; -1 where there are no more pictures."""
        return self.strongest.pictures

    @property
    def places(self) -> Int[np.ndarray, "units count 2"]:
        """int32 (units, count, 2): their rows and columns in the layer's map."""
        return self.strongest.places

    @property
    def intervals(self) -> Float[np.ndarray, "intervals 2"]:
        """float64 (INTERVALS, 2): lower and upper ends, see `jaxcircuits.evidence.grid`."""
        return grid.bounds()

    @property
    def density(self) -> Float[np.ndarray, " units"]:
        """float64 (units,): the share of places at which a unit's activation is above 0."""
        return self.histogram[:, grid.ZERO + 1 :].sum(1) / self.histogram.sum(1)

    @property
    def selectivity(self) -> Float[np.ndarray, " units"]:
        """float64 (units,): class selectivity, (m - r) / (m + r), from 0 for none to 1 for a unit of one class.

        m is the largest mean activation to a class, r the mean of those to the other classes (Morcos et al., On the
        importance of single directions, 2018). NaN for units that are silent or whose means are negative, of which the
        index says nothing, and with fewer than two classes.
        """
        means = self.class_means[:, self.class_sizes > 0]
        if means.shape[1] < 2:
            return np.full(len(self.mean), np.nan)
        largest = means.max(1)
        rest = (means.sum(1) - largest) / (means.shape[1] - 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where((means >= 0).all(1) & (largest > 0), (largest - rest) / (largest + rest), np.nan)

    def merged(self, other: LayerExamples) -> LayerExamples:
        """What both have seen, of different pictures, as if one had seen all; raises `InputError` for unlike layers."""
        if self.shape != other.shape:
            raise InputError(f"examples of {self.layer} of shapes {self.shape} and {other.shape}; expected one shape")
        count, total = self.strongest.values.shape[1], self.pictures_seen + other.pictures_seen
        share = other.pictures_seen / total
        apart = other.mean - self.mean
        spread = (1 - share) * self.variance + share * other.variance + share * (1 - share) * apart**2
        sizes = self.class_sizes + other.class_sizes
        sums = [np.nan_to_num(one.class_means) * one.class_sizes for one in (self, other)]
        with np.errstate(invalid="ignore"):
            class_means = (sums[0] + sums[1]) / sizes
        return dataclasses.replace(
            self,
            strongest=_first(self.strongest, other.strongest, -1, count),
            weakest=_first(self.weakest, other.weakest, 1, count),
            spread=_lowest_lot(self.spread, other.spread),
            histogram=self.histogram + other.histogram,
            peaks=self.peaks + other.peaks,
            mean=self.mean + share * apart,
            variance=spread,
            class_means=class_means,
            pictures_seen=total,
            class_sizes=sizes,
        )


def from_tally(layer: str, shape: tuple[int, ...], tokens: Grid | None, tally: Tally) -> LayerExamples:
    """What one device kept of a layer.

    Args:
      layer: its name.
      shape: of its activations to one picture.
      tokens: the grid that its tokens make, if any.
      tally: NumPy arrays; at least one picture was seen.
    """
    own: LayerTally = tally.layers[layer]
    units, seen, sizes = shape[-1], int(tally.pictures.value()), tally.of_class.value()
    deviation = own.deviations.value() / seen
    with np.errstate(invalid="ignore", divide="ignore"):
        class_means = (own.by_class.value() / sizes[:, None]).T
    spread = Best(own.spread.values, own.spread.pictures, own.spread.places)
    spread = Best(*(part.reshape(units, grid.INTERVALS, SLOTS) for part in spread))
    return LayerExamples(
        layer=layer,
        shape=shape,
        strongest=_chosen(own.strongest, shape, tokens, 1),
        weakest=_chosen(own.weakest, shape, tokens, -1),
        spread=_chosen(spread, shape, tokens, 1),
        histogram=own.histogram.value().reshape(units, grid.INTERVALS),
        peaks=own.peaks.value().reshape(units, grid.INTERVALS),
        mean=np.asarray(own.shift, np.float64) + deviation,
        variance=np.maximum(own.squares.value() / seen - deviation**2, 0),
        class_means=class_means,
        pictures_seen=seen,
        class_sizes=sizes,
    )


def _chosen(best: Best, shape: tuple[int, ...], tokens: Grid | None, sign: int) -> Chosen:
    there = best.pictures != NONE
    count, width = shape[0], shape[-2] if len(shape) > 1 else 1
    places = np.stack([best.places // width, best.places % width], axis=-1).astype(np.int32)
    if tokens is not None:
        places = np.array([tokens.place(token) for token in range(count)], np.int32)[np.where(there, best.places, 0)]
    # Zero is added to make plus zero of minus zero.
    return Chosen(
        np.where(there, sign * best.values + np.float32(0), np.float32(np.nan)),
        np.asarray(best.pictures, np.int64),
        np.where(there[..., None], places, np.int32(NONE)),
    )


def _first(one: Chosen, other: Chosen, sign: int, count: int) -> Chosen:
    """The first of both by value times sign, then by picture."""
    both = Chosen(*(np.concatenate(parts, axis=1) for parts in zip(one, other)))
    missing = both.pictures == NONE
    order = np.lexsort((np.where(missing, LATER, both.pictures), np.where(missing, np.inf, sign * both.values)))
    order = order[:, :count]
    return Chosen(
        np.take_along_axis(both.values, order, 1),
        np.take_along_axis(both.pictures, order, 1),
        np.take_along_axis(both.places, order[..., None], 1),
    )


def _lowest_lot(one: Chosen, other: Chosen) -> Chosen:
    """In each place the picture with the lower lot."""
    lots = [
        np.where(part.pictures == NONE, np.iinfo(np.int64).max, np.asarray(lot(part.pictures), np.int64))
        for part in (one, other)
    ]
    first = lots[0] <= lots[1]
    return Chosen(
        np.where(first, one.values, other.values),
        np.where(first, one.pictures, other.pictures),
        np.where(first[..., None], one.places, other.places),
    )
