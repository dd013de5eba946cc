"""The plan of a pass over pictures: of which layers, by which pictures, and who sees which of them."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from jaxcircuits.bulk.plan import Plan, shortened, text
from jaxcircuits.errors import InputError, whole

LEAST = 256
"""Pictures of a share, at least: what a kill may cost."""

MOST_SHARES = 128
"""Shares of a pass, at most: each has a file as large as that of all."""

MOST_PICTURES = 2**31 - 2**16
"""Numbers of pictures are counted in 32 bits on a device."""

MOST_LAYERS = 100_000


@dataclasses.dataclass(frozen=True)
class ExamplesShard:
    """A share of a pass.

    Attributes:
      layers: of which examples are kept, all in one pass.
      start, stop: numbers of pictures, from `start` to before `stop`.
    """

    layers: tuple[str, ...]
    start: int
    stop: int

    records: ClassVar[str] = "examples"

    def __post_init__(self):
        object.__setattr__(self, "layers", names(self.layers, "layers"))
        whole(self.start, "start", 0, MOST_PICTURES)
        whole(self.stop, "stop", self.start + 1, MOST_PICTURES)


@dataclasses.dataclass(frozen=True)
class ExamplesPlan(Plan):
    """What to show, and what to keep.

    Attributes:
      count: of the strongest and of the weakest pictures of each unit.
      source: where the pictures come from.
      pictures: how many there are.
      named: SHA-256 of their names, by which a folder that has changed is known.
      size: height and width in pixels at which they are shown; None for arrays and scenes, which are taken as they are.
      fit: how they come to that size.
      classes: what labels stand for.
      shards: those of one pass have the same layers.
    """

    count: int
    source: str
    pictures: int
    named: str
    size: tuple[int, int] | None
    fit: str
    classes: tuple[str, ...]
    shards: tuple[ExamplesShard, ...] = dataclasses.field(default=(), kw_only=True)

    SHARD = ExamplesShard

    def __post_init__(self):
        super().__post_init__()
        whole(self.count, "count", 1, 2**16)
        whole(self.pictures, "pictures", 1, MOST_PICTURES)
        for name in ("source", "named", "fit"):
            text(getattr(self, name), name)
        object.__setattr__(self, "classes", names(self.classes, "classes"))
        if self.size is not None:
            if not isinstance(self.size, (list, tuple)) or len(self.size) != 2:
                raise InputError(f"size {shortened(self.size)}; expected height and width")
            object.__setattr__(self, "size", tuple(whole(side, "size", 1, 2**16) for side in self.size))

    @functools.cached_property
    def layers(self) -> tuple[str, ...]:
        """All layers, in the order in which they were planned."""
        return tuple(dict.fromkeys(name for shard in self.shards for name in shard.layers))

    @functools.cached_property
    def passes(self) -> Mapping[tuple[str, ...], tuple[int, ...]]:
        """Layers of a pass -> its shards, by their pictures."""
        found: dict[tuple[str, ...], list[int]] = {}
        for i, shard in enumerate(self.shards):
            found.setdefault(shard.layers, []).append(i)
        return {layers: tuple(sorted(own, key=lambda i: self.shards[i].start)) for layers, own in found.items()}

    def extended(self, layers: Sequence[str], share: int | None = None) -> ExamplesPlan:
        """The plan with another pass for those of the layers that it lacks.

        Args:
          layers: names.
          share: pictures of a shard; by default what makes `LEAST` or more, in `MOST_SHARES` or fewer.
        """
        lacking = tuple(name for name in dict.fromkeys(layers) if name not in self.layers)
        if not lacking:
            return self
        shares = math.ceil(self.pictures / share) if share else min(math.ceil(self.pictures / LEAST), MOST_SHARES)
        size = share or math.ceil(self.pictures / shares)
        starts = range(0, self.pictures, size)
        added = tuple(ExamplesShard(lacking, start, min(start + size, self.pictures)) for start in starts)
        return dataclasses.replace(self, shards=self.shards + added)

    def check_passes(self) -> None:
        """That every pass sees every picture once, and no layer has two.

        Raises:
          InputError: where it is otherwise.
        """
        if len(self.layers) != sum(map(len, self.passes)):
            raise InputError("a layer is in several passes; expected each in one")
        for layers, shards in self.passes.items():
            ends = [0, *(self.shards[i].stop for i in shards)]
            if [self.shards[i].start for i in shards] != ends[:-1] or ends[-1] != self.pictures:
                raise InputError(f"shares of the pass over {layers[0]} do not make up {self.pictures} pictures")

    @functools.cached_property
    def entries(self) -> Mapping[str, str]:
        """Layer -> the name in the index of its examples of all pictures."""
        return {layer: f"layer-{i:05d}" for i, layer in enumerate(self.layers)}

    def entry_of(self, layer: str) -> str | None:
        """That of a layer; None for one that is not planned."""
        return self.entries.get(layer)

    @functools.cached_property
    def others(self) -> Mapping[str, str]:
        """Names in the index of what is made of several shards -> what the entry says that it is of."""
        described = json.dumps(self.described())
        return {
            name: hashlib.sha256(f"{described} {layer}".encode()).hexdigest()[:16]
            for layer, name in self.entries.items()
        }


def names(values: Any, what: str) -> tuple[str, ...]:
    """Texts, each once; raises `InputError` for anything else."""
    sound = isinstance(values, (list, tuple)) and all(isinstance(value, str) for value in values)
    if not sound or len(values) > MOST_LAYERS or len(set(values)) < len(values):
        raise InputError(f"{what} {shortened(values)}; expected texts, each once")
    return tuple(values)
