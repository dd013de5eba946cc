"""Circuits' pages beside the units' own, drawn from what is on record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxcircuits.bulk import Records
from jaxcircuits.circuits import Unit, extract_circuit
from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.pages.microscope import addresses
from jaxcircuits.pages.microscope.facts import Facts
from jaxcircuits.pages.microscope.networks import network_view
from jaxcircuits.pages.microscope.site import write_text
from jaxcircuits.pages.page import circuit_page

DEPTH, TOP = 2, 6


def write_circuits(
    root: Path,
    network: Network,
    records: Records,
    units: Mapping[str, Sequence[int]],
    progress: Callable[[int, int], None],
) -> int:
    """Writes `NETWORK/LAYER/UNIT-circuit.html` of units, with those drawings that there are.

    Args:
      root: the site's folder.
      network: whose units.
      records: with drawings.
      units: layer -> which.
      progress: told how many units are done, and of how many.

    Returns:
      How many there are; layers that read the picture itself have none.
    """
    layers = {view.name: view for view in network_view(records[network.name], Facts.of(network, ""), root).layers}
    pictures: dict[Unit, np.ndarray | None] = {}
    total, done, written = sum(map(len, units.values())), 0, 0
    for layer, own in units.items():
        for number in own:
            done += 1
            try:
                circuit = extract_circuit(network, Unit(layer, number), DEPTH, TOP)
            except InputError:  # nothing below it, or no weights that lead there
                progress(done, total)
                continue
            for unit in circuit.units:
                if unit not in pictures:
                    view = layers.get(unit.layer)
                    pictures[unit] = view.drawing(unit.index) if view else None
            drawn = {unit: pictures[unit] for unit in circuit.units}
            shown = {unit: drawing / np.float32(255) for unit, drawing in drawn.items() if drawing is not None}
            page = circuit_page(circuit, shown)
            write_text(root / addresses.layer(network.name, layer) / f"{number}-circuit.html", page)
            written += 1
            progress(done, total)
    return written
