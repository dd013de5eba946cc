"""First argument: what is drawn for a unit excites it more than pictures of the world, and looks like the stimulus."""

from __future__ import annotations

import numpy as np

from jaxcircuits.arguments.argument import Argument
from jaxcircuits.arguments.case import Case
from jaxcircuits.arguments.chance import FEWEST_OTHERS, exchanged, interval, judged
from jaxcircuits.arguments.judge import fitted_values
from jaxcircuits.evidence import grid
from jaxcircuits.evidence.responses import responses
from jaxcircuits.vis import Recipe, channel, render

CONTROLS = 4
"""Units of other kinds that are drawn besides, at least."""


def drawing(case: Case, recipe: Recipe) -> tuple[Argument, np.ndarray]:
    """The argument, and the drawings (n, H, W, channels)."""
    others = case.outside(max(CONTROLS, FEWEST_OTHERS + 1 - len(case.units)))
    objective = channel(case.layer, [*case.units.tolist(), *others.tolist()])
    drawn = render(case.network, objective, recipe, seed=case.seed, progress=case.progress).images
    answers = responses(case.network, drawn, [case.layer])[case.layer]
    count = len(case.units)
    of_all = np.array([[percentile(case, unit, value) for value in answers[:, unit]] for unit in case.units.tolist()])
    own, of_family = np.diag(of_all), of_all[:, :count]
    fitted = fitted_values(case, drawn[:count])
    near = case.apart(fitted, case.preferred[case.layer][case.units]) <= case.tolerance
    figures = {
        "size": list(recipe.size),
        "steps": recipe.steps,
        "looks_like_the_preferred_value": float(near.mean()),
        "looks_like_the_preferred_value_by_chance": 0.25,
    }
    if count > 1:
        figures["percentile_of_drawings_of_the_other_units"] = float(
            (of_family.sum(1) - np.diag(of_family)).mean() / (count - 1)
        )
    argument = Argument(
        "drawing",
        "Percentile of a unit's answer to its own drawing among its answers to pictures of the world.",
        **judged(own.mean(), exchanged(of_all, np.arange(count), case.rng())),
        against=f"drawings exchanged at random among these and {len(others)} other units of the layer",
        count=count,
        interval=interval(own, case.rng()),
        units=case.named(own),
        figures=figures,
    )
    return argument, drawn[:count]


def percentile(case: Case, unit: int, value: float) -> float:
    """The percentage of pictures whose strongest answer is below a value, to the width of a histogram's interval."""
    peaks = case.examples[case.layer].peaks[unit]
    at = int(grid.interval(np.asarray(value, np.float32)))
    return float(100 * (peaks[:at].sum() + 0.5 * peaks[at]) / peaks.sum())
