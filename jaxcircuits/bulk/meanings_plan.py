"""The plan of meanings: how many things each unit stands for, some units of a layer a shard."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from jaxcircuits.bulk.plan import text
from jaxcircuits.bulk.recipe_plan import RecipePlan
from jaxcircuits.bulk.units_plan import UnitsPlan, UnitsShard
from jaxcircuits.errors import whole


@dataclasses.dataclass(frozen=True)
class MeaningsShard(UnitsShard):
    """Units of a layer."""

    records: ClassVar[str] = "meanings"


@dataclasses.dataclass(frozen=True)
class MeaningsPlan(UnitsPlan, RecipePlan):
    """Of which pictures, and what is kept of each meaning.

    Attributes:
      source, named: of the pictures, see `ExamplesPlan`.
      count: of each unit's strongest pictures, that are told apart.
      draws: samples with a single peak, see `evidence.meanings`.
      examples: crops of each meaning.
    """

    source: str
    named: str
    count: int
    draws: int
    examples: int

    SHARD = MeaningsShard
    PER_SHARD = 8

    def __post_init__(self):
        super().__post_init__()
        text(self.source, "source")
        text(self.named, "named")
        whole(self.count, "count", 8, 2**12)
        whole(self.draws, "draws", 1, 10_000)
        whole(self.examples, "examples", 1, 64)
