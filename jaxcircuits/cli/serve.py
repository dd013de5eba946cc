"""`jaxcircuits serve`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from jaxcircuits.cli.common import say
from jaxcircuits.errors import InputError
from jaxcircuits.printing import plain


def serve(
    folder: Annotated[Path, typer.Argument(help="A site that `jaxcircuits microscope` makes.", metavar="DIR")],
    network: Annotated[
        list[str] | None,
        typer.Argument(
            help="Networks to load, so that pictures can be dropped on their pages.", metavar="[NETWORK]..."
        ),
    ] = None,
    records: Annotated[
        Path | None, typer.Option(help="Records that the pages are made of; by default DIR/records.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for any free one.")] = 8765,
    host: Annotated[
        str, typer.Option(help="Address to listen on: 127.0.0.1 is reachable from this machine only, 0.0.0.0 from all.")
    ] = "127.0.0.1",
) -> None:
    """Show a microscope in the browser, also while its records are being made.

    With networks named, a picture dropped on a page shows which units fire and where, and a unit can be silenced or
    scaled. Ctrl-C ends it.
    """
    from jaxcircuits.errors import whole
    from jaxcircuits.pages.microscope.growing import Growing
    from jaxcircuits.pages.microscope.server import Server

    whole(port, "--port", 0, 65535)
    kept = records or folder / "records"
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; `jaxcircuits microscope` makes one")
    if not (folder / "index.html").is_file() and not kept.is_dir():
        raise InputError(f"{folder}: no site there, and no records to make one of; `jaxcircuits microscope` makes both")
    looking = {}
    for name in network or []:
        one = _looking(name, kept)
        looking[one.network.name] = one
    with contextlib.ExitStack() as stack:
        growing = stack.enter_context(Growing(kept, folder)) if kept.is_dir() else None
        server = Server(folder, host, port, looking, (lambda: growing.version) if growing else (lambda: 0))
        stack.callback(server.server_close)
        say(f"{plain(folder)} at {server.url}; Ctrl-C ends it")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            raise KeyboardInterrupt("no longer shown; the site is as it was") from None


def _looking(name: str, records: Path):
    """What looks with a network: at the layers that are on record of it, or at all that people mean by its layers."""
    from jaxcircuits import bulk
    from jaxcircuits.network import load
    from jaxcircuits.pages.microscope.looking import Looking

    model = load(name)
    layers, largest = {}, {}
    kept = bulk.Records(records) if records.is_dir() else {}
    if model.name in kept:
        for layer, own in kept[model.name].items():
            layers[layer] = kept[model.name].units_planned(layer) or own.units
            if own.examples is not None:
                largest[layer] = own.examples.strongest.values[:, 0]
    else:
        layers = {layer: range(model.layer(layer).channels) for layer in bulk.feature_layers(model)}
    return Looking(model, layers, largest)
