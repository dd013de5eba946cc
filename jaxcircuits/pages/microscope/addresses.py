"""Permanent addresses: `NETWORK/LAYER/UNIT.html`, and the ways between them, as URLs relative to a page's folder."""

from __future__ import annotations

import hashlib
import posixpath
import re
from urllib.parse import quote

ROOT_FILES = ("microscope.css", "microscope.js", "wall.js")
"""What all pages share, at the site's root."""

LONGEST = 100
"""Characters of a folder's name."""

_FILES = (".html", ".js", ".css", ".webp", ".json", ".csv")
"""Endings of the site's own files, which folders do not have."""

_PLAIN = re.compile(r"[^A-Za-z0-9_.-]")


def folder(name: str) -> str:
    """A network's or layer's folder, below the one above: its name, whose `/` are folders.

    No name leads out of the site: characters that file systems or addresses treat specially, the names `.` and `..`,
    leading dots and empty parts are written as `~` and the character's code in hexadecimal.
    """
    return posixpath.join(*(_part(part) for part in name.split("/")))


def folder_of_network(name: str) -> str:
    """A network's folder, from the site's root: one, whatever its name."""
    return _part(name)


def layer(network: str, name: str) -> str:
    """A layer's folder, from the site's root."""
    return posixpath.join(folder_of_network(network), folder(name))


def unit(network: str, name: str, number: int) -> str:
    """A unit's page, from the site's root."""
    return f"{layer(network, name)}/{number}.html"


def link(here: str, there: str) -> str:
    """The URL of `there`, for a page in the folder `here`; both from the site's root, with `/`."""
    return quote(posixpath.relpath(there, here or "."), safe="/~#")


def _part(part: str) -> str:
    escaped = _PLAIN.sub(lambda match: f"~{ord(match[0]):x}", part)
    if not escaped or escaped.startswith("."):
        escaped = f"~2e{escaped[1:]}" if escaped else "~"
    if escaped.lower().endswith(_FILES):
        stem, _, suffix = escaped.rpartition(".")
        escaped = f"{stem}~2e{suffix}"
    # File systems hold 255 bytes a name; the digest says which of several long ones it is.
    digest = hashlib.sha256(part.encode("utf-8", "surrogatepass")).hexdigest()
    return escaped if len(escaped) <= LONGEST else f"{escaped[: LONGEST - 13]}~{digest[:12]}"
