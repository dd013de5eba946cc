"""Names become paths here and nowhere else: of networks, layers, directions and variants, which come from outside.

A `/` in a name makes a folder, as it does in `blocks/0/conv1`. Everything that would mean something else to a file
system is written as `%` and two hexadecimal digits of its UTF-8 bytes (RFC 3986, section 2.1), so that two names never
share a path and none leads out of the folder that it is put in.
"""

from __future__ import annotations

import hashlib
import re
from typing import Protocol, Self, TypeVar


class Folder(Protocol):
    """A path to which names are added with `/`: Python's `Path`, and those of Etils, which reach into buckets."""

    def __truediv__(self, name: str, /) -> Self: ...


Root = TypeVar("Root", bound=Folder)

LONGEST_PART = 100
"""Bytes between two `/`; with an ending and what a temporary name adds it fits the 143 of the tightest systems."""

LONGEST = 400
"""Bytes of all of a name; what is longer is one part, a beginning and a hash."""

_DIGITS = 16
_FORBIDDEN = frozenset('<>:"\\|?*%~')
"""By Windows, and what means something here."""
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Devices on Windows, whatever their ending (Naming Files, Paths, and Namespaces)."""


def below(root: Root, *names: str, ending: str = "") -> Root:
    """The path of names below a folder; never outside it, whatever they hold.

    >>> below(Path("out"), "inceptionv1", "blocks/0/conv1", ending=".png")
    PosixPath('out/inceptionv1/blocks/0/conv1.png')
    >>> below(Path("out"), "../x", "/etc")
    PosixPath('out/%2E%2E/x/%/etc')

    Args:
      root: the folder, such as a `Path`; it is taken as it is.
      *names: of any characters and length, outermost first; one by one as they came, not joined before.
      ending: added to the last, such as `.safetensors`; not a name but the program's own.

    Returns:
      The path, of the root's type.
    """
    parts = [part for name in names for part in file_name(name).split("/")]
    parts[-1] += ending
    for part in parts:
        root = root / part
    return root


def file_name(name: str) -> str:
    """A name as a relative path with `/`, of parts that are names of files on every system.

    Args:
      name: of any characters and length.

    Returns:
      Itself where it is harmless, as names of layers are; no two names share one.
    """
    written = "/".join(map(_part, name.split("/")))
    return written if len(written.encode()) <= LONGEST else _cut(written, name)


def _part(part: str) -> str:
    if not part:
        return "%"  # which nothing else is written as
    last = len(part) - 1
    written = "".join(
        char
        if char.isprintable() and char not in _FORBIDDEN and not (char in ". " and i in (0, last))
        else "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))
        for i, char in enumerate(part)
    )
    if _RESERVED.fullmatch(written):
        written = f"%{ord(written[0]):02X}{written[1:]}"
    return written if len(written.encode()) <= LONGEST_PART else _cut(written, part)


def _cut(written: str, name: str) -> str:
    """Its beginning and a hash of all of it; the `~` tells it from every name that was not cut."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
    beginning = written.encode()[: LONGEST_PART - _DIGITS - 1].decode(errors="ignore").replace("/", "%2F")
    return f"{beginning.encode()[: LONGEST_PART - _DIGITS - 1].decode(errors='ignore')}~{digest}"
