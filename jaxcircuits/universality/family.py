"""Families of units: what a stimulus and a criterion on its tuning say, whatever the network and its units' numbers.

A unit is of a family if it answers the family's stimulus about as strongly as its strongest pictures, and neither the
opposite one nor any of the family's controls nearly as well. Thresholds are round numbers, the same for all networks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxcircuits.brief import Brief
from jaxcircuits.evidence.circular import largest_gap
from jaxcircuits.universality.rearranged import more_than_by_chance

if TYPE_CHECKING:
    from jaxtyping import Float, Int

TURN = 2 * np.pi
STRONG = 1 / 3
"""Of the layer's 95th percentile of answers to the stimulus: below, a unit hardly answers it."""
REACHED = 0.5
"""Of what a unit answers its strongest pictures: below, the stimulus is not what it is for."""
REACH = "strongest pictures"
"""Where that stands among a layer's answers, (units, 1, 1)."""


@dataclasses.dataclass(frozen=True)
class Family:
    """What units of a family do.

    Attributes:
      name: of the family.
      stimulus: sets of the bank, by name; of several, which are cues for one thing, every one must be answered.
      against: control sets, by name.
      margin: how many times better the stimulus must be answered than any control.
      period: of the stimulus' kinds, radians; None where they lie on no circle.
      contrast: how many times better the best kind must be answered than the opposite one.
      kind: the one kind that is meant, where it is one; by default the best of them.
      folded: the stimulus' kinds go round a whole turn, of which only the axis counts: the better of both directions.
      note: the definition in words.
    """

    name: str
    stimulus: tuple[str, ...]
    against: tuple[str, ...]
    margin: float
    period: float | None = None
    contrast: float = 0.0
    kind: int | None = None
    folded: bool = False
    note: str = ""


_SCRAMBLED = ("scrambled head", "other scrambled head")
_FIGURES = ("curve", "line", "corner", "grating", "circle", "disc", "spiral", "dots")
FAMILIES: tuple[Family, ...] = (
    Family(
        "curves", ("curve",), ("line",), 1.4, TURN, 3.0,
        note="an arc 3 times better than the opposite one, and 1.4 times better than any straight line",
    ),
    Family(
        "high-low frequency", ("high-low",), ("texture",), 1.4, TURN, 2.0,
        note="a fine texture beside a coarse one twice as well as the other way round, 1.4 times better than either",
    ),
    Family(
        "circles", ("circle",), ("arc", "line", "corner"), 1.4,
        note="a circle 1.4 times better than any half of it, line or corner",
    ),
    Family(
        "lines", ("line",), ("curve", "disc", "corner"), 1.2, np.pi, 3.0,
        note="a line 3 times better than the one across, and 1.2 times better than any arc, corner or disc",
    ),
    Family(
        "color contrast", ("hue beside hue",), ("light edge", "hue", "shade"), 1.4, np.pi,
        note="a hue beside the opposite one 1.4 times better than light beside dark, and than any hue or shade alone",
    ),
    Family(
        "color center-surround", ("hue in hue",), ("shade in shade", "hue beside hue", "hue", "shade"), 1.4, TURN,
        note="a disc of a hue in the opposite one 1.4 times better than light and dark discs, and than an edge of hues",
    ),
    Family(
        "boundaries", ("light edge", "hue edge", "texture edge"), ("texture", "hue", "shade"), 1.4, np.pi, 1.4,
        folded=True,
        note="boundaries of one orientation, be they of light, hue or texture, 1.4 times better than those across, and "
        "than what lies on either side",
    ),
    Family(
        "brightness gradients", ("light edge",), ("hue edge", "line", "shade"), 1.2, TURN, 3.0,
        note="light beside dark 3 times better than dark beside light, and 1.2 times better than hues and lines",
    ),
    Family(
        "textures", ("grating",), ("line", "light edge", "texture"), 1.4, np.pi, 3.0,
        note="a grating 3 times better than the one across, and 1.4 times better than lines, edges and plaids",
    ),
    Family(
        "corners", ("corner",), ("line", "curve", "disc"), 1.2, TURN, 2.0,
        note="a corner twice as well as the opposite one, and 1.2 times better than lines, arcs and discs",
    ),
    Family(
        "spirals", ("spiral",), ("circle", "curve", "line", "dots"), 1.4,
        note="a spiral 1.4 times better than circles, arcs, lines and dots",
    ),
    Family(
        "heads facing right", ("head",), (*_SCRAMBLED, "car", *_FIGURES), 1.4, TURN, 2.0, 0,
        note="a drawn head that faces right twice as well as its mirror image, 1.4 times better than scrambled "
        "heads and all else",
    ),
    Family(
        "heads facing left", ("head",), (*_SCRAMBLED, "car", *_FIGURES), 1.4, TURN, 2.0, 1,
        note="a drawn head that faces left twice as well as its mirror image, 1.4 times better than scrambled "
        "heads and all else",
    ),
    Family(
        "cars", ("car",), ("swapped car", "head", *_FIGURES), 1.2,
        note="a drawn car 1.2 times better than one with windows and wheels exchanged, heads, and plain figures",
    ),
)  # fmt: skip
"""Those that are looked for unless others are given."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Members(Brief):
    """A family in one layer.

    Attributes:
      units: int64 (n,), their numbers.
      kinds: float64 (n,), the angle that each prefers, radians in [0, period); NaN where kinds lie on no circle.
      scores: float64 (n,), (a - b) / (a + b) of the answer to the family's stimulus and the best to anything else that
        it is held against: 0 for no difference, 1 for silence to all else.
      looked_at: units of the layer.
      rearranged: how many units of the same layer are members in each of several rearranged networks, see
        `jaxcircuits.universality.rearranged`.
    """

    units: Int[np.ndarray, " units"]
    kinds: Float[np.ndarray, " units"]
    scores: Float[np.ndarray, " units"]
    looked_at: int
    rearranged: tuple[int, ...]

    @property
    def by_chance(self) -> float:
        """Mean number of members in rearranged networks; NaN without any."""
        return float(np.mean(self.rearranged)) if self.rearranged else float("nan")

    @property
    def excess(self) -> float:
        """How many more there are than by chance."""
        return len(self.units) - self.by_chance

    @property
    def p_value(self) -> float:
        """How often chance gives as many, see `more_than_by_chance`."""
        return more_than_by_chance(len(self.units), self.looked_at, self.rearranged)


def members(
    family: Family, answers: Mapping[str, np.ndarray], rearranged: Sequence[Mapping[str, np.ndarray]] = ()
) -> Members:
    """Which units of a layer are of a family.

    Args:
      family: what is looked for.
      answers: set -> (units, kinds, conditions), see `bank.answers`; with `REACH` units must come near to that.
      rearranged: the same of the layer in rearranged networks; without any, what is by chance is not known.
    """
    inside, values, angles = _criterion(family, answers)
    by_chance = tuple(int(_criterion(family, one)[0].sum()) for one in rearranged)
    units = np.flatnonzero(inside)
    return Members(units, angles[units], values[units], len(inside), by_chance)


def coverage(kinds: np.ndarray, period: float) -> float:
    """How much of the circle members cover: 1 less its largest gap, of what evenly placed ones of their number do."""
    if len(kinds) < 2:
        return 0.0
    gap = largest_gap(kinds * TURN / period) / TURN
    return float((1 - gap) / (1 - 1 / len(kinds)))


def _criterion(family: Family, answers: Mapping[str, np.ndarray]):
    """Whether each unit is a member, its score, and the angle that it prefers."""
    own, others = ([answers[name] for name in names] for names in (family.stimulus, family.against))
    least = REACHED * answers[REACH].reshape(-1) if REACH in answers else np.zeros(len(own[0]))
    curves = [_folded(part.mean(2), family.folded) for part in own]
    curve = np.min(curves, axis=0)
    best = curve.argmax(1) if family.kind is None else np.full(len(curve), family.kind)
    each = np.arange(len(curve))
    peak, kinds = curve[each, best], curve.shape[1]
    control = np.max([part.mean(2).max(1) for part in others], axis=0)
    opposite = curve[each, (best + kinds // 2) % kinds] if family.contrast else np.zeros_like(peak)
    # At its best: a unit may mind the size or the shade of what it looks for.
    reached = np.max([_folded(part.max(2), family.folded)[each, best] for part in own], axis=0)
    strong = (peak >= STRONG * np.percentile(peak, 95)) & (reached >= least)
    inside = (peak > 0) & strong & (peak >= family.margin * control) & (peak >= family.contrast * opposite)
    rival = np.maximum(control, opposite)
    score = (peak - rival) / np.maximum(peak + rival, 1e-12)
    if family.period is None or kinds < 3:
        return inside, score, np.full(len(peak), np.nan)
    phases = np.exp(1j * np.arange(kinds) * TURN / kinds)
    return inside, score, np.angle(curve @ phases) % TURN * family.period / TURN


def _folded(curve: np.ndarray, folded: bool) -> np.ndarray:
    half = curve.shape[1] // 2
    return np.maximum(curve[:, :half], curve[:, half:]) if folded else curve
