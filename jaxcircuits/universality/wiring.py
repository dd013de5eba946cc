"""Circuits between families of any network: whether like excites like, and the same numbers for each.

Olah et al., Zoom In (Distill 2020), claim 3, says universality of features and of the circuits between them.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcircuits.brief import Brief
from jaxcircuits.circuits import expanded_weights
from jaxcircuits.errors import InputError
from jaxcircuits.evidence.circular import difference
from jaxcircuits.network import Network
from jaxcircuits.p_values import among
from jaxcircuits.universality.depth import weights_before
from jaxcircuits.universality.families import Families
from jaxcircuits.universality.family import members

if TYPE_CHECKING:
    from jaxtyping import Float, Num

EARLY_CONTRAST = 2.0
"""Early units of a family need answer their orientation only so many times better than the opposite one."""
FEWEST = 3
"""Units on either side, for a circuit to be spoken of."""
PERMUTATIONS = 1000


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class LikeExcitesLike(Brief):
    """Weights between units of like and of unlike orientation.

    Attributes:
      correlation: of every pair's summed weights with the cosine of the difference of their orientations.
      null: (PERMUTATIONS,): the same with the later units' orientations exchanged at random.
      p_value: how often those are as large.
      like: mean weight between units that differ by less than 45 degrees of a turn, in standard deviations of all
        pairs' weights.
      opposite: mean weight between those that differ by more than 135 degrees.
      pairs: how many pairs there are of all, like, and opposite.
    """

    correlation: float
    null: Float[np.ndarray, " permutations"]
    p_value: float
    like: float
    opposite: float
    pairs: tuple[int, int, int]


def like_excites_like(
    weights: Num[np.ndarray, "late h w early"],
    early: Num[np.ndarray, " early"],
    late: Num[np.ndarray, " late"],
    seed: int = 0,
) -> LikeExcitesLike:
    """Weights from early to late units of a family by how far their orientations differ.

    Args:
      weights: (late, h, w, early), such as `expanded_weights`.
      early: orientations of the sources, radians round a whole turn.
      late: those of the targets.
      seed: of the permutations.

    Raises:
      InputError: for fewer than `FEWEST` units on either side.
    """
    if min(len(early), len(late)) < FEWEST:
        raise InputError(f"{len(early)} early and {len(late)} late units; expected {FEWEST} or more of each")
    sums = weights.sum((1, 2), dtype=np.float64)
    off = difference(late[:, None], early[None])

    def correlation(differences: np.ndarray) -> float:
        cosines = np.cos(differences)
        return float(np.corrcoef(cosines.ravel(), sums.ravel())[0, 1]) if sums.std() > 0 and cosines.std() > 0 else 0.0

    rng = np.random.default_rng(seed)
    null = np.array([correlation(difference(rng.permutation(late)[:, None], early)) for _ in range(PERMUTATIONS)])
    found, scale = correlation(off), max(float(sums.std()), 1e-12)
    near, far = np.abs(off) < np.pi / 4, np.abs(off) > 3 * np.pi / 4

    def mean(where: np.ndarray) -> float:
        return float(sums[where].mean() / scale) if where.any() else float("nan")

    return LikeExcitesLike(
        found, null, among(found, null), mean(near), mean(far), (sums.size, int(near.sum()), int(far.sum()))
    )


def family_circuit(network: Network, families: Families, name: str = "curves") -> dict[str, Any]:
    """Whether a family's units are excited by earlier ones of the same orientation and inhibited by the opposite.

    Late units are the family's in the layer where it was found. Early ones are the family's by half as strict a
    criterion, in the nearest earlier layer that has some and lies two or more weights before it.

    Args:
      network: one of the families'.
      families: that were looked for in it.
      name: of one with orientations round a whole turn.

    Returns:
      As plain JSON types: the layers and units, and the numbers of `LikeExcitesLike`; `found` false and `why` where
      there are not enough units.
    """
    found = families[name, network.name]
    row: dict[str, Any] = {"circuit": f"{name}: like excites like", "network": network.name, "found": False}
    if not found.there or len(found.units) < FEWEST:
        return row | {"why": f"{len(found.units)} late units"}
    loose = dataclasses.replace(found.family, margin=0.0, contrast=EARLY_CONTRAST)
    at = dict(zip(found.layers, weights_before(network, [*found.layers])))
    earlier = [layer for layer in found.layers if at[layer] <= at[found.layer] - 2]
    for layer in reversed(earlier):
        before = members(loose, families.answers[network.name][layer])
        if len(before.units) >= FEWEST and not np.isnan(before.kinds).any():
            break
    else:
        return row | {"why": "no early units"}
    weights = expanded_weights(network, layer, found.layer, found.units)[..., before.units]
    result = like_excites_like(weights, before.kinds, found.members.kinds)
    return row | {
        "found": result.p_value < 0.05 and result.like > 0 > result.opposite,
        "layers": [layer, found.layer],
        "units": [len(before.units), len(found.units)],
        "correlation": round(result.correlation, 3),
        "by_chance": round(float(np.quantile(result.null, 0.95)), 3),
        "p_value": round(result.p_value, 4),
        "like": round(result.like, 2),
        "opposite": round(result.opposite, 2),
        "pairs": list(result.pairs),
    }
