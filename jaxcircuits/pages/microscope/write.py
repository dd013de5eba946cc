"""Writing a site from what is known of networks: pages are made again and again as more becomes known."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

from jaxcircuits.pages.microscope import addresses
from jaxcircuits.pages.microscope.layer_page import write_layer
from jaxcircuits.pages.microscope.network_page import PER_CLASS, write_network
from jaxcircuits.pages.microscope.site import Known, Site, in_parallel, write_shared, write_text
from jaxcircuits.pages.microscope.unit_page import write_unit
from jaxcircuits.pages.microscope.views import NetworkView, UnitView


def write_site(
    root: str | Path, networks: Sequence[NetworkView], *, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Writes the pages of networks.

    Addresses are permanent: `NETWORK/LAYER/UNIT.html`. Pages are whole at any moment, so that the site can be looked at
    while it is written again.

    Cost: about 50 ms of processor time a unit, a third of it for its pictures.

    Args:
      root: the site's folder.
      networks: one or more.
      progress: told how many units are written, and of how many.

    Returns:
      The site's first page.

    Raises:
      InputError: where the folder cannot be written to.
    """
    root = Path(root)
    write_shared(root)
    pages = {network.name: {layer.name: layer.units for layer in network.layers} for network in networks}
    total = sum(len(layer.units) for network in networks for layer in network.layers)
    done = itertools.count(1)
    sites = []
    for network in networks:
        site = Site(root, network, {name: layers for name, layers in pages.items() if name != network.name})
        for known in site.layers.values():
            known.thumbs.write(root / known.folder, known.view.drawing)
        sites.append(site)
    for site in sites:
        of_class: dict[str, list[tuple[str, int, float]]] = {}
        for i, known in enumerate(site.layers.values()):

            def write(unit: int, site: Site = site, known: Known = known, of_class=of_class) -> None:
                _note(of_class, write_unit(site, known, unit))
                if progress is not None:
                    progress(next(done), total)

            in_parallel(write, known.view.units)
            names = list(site.layers)
            before, after = names[i - 1] if i else "", names[i + 1] if i + 1 < len(names) else ""
            write_layer(site, known, (before, after))
        write_network(site, _of_class(site, of_class))
    return _first_page(root, sites)


def _note(of_class: dict[str, list[tuple[str, int, float]]], view: UnitView) -> None:
    """Notes the class that a unit has most to do with."""
    if view.classes:
        label, value = max(view.classes.items(), key=lambda item: item[1])
        if value > 0:
            of_class.setdefault(label, []).append((view.layer, view.unit, value))


def _of_class(site: Site, noted: dict[str, list[tuple[str, int, float]]]) -> dict[str, list[tuple[str, int, float]]]:
    """Classes in the network's order; of each the units with the largest numbers in each layer, last layer first."""
    order = {name: -i for i, name in enumerate(site.layers)}
    labels = [label for label in site.network.labels if label in noted]
    found = {}
    for label in [*labels, *sorted(noted.keys() - set(labels))]:
        rows = sorted(noted[label], key=lambda row: (order[row[0]], -row[2], row[1]))
        found[label] = [
            row for _, group in itertools.groupby(rows, lambda row: row[0]) for row in list(group)[:PER_CLASS]
        ]
    return found


def _first_page(root: Path, sites: Sequence[Site]) -> Path:
    """The list of networks."""
    cards = []
    for site in sites:
        shown = []
        for known in site.layers.values():
            drawn = [unit for unit in known.view.units if known.thumbs.place(unit)]
            shown += [(known.view.name, unit) for unit in drawn[:: max(len(drawn) // 4, 1)][:4]]
        here = site.here("")
        cards.append(
            {
                "name": site.network.name,
                "summary": site.network.summary,
                "address": addresses.link("", f"{site.folder}/index.html"),
                "units": sum(len(known.view.units) for known in site.layers.values()),
                "layers": len(site.layers),
                "strip": [here.thumb(*unit) for unit in shown[:: max(len(shown) // 12, 1)][:12]],
            }
        )
    path = root / "index.html"
    write_text(path, sites[0].rendered("index.html", "sites.html", cards=cards))
    return path
