"""`jaxcircuits networks`."""

from __future__ import annotations

from rich.table import Table

from jaxcircuits.cli.common import show
from jaxcircuits.zoo import ZOO


def networks() -> None:
    """List the networks that have a name."""
    table = Table("name", "what it is", "classes", "license", box=None)
    for entry in ZOO.values():
        table.add_row(entry.name, entry.summary, str(entry.architecture.classes), entry.license)
    show(table)
