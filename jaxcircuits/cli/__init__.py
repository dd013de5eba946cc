"""The command line: `jaxcircuits render`, `circuit`, `networks`, `layers`."""

from __future__ import annotations

import dataclasses
import os
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
    from jaxcircuits.vis import Recipe

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
    layer: Annotated[
        list[str] | None,
        typer.Option(help="Whose units; several with commas; or all. See `jaxcircuits layers NETWORK`."),
    ] = None,
    units: Annotated[
        str | None, typer.Option(help="Which, such as 0-15,20; or all. By default the first 16 of each layer.")
    ] = None,
    directions: Annotated[
        Path | None, typer.Option(help="An .npy file (N, channels); draw its rows in place of the layer's channels.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="fast, maco, or a JSON file such as an earlier recipe.json.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Of gradient ascent; by default the recipe's, 512.")] = None,
    size: Annotated[
        int | None,
        typer.Option(help="In pixels; by default the recipe's: 128, or a smaller network's own; 224 for maco."),
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="Of the network: float32, the default, or bfloat16 for accelerators.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the random starts and views.")] = 0,
    out: Annotated[
        str, typer.Option(help="A folder, or gs:// or s3://; pictures go to OUT/NETWORK/LAYER/UNIT.png.")
    ] = "pictures",
    format: Annotated[str, typer.Option(help="png, webp, or tfds for one data set in OUT/NETWORK.")] = "png",
    batch_size: Annotated[
        int | None, typer.Option(help="Pictures drawn together; by default what memory allows.")
    ] = None,
    distributed: Annotated[
        bool, typer.Option("--distributed", help="Share the work with the other processes of a TPU pod or SLURM job.")
    ] = False,
    coordinator: Annotated[str | None, typer.Option(help="HOST:PORT of process 0, to share without those.")] = None,
    processes: Annotated[int | None, typer.Option(help="How many share the work.")] = None,
    process: Annotated[int | None, typer.Option(help="Which of them this is, from 0 on.")] = None,
) -> None:
    """Draw what units look for: of one layer, of several, of a whole network.

    The same command started again draws only what is missing.
    """
    from jaxcircuits import bulk
    from jaxcircuits.network import load

    keep_compiled_programs()
    parts = (coordinator, processes, process)
    hosts = bulk.meet(*parts) if distributed or any(part is not None for part in parts) else bulk.ALONE
    model = load(network)
    rows = bulk.Directions.read(directions) if directions else None
    series = []
    for name in chosen_layers(model, layer):
        channels = len(rows.vectors) if rows else model.layer(name).channels
        chosen = parse_units(units if units is not None else f"0-{min(channels, 16) - 1}", channels, name)
        series.append(bulk.Series(name, tuple(chosen), rows))
    drawn_by = _recipe(model, recipe, steps=steps, size=size, dtype=dtype)
    options = {"seed": seed, "format": format, "batch_size": batch_size, "hosts": hosts}
    with bulk.job(model, series, drawn_by, out, **options) as job:
        try:
            written = job.draw()
        except KeyboardInterrupt:
            _say(f"stopped: {job.finished} of {job.total} pictures finished; the same command draws the rest")
            sys.stdout.flush()
            # A compilation may still run on a thread, for minutes, and an orderly end would wait for it.
            os._exit(130)
        _say(job.summary(written))


@app.command()
def networks() -> None:
    """List the networks that have a name."""
    table = Table("name", "what it is", "classes", "licence", box=None)
    for entry in ZOO.values():
        table.add_row(entry.name, entry.summary, str(entry.architecture.classes), entry.licence)
    _print(table)


@app.command()
def layers(network: NetworkName) -> None:
    """List a network's layers: channels, size at the native input, and what each is computed from."""
    import jax

    from jaxcircuits.network import Network, load
    from jaxcircuits.network.adapters import by_layer

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


@app.command()
def circuit(
    network: NetworkName,
    unit: Annotated[str, typer.Argument(help="LAYER:UNIT, such as mixed4b:11.", metavar="LAYER:UNIT")],
    depth: Annotated[int, typer.Option(help="Layers to go down.")] = 2,
    top: Annotated[int, typer.Option(help="Units to keep of each layer.")] = 8,
    steps: Annotated[int, typer.Option(help="Of gradient ascent, a picture.")] = 256,
    size: Annotated[int | None, typer.Option(help="In pixels; by default 96, or a smaller network's own.")] = None,
    seed: Annotated[int, typer.Option(help="Of the random starts and views.")] = 0,
    out: Annotated[Path, typer.Option(help="Files go to OUT/NETWORK/LAYER-UNIT.")] = Path("circuits"),
) -> None:
    """Draw what a unit is made of: the units that excite and inhibit it most, and theirs, as figures and a page."""
    from jaxcircuits.network import load
    from jaxcircuits.pages import report_circuit

    keep_compiled_programs()
    model = load(network)
    for file in report_circuit(model, unit, out, depth=depth, top=top, steps=steps, size=size, seed=seed):
        _say(str(file))


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


def chosen_layers(model: Network, named: list[str] | None) -> list[str]:
    """The layers that `--layer` names, each once; where it names none, one to begin with."""
    from jaxcircuits.bulk import feature_layers

    if not named:
        first = [entry.first_layer for entry in ZOO.values() if entry.first_layer in model.layers]
        return first[:1] or [feature_layers(model)[0]]
    names = [name.strip() for text in named for name in text.split(",")]
    several = [feature_layers(model) if name == "all" else (name,) for name in names]
    return list(dict.fromkeys(name for layers in several for name in layers))


def _recipe(model: Network, name: str | None, **fields: object) -> Recipe:
    """A recipe by name or of a file, by default Lucid's at a size that suits the network; with the given fields."""
    from jaxcircuits.vis import Recipe

    size = min(128, *model.convention.size)
    match name:
        case None:
            recipe = Recipe(size=size)
        case "fast":
            recipe = Recipe.fast(size=size)
        case "maco":
            recipe = Recipe.maco(view=min(model.convention.size))
        case file:
            try:
                recipe = Recipe.from_json(Path(file).read_text())
            except (OSError, UnicodeDecodeError) as error:
                raise InputError(f"{file}: cannot be read ({error}); expected fast, maco or a JSON file") from None
            except InputError as error:
                raise InputError(f"{file}: {error}") from None
    return dataclasses.replace(recipe, **{name: value for name, value in fields.items() if value is not None})


def keep_compiled_programs() -> None:
    """Keeps compiled programs in the user's cache folder, unless JAX was told of another: nothing compiles twice."""
    import jax
    from platformdirs import user_cache_path

    if not jax.config.jax_compilation_cache_dir:
        jax.config.update("jax_compilation_cache_dir", str(user_cache_path("jaxcircuits") / "programs"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def _print(table: Table) -> None:
    """Prints a table; into a file or a pipe at its full width, so that no name is cut."""
    console = Console()
    if not console.is_terminal:
        console.width = console.measure(table, options=console.options.update(max_width=1000)).maximum
    console.print(table)


def _say(text: str) -> None:
    Console().print(text, highlight=False, soft_wrap=True)
