"""Fourth argument: where the examples of one unit are turned, the unit that prefers the turned value takes over."""

from __future__ import annotations

import numpy as np

from jaxcircuits.arguments.argument import Argument
from jaxcircuits.arguments.case import TURN, Case
from jaxcircuits.arguments.chance import DRAWS, interval, judged
from jaxcircuits.evidence import joint_tuning
from jaxcircuits.evidence.circular import largest_gap

FEWEST = 3
"""Units that make a family."""
EXAMPLES = 4
"""Examples of each unit that are turned."""


def together(case: Case) -> Argument:
    """The argument; turning examples turns what is on them, so it is made for parameters that are directions."""
    meaning = (
        "Share of turned examples that are answered most by a unit of the family that prefers what they were turned "
        "to, within an eighth of the circle."
    )
    if len(case.family) < FEWEST:
        return Argument("joint", meaning, missing=f"{len(case.family)} units are no family; at least {FEWEST} are")
    if case.parameter != "orientation":
        return Argument(
            "joint",
            meaning,
            missing=f"examples can be turned, which changes their orientation and not their {case.parameter}",
        )
    names = [case.name(unit) for unit in case.family]
    options = {"count": min(EXAMPLES, case.count), "size": case.size, "progress": case.progress}
    found = joint_tuning(case.network, names, case.examples, case.pictures, **options)
    preferred = case.preferred[case.layer][case.family]
    turned_to = preferred[:, None, None] + found.values[1:]
    strongest = found.strongest[..., 1:]

    def taken(of: np.ndarray) -> np.ndarray:
        return case.apart(of[strongest], turned_to) <= case.tolerance

    hits = taken(preferred)
    rng = case.rng()
    chance = [taken(rng.permutation(preferred)).mean() for _ in range(DRAWS)]
    gap = largest_gap(preferred * TURN / case.period) * case.period / TURN
    count = len(preferred)
    by_unit = hits.mean((1, 2))
    own = [int(np.flatnonzero(case.family == unit)[0]) for unit in case.units]
    return Argument(
        "joint",
        meaning,
        **judged(hits.mean(), np.array(chance)),
        against="families whose preferred values are exchanged at random",
        count=hits.shape[0] * hits.shape[1],
        # The turns of one example are resampled together.
        interval=interval(hits.reshape(-1, hits.shape[2]), case.rng()),
        units=case.named(by_unit[own]),
        figures={
            "family": count,
            "turns_of_each_example": hits.shape[2],
            "largest_gap": float(gap),
            # Of n places at random on a circle of length 1 it is on average the n-th harmonic number over n.
            "largest_gap_by_chance": float(case.period * np.sum(1 / np.arange(1, count + 1)) / count),
        },
    )
