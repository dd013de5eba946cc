"""Views of whole networks from their records."""

from __future__ import annotations

from pathlib import Path

from jaxcircuits.bulk.drawing_plan import DrawingPlan
from jaxcircuits.bulk.examples_plan import ExamplesPlan
from jaxcircuits.bulk.records import NetworkRecords, Records
from jaxcircuits.errors import InputError, shown
from jaxcircuits.pages.microscope import addresses
from jaxcircuits.pages.microscope.facts import Facts
from jaxcircuits.pages.microscope.known import Known
from jaxcircuits.pages.microscope.loader import RecordedLayer
from jaxcircuits.pages.microscope.views import LayerMap, NetworkView


def network_view(records: NetworkRecords, facts: Facts, root: Path) -> NetworkView:
    """A network's view.

    Args:
      records: of the network.
      facts: of the network.
      root: the site's folder, where circuits' pages may be.
    """
    known = Known.read(records)
    stages = facts.stages
    names = [*(name for name in stages if name in records), *(name for name in records if name not in stages)]
    layers = tuple(
        RecordedLayer(
            records[name],
            facts.shapes[name],
            stages.index(name) + 1 if name in stages else 0,
            root / addresses.layer(facts.name, name),
            known,
        )
        for name in names
        if name in facts.shapes
    )
    about = {}
    if isinstance(drawn := records.plan("drawings"), DrawingPlan):
        height, width = drawn.recipe.size
        about["Drawings"] = f"{drawn.recipe.steps} steps at {height} x {width} px, seed {drawn.seed}"
    if isinstance(shown := records.plan("examples"), ExamplesPlan):
        about["Examples"] = f"{shown.source} ({shown.pictures} pictures)"
    if records.identity:
        about["Weights"] = f"SHA-256 {records.identity}"
    if records.problems:
        about["Damaged"] = "; ".join(records.problems)
    trunk = tuple((name, facts.shapes[name]) for name in stages)
    maps = tuple(
        LayerMap(
            other,
            tuple(layers),
            next(iter(layers.values())).layers,
            tuple(one.hard for one in layers.values()),
            "Mean correlation of the units of two layers, each with one of the other's",
        )
        for other, layers in known.findings.matches.items()
        if len({one.layers for one in layers.values()}) == 1
    )
    return NetworkView(facts.name, facts.summary, facts.size, trunk, layers, facts.labels, about, maps, facts.load)


def read_networks(folder: str | Path, root: str | Path) -> list[NetworkView]:
    """Views of all networks below a folder of records.

    Args:
      folder: of records, see `jaxcircuits.bulk.Records`.
      root: the site's folder.

    Returns:
      One a network that `jaxcircuits microscope` has described.

    Raises:
      InputError: where there is no folder, or no network in it that is described.
    """
    records, views, problems = Records(folder), [], []
    for name in records:
        try:
            facts = Facts.read(Path(records[name].folder))
            if facts.name != name:
                raise InputError(f"{records[name].folder}: the description of {shown(facts.name)}, records of {name}")
            views.append(network_view(records[name], facts, Path(root)))
        except InputError as error:
            problems.append(str(error))
    if not views:
        raise InputError(
            problems[0] if problems else f"{folder}: no records there; `jaxcircuits microscope` makes them"
        )
    return views
