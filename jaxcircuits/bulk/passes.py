"""Examples as a product: a shard is a share of the pictures of one pass; shares are merged when all are there.

Shares lie in the index's folder until they are merged, then they are removed. Merging goes by picture numbers, so the
files of a pass are the same whoever saw which share, and when.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from etils import epath

from jaxcircuits.bulk import place
from jaxcircuits.bulk.examples_plan import ExamplesPlan
from jaxcircuits.bulk.hosts import ALONE, Hosts
from jaxcircuits.bulk.job import Job, opened
from jaxcircuits.bulk.product import Product, entry_name
from jaxcircuits.errors import InputError, whole
from jaxcircuits.evidence import Examples, UnreadablePictures
from jaxcircuits.evidence import examples as examples_of
from jaxcircuits.files import below
from jaxcircuits.images import Pictures
from jaxcircuits.images.progress import LookingProgress
from jaxcircuits.network import Network
from jaxcircuits.network.stream import NAMED, NothingSeen

FILE = "examples.safetensors"

LARGEST_NOTE = 2**24
"""Bytes of what a share says of pictures that cannot be read."""


@contextlib.contextmanager
def examples(
    network: Network,
    pictures: Pictures,
    layers: Sequence[str],
    out: str | Path,
    *,
    count: int = 16,
    batch_size: int | None = None,
    share: int | None = None,
    hosts: Hosts = ALONE,
) -> Iterator[Job[Passes]]:
    """Opens a pass over pictures in a folder: resumes the one that is there, or plans one. See `evidence.examples`.

    >>> with examples(network, open_pictures("photographs"), ["mixed3b", "mixed4c"], "records") as job:
    ...     job.run()

    Args:
      network: whose units.
      pictures: that are shown.
      layers: names.
      out: a folder, or the URL of one that `etils.epath` knows; files go to OUT/NETWORK/LAYER/examples.safetensors.
      count: of the strongest and the weakest pictures.
      batch_size: pictures at once; by default what suits the device.
      share: pictures of a shard, for layers that the plan does not have yet; by default 256 or more.
      hosts: which of several processes this one is, see `meet`.

    Yields:
      The `Job`; other commands are kept from the folder's examples meanwhile.

    Raises:
      InputError: for bad input, or where the folder holds examples of other pictures, another count or network.
    """
    for name in layers:
        network.layer(name)
    if not layers:
        raise InputError(f"no layers of {network.name}; expected one or more")
    pictures = pictures.at(network.convention.size, network.convention.channels)
    plan = ExamplesPlan(
        network=network.name,
        weights=network.identity,
        count=whole(count, "count", 1, 2**16),
        source=pictures.source.description,
        pictures=len(pictures),
        named=names_of(pictures),
        size=pictures.size,
        fit=pictures.fit,
        classes=pictures.classes,
    )
    ours = Passes(
        network=network,
        folder=below(place.root(out), network.name),
        plan=plan,
        pictures=pictures,
        layers=tuple(dict.fromkeys(layers)),
        batch_size=batch_size if batch_size is None else whole(batch_size, "batch_size", 1),
        share=share if share is None else whole(share, "share", 1),
    )
    with opened(ours, hosts) as job:
        yield job


def names_of(pictures: Pictures) -> str:
    """SHA-256 of pictures' names, by which a folder that has changed is known."""
    named = hashlib.sha256()
    for i in range(len(pictures)):
        named.update(f"{pictures.name(i)}\n".encode(errors="surrogateescape"))
    return named.hexdigest()


@dataclasses.dataclass(frozen=True)
class Share:
    """What one shard has seen.

    Attributes:
      examples: of its pictures; None where none of them could be read.
      skipped: how many could not.
      unreadable: `NAME: why` of the first of those.
    """

    examples: Examples | None
    skipped: int
    unreadable: tuple[str, ...]


class _Note(msgspec.Struct):
    """What is written beside a share."""

    skipped: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    unreadable: list[str]
    layers: list[str]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Passes(Product):
    """Examples, see `Product`.

    Attributes:
      pictures: that are shown.
      layers: that are asked for.
      batch_size: pictures at once.
      share: pictures of a shard, for new ones.
    """

    plan: ExamplesPlan
    pictures: Pictures
    layers: tuple[str, ...]
    batch_size: int | None = None
    share: int | None = None

    NAME, RECORDS, MADE = "examples", "examples", "taken"

    def check(self) -> None:
        """See `Product`."""
        for layer in self.plan.layers:
            self.network.layer(layer)
        self.plan.check_passes()

    def extended(self) -> ExamplesPlan:
        """See `Product`."""
        return self.plan.extended(self.layers, self.share)

    def asked(self) -> tuple[int, ...]:
        """See `Product`."""
        return tuple(i for i, shard in enumerate(self.plan.shards) if set(shard.layers) & set(self.layers))

    def occupied(self, shards: Sequence[int]) -> epath.Path | None:
        """See `Product`."""
        layers = dict.fromkeys(layer for i in shards for layer in self.plan.shards[i].layers)
        return place.first_there([*map(self._path, layers), *map(self._note, shards)])

    def prepare(self) -> None:
        """See `Product`."""
        place.prepare([self._parts])
        place.prepare((self._path(layer).parent for layer in self.plan.layers), lambda name: name == FILE)

    def finished(self) -> set[int]:
        """The shares that need not be seen: they are there, or all that they are needed for is."""
        done, there = self._merged(), self._shares()
        return {
            i
            for i, shard in enumerate(self.plan.shards)
            if all(layer in done or layer in there.get(i, ()) for layer in shard.layers)
        }

    def make(
        self, shards: Sequence[int], check: Callable[[], None], progress: bool = True
    ) -> Generator[tuple[int, Share], None, None]:
        """See `Product`."""
        done = self._merged()
        with LookingProgress(self.network.name, self.count(shards), progress) as bar:
            before = 0
            for i in shards:
                shard = self.plan.shards[i]
                layers = [name for name in shard.layers if name not in done]

                def tell(seen: int, total: int, before: int = before) -> None:
                    check()
                    bar.update(before + seen)

                yield i, self._seen(layers, shard.start, shard.stop, tell)
                before += shard.stop - shard.start
                bar.update(before)

    def write(self, shard: int, made: Share) -> None:
        """See `Product`."""
        examples, files = made.examples, {}
        said = {"skipped": made.skipped, "unreadable": made.unreadable, "layers": list(examples or ())}
        if examples is not None:
            for layer in examples:
                path = self._part(shard, layer)
                files[self._name(path)] = place.write(path, examples.layer_bytes(layer))
        files[self._name(self._note(shard))] = place.write(self._note(shard), json.dumps(said).encode())
        self.index.add(entry_name(shard), self.plan.of(shard), files)

    def complete(self) -> list[epath.Path]:
        """See `Product`: merges the shares of layers of which all are there; returns the files that were asked for."""
        for layers, shards in self.plan.passes.items():
            done, there = self._merged(), self._shares()
            for layer in layers:
                if layer not in done and all(layer in there.get(i, ()) for i in shards):
                    try:
                        self._merge(layer, shards)
                    except InputError:
                        # Another process may have merged and removed them meanwhile.
                        if layer not in self._merged():
                            raise
            if self._merged().issuperset(layers):
                self._remove(shards)
        done = self._merged()
        return [self._path(layer) for layer in self.layers if layer in done]

    def count(self, shards: Sequence[int]) -> int:
        """See `Product`: pictures, once for each pass."""
        return sum(self.plan.shards[i].stop - self.plan.shards[i].start for i in shards)

    def summary(self, written: Sequence[epath.Path], finished: int, total: int) -> str:
        """See `Product`."""
        if finished < total:
            return f"{finished} of {total} pictures seen; the same command sees the rest"
        return "\n".join(map(str, written))

    @property
    def unreadable(self) -> tuple[str, ...]:
        """`NAME: why` of pictures that could not be read, the first ones, when the pass is over."""
        path = self.index.folder / "unreadable.txt"
        if path.name not in place.names(path.parent):
            return ()
        return tuple(place.read(path, "names of pictures", LARGEST_NOTE).decode(errors="replace").splitlines())

    def _seen(self, layers: Sequence[str], start: int, stop: int, tell: Callable[[int, int], None]) -> Share:
        options = {"start": start, "stop": stop, "batch_size": self.batch_size, "progress": tell}
        with warnings.catch_warnings():
            # Kept, and said at the end.
            warnings.simplefilter("ignore", UnreadablePictures)
            try:
                found = examples_of(self.network, self.pictures, layers, self.plan.count, **options)
            except NothingSeen as nothing:
                return Share(None, stop - start, nothing.unreadable)
        return Share(found, found.seen.skipped, found.unreadable)

    def _merge(self, layer: str, shards: Sequence[int]) -> None:
        """Writes the examples of a layer from all shares of its pass."""
        whole: Examples | None = None
        skipped, unreadable = 0, []
        for i in shards:
            note = self._said(i)
            unreadable += note.unreadable
            skipped += note.skipped
            shard = self.plan.shards[i]
            if layer in note.layers:
                with place.on_disk(self._part(i, layer)) as path:
                    part = Examples.read(path)
                whole = whole.merged(part) if whole else part
            if whole:
                # Shares of which nothing could be read are between, before and after those that were.
                seen = dataclasses.replace(whole.seen, start=0, stop=shard.stop, skipped=skipped)
                whole = dataclasses.replace(whole, seen=seen)
        if whole is None:
            # Pictures that are mended will be looked at again.
            self._remove(shards)
            why = f" ({unreadable[0]})" if unreadable else ""
            raise InputError(f"{self.plan.source}: none of {self.plan.pictures} pictures can be read{why}")
        path = self._path(layer)
        stamp = place.write(path, whole.layer_bytes(layer))
        if unreadable:
            lines = "".join(f"{' '.join(line.split())}\n" for line in unreadable[:NAMED])
            place.write(self.index.folder / "unreadable.txt", lines.encode(errors="replace"))
        name = self.plan.entries[layer]
        self.index.add(name, self.plan.others[name], {self._name(path): stamp})

    def _remove(self, shards: Sequence[int]) -> None:
        """Removes shares that are merged."""
        there = place.names(self._parts)
        for i in shards:
            paths = [self._note(i), *(self._part(i, layer) for layer in self.plan.shards[i].layers)]
            if any(path.name in there for path in paths):
                # First the entry, so that no other process looks for files that are gone.
                self.index.forget(entry_name(i))
                for path in paths:
                    place.remove(path)

    def _merged(self) -> set[str]:
        """The layers whose examples of all pictures are there."""
        entries, others = self.index.entries(), self.plan.others
        names = self.plan.entries.items()
        return {layer for layer, name in names if name in entries and entries[name].of == others[name]}

    def _shares(self) -> Mapping[int, frozenset[str]]:
        """Shard -> the layers of which its share is there; all of its layers where no picture could be read."""
        found = {}
        for i in super().finished():
            try:
                note = self._said(i)
            except InputError:  # another process has merged it and removed it meanwhile
                continue
            layers = note.layers if note.skipped < self.count([i]) else self.plan.shards[i].layers
            found[i] = frozenset(layers)
        return found

    def _said(self, shard: int) -> _Note:
        return place.read_json(self._note(shard), _Note, "what a share says", LARGEST_NOTE)

    @functools.cached_property
    def _parts(self) -> epath.Path:
        return self.index.folder / "shares"

    def _note(self, shard: int) -> epath.Path:
        return self._parts / f"{shard:05d}.json"

    def _part(self, shard: int, layer: str) -> epath.Path:
        return self._parts / f"{shard:05d}-{self.plan.layers.index(layer):05d}.safetensors"

    def _path(self, layer: str) -> epath.Path:
        return below(self.root, layer) / FILE

    def _name(self, path: epath.Path) -> str:
        return path.relative_to(self.root).as_posix()
