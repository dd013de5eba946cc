"""`jaxcircuits examples`."""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer

from jaxcircuits.cli.common import (
    SOURCES,
    Coordinator,
    Distributed,
    NetworkName,
    Process,
    Processes,
    met,
    opened,
    say,
    say_damaged,
)
from jaxcircuits.printing import plain


def examples(
    network: NetworkName,
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Layers: LAYER, or LAYER:UNITS such as mixed4b:0-15; or all.", metavar="LAYER[:UNITS]"),
    ] = None,
    *,
    images: Annotated[str, typer.Option(help=SOURCES)],
    split: Annotated[
        str | None, typer.Option(help="A split of a data set, such as test; or a subfolder of a folder.")
    ] = None,
    layer: Annotated[list[str] | None, typer.Option(help="Another way to name layers.")] = None,
    units: Annotated[
        str | None, typer.Option(help="Units that get a sheet, such as 0-15,20; or all. By default the first 16.")
    ] = None,
    count: Annotated[int, typer.Option(help="Number of strongest pictures of each unit.")] = 16,
    batch_size: Annotated[int | None, typer.Option(help="Pictures processed together; chosen by default.")] = None,
    out: Annotated[
        str, typer.Option(help="Files go to OUT/NETWORK/LAYER/examples.safetensors, sheets to .../examples/UNIT.png.")
    ] = "examples",
    distributed: Distributed = False,
    coordinator: Coordinator = None,
    processes: Processes = None,
    process: Process = None,
) -> None:
    """Find what makes units fire in pictures of the world: one file per layer for all its units, a sheet for some.

    Started again, the same command resumes where it was stopped; layers that are added get a pass of their own.
    """
    from jaxcircuits import bulk
    from jaxcircuits.bulk import place
    from jaxcircuits.cli.render import chosen_layers
    from jaxcircuits.evidence import Examples, sheet
    from jaxcircuits.images.sheet import png_bytes
    from jaxcircuits.network import load
    from jaxcircuits.network.units import numbers_of

    hosts = met(distributed, coordinator, processes, process)
    model, pictures = load(network), opened(images, split)
    chosen = {}
    for name, text in chosen_layers(model, [*(names or []), *(layer or [])], units).items():
        channels = model.layer(name).channels
        chosen[name] = numbers_of(text or f"0-{min(channels, 16) - 1}", channels, name)
    options = {"count": count, "batch_size": batch_size, "hosts": hosts}
    with bulk.examples(model, pictures, list(chosen), out, **options) as job:
        say_damaged(job.damaged)
        try:
            written = job.run()
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"stopped: {job.finished} of {job.total} pictures seen; the same command sees the rest"
            ) from None
        say(job.summary(written))
        if len(written) < len(chosen):
            return
        with contextlib.ExitStack() as copies:
            found = Examples.read(*(copies.enter_context(place.on_disk(path)) for path in written))
        unreadable = job.product.unreadable
    for path, (name, numbers) in zip(written, chosen.items()):
        folder = path.with_suffix("")
        place.make(folder)
        for unit in numbers:
            place.write(folder / f"{unit:04d}.png", png_bytes(sheet(model, found, pictures, name, unit)))
        say(f"{len(numbers)} sheets in {plain(folder)}")
    if found.seen.skipped:
        more = "" if found.seen.skipped == 1 else f" and {found.seen.skipped - 1} more"
        say(f"left out, as they cannot be read: {plain(unreadable[0])}{more}")
