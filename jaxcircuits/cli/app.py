"""The commands together: what they share is in `common`."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated

import typer

from jaxcircuits import __version__
from jaxcircuits.cli.circuit import circuit
from jaxcircuits.cli.common import Stopped, computing, stoppable
from jaxcircuits.cli.compare import compare
from jaxcircuits.cli.examples import examples
from jaxcircuits.cli.layers import layers
from jaxcircuits.cli.microscope import microscope
from jaxcircuits.cli.networks import networks
from jaxcircuits.cli.render import render
from jaxcircuits.cli.serve import serve
from jaxcircuits.errors import InputError
from jaxcircuits.printing import tell

INTERRUPTED = 130
"""The exit code of commands that were stopped."""

app = typer.Typer(
    help="A microscope for neural networks: draws what the units of a vision network look for.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (render, circuit, examples, compare, microscope, serve, layers):
    app.command()(stoppable(computing(command)))
app.command()(stoppable(networks))  # at once, without JAX


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"jaxcircuits {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    pass


def run() -> None:
    """Runs the command that the process was started with."""
    # In one line, as errors are.
    warnings.showwarning = lambda message, *_: tell(message)
    try:
        app()
    except InputError as error:
        tell(error)
        sys.exit(2)
    except Stopped as stopped:
        raise KeyboardInterrupt(str(stopped)) from None
    except SystemExit as ended:
        # Typer's own answer to Ctrl-C, where it comes between the command line and the command.
        if ended.code == INTERRUPTED:
            raise KeyboardInterrupt from None
        raise
