"""`weights-convert`: the command line, thin."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jaxcircuits.errors import InputError
from jaxcircuits.printing import plain, say, show, tell
from jaxcircuits.zoo import ZOO
from weights_convert.conversion import convert
from weights_convert.verification import verify
from weights_convert.weights_file import read_weights

PROGRAM = "weights-convert"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def run(
    source: Annotated[Path | None, typer.Argument(help="File or folder with foreign weights.")] = None,
    out: Annotated[Path | None, typer.Option(help="The safetensors file to write, or a folder for it.")] = None,
    architecture: Annotated[
        str | None, typer.Option(help="Architecture of the weights; by default recognized by shapes.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="Text file with the label of each output, one per line.")] = None,
    check: Annotated[Path | None, typer.Option("--verify", help="Check this converted file instead.")] = None,
) -> None:
    """Converts foreign weights to one safetensors file, or verifies such a file.

    SOURCE is a frozen TensorFlow GraphDef, a .caffemodel, a folder of HDF5 files (one a tensor), an .npz, or a
    PyTorch state dict as safetensors; which one is recognized from the content.
    """
    if check is not None:
        raise typer.Exit(_verify(check))
    if source is not None and out is None and not source.exists():
        raise InputError(f"{source}: there is no such file")
    if source is None or out is None:
        raise InputError("expected SOURCE --out FILE, or --verify FILE")
    out = convert(source, out, architecture=architecture, labels=labels)
    weights = read_weights(out)
    values = sum(tensor.size for tensor in weights.tensors.values())
    say(f"recognized {plain(source)}: {weights.source_format} with the weights of {weights.architecture.name}")
    say(f"network    {weights.network or 'not one of the published ones'}")
    say(f"wrote      {plain(out)}: {len(weights.tensors)} tensors, {values:,} values, {len(weights.labels)} labels")
    if out.stem in ZOO and out.stem != weights.network:
        recognized = f"those of {weights.network}" if weights.network else "not those that were published as that"
        remedy = f"rename it to {weights.network}.safetensors" if weights.network else "give it another name"
        tell(f"{out} is named {out.stem}, but its weights are {recognized}; {remedy}, or it is not loaded", PROGRAM)


def main() -> None:
    """Runs the command; bad input is one line on stderr and exit code 2."""
    try:
        app()
    except (InputError, OSError) as error:
        tell(error, PROGRAM)
        raise SystemExit(2) from error


def _verify(path: Path) -> int:
    from rich.table import Table

    checks = verify(path)
    table = Table("check", "found", "expected", "ok", title=plain(path))
    for check in checks:
        table.add_row(plain(check.name), plain(check.found), plain(check.expected), "yes" if check.ok else "NO")
    show(table)
    return 0 if all(check.ok for check in checks) else 2
