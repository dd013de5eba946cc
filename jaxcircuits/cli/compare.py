"""`jaxcircuits compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jaxcircuits.cli.common import SOURCES, NetworkName, opened, say
from jaxcircuits.printing import plain


def compare(
    first: NetworkName,
    second: NetworkName,
    *,
    images: Annotated[str, typer.Option(help=SOURCES)],
    split: Annotated[
        str | None, typer.Option(help="A split of a data set, such as test; or a subfolder of a folder.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Steps of gradient ascent per drawing; 0 for no drawings.")] = 96,
    size: Annotated[
        int | None, typer.Option(help="Size of drawings in pixels; by default 96, or a smaller network's.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the drawings and of the shuffled pictures.")] = 0,
    batch_size: Annotated[int | None, typer.Option(help="Pictures processed together; chosen by default.")] = None,
    out: Annotated[Path, typer.Option(help="Files go to OUT/FIRST-and-SECOND.")] = Path("compared"),
) -> None:
    """Set two networks side by side: matched units, the depths that correspond, families of units, as a page."""
    from jaxcircuits.network import load
    from jaxcircuits.pages.compare_report import report_comparison

    one, other, pictures = load(first), load(second), opened(images, split)
    options = {"steps": steps, "size": size, "seed": seed, "batch_size": batch_size}
    for file in report_comparison(one, other, pictures, out, **options):
        say(plain(file))
