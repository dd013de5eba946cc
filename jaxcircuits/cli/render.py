"""`jaxcircuits render`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jaxcircuits.cli.common import Coordinator, Distributed, Process, Processes, met, say, say_damaged
from jaxcircuits.errors import InputError
from jaxcircuits.printing import plain
from jaxcircuits.zoo import ZOO

if TYPE_CHECKING:
    from jaxcircuits.network import Network
    from jaxcircuits.vis import Recipe


FIRST = 16
"""Units of a layer that are drawn unless others are named."""


def render(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="A network's name or file (slide, if none is named), then whose units to draw: LAYER, or LAYER:UNITS "
            "such as mixed4b:0-15; or all.",
            metavar="[NETWORK [LAYER[:UNITS]]...]",
            show_default=False,
        ),
    ] = None,
    network: Annotated[str | None, typer.Option(help="The network, if it is not named first.")] = None,
    layer: Annotated[
        list[str] | None,
        typer.Option(help="Layers, several with commas; or all. See `jaxcircuits layers NETWORK`."),
    ] = None,
    units: Annotated[
        str | None,
        typer.Option(help="Units, such as 0-15,20; or all. By default the first 16 of each layer; all directions."),
    ] = None,
    directions: Annotated[
        Path | None, typer.Option(help="An .npy file (N, channels); draw its rows in place of the layer's channels.")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="lucid, fast, maco, or an earlier recipe.json; by default the network's own, or lucid."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps of gradient ascent; by default the recipe's (lucid: 512).")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(help="Pixels; by default the recipe's: 128, or a smaller network's own size; 224 for maco."),
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="Arithmetic of the network: float32, the default; bfloat16 is for accelerators.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random starts and views.")] = 0,
    out: Annotated[
        str, typer.Option(help="A folder, gs:// or s3://; pictures are written to OUT/NETWORK/LAYER/UNIT.png.")
    ] = "pictures",
    format: Annotated[str, typer.Option(help="png, webp, or tfds for one data set in OUT/NETWORK.")] = "png",
    batch_size: Annotated[
        int | None, typer.Option(help="Pictures drawn together; by default what memory allows.")
    ] = None,
    distributed: Distributed = False,
    coordinator: Coordinator = None,
    processes: Processes = None,
    process: Process = None,
) -> None:
    """Draw what units look for: of one layer, of several, of a whole network.

    Started again, the same command draws only what is missing. Another recipe or seed gets its own folder inside the
    folder of each layer.
    """
    from jaxcircuits import bulk
    from jaxcircuits.network import load
    from jaxcircuits.network.units import numbers_of

    hosts = met(distributed, coordinator, processes, process)
    if network is None:
        network, *names = names or ["slide"]
    model = load(network)
    rows = bulk.Directions.read(directions) if directions else None
    series, begun = [], []
    for name, text in chosen_layers(model, [*(names or []), *(layer or [])], units).items():
        channels = len(rows.vectors) if rows else model.layer(name).channels
        if not text and not rows and channels > FIRST:
            begun.append(f"the first {FIRST} of the {channels} units of {name}; {name}:all, or --units all, draws all")
        text = text or ("all" if rows else f"0-{min(channels, FIRST) - 1}")
        series.append(bulk.Series(name, tuple(numbers_of(text, channels, name)), rows))
    drawn_by = _recipe(model, recipe, steps=steps, size=size, dtype=dtype)
    options = {"seed": seed, "format": format, "batch_size": batch_size, "hosts": hosts}
    with bulk.drawings(model, series, drawn_by, out, **options) as job:
        say_damaged(job.damaged)
        try:
            written = job.run()
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"stopped: {job.finished} of {job.total} pictures finished; the same command draws the rest"
            ) from None
        say(job.summary(written))
        for line in begun:
            say(plain(line))


def chosen_layers(model: Network, named: list[str], units_of_others: str | None = None) -> dict[str, str]:
    """The layers that are named, each once, with their units.

    Args:
      model: whose layers.
      named: `LAYER`, `LAYER:UNITS` or `all`, several with commas; none for those to begin with.
      units_of_others: units of the layers that are named without theirs.

    Returns:
      Layer -> its units as text; empty where none are named.

    Raises:
      InputError: for names that are no layer's, and for units of other layers where there are none.
    """
    from jaxcircuits.bulk import feature_layers

    if not named:
        named = _first(model)
        if units_of_others:
            named = [text.partition(":")[0] for text in named]
    chosen: dict[str, str] = {}
    for text in named:
        # A comma stands between layers, and between the units of one: `mixed4a,mixed4b:0-3,7`.
        for part in (part.strip() for part in text.split(",")):
            layer, colon, units = part.rpartition(":")
            if part == "all":
                chosen |= {name: "" for name in feature_layers(model) if name not in chosen}
            elif part in model.layers or not (colon or _is_units(part)):
                chosen.setdefault(part, "")
            elif colon:
                chosen[layer] = f"{chosen[layer]},{units}" if chosen.get(layer) else units
            else:
                last = next(reversed(chosen), None)
                if not last or not chosen[last]:
                    raise InputError(f"layer {part!r}; expected LAYER or LAYER:UNITS, such as mixed4b:0-15")
                chosen[last] += f",{part}"
    for name in chosen:
        model.layer(name)
    if units_of_others and all(chosen.values()):
        raise InputError(f"--units {units_of_others} beside {', '.join(named)}, which names its own; name units once")
    return {name: text or units_of_others or "" for name, text in chosen.items()}


def _first(model: Network) -> list[str]:
    """What to draw of a model to begin with: what the zoo says of it, or of one built like it; or its middle stage."""
    from jaxcircuits.bulk import feature_layers

    for entry in (ZOO[model.name],) if model.name in ZOO else ZOO.values():
        if all(name.partition(":")[0] in model.layers for name in entry.first):
            return list(entry.first)
    stages = feature_layers(model)
    return [stages[len(stages) // 2]]


def _is_units(text: str) -> bool:
    return text[:1].isdecimal() and text.replace("-", "").isdecimal()


def _recipe(model: Network, name: str | None, **fields: object) -> Recipe:
    """A recipe by name or of a file, by default the network's own; with the given fields."""
    from jaxcircuits.vis import Recipe
    from jaxcircuits.vis.arguments import RECIPES, as_recipe

    if name is None or name in RECIPES:
        return as_recipe(model, name, **fields)
    if not Path(name).exists():
        raise InputError(f"{name}: there is no such file; expected {', '.join(RECIPES)} or a JSON file")
    return as_recipe(model, Recipe.read(name), **fields)
