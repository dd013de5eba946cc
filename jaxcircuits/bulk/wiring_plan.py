"""The plan of wiring: a shard is a layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

from jaxcircuits.bulk.plan import Plan, text
from jaxcircuits.bulk.product import entry_name
from jaxcircuits.errors import whole


@dataclasses.dataclass(frozen=True)
class WiringShard:
    """A layer, whose units' wiring is read together.

    Attributes:
      layer: its name.
    """

    layer: str

    records: ClassVar[str] = "wiring"

    def __post_init__(self):
        text(self.layer, "layer")

    @property
    def layers(self) -> tuple[str, ...]:
        """That one."""
        return (self.layer,)


@dataclasses.dataclass(frozen=True)
class WiringPlan(Plan):
    """Of which layers, and how many connections.

    Attributes:
      count: of the strongest inputs and outputs of either kind.
      shards: one a layer.
    """

    count: int
    shards: tuple[WiringShard, ...] = dataclasses.field(default=(), kw_only=True)

    SHARD = WiringShard

    def __post_init__(self):
        super().__post_init__()
        whole(self.count, "count", 1, 2**12)

    def extended(self, layers: Sequence[str]) -> WiringPlan:
        """The plan with the layers that it lacks."""
        there = {shard.layer for shard in self.shards}
        added = tuple(WiringShard(name) for name in dict.fromkeys(layers) if name not in there)
        return dataclasses.replace(self, shards=self.shards + added)

    def entry_of(self, layer: str) -> str | None:
        """The name in the index of a layer's wiring; None for a layer that is not planned."""
        return next((entry_name(i) for i, shard in enumerate(self.shards) if shard.layer == layer), None)
