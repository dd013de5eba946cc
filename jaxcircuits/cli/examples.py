"""`jaxcircuits examples`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated

import typer

from jaxcircuits.cli.common import NetworkName, say


def examples(
    network: NetworkName,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Whose units: LAYER, or LAYER:UNITS such as mixed4b:0-15; or all.", metavar="LAYER[:UNITS]"
        ),
    ] = None,
    images: Annotated[
        str, typer.Option(help="A folder of pictures, with a folder a class or without; or tfds:NAME[:CONFIG].")
    ] = ...,
    split: Annotated[str | None, typer.Option(help="Of a data set, such as test; of a folder, a subfolder.")] = None,
    layer: Annotated[list[str] | None, typer.Option(help="Another way to name layers.")] = None,
    units: Annotated[
        str | None, typer.Option(help="Whose sheets are drawn, such as 0-15,20; or all. By default the first 16.")
    ] = None,
    count: Annotated[int, typer.Option(help="Of the strongest pictures of each unit.")] = 16,
    batch_size: Annotated[int | None, typer.Option(help="Pictures seen together; by default what suits.")] = None,
    out: Annotated[
        Path, typer.Option(help="Files go to OUT/NETWORK/LAYER.safetensors, sheets to OUT/NETWORK/LAYER/UNIT.png.")
    ] = Path("examples"),
) -> None:
    """Find what makes units fire in pictures of the world: one file a layer for all its units, a sheet for some."""
    from jaxcircuits import evidence
    from jaxcircuits.cli.render import chosen_layers
    from jaxcircuits.evidence.crops import sheet
    from jaxcircuits.images import open_pictures
    from jaxcircuits.images.sheet import save_image
    from jaxcircuits.network import load
    from jaxcircuits.network.units import numbers_of

    model, pictures = load(network), open_pictures(images, split)
    chosen = {}
    for name, text in chosen_layers(model, [*(names or []), *(layer or [])]).items():
        channels = model.layer(name).channels
        chosen[name] = numbers_of(text or units or f"0-{min(channels, 16) - 1}", channels, name)
    with warnings.catch_warnings():
        # Said below, as a command says things.
        warnings.simplefilter("ignore", evidence.UnreadablePictures)
        found = evidence.examples(model, pictures, list(chosen), count, batch_size=batch_size)
    folder = out / model.name
    for path in found.save(folder):
        say(str(path))
    for name, numbers in chosen.items():
        for unit in numbers:
            save_image(sheet(model, found, pictures, name, unit), folder / name / f"{unit:04d}.png")
        say(f"{len(numbers)} sheets in {folder / name}")
    if found.seen.skipped:
        more = "" if found.seen.skipped == 1 else f" and {found.seen.skipped - 1} more"
        say(f"left out, as they cannot be read: {found.unreadable[0]}{more}")
