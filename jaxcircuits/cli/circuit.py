"""`jaxcircuits circuit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jaxcircuits.cli.common import NetworkName, say
from jaxcircuits.printing import plain


def circuit(
    network: NetworkName,
    unit: Annotated[str, typer.Argument(help="LAYER:UNIT, such as mixed4b:11.", metavar="LAYER:UNIT")],
    depth: Annotated[int, typer.Option(help="Number of layers to go down.")] = 2,
    top: Annotated[int, typer.Option(help="Number of units to keep in each layer.")] = 8,
    steps: Annotated[int, typer.Option(help="Steps of gradient ascent per drawing.")] = 256,
    size: Annotated[
        int | None, typer.Option(help="Size of drawings in pixels; by default 96, or a smaller network's own.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random starts and views.")] = 0,
    out: Annotated[Path, typer.Option(help="Files go to OUT/NETWORK/LAYER-UNIT.")] = Path("circuits"),
) -> None:
    """Show what a unit is built from: the units that excite and inhibit it most, and theirs, as figures and a page."""
    from jaxcircuits.network import load
    from jaxcircuits.pages import report_circuit

    model = load(network)
    for file in report_circuit(model, unit, out, depth=depth, top=top, steps=steps, size=size, seed=seed):
        say(plain(file))
