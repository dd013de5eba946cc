"""Compiling the next layer beside the drawing of this one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from jaxcircuits.bulk.drawing_plan import DrawingShard


class Ahead:
    """One thread that compiles what the next layer needs while this one is drawn; leaving its `with` block ends it.

    A compilation cannot be stopped: where the block is left by an error or Ctrl-C it runs on, and Python waits for it
    only when it ends itself.

    Args:
      compile: compiles the programs that a shard is drawn with.
      shards: in the order in which they are drawn. Those of a folder and batch size share their programs.
    """

    def __init__(self, compile: Callable[[DrawingShard], None], shards: Sequence[DrawingShard]):
        self._compile = compile
        turns = itertools.pairwise(shards)
        self._next = {_kind(shard): after for shard, after in turns if _kind(after) != _kind(shard)}
        self._pool = ThreadPoolExecutor(1, "compiler")
        self._begun: dict[tuple[str, int], Future] = {}

    def begin_after(self, shard: DrawingShard) -> None:
        """Begins with what comes after this shard's kind, unless that was begun; called when this one's steps run."""
        after = self._next.get(_kind(shard))
        if after and _kind(after) not in self._begun:
            self._begun[_kind(after)] = self._pool.submit(self._compile, after)

    def wait(self, shard: DrawingShard) -> None:
        """Waits where a shard's programs are being compiled. A failure is left to the drawing, which meets it too."""
        if begun := self._begun.get(_kind(shard)):
            wait([begun])

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._pool.shutdown(wait=kind is None, cancel_futures=True)


def _kind(shard: DrawingShard) -> tuple[str, int]:
    return shard.folder, shard.batch_size
