"""Third argument: units answer the value they prefer, and not the opposite one, of stimuli that did not choose them."""

from __future__ import annotations

import itertools

import numpy as np

from jaxcircuits.arguments.argument import Argument
from jaxcircuits.arguments.case import STRONG, Case
from jaxcircuits.arguments.chance import DRAWS, Judged, exchanged, interval, judged

FEWEST = 4
"""Units of a family: of three there are six orders, which show nothing."""


def synthetic(case: Case) -> Argument:
    """The argument.

    Some of the stimuli, such as curves of every second radius, choose the units and say which value of the parameter
    each prefers. The contrast is that of the others: measured on the same ones it would be high for units that are
    tuned to nothing, as they were chosen by it.

    It has to surpass three kinds of chance, and the p-value is the largest one. As many units of the layer, the chosen
    ones among them, since others answer unlike values unlike, too. The same units with the preferred values exchanged
    among the family, as a direction may be answered best by all. And the same units where every held-out stimulus, such
    as a radius in a shade, is turned round the circle by a lot of its own, the same for all units: units that share
    their inputs prefer alike by chance, too. So no family of fewer than `FEWEST` can be judged, and p is at least 1 in
    the number of orders of the family, and 1 in the number of turns.
    """
    meaning = (
        "Contrast of the answers to the value that a unit prefers and to the opposite one, of stimuli that did not "
        "choose the unit or the value: their difference over their sum, or over what a strong unit of the layer "
        "answers where that is more."
    )
    if case.held_out is None:
        missing = f"the grid varies {case.parameter} alone, so no stimuli are left that did not choose the units"
        return Argument("synthetic", meaning, missing=missing)
    if len(case.family) < FEWEST:
        missing = f"{len(case.family)} units are too few to exchange what they prefer; expected {FEWEST} or more"
        return Argument("synthetic", meaning, missing=missing)
    chosen_by = np.maximum(case.chosen_by.along(case.layer, case.parameter), 0)
    answers = np.moveaxis(case.held_out[case.layer], case.held_out.axis(case.parameter) + 1, 1)
    answers = answers.reshape(*answers.shape[:2], -1)
    # Silent units have no contrast, and would make chance too easy to surpass.
    rest = np.setdiff1d(np.flatnonzero(chosen_by.max(1) > 0), case.family)
    if not rest.size:
        return Argument("synthetic", meaning, missing=f"no unit of {case.layer} is outside the family")
    own, others, exchange, turned = carried_over(chosen_by, answers, case.units, case.family, rest, case.rng())
    width = case.tuning.half_width(case.layer, case.parameter, case.period)
    figures = {
        "best_over_opposite_of_what_chose": case.named(case.selectivity[case.layer][case.units]),
        "p_value_against_others": others["p_value"],
        "p_value_with_values_exchanged": exchange["p_value"],
        "p_value_with_stimuli_turned": turned["p_value"],
        "half_width": case.named(width[case.units]),
        "of_best_answer": {name: case.named(part[case.units]) for name, part in case.others.items()},
        "values_answered_half_as_well": {
            name: float(case.tuning.tolerated(case.layer, name)[case.units].mean())
            for name in case.tuning.grid
            if name != case.parameter
        },
    }
    others["p_value"] = max(others["p_value"], exchange["p_value"], turned["p_value"])
    return Argument(
        "synthetic",
        meaning,
        **others,
        against=(
            f"as many of these and the {len(rest)} other units of the layer that answer the stimulus; for the p-value "
            "also the units themselves with preferred values exchanged, and with each held-out stimulus turned"
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
) -> tuple[np.ndarray, Judged, Judged, Judged]:
    """Whether units prefer of some stimuli what they prefer of others.

    Args:
      chosen_by: (channels, values), not negative, answers to the stimuli that say what is preferred.
      answers: (channels, values, stimuli), to each of the others.
      units: (n,), of the family.
      family: (m,), whose preferred values are exchanged.
      rest: (k,), the units outside it.
      rng: of the draws.

    Returns:
      The contrast of each unit (n,), and its mean compared with that of as many of the units and the rest; with that of
      the units at the preferred values of the family, by lot; and with that of the units where each stimulus is turned.
    """
    best, count, values = chosen_by.argmax(1), len(units), answers.shape[1]
    # What a unit that hardly answers leaves out says nothing.
    strong = max(STRONG * np.percentile(np.maximum(answers.mean(2), 0).max(1), 95), 1e-12)

    def contrast(of: np.ndarray, at: np.ndarray) -> np.ndarray:
        """(..., units), of units `of` (units,) whose preferred value is `at` (..., units, stimuli) in each stimulus."""
        unit, stimulus = of[:, None], np.arange(answers.shape[2])
        # The opposite one of an odd number of values lies between two, whose mean it is.
        peak, one, two = (
            np.maximum(answers[unit, (at + turn) % values, stimulus].mean(-1, dtype=np.float64), 0)
            for turn in (0, values // 2, (values + 1) // 2)
        )
        return (peak - (one + two) / 2) / np.maximum(peak + (one + two) / 2, strong)

    both = np.concatenate([units, rest])
    of_both = contrast(both, best[both, None])
    own = of_both[:count]
    others = rng.permuted(np.tile(of_both, (DRAWS, 1)), axis=1)[:, :count].mean(1)
    at_value = np.stack([contrast(units, np.full((count, 1), value)) for value in best[family]], axis=1)
    places = np.array([np.flatnonzero(family == unit)[0] for unit in units])
    turned = contrast(units, best[units, None] + _turns(values, answers.shape[2], rng)[:, None]).mean(1)
    drawn = others, exchanged(at_value, places, rng), turned
    first, second, third = (judged(own.mean(), draws) for draws in drawn)
    return own, first, second, third


def _turns(values: int, stimuli: int, rng: np.random.Generator) -> np.ndarray:
    """(draws, stimuli): by how many values each stimulus is turned; all ways but none at all, where they are few."""
    if values**stimuli <= DRAWS:
        return np.array(list(itertools.product(range(values), repeat=stimuli)))[1:]
    return rng.integers(0, values, (DRAWS, stimuli))
