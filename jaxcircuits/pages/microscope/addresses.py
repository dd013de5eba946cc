"""Permanent addresses: `NETWORK/LAYER/UNIT.html`, and the ways between them, as URLs relative to a page's folder."""

from __future__ import annotations

import posixpath
from urllib.parse import quote

from jaxcircuits.files import file_name

ROOT_FILES = ("microscope.css", "microscope.js", "wall.js")
"""What all pages share, at the site's root."""

_ENDINGS = (".html", ".js", ".css", ".webp", ".json", ".csv")
"""Of the site's own files, which folders do not have."""


def folder(name: str) -> str:
    """A layer's folder, below its network's: its name, whose `/` are folders; never one that leads elsewhere."""
    return "/".join(map(_apart, file_name(name).split("/")))


def folder_of_network(name: str) -> str:
    """A network's folder, from the site's root: one, whatever its name."""
    return _apart(file_name(name).replace("/", "%2F"))


def layer(network: str, name: str) -> str:
    """A layer's folder, from the site's root."""
    return posixpath.join(folder_of_network(network), folder(name))


def unit(network: str, name: str, number: int) -> str:
    """A unit's page, from the site's root."""
    return f"{layer(network, name)}/{number}.html"


def link(here: str, there: str) -> str:
    """The URL of `there`, for a page in the folder `here`; both from the site's root, with `/`."""
    return quote(posixpath.relpath(there, here or "."), safe="/~#")


def _apart(part: str) -> str:
    """A folder's name that no file of the site has."""
    stem, dot, ending = part.rpartition(".")
    return f"{stem}%2E{ending}" if dot + ending.lower() in _ENDINGS else part
