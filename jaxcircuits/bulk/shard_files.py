"""Products of one file a shard, made one after the other, of which progress counts the units."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Generator, Sequence
from typing import Any, ClassVar

from etils import epath

from jaxcircuits.bulk import place
from jaxcircuits.bulk.product import Product, entry_name
from jaxcircuits.progress import view


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class ShardFiles(Product):
    """A product whose shards are files; what it needs beside is where each is, and how it is made and encoded."""

    SUMMARY: ClassVar[str]
    """What there is of `{units}`."""

    @abc.abstractmethod
    def path(self, shard: int) -> epath.Path:
        """Where a shard's file is."""

    @abc.abstractmethod
    def owns(self, name: str) -> bool:
        """Whether a file of that name, beside a shard's, is of this product."""

    @abc.abstractmethod
    def made(self, shard: int) -> Any:
        """What is written of a shard."""

    @abc.abstractmethod
    def encoded(self, shard: int, made: Any) -> bytes:
        """The bytes of a shard's file."""

    def occupied(self, shards: Sequence[int]) -> epath.Path | None:
        """See `Product`."""
        return place.first_there(map(self.path, shards))

    def prepare(self) -> None:
        """See `Product`."""
        place.prepare((self.path(shard).parent for shard in range(len(self.plan.shards))), self.owns)

    def make(
        self, shards: Sequence[int], check: Callable[[], None], progress: bool = True
    ) -> Generator[tuple[int, Any], None, None]:
        """See `Product`."""
        total, done, shown = max(self.count(shards), 1), 0, view(f"{self.network.name} {self.NAME}", progress)
        try:
            for i in shards:
                check()
                yield i, self.made(i)
                done += self.count([i])
                shown.show(done / total, f"{done}/{total} units")
        finally:
            shown.close(f"{done} units")

    def write(self, shard: int, made: Any) -> None:
        """See `Product`."""
        path = self.path(shard)
        stamp = place.write(path, self.encoded(shard, made))
        self.index.add(entry_name(shard), self.plan.of(shard), {path.relative_to(self.root).as_posix(): stamp})

    def complete(self) -> list[epath.Path]:
        """See `Product`: the files that are there of what was asked for."""
        finished = self.finished()
        return [self.path(i) for i in self.asked() if i in finished]

    def summary(self, written: Sequence[epath.Path], finished: int, total: int) -> str:
        """See `Product`."""
        units = f"{finished} units" if finished == total else f"{finished} of {total} units"
        return f"{self.SUMMARY.format(units=units)} in {self.folder}"
