"""Wiring as a product: a shard is a layer, from the last to the first, as neighbors have their weights in common."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

from etils import epath

from jaxcircuits.bulk import place
from jaxcircuits.bulk.hosts import ALONE, Hosts
from jaxcircuits.bulk.job import Job, opened
from jaxcircuits.bulk.shard_files import ShardFiles
from jaxcircuits.bulk.wiring_plan import WiringPlan
from jaxcircuits.circuits import LayerWiring, Wiring
from jaxcircuits.circuits.wiring_file import wiring_bytes
from jaxcircuits.errors import InputError
from jaxcircuits.files import below
from jaxcircuits.network import Network

FILE = "wiring.safetensors"


@contextlib.contextmanager
def wiring(
    network: Network, layers: Sequence[str], out: str | Path, *, count: int = 8, hosts: Hosts = ALONE
) -> Iterator[Job[Wirings]]:
    """Opens the wiring of layers in a folder: which are the strongest inputs and outputs of each unit.

    >>> with wiring(network, feature_layers(network), "records") as job:
    ...     job.run()

    Args:
      network: whose units.
      layers: names.
      out: a folder, or the URL of one that `etils.epath` knows; files go to OUT/NETWORK/LAYER/wiring.safetensors, see
        `circuits.LayerWiring`.
      count: connections of either kind that are kept of a unit.
      hosts: which of several processes this one is, see `meet`.

    Yields:
      The `Job`; other commands are kept from the folder's wiring meanwhile.

    Raises:
      InputError: for an unknown layer, or where the folder holds other wiring.
    """
    for name in layers:
        network.layer(name)
    plan = WiringPlan(network.name, network.identity, count)
    folder = below(place.root(out), network.name)
    with opened(Wirings(network=network, folder=folder, plan=plan, layers=tuple(layers)), hosts) as job:
        yield job


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Wirings(ShardFiles):
    """Wiring, see `Product`.

    Attributes:
      layers: that are asked for.
    """

    plan: WiringPlan
    layers: tuple[str, ...]

    NAME, RECORDS, MADE, SUMMARY = "wiring", "wiring", "read", "the wiring of {units}"

    def check(self) -> None:
        """See `Product`."""
        seen = set()
        for shard in self.plan.shards:
            self.network.layer(shard.layer)
            if shard.layer in seen:
                raise InputError(f"{shard.layer} is there twice; expected each layer once")
            seen.add(shard.layer)

    def extended(self) -> WiringPlan:
        """See `Product`."""
        order = list(self.network.layers)
        return self.plan.extended(sorted(self.layers, key=order.index, reverse=True))

    def asked(self) -> tuple[int, ...]:
        """See `Product`."""
        return tuple(i for i, shard in enumerate(self.plan.shards) if shard.layer in self.layers)

    def path(self, shard: int) -> epath.Path:
        """See `ShardFiles`."""
        return below(self.root, self.plan.shards[shard].layer) / FILE

    def owns(self, name: str) -> bool:
        """See `ShardFiles`."""
        return name == FILE

    @functools.cached_property
    def _wiring(self) -> Wiring:
        """One for all layers: neighbors have their weights in common."""
        return Wiring(self.network, self.plan.count)

    def made(self, shard: int) -> LayerWiring:
        """See `ShardFiles`."""
        return self._wiring[self.plan.shards[shard].layer]

    def encoded(self, shard: int, made: LayerWiring) -> bytes:
        """See `ShardFiles`."""
        return wiring_bytes(made)

    def count(self, shards: Sequence[int]) -> int:
        """See `Product`: units."""
        return sum(self.network.layers[self.plan.shards[i].layer].channels for i in shards)
