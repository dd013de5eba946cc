"""Third argument: units answer the value they prefer, and not the opposite one, of stimuli that did not choose them."""

from __future__ import annotations

import numpy as np

from jaxcircuits.arguments.argument import Argument
from jaxcircuits.arguments.case import STRONG, Case
from jaxcircuits.arguments.chance import DRAWS, Judged, exchanged, interval, judged


def synthetic(case: Case) -> Argument:
    """The argument.

    Some of the stimuli, such as curves of every second radius, choose the units and say which value of the parameter
    each prefers. The contrast is that of the others: measured on the same ones it would be high for units that are
    tuned to nothing, as they were chosen by it.

    It has to surpass two kinds of chance, and the p-value is the larger one: units of the layer that were not chosen,
    which answer unlike values unlike, too; and the same units with the preferred values exchanged among the family, as
    if what is preferred of some stimuli said nothing about others.
    """
    meaning = (
        "Contrast of the answers to the value that a unit prefers and to the opposite one, of stimuli that did not "
        "choose the unit or the value: their difference over their sum, or over what a strong unit of the layer "
        "answers where that is more."
    )
    if case.held_out is None:
        missing = f"the grid varies {case.parameter} alone, so no stimuli are left that did not choose the units"
        return Argument("synthetic", meaning, missing=missing)
    chosen_by, answers = (
        np.maximum(one.along(case.layer, case.parameter), 0) for one in (case.chosen_by, case.held_out)
    )
    # Silent units have no contrast, and would make chance too easy to surpass.
    rest = np.setdiff1d(np.flatnonzero(chosen_by.max(1) > 0), case.family)
    if not rest.size:
        return Argument("synthetic", meaning, missing=f"no unit of {case.layer} is outside the family")
    own, others, by_exchange = carried_over(chosen_by, answers, case.units, case.family, rest, case.rng())
    width = case.tuning.half_width(case.layer, case.parameter, case.period)
    figures = {
        "best_over_opposite_of_what_chose": case.named(case.selectivity[case.layer][case.units]),
        "p_value_against_others": others["p_value"],
        "p_value_with_values_exchanged": by_exchange["p_value"],
        "half_width": case.named(width[case.units]),
        "of_best_answer": {name: case.named(part[case.units]) for name, part in case.others.items()},
        "values_answered_half_as_well": {
            name: float(case.tuning.tolerated(case.layer, name)[case.units].mean())
            for name in case.tuning.grid
            if name != case.parameter
        },
    }
    others["p_value"] = max(others["p_value"], by_exchange["p_value"])
    return Argument(
        "synthetic",
        meaning,
        **others,
        against=(
            f"as many of the {len(rest)} other units of the layer that answer the stimulus; for the p-value also the "
            "units themselves with the family's preferred values exchanged"
        ),
        count=len(own),
        interval=interval(own, case.rng()),
        units=case.named(own),
        figures=figures,
    )


def carried_over(
    chosen_by: np.ndarray,
    answers: np.ndarray,
    units: np.ndarray,
    family: np.ndarray,
    rest: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, Judged, Judged]:
    """Whether units prefer of some stimuli what they prefer of others.

    Args:
      chosen_by: (channels, values), not negative, answers to the stimuli that say what is preferred.
      answers: (channels, values), likewise, to the others.
      units: (n,), of the family.
      family: (m,), whose preferred values are exchanged.
      rest: (k,), the units outside it.
      rng: of the draws.

    Returns:
      The contrast of each unit (n,), and its mean compared with that of as many of the rest, and with that of the units
      at the preferred values of the family, by lot.
    """
    best, count = chosen_by.argmax(1), len(units)
    contrast = _contrast(answers, best)
    own = contrast[units]
    # As many others each time; where there are fewer others than units, some of them twice.
    others = [contrast[rng.choice(rest, count, replace=count > len(rest))].mean() for _ in range(DRAWS)]
    at_value = np.stack([_contrast(answers, np.full_like(best, value)) for value in range(answers.shape[1])], axis=1)
    places = np.array([np.flatnonzero(family == unit)[0] for unit in units])
    elsewhere = exchanged(at_value[np.ix_(units, best[family])], places, rng)
    return own, judged(own.mean(), np.array(others)), judged(own.mean(), elsewhere)


def _contrast(answers: np.ndarray, best: np.ndarray) -> np.ndarray:
    """(units,), of answers (units, values) to the value with the number `best` (units,) and to the opposite one; of an
    odd number of values that is the mean of two."""
    units, count = np.arange(len(answers)), answers.shape[1]
    peak = answers[units, best]
    opposite = (answers[units, (best + count // 2) % count] + answers[units, (best + (count + 1) // 2) % count]) / 2
    # What a unit that hardly answers leaves out says nothing.
    strong = STRONG * np.percentile(answers.max(1), 95)
    return (peak - opposite) / np.maximum(peak + opposite, max(strong, 1e-12))
