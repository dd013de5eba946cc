"""Second argument: what a unit fires at in pictures of the world looks like the stimulus at its preferred value."""

from __future__ import annotations

import numpy as np
from scipy import stats

from jaxcircuits.arguments.argument import Argument
from jaxcircuits.arguments.case import Case
from jaxcircuits.arguments.judge import REACH, fitted_values
from jaxcircuits.evidence.centered import centered, strongest_centered

ANYWHERE = 96
"""Random places in random pictures that stand for chance."""


def dataset(case: Case) -> tuple[Argument, np.ndarray]:
    """The argument, and the strongest examples (n, count, side, side, channels)."""
    side = case.size + 2 * REACH
    strongest = strongest_centered(case.network, case.examples, case.pictures, case.layer, case.units, case.count, side)
    wanted = case.preferred[case.layer][case.units]

    def matching(squares: np.ndarray) -> np.ndarray:
        """Which of (n, k, ...) squares look like the value that their unit prefers."""
        fitted = fitted_values(case, squares.reshape(-1, *squares.shape[2:])).reshape(squares.shape[:2])
        return case.apart(fitted, wanted[:, None]) <= case.tolerance

    top = matching(strongest)
    median = matching(_median(case, side))
    anywhere = fitted_values(case, _anywhere(case, side))
    chance = float((case.apart(anywhere[:, None], wanted) <= case.tolerance).mean())
    argument = Argument(
        "examples",
        "Share of a unit's strongest examples whose edges look like the stimulus at the value that it prefers, within "
        "an eighth of the circle.",
        value=float(top.mean()),
        chance=chance,
        bound=float(stats.binom.ppf(0.95, top.size, chance) / top.size),
        against=f"{len(anywhere)} random places of random pictures",
        count=top.size,
        units=case.named(top.mean(1)),
        figures={"of_the_median": float(median.mean()), "median_count": median.size},
    )
    return argument, strongest


def _median(case: Case, side: int) -> np.ndarray:
    """Up to `count` examples of each unit whose strongest answers are nearest to its median one: (n, count, ...)."""
    of_layer, squares = case.examples[case.layer], []
    for unit in case.units.tolist():
        peaks = of_layer.peaks[unit]
        middle = int(np.searchsorted(np.cumsum(peaks), peaks.sum() / 2))
        spread = [part[unit].reshape(-1, *part.shape[3:]) for part in of_layer.spread]
        there = np.flatnonzero(spread[1] >= 0)
        interval = there // of_layer.spread.pictures.shape[2]
        chosen = there[np.argsort(np.abs(interval - middle), kind="stable")[: case.count]]
        chosen = np.resize(chosen, case.count)
        cut = centered(
            case.network, case.pictures, case.layer, spread[1][chosen], spread[2][chosen], case.examples.seen.size, side
        )
        squares.append(cut)
    return np.stack(squares)


def _anywhere(case: Case, side: int) -> np.ndarray:
    rng, shape = case.rng(), case.examples[case.layer].shape
    strongest = case.examples[case.layer].pictures
    known = np.unique(strongest[strongest >= 0])
    numbers = rng.choice(known, ANYWHERE)
    places = np.stack([rng.integers(0, length, ANYWHERE) for length in (shape[:2] if len(shape) == 3 else (1, 1))], 1)
    return centered(case.network, case.pictures, case.layer, numbers, places, case.examples.seen.size, side)
