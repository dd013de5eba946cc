"""Superposition: a feature spread over units that are otherwise for different things.

Olah et al., Zoom In (Distill 2020), "Cars in superposition": the one pure car unit of mixed4c feeds many units of
mixed4d, most of which are dog detectors besides.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxcircuits.circuits.motifs.null import (
    Scored,
    across,
    against_search,
    best_first,
    check_weights,
    null_scores,
)
from jaxcircuits.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Int, Integer, Num


LARGEST = 1 << 22
"""Cosines of units that are held at once, together for all sources."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Superposition(Scored):
    """Over how many units that disagree a feature is spread.

    Attributes:
      score: effective number of different contexts: the participation ratio of the eigenvalues of the cosines between
        `units` by what else they read. 1 where they agree in everything else (or there is one), their number where
        they have nothing else in common.
      null: (shuffles,): scores of the same channel in shuffled weights, the higher of two shuffles, see
        `superpositions`.
      source: the feature, a channel that the units read.
      units: those that have it among their strongest excitatory inputs, strongest first.
      agreement: mean cosine between what else they read; 1 for one unit.
    """

    source: int
    units: Int[np.ndarray, " units"]
    agreement: float


class _Measured(NamedTuple):
    """Of each source: its contexts, how many units read it, these before others, and how far they agree."""

    contexts: np.ndarray
    numbers: np.ndarray
    units: np.ndarray
    agreements: np.ndarray


def superpositions(
    weights: Num[np.ndarray, "units h w sources"],
    sources: Integer[np.ndarray, " chosen"] | list[int] | None = None,
    *,
    strongest: int = 5,
    shuffles: int = 100,
    seed: int = 0,
) -> list[Superposition]:
    """Measures over how many otherwise different units features are spread.

    How many units have a feature among their strongest inputs follows from how strong its channel is, so a score alone
    says little. It is compared with the same channel's in shuffled weights, each channel and unit about as strong as it
    is: the higher of two shuffles, of which one exchanges every unit's slices among channels and the other every
    channel's among units. A small p-value says that more units read the feature, or units that have less in common,
    than follows from those strengths, from how unlike a unit's inputs are in strength, and from how unlike a channel's
    are.

    Args:
      weights: (units, h, w, channels), such as `expanded_weights` from mixed4c to mixed4d.
      sources: channels to measure; None for all.
      strongest: how many of its excitatory inputs a unit is said to be for.
      shuffles: of the weights, for the null; no p-value is below 1 / (1 + shuffles).
      seed: of the shuffles.

    Returns:
      A `Superposition` for each source, in the order of `sources`; for None best first, by `adjusted_p_value`
      and then by score. The correction is over all of them.

    Raises:
      InputError: for weights of another shape and channels that they do not have.
    """
    weights = check_weights(weights)
    channels = weights.shape[3]
    chosen = np.arange(channels) if sources is None else np.asarray(sources)
    if chosen.ndim != 1 or not chosen.size or chosen.min() < 0 or chosen.max() >= channels:
        raise InputError(f"sources {sources!r}; expected channels from 0 to {channels - 1}")
    if not 1 <= strongest <= channels:
        raise InputError(f"strongest {strongest}; expected 1 to {channels} inputs")

    def of_shuffled(weights: np.ndarray) -> np.ndarray:
        return _measure(weights, chosen, strongest).contexts

    measured = _measure(weights, chosen, strongest)
    scores, nulls = measured.contexts, null_scores(of_shuffled, across(weights), shuffles, seed)
    adjusted = against_search(scores, nulls)
    order = best_first(scores, adjusted) if sources is None else range(len(chosen))
    return [
        Superposition(
            score=float(scores[i]),
            null=nulls[:, i],
            adjusted_p_value=float(adjusted[i]),
            source=int(chosen[i]),
            units=measured.units[i, : measured.numbers[i]],
            agreement=float(measured.agreements[i]),
        )
        for i in order
    ]


def _measure(weights: np.ndarray, sources: np.ndarray, strongest: int) -> _Measured:
    """What `superpositions` says of each source."""
    excitation = np.sqrt(np.square(np.maximum(weights, 0), dtype=np.float64).sum((1, 2)))  # (units, channels)
    least = np.partition(excitation, -strongest, axis=1)[:, [-strongest]]
    # What a unit is for: its strongest inputs.
    inputs = np.where((excitation >= least) & (excitation > 0), excitation, 0)
    common = inputs @ inputs.T
    by = inputs[:, sources].T
    numbers = np.count_nonzero(by, axis=1)
    # As many units for each source as the one has that most units read; those beyond a source's own read 0 of it.
    units = np.argsort(-by, axis=1, kind="stable")[:, : max(numbers.max(), 1)]
    by = np.take_along_axis(by, units, axis=1)
    together = max(LARGEST // units.shape[1] ** 2, 1)
    parts = [slice(start, start + together) for start in range(0, len(sources), together)]
    contexts, agreements = np.concatenate([_compared(common, units[part], by[part]) for part in parts], axis=1)
    return _Measured(np.where(contexts, contexts, numbers > 0), numbers, units, np.where(numbers > 1, agreements, 1.0))


def _compared(common: np.ndarray, units: np.ndarray, by: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many contexts the units of each source have, 0 where they read nothing else, and their mean cosine.

    Args:
      common: (units, units), products of what they read.
      units: (sources, most).
      by: (sources, most), how strongly these read the source, 0 for those that do not.
    """
    # What else they are for: without the source.
    cosines = common[units[:, :, None], units[:, None]] - by[:, :, None] * by[:, None]
    energy = np.diagonal(cosines, axis1=1, axis2=2)
    # The rest of units that read nothing else is rounding.
    lengths = np.sqrt(np.where((by > 0) & (energy > 1e-10 * by**2), energy, np.inf))
    cosines = cosines / (lengths[:, :, None] * lengths[:, None])
    number, total = np.count_nonzero(by, axis=1), np.trace(cosines, axis1=1, axis2=2)
    contexts = total**2 / np.maximum(np.square(cosines).sum((1, 2)), np.finfo(float).tiny)
    return contexts, (cosines.sum((1, 2)) - total) / np.maximum(number * (number - 1), 1)
