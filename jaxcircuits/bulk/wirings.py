"""Wiring as a product: a shard is a layer, from the last to the first, as neighbors have their weights in common."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

from etils import epath

from jaxcircuits.bulk import place
from jaxcircuits.bulk.hosts import ALONE, Hosts
from jaxcircuits.bulk.job import Job, opened
from jaxcircuits.bulk.product import Product, entry_name
from jaxcircuits.bulk.wiring_plan import WiringPlan
from jaxcircuits.circuits import LayerWiring, Wiring
from jaxcircuits.circuits.wiring_file import wiring_bytes
from jaxcircuits.errors import InputError
from jaxcircuits.files import below
from jaxcircuits.network import Network
from jaxcircuits.progress import view

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
    folder = below(epath.Path(out), network.name)
    with opened(Wirings(network=network, folder=folder, plan=plan, layers=tuple(layers)), hosts) as job:
        yield job


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Wirings(Product):
    """Wiring, see `Product`.

    Attributes:
      layers: that are asked for.
    """

    plan: WiringPlan
    layers: tuple[str, ...]

    NAME, RECORDS, MADE = "wiring", "wiring", "read"

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

    def occupied(self, shards: Sequence[int]) -> epath.Path | None:
        """See `Product`."""
        return place.first_there(map(self._path, shards))

    def prepare(self) -> None:
        """See `Product`."""
        folders = (self._path(shard).parent for shard in range(len(self.plan.shards)))
        place.prepare(folders, lambda name: name == FILE)

    def make(
        self, shards: Sequence[int], check: Callable[[], None], progress: bool = True
    ) -> Generator[tuple[int, LayerWiring], None, None]:
        """See `Product`."""
        found, done = Wiring(self.network, self.plan.count), 0
        total, shown = self.count(shards), view(f"{self.network.name} wiring", progress)
        try:
            for i in shards:
                check()
                made = found[self.plan.shards[i].layer]
                yield i, made
                done += made.units
                shown.show(done / total, f"{done}/{total} units")
        finally:
            shown.close(f"{done} units")

    def write(self, shard: int, made: LayerWiring) -> None:
        """See `Product`."""
        path = self._path(shard)
        stamp = place.write(path, wiring_bytes(made))
        self.index.add(entry_name(shard), self.plan.of(shard), {path.relative_to(self.root).as_posix(): stamp})

    def complete(self) -> list[epath.Path]:
        """See `Product`: the files that are there of what was asked for."""
        finished = self.finished()
        return [self._path(i) for i in self.asked() if i in finished]

    def count(self, shards: Sequence[int]) -> int:
        """See `Product`: units."""
        return sum(self.network.layers[self.plan.shards[i].layer].channels for i in shards)

    def summary(self, written: Sequence[epath.Path], finished: int, total: int) -> str:
        """See `Product`."""
        units = f"{finished} units" if finished == total else f"{finished} of {total} units"
        return f"the wiring of {units} in {self.folder}"

    def _path(self, shard: int) -> epath.Path:
        return below(self.root, self.plan.shards[shard].layer) / FILE
