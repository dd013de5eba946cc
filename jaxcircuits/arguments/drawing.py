"""First argument: what is drawn for a unit excites it more than pictures of the world, and looks like the stimulus."""

from __future__ import annotations

import numpy as np

from jaxcircuits.arguments.argument import Argument
from jaxcircuits.arguments.case import Case
from jaxcircuits.arguments.judge import fitted_values
from jaxcircuits.evidence import grid
from jaxcircuits.evidence.responses import responses
from jaxcircuits.vis import Recipe, channel, render

CONTROLS = 4
"""Units that are drawn besides, for what a drawing of any unit does."""


def drawing(case: Case, recipe: Recipe) -> tuple[Argument, np.ndarray]:
    """The argument, and the drawings (n, H, W, channels)."""
    others = case.outside(CONTROLS)
    objective = channel(case.layer, [*case.units.tolist(), *others.tolist()])
    drawn = render(case.network, objective, recipe, seed=case.seed, progress=case.progress).images
    answers = responses(case.network, drawn, [case.layer])[case.layer]
    count = len(case.units)
    own = np.array([percentile(case, unit, answers[i, unit]) for i, unit in enumerate(case.units.tolist())])
    alien = np.array([[percentile(case, unit, value) for value in answers[count:, unit]] for unit in case.units])
    of_family = np.array(
        [[percentile(case, unit, answers[i, unit]) for i in range(count)] for unit in case.units.tolist()]
    )
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
        value=float(own.mean()),
        chance=float(alien.mean()) if alien.size else 50.0,
        bound=float(np.percentile(alien, 95)) if alien.size else 95.0,
        against="drawings of other units of the layer" if alien.size else "any picture",
        count=count,
        units=case.named(own),
        figures=figures,
    )
    return argument, drawn[:count]


def percentile(case: Case, unit: int, value: float) -> float:
    """The percentage of pictures whose strongest answer is below a value, to the width of a histogram's interval."""
    peaks = case.examples[case.layer].peaks[unit]
    at = int(grid.interval(np.asarray(value, np.float32)))
    return float(100 * (peaks[:at].sum() + 0.5 * peaks[at]) / peaks.sum())
