"""The plan of crops: what units saw in their examples, some units of a layer a shard."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from jaxcircuits.bulk.plan import text
from jaxcircuits.bulk.units_plan import UnitsPlan, UnitsShard
from jaxcircuits.errors import whole


@dataclasses.dataclass(frozen=True)
class CropsShard(UnitsShard):
    """Units of a layer."""

    records: ClassVar[str] = "crops"


@dataclasses.dataclass(frozen=True)
class CropsPlan(UnitsPlan):
    """Of which examples, and how many.

    Attributes:
      source, named: of the pictures, see `ExamplesPlan`.
      strongest: examples of each unit.
      each: of each octave below.
    """

    source: str
    named: str
    strongest: int
    each: int

    SHARD = CropsShard
    PER_SHARD = 32

    def __post_init__(self):
        super().__post_init__()
        text(self.source, "source")
        text(self.named, "named")
        whole(self.strongest, "strongest", 1, 256)
        whole(self.each, "each", 0, 256)
