"""Which examples of a unit are shown: its strongest pictures, and some from each octave of activation below.

Strongest pictures alone mislead: Cammarata et al., Curve Detectors (Distill 2020), show examples from every interval.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from jaxcircuits.errors import whole
from jaxcircuits.evidence import grid
from jaxcircuits.evidence.layer_examples import Chosen, LayerExamples
from jaxcircuits.evidence.tally import NONE

BANDS = 3
"""Octaves below a unit's largest activation that examples are taken from."""


@dataclasses.dataclass(frozen=True, eq=False)
class Band:
    """Examples of a unit from one interval of activation.

    Attributes:
      low, high: the interval's ends; equal to the smallest and largest activation of those without an interval.
      share: of all pictures whose largest activation lies there; NaN for the strongest, which are none.
      chosen: largest first, (n,), (n,) and (n, 2).
    """

    low: float
    high: float
    share: float
    chosen: Chosen


def bands(examples: LayerExamples, unit: int, strongest: int = 6, each: int = 3) -> list[Band]:
    """The strongest examples of a unit, then some from each of `BANDS` octaves from its largest activation down.

    Args:
      examples: of the unit's layer.
      unit: which.
      strongest: how many of the strongest.
      each: how many of each octave, evenly over those that were chosen by lot.

    Returns:
      The strongest, then the octaves that any picture lies in; none where nothing was seen.

    Raises:
      InputError: for a unit that the layer does not have.
    """
    whole(unit, f"unit of {examples.layer}", 0, len(examples.strongest.pictures) - 1)
    there = examples.strongest.pictures[unit] != NONE
    first = Chosen(*(part[unit][there][:strongest] for part in examples.strongest))
    if not len(first.values):
        return []
    found = [Band(float(first.values[-1]), float(first.values[0]), float("nan"), first)]
    largest = float(first.values[0])
    if largest <= 0:
        return found
    ends = examples.intervals
    top = int(np.searchsorted(ends[:, 0], largest, side="right")) - 1
    seen = set(first.pictures.tolist())
    for octave in range(BANDS):
        stop = top + 1 - grid.PER_OCTAVE * octave
        start = max(stop - grid.PER_OCTAVE, grid.ZERO + 1)
        if start >= stop:
            break
        cells = Chosen(*(part[unit, start:stop].reshape(-1, *part.shape[3:]) for part in examples.spread))
        order = np.argsort(-np.nan_to_num(cells.values, nan=-np.inf), kind="stable")
        order = [i for i in order if cells.pictures[i] != NONE and int(cells.pictures[i]) not in seen]
        order = [order[i * len(order) // each] for i in range(each)] if len(order) > each else order
        if order:
            high = min(float(ends[stop - 1, 1]), largest)
            share = float(examples.peaks[unit, start:stop].sum() / examples.pictures_seen)
            found.append(Band(float(ends[start, 0]), high, share, Chosen(*(part[order] for part in cells))))
    return found
