"""The command line: `jaxcircuits render`, `circuit`, `networks`, `layers`; one file a command."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """The command: bad input is one line on stderr and exit code 2, Ctrl-C one line and exit code 130."""
    # Nothing is imported before this: whoever stops a command while JAX is being imported is told so too.
    try:
        from jaxcircuits.cli.app import run

        run()
    except KeyboardInterrupt as interrupt:
        said = str(interrupt) or "stopped: nothing was written; the same command begins anew"
        print(f"jaxcircuits: {said}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        # A compilation may still run on a thread, for minutes; an orderly end would wait for it, or fall over it.
        os._exit(130)
