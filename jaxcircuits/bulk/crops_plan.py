"""The plan of crops: what units saw in their examples, some units of a layer a shard."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import ClassVar

from jaxcircuits.bulk.plan import MOST_UNITS, Plan, numbers, text
from jaxcircuits.errors import whole

PER_SHARD = 32
"""Units of a shard."""


@dataclasses.dataclass(frozen=True)
class CropsShard:
    """Units of a layer.

    Attributes:
      layer: its name.
      units: which.
    """

    layer: str
    units: tuple[int, ...]

    records: ClassVar[str] = "crops"

    def __post_init__(self):
        text(self.layer, "layer")
        object.__setattr__(self, "units", numbers(self.units, "units", MOST_UNITS))

    @property
    def layers(self) -> tuple[str, ...]:
        """That one."""
        return (self.layer,)


@dataclasses.dataclass(frozen=True)
class CropsPlan(Plan):
    """Of which examples, and how many.

    Attributes:
      source, named: of the pictures, see `ExamplesPlan`.
      strongest: examples of each unit.
      each: of each octave below.
      shards: no unit is in two.
    """

    source: str
    named: str
    strongest: int
    each: int
    shards: tuple[CropsShard, ...] = dataclasses.field(default=(), kw_only=True)

    SHARD = CropsShard

    def __post_init__(self):
        super().__post_init__()
        text(self.source, "source")
        text(self.named, "named")
        whole(self.strongest, "strongest", 1, 256)
        whole(self.each, "each", 0, 256)

    def extended(self, units: Mapping[str, Sequence[int]]) -> CropsPlan:
        """The plan with shards for those units of layers that it lacks."""
        there = {(shard.layer, unit) for shard in self.shards for unit in shard.units}
        added = []
        for layer, own in units.items():
            lacking = [unit for unit in own if (layer, unit) not in there]
            parts = [lacking[i : i + PER_SHARD] for i in range(0, len(lacking), PER_SHARD)]
            added += [CropsShard(layer, tuple(part)) for part in parts]
        return dataclasses.replace(self, shards=self.shards + tuple(added))
