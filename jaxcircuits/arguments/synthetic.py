"""Third argument: units answer the stimulus at one value of its parameter, and no other figure."""

from __future__ import annotations

import numpy as np

from jaxcircuits.arguments.argument import Argument
from jaxcircuits.arguments.case import STRONG, Case
from jaxcircuits.arguments.chance import DRAWS, interval, judged


def synthetic(case: Case) -> Argument:
    """The argument."""
    selectivity, best = case.selectivity[case.layer], case.strength[case.layer]
    with np.errstate(invalid="ignore", divide="ignore"):
        opposite = np.where(selectivity > 0, best / selectivity, 0.0)
    # What a unit that hardly answers leaves out says nothing.
    contrast = (best - opposite) / np.maximum(best + opposite, max(STRONG * np.percentile(best, 95), 1e-12))
    # Silent units have no contrast, and would make chance too easy to surpass.
    rest = np.setdiff1d(np.flatnonzero(best > 0), case.family)
    meaning = (
        "Contrast of the answers to the best and the opposite value of the stimulus: their difference over their sum, "
        "or over what a strong unit of the layer answers where that is more."
    )
    if not rest.size:
        return Argument("synthetic", meaning, missing=f"no unit of {case.layer} is outside the family")
    own, rng, count = contrast[case.units], case.rng(), len(case.units)
    # As many others each time; where there are fewer others than units, some of them twice.
    drawn = [contrast[rng.choice(rest, count, replace=count > len(rest))].mean() for _ in range(DRAWS)]
    width = case.tuning.half_width(case.layer, case.parameter, case.period)
    figures = {
        "best_over_opposite": {name: value for name, value in case.named(selectivity[case.units]).items()},
        "half_width": case.named(width[case.units]),
        "of_best_answer": {name: case.named(part[case.units]) for name, part in case.others.items()},
        "values_answered_half_as_well": {
            name: float(case.tuning.tolerated(case.layer, name)[case.units].mean())
            for name in case.tuning.grid
            if name != case.parameter
        },
    }
    return Argument(
        "synthetic",
        meaning,
        **judged(own.mean(), np.array(drawn)),
        against=f"as many of the {len(rest)} other units of the layer that answer the stimulus",
        count=count,
        interval=interval(own, case.rng()),
        units=case.named(own),
        figures=figures,
    )
