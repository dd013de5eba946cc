"""The command line, run in a process of its own."""

import os
import subprocess
import sys


def command(*arguments, weights=None, cwd=None):
    """Runs `jaxcircuits`, with a folder of converted weights where given."""
    # On the CPU: other back ends may say things of their own on stderr.
    environment = dict(os.environ, JAX_PLATFORMS="cpu", COLUMNS="200")
    environment["JAXCIRCUITS_WEIGHTS"] = str(weights.parent) if weights else ""
    code = "from jaxcircuits.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environment, cwd=cwd, timeout=300
    )
