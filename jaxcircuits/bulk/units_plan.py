"""Plans whose shards are some units of a layer, each in one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

from jaxcircuits.bulk.plan import MOST_UNITS, Plan, numbers, text


@dataclasses.dataclass(frozen=True)
class UnitsShard:
    """Units of a layer.

    Attributes:
      layer: its name.
      units: which.
    """

    layer: str
    units: tuple[int, ...]

    records: ClassVar[str]

    def __post_init__(self):
        text(self.layer, "layer")
        object.__setattr__(self, "units", numbers(self.units, "units", MOST_UNITS))

    @property
    def layers(self) -> tuple[str, ...]:
        """That one."""
        return (self.layer,)


@dataclasses.dataclass(frozen=True)
class UnitsPlan(Plan):
    """A plan of some units of each layer.

    Attributes:
      shards: no unit is in two.
    """

    shards: tuple[UnitsShard, ...] = dataclasses.field(default=(), kw_only=True)

    SHARD: ClassVar[type[UnitsShard]]
    PER_SHARD: ClassVar[int]
    """Units of a shard."""

    def extended(self, units: Mapping[str, Sequence[int]]) -> Self:
        """The plan with shards for those units of layers that it lacks."""
        there = {(shard.layer, unit) for shard in self.shards for unit in shard.units}
        added = []
        for layer, own in units.items():
            lacking = [unit for unit in own if (layer, unit) not in there]
            parts = [lacking[i : i + self.PER_SHARD] for i in range(0, len(lacking), self.PER_SHARD)]
            added += [self.SHARD(layer, tuple(part)) for part in parts]
        return dataclasses.replace(self, shards=self.shards + tuple(added))

    def entry_with(self, layer: str, unit: int) -> int | None:
        """The number of the shard that has a unit; None where none has."""
        return next((i for i, one in enumerate(self.shards) if one.layer == layer and unit in one.units), None)
