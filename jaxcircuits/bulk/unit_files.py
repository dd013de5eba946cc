"""Products of which a shard is some units of a layer, in one file."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence

from etils import epath

from jaxcircuits.bulk.shard_files import ShardFiles
from jaxcircuits.bulk.units_plan import UnitsPlan
from jaxcircuits.errors import InputError
from jaxcircuits.files import below


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class UnitFiles(ShardFiles, abc.ABC):
    """A product of units; what it needs beside is how some of them are made and encoded.

    Files go to OUT/NETWORK/LAYER/NAME/FIRST_UNIT-HASH.safetensors, with the product's name.

    Attributes:
      wanted: layer -> units that are asked for.
    """

    plan: UnitsPlan
    wanted: Mapping[str, Sequence[int]]

    def check(self) -> None:
        """See `Product`."""
        seen: set[tuple[str, int]] = set()
        for shard in self.plan.shards:
            self.network.check_units(shard.layer, list(shard.units))
            units = {(shard.layer, unit) for unit in shard.units}
            if units & seen:
                raise InputError(f"units of {shard.layer} are in several shards; expected each in one")
            seen |= units

    def extended(self) -> UnitsPlan:
        """See `Product`."""
        return self.plan.extended(self.wanted)

    def asked(self) -> tuple[int, ...]:
        """See `Product`."""
        shards = enumerate(self.plan.shards)
        return tuple(i for i, shard in shards if set(shard.units) & set(self.wanted.get(shard.layer, ())))

    def path(self, shard: int) -> epath.Path:
        """See `ShardFiles`."""
        one = self.plan.shards[shard]
        name = f"{min(one.units):04d}-{self.plan.of(shard)[:6]}.safetensors"
        return below(self.root, one.layer) / self.NAME / name

    def owns(self, name: str) -> bool:
        """See `ShardFiles`: the folder has no others."""
        return True

    def count(self, shards: Sequence[int]) -> int:
        """See `Product`: units."""
        return sum(len(self.plan.shards[i].units) for i in shards)
