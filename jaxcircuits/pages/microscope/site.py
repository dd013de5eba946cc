"""The site: everything that its pages share is known first, then each page is written by itself."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from jaxcircuits import __version__
from jaxcircuits.files import replacing
from jaxcircuits.pages.microscope import addresses, charts
from jaxcircuits.pages.microscope.pictures import Thumb, Thumbs
from jaxcircuits.pages.microscope.views import LayerView, NetworkView
from jaxcircuits.pages.templating import environment

HERE = "jaxcircuits.pages.microscope"

_INDENTED = re.compile(r"\s*\n\s*")


@dataclasses.dataclass(frozen=True)
class Known:
    """A layer, as other pages link to it."""

    view: LayerView
    folder: str
    thumbs: Thumbs
    units: frozenset[int]


class Site:
    """Where everything of a network is, for whoever links to it.

    Args:
      root: the site's folder.
      network: whose pages.
      others: names of further networks on the same site, with their layers' units, for links to them.
    """

    def __init__(self, root: Path, network: NetworkView, others: Mapping[str, Mapping[str, Sequence[int]]]):
        self.root, self.network, self.others = root, network, others
        self.folder = addresses.folder_of_network(network.name)
        self.layers = {
            view.name: Known(view, addresses.layer(network.name, view.name), Thumbs(view.units), frozenset(view.units))
            for view in network.layers
        }

    def page(self, address: str, template: str, **values: Any) -> None:
        """Writes a page; `address` from the site's root."""
        write_text(self.root / address, self.rendered(address, template, **values))

    def rendered(self, address: str, template: str, **values: Any) -> str:
        """A page's HTML; what is put into the template is escaped."""
        here = self.here(os.path.dirname(address))
        html = (
            _templates().get_template(template).render(here=here, network=self.network, version=__version__, **values)
        )
        # Indentation is for those who read the templates, and a fifth of a page.
        return _INDENTED.sub("\n", html)

    def here(self, folder: str) -> Here:
        """What a template in a folder asks about other pages."""
        return Here(self, folder)

    def unit(self, layer: str, unit: int, network: str = "") -> str | None:
        """Address of a unit's page, from the site's root; None where it has none."""
        if network and network != self.network.name:
            there = unit in self.others.get(network, {}).get(layer, ())
            return addresses.unit(network, layer, unit) if there else None
        known = self.layers.get(layer)
        return addresses.unit(self.network.name, layer, unit) if known and unit in known.units else None

    def thumb(self, layer: str, unit: int) -> tuple[str, Thumb] | None:
        """A unit's small drawing: the sheet's address from the site's root, and where on it."""
        known = self.layers.get(layer)
        if known is None:
            return None
        place = known.thumbs.place(unit)
        return (f"{known.folder}/{place.file}", place) if place else None


class Here:
    """What a template asks about other pages, as seen from its own folder."""

    def __init__(self, site: Site, folder: str):
        self._site, self._folder = site, folder

    def link(self, address: str) -> str:
        return addresses.link(self._folder, address)

    @property
    def home(self) -> str:
        return self.link("index.html")

    @property
    def network(self) -> str:
        return self.link(f"{self._site.folder}/index.html")

    def within(self, file: str) -> str:
        """A file of the network's folder."""
        return self.link(f"{self._site.folder}/{file}")

    def layer(self, name: str) -> str | None:
        known = self._site.layers.get(name)
        return self.link(f"{known.folder}/index.html") if known else None

    def unit(self, layer: str, unit: int, network: str = "") -> str | None:
        address = self._site.unit(layer, unit, network)
        return self.link(address) if address else None

    def thumb(self, layer: str, unit: int) -> str:
        """CSS of a unit's small drawing; empty where there is none."""
        found = self._site.thumb(layer, unit)
        if found is None:
            return ""
        file, place = found
        url = self.link(file)
        return f"background-image:url({url});--x:{place.column};--y:{place.row}"


def write_text(path: Path, text: str) -> None:
    """A text file, UTF-8, whole or not at all; what names of files have that is no text is spelled out."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_shared(root: Path) -> None:
    """Writes the style and the scripts."""
    for name in addresses.ROOT_FILES:
        write_text(root / name, resources.files(HERE).joinpath("templates", name).read_text("utf-8"))


def in_parallel(do: Callable[[Any], None], items: Iterable[Any]) -> None:
    """Does something for each item on all processors; pictures are encoded without Python's lock.

    What goes wrong, and Ctrl-C, ends it: what has not been begun is not.
    """
    pool = ThreadPoolExecutor(os.cpu_count() or 1, "pages")
    try:
        for _ in pool.map(do, items):
            pass
    finally:
        pool.shutdown(cancel_futures=True)


def rounded(value: Any, digits: int = 3) -> Any:
    """A nested value of arrays and numbers as JSON holds it, with so many digits; what is not finite as None."""
    if isinstance(value, Mapping):
        return {str(key): rounded(inner, digits) for key, inner in value.items()}
    if hasattr(value, "tolist"):
        return rounded(value.tolist(), digits)
    if isinstance(value, (list, tuple)):
        return [rounded(inner, digits) for inner in value]
    if isinstance(value, float):
        number = float(f"{value:.{digits}g}") if abs(value) < float("inf") else None
        return int(number) if number is not None and number == int(number) and abs(number) < 1e9 else number
    return value


def compact(value: Any) -> str:
    """JSON without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


@functools.cache
def _templates() -> jinja2.Environment:
    templates = environment(HERE)
    templates.filters |= {"short": charts.short, "percent": charts.percent}
    return templates
