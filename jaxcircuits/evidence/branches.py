"""Whether units of a kind keep to one branch of a layer.

Voss et al., Branch Specialization, Distill, 2021: where a layer is put together from branches, units of one family are
found in one of them far more often than by chance: of mixed3a's nine black-and-white against color units all nine lie
in the 5x5 branch, an eighth of the layer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxcircuits.brief import Brief
from jaxcircuits.errors import InputError
from jaxcircuits.network import Network

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Integer


class Branch(NamedTuple):
    """Consecutive channels of a layer that were computed side by side with the others.

    Attributes:
      name: of the layer that they come from.
      start, stop: channels, from `start` to before `stop`.
    """

    name: str
    start: int
    stop: int


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class BranchTest(Brief):
    """How a family of units is distributed over a layer's branches.

    Attributes:
      branches: of the layer.
      counts: int (branches,), how many of the family each has.
      p_values: float64 (branches,), how likely a branch has as many or more of so many units chosen at random from the
        layer (hypergeometric).
      p_value: of the branch that stands out most, corrected for there being several (Bonferroni).
    """

    branches: tuple[Branch, ...]
    counts: Int[np.ndarray, " branches"]
    p_values: Float[np.ndarray, " branches"]
    p_value: float

    @property
    def best(self) -> Branch:
        """The branch that stands out most."""
        return self.branches[int(self.p_values.argmin())]


def branches(network: Network, layer: str) -> tuple[Branch, ...]:
    """The branches of a layer, in the order of its channels.

    Args:
      network: any.
      layer: a concatenation of channels, or what an activation function, a normalization or the like makes of one.

    Returns:
      Two or more.

    Raises:
      InputError: for an unknown layer and one that is no concatenation.
    """
    name = layer
    while network.layer(name).kind in ("activation", "normalization", "affine", "pool"):
        before = network.layer(name).inputs
        if len(before) != 1 or before[0] not in network.layers:
            break
        name = before[0]
    found, start = [], 0
    made = network.layer(name)
    for part in made.inputs if made.kind == "concatenate" else ():
        stop = start + (network.layer(part).channels if part in network.layers else network.convention.channels)
        found.append(Branch(part, start, stop))
        start = stop
    if start != network.layer(layer).channels or len(found) < 2:
        raise InputError(f"{layer} is not put together from branches; expected a concatenation of layers")
    return tuple(found)


def branch_test(of_layer: Sequence[Branch], units: Sequence[int] | Integer[np.ndarray, " units"]) -> BranchTest:
    """Tests whether units are concentrated in one branch more than by chance.

    Args:
      of_layer: as `branches` returns them.
      units: of the family, each once; chosen without regard to the branches.

    Returns:
      The `BranchTest`.

    Raises:
      InputError: for no units, the same twice, and units that the layer does not have.
    """
    of_layer, units = tuple(of_layer), np.asarray(units)
    channels = of_layer[-1].stop
    if units.ndim != 1 or not units.size or units.dtype.kind not in "iu":
        raise InputError(f"units of shape {units.shape}; expected whole numbers, one or more")
    if not 0 <= units.min() <= units.max() < channels or len(np.unique(units)) < len(units):
        raise InputError(f"units {units.min()} to {units.max()}; expected each once, from 0 to {channels - 1}")
    from scipy import stats  # slow to load, and the commands load this module

    sizes = np.array([branch.stop - branch.start for branch in of_layer])
    counts = np.array([np.sum((units >= branch.start) & (units < branch.stop)) for branch in of_layer])
    p_values = stats.hypergeom.sf(counts - 1, channels, sizes, len(units))
    return BranchTest(of_layer, counts, p_values, float(min(1.0, len(of_layer) * p_values.min())))
