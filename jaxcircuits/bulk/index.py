"""The index of finished records: which files they are, how long, and their hashes.

An entry is a file of its own, so that no two hosts write the same one. It is written after its files have reached the
disk, so what it names was whole then; whether it still is, `check` finds out.

    OUT/NETWORK/.records/PRODUCT/00012.json    {"of": DIGEST, "files": {"mixed4b/0011.png": [SIZE, SHA-256], ...}}
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from etils import epath

from jaxcircuits.bulk import place
from jaxcircuits.bulk.place import Stamp
from jaxcircuits.errors import InputError

FOLDER = ".records"
"""Below a network's folder; no name is written with a dot at its beginning, see `jaxcircuits.files.below`."""

LARGEST = 2**24
"""Bytes of an entry."""


class _Said(msgspec.Struct):
    """An entry's file."""

    of: str
    files: dict[str, Stamp]


class Entry(NamedTuple):
    """What is finished.

    Attributes:
      of: says what it is, so that an entry of another plan is not taken for ours.
      files: path below the root -> size and hash.
    """

    of: str
    files: Mapping[str, Stamp]


class Index:
    """The index of a product.

    Args:
      root: below which its files are.
      name: the product's.
    """

    def __init__(self, root: epath.Path, name: str):
        self.root, self.folder = root, root / FOLDER / name
        self._known: dict[str, Entry] = {}

    def entries(self) -> Mapping[str, Entry]:
        """Name -> entry, those included that other processes have written meanwhile; damaged ones are left out."""
        there = {name.removesuffix(".json") for name in place.names(self.folder) if name.endswith(".json")}
        known = {name: entry for name, entry in self._known.items() if name in there}
        for name in sorted(there - known.keys()):
            if entry := self._read(name):
                known[name] = entry
        self._known = known
        return known

    def add(self, name: str, of: str, files: Mapping[str, Stamp]) -> None:
        """Writes an entry, of files that were written before, into a folder that is there.

        Raises:
          InputError: where it cannot be written.
        """
        text = json.dumps({"of": of, "files": {path: list(stamp) for path, stamp in sorted(files.items())}})
        place.write(self.folder / f"{name}.json", text.encode())

    def forget(self, name: str) -> None:
        """Removes an entry."""
        self._known.pop(name, None)
        place.remove(self.folder / f"{name}.json")

    def check(self) -> list[str]:
        """Compares all files with their entries, and forgets those entries of which one is not what it was.

        Returns:
          The files that are there and are something else; of those that are gone nothing needs to be said.
        """
        damaged, listed = [], functools.cache(place.names)
        for name, entry in list(self.entries().items()):
            sound = True
            for path, stamp in entry.files.items():
                found = place.is_sound(self.root / path, stamp, listed)
                sound &= found is True
                if found is False:
                    damaged.append(path)
            if not sound:
                self.forget(name)
        return damaged

    def _read(self, name: str) -> Entry | None:
        try:
            said = place.read_json(self.folder / f"{name}.json", _Said, "an entry of an index", LARGEST)
        except InputError:
            return None
        return Entry(said.of, said.files) if all(map(is_inside, said.files)) else None


def is_inside(path: str) -> bool:
    """Whether a path leads from a folder to a file below it, and can be printed as it is."""
    return path.isprintable() and not any(part in ("", ".", "..") or "\\" in part for part in path.split("/"))
