"""Superposition: a feature spread over units that are otherwise for different things.

Olah et al., Zoom In (Distill 2020), "Cars in superposition": the one pure car unit of mixed4c feeds many units of
mixed4d, most of which are dog detectors besides.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from jaxcircuits.circuits.motifs.null import Scored, check_weights, null_scores, shuffled
from jaxcircuits.errors import InputError


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Superposition(Scored):
    """Over how many units that disagree a feature is spread.

    Attributes:
      score: effective number of different contexts: the participation ratio of the eigenvalues of the cosines between
        `units` by what else they read. 1 where they agree in everything else (or there is one), their number where
        they have nothing else in common.
      null: scores of single features of shuffled weights, (shuffles * channels,).
      source: the feature, a channel that the units read.
      units: those that have it among their strongest excitatory inputs, strongest first.
      agreement: mean cosine between what else they read; 1 for one unit.
    """

    source: int
    units: np.ndarray
    agreement: float


def superpositions(
    weights: np.ndarray,
    sources: np.ndarray | list[int] | None = None,
    *,
    strongest: int = 5,
    shuffles: int = 10,
    seed: int = 0,
) -> list[Superposition]:
    """Measures over how many otherwise different units features are spread.

    Args:
      weights: (units, h, w, channels), such as `expanded_weights` from mixed4c to mixed4d.
      sources: channels to measure; None for all.
      strongest: how many of its excitatory inputs a unit is said to be for.
      shuffles: of the weights, for the null.
      seed: of the shuffles.

    Returns:
      A `Superposition` for each source, in the order of `sources`; for None best first.

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
    null = null_scores(
        lambda rng: [found[0] for found in _measure(shuffled(weights, rng), range(channels), strongest)], shuffles, seed
    ).ravel()
    found = [
        Superposition(score=score, null=null, source=int(source), units=units, agreement=agreement)
        for source, (score, units, agreement) in zip(chosen, _measure(weights, chosen, strongest))
    ]
    return sorted(found, key=lambda one: -one.score) if sources is None else found


def _measure(weights: np.ndarray, sources, strongest: int) -> list[tuple[float, np.ndarray, float]]:
    """Score, units and agreement of each source."""
    excitation = np.linalg.norm(np.maximum(weights, 0), axis=(1, 2))  # (units, channels)
    least = np.partition(excitation, -strongest, axis=1)[:, [-strongest]]
    reads = (excitation >= least) & (excitation > 0)
    profile = excitation**2
    found = []
    for source in sources:
        units = np.flatnonzero(reads[:, source])
        units = units[np.argsort(-excitation[units, source])]
        # What else a unit is for: its other strongest inputs.
        others = np.sqrt(profile[units]) * reads[units]
        others[:, source] = 0
        others /= np.maximum(np.linalg.norm(others, axis=1, keepdims=True), 1e-12)
        cosines = others @ others.T
        number = len(units)
        contexts = float(np.trace(cosines) ** 2 / np.sum(cosines**2)) if number and cosines.any() else float(number > 0)
        agreement = float((cosines.sum() - np.trace(cosines)) / (number * (number - 1))) if number > 1 else 1.0
        found.append((contexts, units, agreement))
    return found
