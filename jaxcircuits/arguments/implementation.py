"""Fifth argument: the weights from the family below go by how far the preferred values are apart."""

from __future__ import annotations

import numpy as np

from jaxcircuits.arguments.argument import Argument
from jaxcircuits.arguments.case import SELECTIVE_BELOW, TURN, Case, selective
from jaxcircuits.arguments.chance import DRAWS, RESAMPLES, ends, judged
from jaxcircuits.circuits import expanded_weights

FEWEST = 4
"""Selective units of the layer below."""


def implementation(case: Case) -> Argument:
    """The argument."""
    meaning = (
        "Correlation of the weights from the units of the layer below that are selective for the stimulus with the "
        "cosine of how far the preferred values of the two units are apart."
    )
    if case.below is None:
        return Argument("implementation", meaning, missing=f"{case.layer} reads the picture itself")
    early = selective(case.strength[case.below], case.selectivity[case.below], least=SELECTIVE_BELOW)
    if len(early) < FEWEST:
        why = f"{len(early)} units of {case.below} are selective for the stimulus; expected {FEWEST} or more"
        return Argument("implementation", meaning, missing=why)
    weights = expanded_weights(case.network, case.below, case.layer, case.units)[..., early]
    sums = weights.reshape(len(weights), -1, len(early)).sum(1, dtype=np.float64)
    late, below = case.preferred[case.layer][case.units], case.preferred[case.below][early]

    def cosine(of: np.ndarray) -> np.ndarray:
        return np.cos((late[:, None] - of) * TURN / case.period)

    def correlation(first: np.ndarray, second: np.ndarray) -> float:
        with np.errstate(invalid="ignore", divide="ignore"):
            return float(np.nan_to_num(np.corrcoef(first.ravel(), second.ravel())[0, 1]))

    found = correlation(cosine(below), sums)
    rng = case.rng()
    chance = np.array([correlation(cosine(rng.permutation(below)), sums) for _ in range(DRAWS)])
    resampled = rng.integers(0, len(sums), (RESAMPLES, len(sums))) if len(sums) > 1 else np.empty((0, 1), int)
    spread = [correlation(cosine(below)[rows], sums[rows]) for rows in resampled]
    apart = case.apart(late[:, None], below)
    near, far = apart <= case.tolerance, apart >= case.period / 2 - case.tolerance
    return Argument(
        "implementation",
        meaning,
        **judged(found, chance),
        against="orders at random of the units below",
        count=len(sums),
        interval=ends(spread) if spread else None,
        units=case.named(np.array([correlation(cosine(below)[i], sums[i]) for i in range(len(sums))])),
        figures={
            "layer_below": case.below,
            "units_below": early.tolist(),
            "mean_weight_from_like": float(sums[near].mean()) if near.any() else None,
            "mean_weight_from_opposite": float(sums[far].mean()) if far.any() else None,
        },
    )
