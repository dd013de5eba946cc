"""Compiling the next layer beside the drawing of this one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from jaxcircuits.bulk.plan import Shard


class Ahead:
    """One thread that compiles what the next layer needs while this one is drawn; leaving its `with` block ends it.

    Args:
      compile: compiles the programs that a shard is drawn with.
      shards: in the order in which they are drawn. Those of a folder share their programs.
    """

    def __init__(self, compile: Callable[[Shard], None], shards: Sequence[Shard]):
        self._compile = compile
        turns = itertools.pairwise(shards)
        self._next = {shard.folder: after for shard, after in turns if after.folder != shard.folder}
        self._pool = ThreadPoolExecutor(1, "compiler")
        self._begun: dict[str, Future] = {}

    def begin_after(self, shard: Shard) -> None:
        """Begins with the folder after this shard's, unless that was begun; called when this one's steps run."""
        after = self._next.get(shard.folder)
        if after and after.folder not in self._begun:
            self._begun[after.folder] = self._pool.submit(self._compile, after)

    def wait(self, shard: Shard) -> None:
        """Waits where a shard's programs are being compiled. A failure is left to the drawing, which meets it too."""
        if begun := self._begun.get(shard.folder):
            wait([begun])

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *failure: object) -> None:
        self._pool.shutdown(cancel_futures=True)
