"""A site that grows: pages are written again when records have come."""

from __future__ import annotations

import threading
from pathlib import Path

from jaxcircuits.errors import InputError
from jaxcircuits.pages.microscope.networks import read_networks
from jaxcircuits.pages.microscope.write import write_site

PERIOD = 3.0
"""Seconds between two looks at the records."""


class Growing:
    """Watches a folder of records and writes the pages on a thread of its own.

    Args:
      records: the folder.
      root: the site's.

    Attributes:
      version: how often pages have been written.
      problem: what went wrong the last time; empty where nothing did.
    """

    def __init__(self, records: Path, root: Path):
        self._records, self._root = records, root
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="growing", daemon=True)
        self._last = self.signature()
        self.version, self.problem = 0, ""

    def __enter__(self) -> Growing:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def signature(self) -> tuple[int, int]:
        """How many finished shards the indices name, and when the last one was written."""
        stamps = []
        for file in self._records.glob("*/.records/*/*.json"):
            try:
                stamps.append(file.stat().st_mtime_ns)
            except OSError:
                continue
        return len(stamps), max(stamps, default=0)

    def step(self) -> bool:
        """Writes the pages where records have come since the last time; returns whether it did."""
        if (now := self.signature()) == self._last:
            return False
        try:
            write_site(self._root, read_networks(self._records, self._root))
            self.problem = ""
        except InputError as error:
            self.problem = str(error)
        self._last = now
        self.version += 1
        return True

    def _watch(self) -> None:
        while not self._stop.wait(PERIOD):
            self.step()
