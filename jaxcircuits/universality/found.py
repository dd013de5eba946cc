"""A family in one network: in which of its layers it is, and whether that is more than chance."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from jaxcircuits.brief import Brief
from jaxcircuits.p_values import holm
from jaxcircuits.universality.family import Family, Members, coverage

if TYPE_CHECKING:
    from jaxtyping import Int

LEAST = 0.05
"""The corrected p-value from which on a family is not said to be found."""
FEWEST = 3
"""Members, of which fewer are single units and no family."""
MOST = 0.5
"""Of the largest share of members beyond chance: the first layer with so much of it is where the family begins."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Found(Brief):
    """A family in one network.

    Attributes:
      family: what was looked for.
      network: its name.
      layers: layer -> its `Members`, of all layers that were looked at.
      depths: layer -> its depth, see `jaxcircuits.universality.depths`.
      layer: where the family begins, see `corrected`.
      p_value: how often chance gives any layer as many as `layer` has, see `Members.p_value`; corrected for the number
        of layers (Bonferroni).
      adjusted_p_value: the same, corrected for all families and networks that were looked at together, see `corrected`.
    """

    family: Family
    network: str
    layers: Mapping[str, Members]
    depths: Mapping[str, float]
    layer: str
    p_value: float
    adjusted_p_value: float

    @property
    def there(self) -> bool:
        """Whether the family is in the network: `FEWEST` members or more, more than in each rearranged network, and a
        corrected p-value below `LEAST`."""
        enough = len(self.units) >= FEWEST and len(self.units) > max(self.members.rearranged, default=0)
        return enough and self.adjusted_p_value < LEAST

    @property
    def members(self) -> Members:
        return self.layers[self.layer]

    @property
    def depth(self) -> float:
        """Where `layer` is."""
        return self.depths[self.layer]

    @property
    def units(self) -> Int[np.ndarray, " units"]:
        """The members in `layer`, by number; see `in_order` for the order of what they prefer."""
        return self.members.units

    @property
    def in_order(self) -> Int[np.ndarray, " units"]:
        """The members' places in `units`, by the angle that they prefer, or most selective first."""
        kinds = self.members.kinds
        return np.argsort(-self.members.scores if np.isnan(kinds).any() else kinds, kind="stable")

    @property
    def coverage(self) -> float | None:
        """How much of the circle of orientations or hues they cover; None where theirs lie on none."""
        if self.family.period is None or np.isnan(self.members.kinds).any():
            return None
        return coverage(self.members.kinds, self.family.period)

    @property
    def by_chance(self) -> float:
        """How many members `layer` would have by chance."""
        return self.members.by_chance


def corrected(found: Mapping[tuple[str, str], Found]) -> dict[tuple[str, str], Found]:
    """Families with p-values that are corrected for all of them being looked for (Holm, 1979).

    Of a family's layers with `FEWEST` members or more whose p-value passes Bonferroni's correction for all layers and
    all families in networks, the first by depth is chosen that has at least `MOST` of the largest share of members
    beyond chance. Later layers read it, and of the latest many units are for things that the pictures do not show,
    which lets them count as members too (see `family.REACHED`). The smallest p-value would favor layers of many units,
    so it decides only where no layer passes.

    Args:
      found: all that were looked for, by (family, network), whatever calls of `families` they are from.

    Returns:
      The same with each `layer`, `p_value` and `adjusted_p_value`: the probability of any false one among those whose
      `adjusted_p_value` is below some value is no more than that value.
    """
    best = {key: in_best_layer(one, len(found)) for key, one in found.items()}
    adjusted = holm([one.p_value for one in best.values()])
    return {
        key: dataclasses.replace(one, adjusted_p_value=float(value))
        for (key, one), value in zip(best.items(), adjusted)
    }


def in_best_layer(one: Found, looks: int) -> Found:
    """A family with its layer chosen, and that layer's p-value, see `corrected`.

    Args:
      one: the family in a network, by its layers.
      looks: families in networks that are looked for together.
    """
    p_values = {layer: min(own.p_value * len(one.layers), 1.0) for layer, own in one.layers.items()}
    shares = {layer: own.excess / own.looked_at for layer, own in one.layers.items()}
    passing = [name for name, p in p_values.items() if p * looks < LEAST and len(one.layers[name].units) >= FEWEST]
    if passing:
        least = MOST * max(shares[name] for name in passing)
        layer = min(
            (name for name in passing if shares[name] >= least), key=lambda name: (one.depths[name], -shares[name])
        )
    else:
        # Of layers with enough members, if there are any.
        few = {name: len(own.units) < FEWEST for name, own in one.layers.items()}
        layer = min(p_values, key=lambda name: (few[name], p_values[name], -shares[name]))
    # The chosen layer's own p-value is no smaller than the smallest one: choosing cannot make it claim too much.
    return dataclasses.replace(one, layer=layer, p_value=p_values[layer], adjusted_p_value=p_values[layer])
