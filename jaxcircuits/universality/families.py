"""Which families of units there are in each of several networks, and whether they are each other's matches.

>>> found = universality.families([first, second], pictures)
>>> found["curves", first.name].units, found["curves", first.name].p_value
>>> found.related["curves", first.name, second.name].share, found.related["curves", first.name, second.name].chance

Families are defined by stimuli and criteria, see `jaxcircuits.universality.family`, and so without a look at any unit's
number; correlations over photographs, which no definition knows of, then say whether they are the same.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcircuits.brief import Brief
from jaxcircuits.errors import InputError, unknown
from jaxcircuits.evidence import examples
from jaxcircuits.evidence.circular import difference
from jaxcircuits.images import Pictures, open_pictures
from jaxcircuits.lookup import Lookup
from jaxcircuits.network import Network
from jaxcircuits.p_values import holm
from jaxcircuits.universality.bank import BANK, Answers, Shown, answers
from jaxcircuits.universality.depth import depths
from jaxcircuits.universality.family import FAMILIES, REACH, Family, Members, coverage, members
from jaxcircuits.universality.matching import Matching, depth_map
from jaxcircuits.universality.rearranged import rearranged

if TYPE_CHECKING:
    from jaxtyping import Int

LEAST = 0.05
"""The corrected p-value from which on a family is not said to be found."""
FEWEST = 3
"""Members, of which fewer are single units and no family."""
REARRANGED = 3
"""Networks of random arrangement: three times as many units tell what is by chance as are looked at."""
EXAMPLES = 8
"""Strongest pictures of a unit, whose mean says what it can answer."""
TURN = 2 * np.pi


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Found(Brief):
    """A family in one network.

    Attributes:
      family: what was looked for.
      network: its name.
      layers: layer -> its `Members`, of all layers that were looked at.
      depths: layer -> its depth, see `jaxcircuits.universality.depths`.
      layer: that which has most of the family, see `corrected`.
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
        """Whether the family is in the network: `FEWEST` members and a corrected p-value below `LEAST`."""
        return len(self.units) >= FEWEST and self.adjusted_p_value < LEAST

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


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Related(Brief):
    """A family of one network beside the same of another, by correlation over pictures.

    Attributes:
      share: of the members, in either network, whose best unit in the other's layer is a member, too.
      chance: what share that would be if the best were any unit.
      shuffled: what it is where the networks see different pictures.
      correlation: mean of each member's with the best member of the other network.
      turned: median difference of the angles that a member and its best member prefer, radians; NaN without angles.
      turned_by_chance: the same for members paired at random, a quarter of the period.
      pairs: int64 (n, 2), one-to-one among the members, most correlated first.
    """

    share: float
    chance: float
    shuffled: float
    correlation: float
    turned: float
    turned_by_chance: float
    pairs: Int[np.ndarray, "pairs 2"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Families(Brief, Lookup[tuple[str, str], Found]):
    """Families by (family, network), and what they have to do with one another.

    Attributes:
      networks: names.
      families: names.
      found: by (family, network).
      related: by (family, network, later network), where both have it and they differ.
      answers: network -> what its units answer to the bank of stimuli.
      pictures: how many the networks saw.
    """

    networks: tuple[str, ...]
    families: tuple[str, ...]
    found: Mapping[tuple[str, str], Found]
    related: Mapping[tuple[str, str, str], Related]
    answers: Mapping[str, Answers]
    pictures: int

    def _held(self) -> tuple[str, Mapping[tuple[str, str], Found], str]:
        return "family and network", self.found, "what was looked for"

    def rows(self) -> list[dict[str, Any]]:
        """Every family in every network as plain JSON types, found or not."""
        return [
            {
                "family": one.family.name,
                "network": one.network,
                "found": one.there,
                "layer": one.layer,
                "depth_percent": round(100 * one.depth, 1),
                "count": len(one.units),
                "by_chance": round(one.by_chance, 2),
                "units_of_layer": one.members.looked_at,
                "p_value": float(f"{one.p_value:.2g}"),
                "adjusted_p_value": float(f"{one.adjusted_p_value:.2g}"),
                "coverage": None if one.coverage is None else round(one.coverage, 2),
                "score": round(float(one.members.scores.mean()), 3) if len(one.units) else None,
                "units": one.units[one.in_order].tolist(),
                "degrees": [
                    None if np.isnan(kind) else round(float(np.degrees(kind)), 1)
                    for kind in one.members.kinds[one.in_order]
                ],
                "in_other_layers": {
                    layer: len(own.units) for layer, own in one.layers.items() if layer != one.layer and own.excess >= 1
                },
            }
            for one in self.found.values()
        ]


def families(
    networks: Sequence[Network],
    pictures: Pictures | Any,
    *,
    layers: Mapping[str, Sequence[str]] | None = None,
    wanted: Sequence[Family] = FAMILIES,
    bank: Mapping[str, Shown] = BANK,
    batch_size: int | None = None,
    progress: bool | Callable[[int, int], None] = True,
) -> Families:
    """Looks for families of units in networks, by stimuli, and compares them between networks, by pictures.

    Args:
      networks: of different names.
      pictures: over which members are correlated, and whose strongest say what a unit can answer; see `match`.
      layers: network's name -> where to look; by default `layers_of`.
      wanted: the families.
      bank: the stimuli that they name.
      batch_size: pictures at once, see `match`.
      progress: show a bar; or a function that is told (pictures done, pictures in all).

    Returns:
      The `Families`. Each network and each pair of networks takes one pass over the pictures; each network takes four
      over the stimuli, three of them with its weights rearranged.

    Raises:
      InputError: for two networks of one name, for families of unknown stimuli, and as `match` and `evidence.tuning`.
    """
    names = [network.name for network in networks]
    if len(set(names)) < len(names) or not names:
        raise InputError(f"networks {', '.join(names) or 'none'}; expected one or more, of different names")
    pictures = pictures if isinstance(pictures, Pictures) else open_pictures(pictures)
    needed = list(dict.fromkeys(name for family in wanted for name in (*family.stimulus, *family.against)))
    for name in needed:
        if name not in bank:
            raise unknown("stimulus", name, bank, "the bank of stimuli")
    seen: dict[str, Answers] = {}
    found: dict[tuple[str, str], Found] = {}
    for network in networks:
        chosen = tuple((layers or {}).get(network.name) or layers_of(network))
        stimuli = {name: bank[name] for name in needed}
        seen[network.name] = answers(network, chosen, stimuli, progress)
        by_chance = [answers(rearranged(network, seed), chosen, stimuli, progress) for seed in range(REARRANGED)]
        strongest = examples(network, pictures, chosen, EXAMPLES, batch_size=batch_size, progress=progress)
        for layer in chosen:
            reach = np.nanmean(strongest[layer].values, axis=1)
            seen[network.name][layer][REACH] = np.maximum(reach, 0).reshape(-1, 1, 1)
        for family in wanted:
            found[family.name, network.name] = _found(network, family, seen[network.name], by_chance)
    found = corrected({(family.name, name): found[family.name, name] for family in wanted for name in names})
    related: dict[tuple[str, str, str], Related] = {}
    for first, second in itertools.combinations(networks, 2):
        both = [f.name for f in wanted if found[f.name, first.name].there and found[f.name, second.name].there]
        if both:
            own = [list(dict.fromkeys(found[f, net.name].layer for f in both)) for net in (first, second)]
            matched = depth_map(
                first, second, pictures,
                first_layers=own[0], second_layers=own[1], batch_size=batch_size, progress=progress,
            )  # fmt: skip
            for name in both:
                one, other = found[name, first.name], found[name, second.name]
                related[name, first.name, second.name] = relate(one, other, matched[one.layer, other.layer])
    return Families(tuple(names), tuple(f.name for f in wanted), found, related, seen, len(pictures))


def corrected(found: Mapping[tuple[str, str], Found]) -> dict[tuple[str, str], Found]:
    """Families with p-values that are corrected for all of them being looked for (Holm, 1979).

    Of a family's layers with `FEWEST` members or more whose p-value passes Bonferroni's correction for all layers and
    all families in networks, that is chosen which has the largest share beyond chance. The smallest p-value would favor
    layers of many units, so it decides only where no layer passes.

    Args:
      found: all that were looked for, by (family, network), whatever calls of `families` they are from.

    Returns:
      The same with each `layer`, `p_value` and `adjusted_p_value`: the probability of any false one among those whose
      `adjusted_p_value` is below some value is no more than that value.
    """
    chosen = {key: _chosen(one, len(found)) for key, one in found.items()}
    adjusted = holm([one.p_value for one in chosen.values()])
    return {
        key: dataclasses.replace(one, adjusted_p_value=float(value))
        for (key, one), value in zip(chosen.items(), adjusted)
    }


def _chosen(one: Found, looks: int) -> Found:
    """With the layer that has most of the family, of those that pass for as many families that are looked for."""
    p_values = {layer: min(own.p_value * len(one.layers), 1.0) for layer, own in one.layers.items()}
    shares = {layer: own.excess / own.looked_at for layer, own in one.layers.items()}
    passing = [name for name, p in p_values.items() if p * looks < LEAST and len(one.layers[name].units) >= FEWEST]
    if passing:
        layer = max(passing, key=lambda name: shares[name])
    else:
        layer = min(p_values, key=lambda name: (p_values[name], -shares[name]))
    # The chosen layer's own p-value is no smaller than the smallest one: choosing cannot make it claim too much.
    return dataclasses.replace(one, layer=layer, p_value=p_values[layer], adjusted_p_value=p_values[layer])


def layers_of(network: Network) -> tuple[str, ...]:
    """Where units are looked for: stages, or where those are mostly no activations, what later weights read; maps."""
    graph = network.graph
    bent = [name for name in graph.stages if network.layers[name].kind in ("activation", "concatenate")]
    chosen = graph.stages if 2 * len(bent) > len(graph.stages) else graph.features or graph.stages
    chosen = [name for name in chosen or network.layers if len(network.layers[name].shape) == 3]
    if not chosen:
        raise InputError(f"{network.name} has no layers (h, w, channels), in which units could be looked for")
    return tuple(chosen)


def _found(network: Network, family: Family, seen: Answers, by_chance: Sequence[Answers]) -> Found:
    by_layer = {layer: members(family, own, [one[layer] for one in by_chance]) for layer, own in seen.items()}
    where = {layer: float(depth) for layer, depth in zip(by_layer, depths(network, list(by_layer)))}
    return _chosen(Found(family, network.name, by_layer, where, "", 1.0, 1.0), 1)


def relate(one: Found, other: Found, matching: Matching) -> Related:
    """Compares a family's members in two networks.

    Args:
      one: the family in the first network of the matching.
      other: the family in the second.
      matching: of their layers.
    """
    correlation, shuffled = matching.correlation, matching.shuffled_correlation
    rows, columns = one.units, other.units
    shares = [
        (np.isin(table[rows].argmax(1), columns).mean() + np.isin(table[:, columns].argmax(0), rows).mean()) / 2
        for table in (correlation, shuffled)
    ]
    chance = (len(columns) / correlation.shape[1] + len(rows) / correlation.shape[0]) / 2
    own = correlation[np.ix_(rows, columns)]
    turned, period = np.nan, one.family.period
    if period is not None and np.isnan([*one.members.kinds, *other.members.kinds]).any():
        period = None
    if period is not None:
        angles = [found.members.kinds * TURN / period for found in (one, other)]
        off = [difference(angles[0], angles[1][own.argmax(1)]), difference(angles[1], angles[0][own.argmax(0)])]
        turned = float(np.median(np.abs(np.concatenate(off)))) * period / TURN
    return Related(
        share=float(shares[0]),
        chance=float(chance),
        shuffled=float(shares[1]),
        correlation=float((own.max(1).mean() + own.max(0).mean()) / 2),
        turned=turned,
        turned_by_chance=np.nan if period is None else period / 4,
        pairs=_assigned(own, rows, columns),
    )


def _assigned(correlation: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    from scipy.optimize import linear_sum_assignment

    i, j = linear_sum_assignment(correlation, maximize=True)
    order = np.argsort(-correlation[i, j], kind="stable")
    return np.stack([rows[i[order]], columns[j[order]]], axis=1)
