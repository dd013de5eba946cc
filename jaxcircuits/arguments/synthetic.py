"""Third argument: units answer the stimulus at one value of its parameter, and no other figure."""

from __future__ import annotations

import numpy as np

from jaxcircuits.arguments.argument import Argument
from jaxcircuits.arguments.case import Case, strong


def synthetic(case: Case) -> Argument:
    """The argument."""
    selectivity = case.selectivity[case.layer]
    # (best - opposite) / (best + opposite), of best / opposite.
    with np.errstate(invalid="ignore"):
        contrast = np.where(np.isinf(selectivity), 1.0, (selectivity - 1) / (selectivity + 1))
    contrast = np.where(case.strength[case.layer] > 0, contrast, 0.0)
    # What a unit that hardly answers answers to half of the stimuli says nothing.
    rest = np.setdiff1d(strong(case.strength[case.layer]), case.family)
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
        "Contrast of the answers to the best and the opposite value of the stimulus: their difference over their sum.",
        value=float(contrast[case.units].mean()),
        chance=float(np.median(contrast[rest])) if rest.size else 0.0,
        bound=float(np.percentile(contrast[rest], 95)) if rest.size else 0.0,
        against="other units of the layer that answer the stimulus as strongly",
        count=len(case.units),
        units=case.named(contrast[case.units]),
        figures=figures,
    )
