"""Second argument: what a unit fires at in pictures of the world looks like the stimulus at its preferred value."""

from __future__ import annotations

import numpy as np

from jaxcircuits.arguments.argument import Argument
from jaxcircuits.arguments.case import Case
from jaxcircuits.arguments.chance import FEWEST_OTHERS, exchanged, interval, judged
from jaxcircuits.arguments.judge import REACH, fitted_values
from jaxcircuits.evidence.centered import centered, strongest_centered


def dataset(case: Case) -> tuple[Argument, np.ndarray]:
    """The argument, and the strongest examples (n, count, side, side, channels)."""
    side = case.size + 2 * REACH
    wanted, count = case.preferred[case.layer][case.units], len(case.units)
    others = _others(case, max(0, FEWEST_OTHERS + 1 - count))

    def strongest_of(units: np.ndarray) -> np.ndarray:
        return strongest_centered(case.network, case.examples, case.pictures, case.layer, units, case.count, side)

    def fitted(squares: np.ndarray) -> np.ndarray:
        """What (n, k, ...) squares look like: (n, k)."""
        return fitted_values(case, squares.reshape(-1, *squares.shape[2:])).reshape(squares.shape[:2])

    strongest = strongest_of(case.units)
    seen = np.concatenate([fitted(strongest), *(fitted(strongest_of(np.array([unit]))) for unit in others.tolist())])
    # (units, sources, examples): whether the examples of each source look as each unit prefers it.
    matching = case.apart(seen, wanted[:, None, None]) <= case.tolerance
    top = matching[np.arange(count), np.arange(count)]
    median = case.apart(fitted(_median(case, side)), wanted[:, None]) <= case.tolerance
    argument = Argument(
        "examples",
        "Share of a unit's strongest examples whose edges look like the stimulus at the value that it prefers, within "
        "an eighth of the circle.",
        **judged(top.mean(), exchanged(matching.mean(2), np.arange(count), case.rng())),
        against=f"examples exchanged at random among these and {len(others)} other units of the layer",
        count=count,
        interval=interval(top, case.rng()),
        units=case.named(top.mean(1)),
        figures={
            "of_the_median": float(median.mean()),
            "of_the_median_interval": interval(median, case.rng()),
            "median_count": median.size,
        },
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


def _others(case: Case, count: int) -> np.ndarray:
    """Units of the layer that are not of the family and have as many examples, by lot."""
    enough = (case.examples[case.layer].pictures[:, : case.count] >= 0).all(1)
    return case.outside(count, np.flatnonzero(enough))
