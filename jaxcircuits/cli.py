"""The command line: `jaxcircuits render`, `jaxcircuits networks`, `jaxcircuits layers`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from jaxcircuits.errors import InputError
from jaxcircuits.zoo import ZOO

if TYPE_CHECKING:
    from jaxcircuits.network import Network

app = typer.Typer(
    help="A microscope for neural networks: draws what the units of a vision network look for.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

NetworkName = Annotated[str, typer.Argument(help=f"One of {', '.join(ZOO)}, or a converted .safetensors file.")]


@app.command()
def render(
    network: Annotated[str, typer.Option(help="A network's name, or a converted .safetensors file.")] = "slide",
    layer: Annotated[str | None, typer.Option(help="Whose units; see `jaxcircuits layers NETWORK`.")] = None,
    units: Annotated[str, typer.Option(help="Which, such as 0-15,20; or all.")] = "0-15",
    steps: Annotated[int, typer.Option(help="Of gradient ascent.")] = 512,
    size: Annotated[int | None, typer.Option(help="In pixels; by default 128, or a smaller network's own.")] = None,
    seed: Annotated[int, typer.Option(help="Of the random starts and views.")] = 0,
    out: Annotated[Path, typer.Option(help="Pictures go to OUT/NETWORK/LAYER/UNIT.png.")] = Path("pictures"),
    batch_size: Annotated[int | None, typer.Option(help="Pictures drawn together.")] = None,
    dtype: Annotated[str, typer.Option(help="Of the network: float32, or bfloat16 for accelerators.")] = "float32",
) -> None:
    """Draw what the units of a layer look for."""
    import numpy as np

    from jaxcircuits.bulk import LayerFolder
    from jaxcircuits.network import load
    from jaxcircuits.vis import Recipe, channel, render_batches

    model = load(network)
    recipe = Recipe(size=size if size is not None else min(128, *model.convention.size), steps=steps, dtype=dtype)
    layer = layer if layer is not None else _first_layer(model)
    chosen = parse_units(units, model.layer(layer).channels, layer)
    folder = LayerFolder(out / model.name / layer)
    pictures: list[np.ndarray] = []
    try:
        for rows, batch in render_batches(model, channel(layer, chosen), recipe, seed=seed, batch_size=batch_size):
            folder.write_recipe(recipe)
            for row, picture, score in zip(rows, batch.images, batch.scores):
                facts = {"network": model.name, "layer": layer, "unit": chosen[row], "seed": seed, "score": score}
                folder.write_picture(chosen[row], picture, facts)
                pictures.append(picture)
    except KeyboardInterrupt:
        _say(f"stopped: {len(pictures)} of {len(chosen)} pictures finished")
        raise typer.Exit(130) from None
    finally:
        if pictures:
            sheet = folder.write_sheet(np.stack(pictures), chosen[: len(pictures)])
            _say(f"{len(pictures)} pictures in {folder.path}\nthe sheet: {sheet}")


@app.command()
def networks() -> None:
    """List the networks that have a name."""
    table = Table("name", "what it is", "layers", "licence", box=None)
    for entry in ZOO.values():
        table.add_row(entry.name, entry.summary, str(len(entry.architecture.layers)), entry.licence)
    _print(table)


@app.command()
def layers(network: NetworkName) -> None:
    """List a network's layers: channels, size at the native input, and what each is computed from."""
    import jax

    from jaxcircuits.adapters import by_layer
    from jaxcircuits.network import Network, load

    if network in ZOO:
        # Shapes are enough: no weights have to be found.
        entry = ZOO[network]
        tensors = {name: jax.ShapeDtypeStruct(s, "float32") for name, s in entry.architecture.tensors().items()}
        model = Network.from_architecture(entry.architecture, by_layer(tensors), entry.convention)
    else:
        model = load(network)
    height, width = model.convention.size
    table = Table("layer", "channels", f"size at {height}x{width} px", "op", "from", box=None)
    for name, shape in model.shapes((height, width)).items():
        layer = model.layers[name]
        size = "x".join(str(n) for n in shape[:-1])
        table.add_row(name, str(layer.channels), size, layer.op, " ".join(layer.inputs))
    _print(table)


def parse_units(text: str, channels: int, layer: str) -> list[int]:
    """`0-15,20` or `all` as unit numbers, each once, in the order given.

    Raises:
      InputError: for a part that is no number or range, or for units that the layer does not have.
    """
    if text.strip() == "all":
        return list(range(channels))
    units: dict[int, None] = {}
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise InputError(f"units {part.strip()!r}; expected numbers and ranges such as 0-15,20, or all")
        # Checked before it is spelled out: a range may be absurdly long.
        end = int(last) if dash else int(first)
        if max(int(first), end) >= channels:
            raise InputError(f"unknown unit {max(int(first), end)} of {layer}; it has units 0 to {channels - 1}")
        if end < int(first):
            raise InputError(f"units {part.strip()!r}; the range ends before it begins")
        units.update(dict.fromkeys(range(int(first), end + 1)))
    return list(units)


def main() -> None:
    """The command; bad input is one line on stderr and exit code 2."""
    try:
        app()
    except InputError as error:
        print(f"jaxcircuits: {error}", file=sys.stderr)
        sys.exit(2)


def _first_layer(model: Network) -> str:
    """Where to begin when no layer is named."""
    return next(entry.first_layer for entry in ZOO.values() if entry.architecture == model.architecture)


def _print(table: Table) -> None:
    """Prints a table; into a file or a pipe at its full width, so that no name is cut."""
    console = Console()
    if not console.is_terminal:
        console.width = console.measure(table, options=console.options.update(max_width=1000)).maximum
    console.print(table)


def _say(text: str) -> None:
    Console().print(text, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
