"""Superposition: a feature spread over units that are otherwise for different things.

Olah et al., Zoom In (Distill 2020), "Cars in superposition": the one pure car unit of mixed4c feeds many units of
mixed4d, most of which are dog detectors besides.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

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
        return np.array([found[0] for found in _measure(weights, chosen, strongest)])

    measured = _measure(weights, chosen, strongest)
    scores, nulls = (
        np.array([found[0] for found in measured]),
        null_scores(of_shuffled, across(weights), shuffles, seed),
    )
    adjusted = against_search(scores, nulls)
    order = best_first(scores, adjusted) if sources is None else range(len(chosen))
    return [
        Superposition(
            score=float(scores[i]),
            null=nulls[:, i],
            adjusted_p_value=float(adjusted[i]),
            source=int(chosen[i]),
            units=measured[i][1],
            agreement=measured[i][2],
        )
        for i in order
    ]


def _measure(weights: np.ndarray, sources: np.ndarray, strongest: int) -> list[tuple[float, np.ndarray, float]]:
    """Score, units and agreement of each source."""
    excitation = np.sqrt(np.square(np.maximum(weights, 0), dtype=np.float64).sum((1, 2)))  # (units, channels)
    least = np.partition(excitation, -strongest, axis=1)[:, [-strongest]]
    # What a unit is for: its strongest inputs.
    inputs = np.where((excitation >= least) & (excitation > 0), excitation, 0)
    common = inputs @ inputs.T
    found = []
    for source in sources:
        by = inputs[:, source]
        units = np.flatnonzero(by)
        units = units[np.argsort(-by[units])]
        # What else it is for: without the source.
        cosines = common[np.ix_(units, units)] - np.outer(by[units], by[units])
        energy = np.diag(cosines)
        # The rest of units that read nothing else is rounding.
        lengths = np.sqrt(np.where(energy > 1e-10 * by[units] ** 2, energy, np.inf))
        cosines = cosines / np.outer(lengths, lengths)
        number, total = len(units), np.trace(cosines)
        contexts = float(total**2 / np.sum(cosines**2)) if total else float(number > 0)
        agreement = float((cosines.sum() - total) / (number * (number - 1))) if number > 1 else 1.0
        found.append((contexts, units, agreement))
    return found
