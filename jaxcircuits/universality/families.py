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
from jaxcircuits.errors import InputError, unknown, whole
from jaxcircuits.evidence import examples
from jaxcircuits.evidence.circular import difference
from jaxcircuits.images import Pictures, open_pictures
from jaxcircuits.lookup import Lookup
from jaxcircuits.network import Network
from jaxcircuits.universality.bank import BANK, Answers, Shown, answers
from jaxcircuits.universality.depth import depths
from jaxcircuits.universality.family import FAMILIES, REACH, Family, members
from jaxcircuits.universality.found import Found, corrected, in_best_layer
from jaxcircuits.universality.matching import Matching, depth_map
from jaxcircuits.universality.rearranged import rearranged

if TYPE_CHECKING:
    from jaxtyping import Int

REARRANGED = 16
"""Networks of random arrangement, see `more_than_by_chance`: with 8 only what is overwhelming is found."""
EXAMPLES = 8
"""Strongest pictures of a unit, whose mean says what it can answer."""
TURN = 2 * np.pi


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
                "in_each_by_chance": list(one.members.rearranged),
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
                    layer: {"count": len(own.units), "in_each_by_chance": list(own.rearranged)}
                    for layer, own in one.layers.items()
                    if layer != one.layer and own.excess >= 1
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
    arrangements: int = REARRANGED,
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
      arrangements: of each network's weights, in as many networks that tell what is by chance. Fewer take less time and
        find less: none is found by one.
      batch_size: pictures at once, see `match`.
      progress: show a bar; or a function that is told (pictures done, pictures in all).

    Returns:
      The `Families`. Each pair of networks takes one pass over the pictures; each network and each arrangement of one
      takes one over the pictures and one over the stimuli.

    Raises:
      InputError: for a negative number of arrangements, for two networks of one name, for families of unknown stimuli,
        and as `match` and `evidence.tuning`.
    """
    arrangements = whole(arrangements, "arrangements", 0)
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
        shown = chosen, stimuli, pictures, batch_size, progress
        seen[network.name] = _answers(network, *shown)
        by_chance = [_answers(rearranged(network, seed), *shown) for seed in range(arrangements)]
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


def _answers(
    network: Network,
    layers: tuple[str, ...],
    stimuli: Mapping[str, Shown],
    pictures: Pictures,
    batch_size: int | None,
    progress: bool | Callable[[int, int], None],
) -> Answers:
    """What a network's units answer to stimuli, and to their strongest pictures."""
    found = answers(network, layers, stimuli, progress)
    strongest = examples(network, pictures, layers, EXAMPLES, batch_size=batch_size, progress=progress)
    for layer in layers:
        reach = np.nanmean(strongest[layer].values, axis=1)
        found[layer][REACH] = np.maximum(reach, 0).reshape(-1, 1, 1)
    return found


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
    return in_best_layer(Found(family, network.name, by_layer, where, "", 1.0, 1.0), 1)


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
