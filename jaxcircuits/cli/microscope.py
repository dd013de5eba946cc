"""`jaxcircuits microscope`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jaxcircuits.cli.common import SOURCES, NetworkName, opened, say, say_damaged
from jaxcircuits.errors import InputError
from jaxcircuits.printing import plain


def microscope(
    network: NetworkName,
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Layers: LAYER, or LAYER:UNITS such as mixed4b:0-15; or all.", metavar="LAYER[:UNITS]"),
    ] = None,
    images: Annotated[str | None, typer.Option(help=f"{SOURCES} Without, pages have no examples.")] = None,
    split: Annotated[
        str | None, typer.Option(help="A split of a data set, such as test; or a subfolder of a folder.")
    ] = None,
    layer: Annotated[list[str] | None, typer.Option(help="Another way to name layers; several with commas.")] = None,
    units: Annotated[str | None, typer.Option(help="Units, such as 0-15,20; by default all of each layer.")] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="lucid, fast, maco, or an earlier recipe.json; by default the network's own, or lucid."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of gradient ascent; by default the recipe's.")] = None,
    size: Annotated[int | None, typer.Option(help="Size of drawings in pixels; by default the recipe's.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random starts and views.")] = 0,
    seeds: Annotated[int, typer.Option(help="Number of drawings of each unit, from different random starts.")] = 1,
    negative: Annotated[bool, typer.Option("--negative", help="Also draw what silences each unit.")] = False,
    count: Annotated[
        int, typer.Option(help="Number of strongest examples per unit; half as many per octave below.")
    ] = 6,
    tuning: Annotated[
        bool, typer.Option("--tuning", help="Measure what each unit is tuned to: curves, lines, gratings, hues.")
    ] = False,
    families: Annotated[bool, typer.Option("--families", help="Look for families of units, by stimuli.")] = False,
    meanings: Annotated[
        bool, typer.Option("--meanings", help="Tell how many things each unit stands for, and draw each.")
    ] = False,
    arguments: Annotated[
        bool, typer.Option("--arguments", help="Measure the seven arguments for each layer's curve detectors.")
    ] = False,
    match: Annotated[
        list[str] | None, typer.Option(help="Another network in which to look for each unit's counterpart.")
    ] = None,
    circuits: Annotated[bool, typer.Option("--circuits", help="Also make a page of each unit's circuit.")] = False,
    draw: Annotated[bool, typer.Option("--draw/--no-draw", help="Make the drawings that are missing.")] = True,
    records: Annotated[
        Path | None, typer.Option(help="Where drawings, examples and wiring are kept; by default OUT/records.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The site's folder; it begins at OUT/index.html.")] = Path("microscope"),
) -> None:
    """Make a page for every unit: what it looks for, what makes it fire, how it is wired.

    Missing records are made first: wiring, examples, drawings. Started again, the same command resumes where it was
    stopped; other layers, units and networks are added to the same site. `jaxcircuits serve OUT` shows it meanwhile.
    """
    from jaxcircuits import bulk
    from jaxcircuits.bulk.arguments_kept import find_arguments
    from jaxcircuits.bulk.findings import find_families, find_matches, find_monosemanticity, find_tuning
    from jaxcircuits.cli.render import _recipe, chosen_layers
    from jaxcircuits.errors import whole
    from jaxcircuits.network import load
    from jaxcircuits.network.units import numbers_of
    from jaxcircuits.pages.microscope.facts import Facts

    whole(count, "--count", 1, 100)
    whole(seeds, "--seeds", 1, 16)
    if match and images is None:
        raise InputError("--match needs --images: units are matched by what they answer to pictures")
    for option, asked in (("--meanings", meanings), ("--arguments", arguments)):
        if asked and images is None:
            raise InputError(f"{option} needs --images: it goes by what units answer to pictures")
    model, others = load(network), [load(name) for name in match or []]
    pictures = None if images is None else opened(images, split)
    kept = records or out / "records"
    chosen = {}
    for name, text in chosen_layers(model, [*(names or []), *(layer or [])] or ["all"], units).items():
        channels = model.layer(name).channels
        chosen[name] = numbers_of(text or "all", channels, name)
    drawn_by = _recipe(model, recipe, steps=steps, size=size)
    with bulk.wiring(model, list(chosen), kept) as job:
        say_damaged(job.damaged)
        job.run()
    folder = Path(job.product.folder)
    Facts.of(model, network).write(folder)
    if pictures is not None:
        with bulk.examples(model, pictures, list(chosen), kept) as job:
            say_damaged(job.damaged)
            job.run()
        with bulk.crops(model, pictures, chosen, kept, strongest=count, each=count // 2) as job:
            say_damaged(job.damaged)
            job.run()
        if meanings:
            stages, follows = model.graph.stages, model.graph.follows
            later = {name: own for name, own in chosen.items() if any(follows(stage, name) for stage in stages)}
            with bulk.meanings(model, pictures, later, kept, recipe=drawn_by) as job:
                say_damaged(job.damaged)
                job.run()
        if arguments:
            for line in find_arguments(model, list(chosen), pictures, folder):
                say(line)
    if tuning:
        find_tuning(model, list(chosen), folder)
    if families:
        find_families(model, list(chosen), folder)
    if pictures is not None:
        for other in others:
            find_matches(model, other, list(chosen), pictures, folder)
            find_monosemanticity(model, other, list(chosen), pictures, folder)
    if draw:
        _pages(kept, out)
        series = [bulk.Series(name, tuple(own)) for name, own in chosen.items()]
        if negative:
            opposite = {name: _opposite(model.layer(name).channels) for name in chosen}
            series += [bulk.Series(name, tuple(own), opposite[name]) for name, own in chosen.items()]
        for start in range(seed, seed + seeds):
            own = [one for one in series if start == seed or one.directions is None]
            with bulk.drawings(model, own, drawn_by, kept, seed=start) as job:
                say_damaged(job.damaged)
                try:
                    job.run()
                except KeyboardInterrupt:
                    said = f"{job.finished} of {job.total} pictures finished"
                    raise KeyboardInterrupt(f"stopped: {said}; the same command draws the rest") from None
    if circuits:
        _circuits(out, model, kept, chosen)
    say(plain(_pages(kept, out)))


def _pages(records: Path, out: Path) -> Path:
    """Writes all pages from records; returns the first."""
    from jaxcircuits.pages.microscope import write_site
    from jaxcircuits.pages.microscope.networks import read_networks
    from jaxcircuits.progress import view

    bar, said = view("pages"), ""

    def tell(done: int, total: int) -> None:
        nonlocal said
        said = f"{done}/{total} units"
        bar.show(done / total, said)

    try:
        return write_site(out, read_networks(records, out), progress=tell)
    finally:
        bar.close(said)


def _circuits(out: Path, model, records: Path, chosen: dict[str, list[int]]) -> None:
    from jaxcircuits.bulk import Records
    from jaxcircuits.pages.microscope.circuits import write_circuits
    from jaxcircuits.progress import view

    bar = view("circuits")
    try:
        tell = lambda done, total: bar.show(done / total, f"{done}/{total} units")  # noqa: E731
        count = write_circuits(out, model, Records(records), chosen, tell)
    finally:
        bar.close("")
    say(f"{count} circuits")


def _opposite(channels: int):
    """Directions opposite to a layer's units."""
    import numpy as np

    from jaxcircuits.bulk import Directions
    from jaxcircuits.pages.microscope.loader import NEGATIVE

    return Directions(NEGATIVE, -np.eye(channels, dtype=np.float32))
