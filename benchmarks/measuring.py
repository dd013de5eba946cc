"""What the speed programs share: steps to time, the clock, the machine's description, results."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

import jaxcircuits as jc
from jaxcircuits.vis.keys import picture_keys
from jaxcircuits.vis.loss import Batch, Chance
from jaxcircuits.vis.numbers import divided
from jaxcircuits.vis.optimize import OF_BATCH, STEPS_A_CALL, Programs, State, cast

LAYERS = ("conv2d2", "mixed3b", "mixed4b", "mixed4d", "mixed5b")
"""From a cheap layer to the dearest."""

# Other processes of a benchmark share the accelerator, so none may take all its memory at the start.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

ROOT = Path(__file__).parents[1]
BEGAN = time.monotonic()


class Drawing:
    """A batch of pictures of a layer's first units, being drawn.

    Args:
      network: whose units.
      layer: which; units are taken again from 0 on where it has fewer than `batch_size`.
      batch_size: pictures.
      recipe: how.
      mesh: of several devices, as `render` makes it; None for one.
    """

    def __init__(
        self,
        network: jc.Network,
        layer: str,
        batch_size: int,
        recipe: jc.Recipe = jc.Recipe(),
        mesh: Mesh | None = None,
    ):
        self.on_cpu = jax.default_backend() == "cpu"
        structure, numbers = divided(recipe)
        self.programs = Programs(network.forward, structure, mesh, self.on_cpu)
        objective = jc.channel(layer, (np.arange(batch_size) % network.layers[layer].channels).tolist())
        keys = picture_keys(objective, list(range(batch_size)), 1)
        batch = Batch(cast(network.params, recipe.dtype), numbers, objective, keys)
        self.batch: Batch = self.programs.put(batch, OF_BATCH)
        self.state: State = self.programs.start(self.batch.numbers, self.batch.keys, None)

    @property
    def steps_a_call(self) -> int:
        """How many steps the smallest call takes."""
        return 1 if self.on_cpu else STEPS_A_CALL

    def advance(self) -> None:
        """Takes `steps_a_call` steps and waits for them."""
        for state, _ in self.programs.advance(self.batch, self.state, self.steps_a_call):
            self.state = state

    def lowered(self) -> jax.stages.Lowered:
        """The step as a program that is not compiled yet."""
        return self.programs.step.lower(self.batch, self.state, self.chance())

    def chance(self) -> Chance:
        """What chance decides of the views of the next step."""
        return self.programs.chance(self.batch, self.state.step)


class Call(NamedTuple):
    """What a call took: seconds of the clock, and of all processor cores together, which others disturb less."""

    clock: float
    cores: float


def timed(run: Callable[[], Any]) -> Call:
    """Times a call, which must wait for the device."""
    began = Call(time.perf_counter(), time.process_time())
    run()
    return Call(time.perf_counter() - began.clock, time.process_time() - began.cores)


def alternately(runs: Mapping[str, Callable[[], Call]], repetitions: int) -> dict[str, list[Call]]:
    """What every call took, taken in turns (A B C A B C ...) so that all meet the same disturbances.

    Each is called once before, which does not count.
    """
    for run in runs.values():
        run()
    turns = [{name: run() for name, run in runs.items()} for _ in range(repetitions)]
    return {name: [turn[name] for turn in turns] for name in runs}


def summary(calls: list[Call], steps: int = 1) -> dict[str, float]:
    """Milliseconds of a step, of calls that take `steps` each: median and least by the clock, median of the cores."""
    clock, cores = ([1e3 * seconds / steps for seconds in kind] for kind in zip(*calls))
    figures = {"median_ms": statistics.median(clock), "least_ms": min(clock), "cores_ms": statistics.median(cores)}
    return {name: round(value, 2) for name, value in figures.items()} | {"calls": len(calls)}


def ratio(calls: list[Call], others: list[Call], scale: float = 1.0) -> dict[str, float]:
    """How many times longer calls take than others.

    Args:
      calls, others: of `alternately`, turn by turn.
      scale: by which to multiply, where the two do not do the same amount of work.

    Returns:
      The median over turns, that of the least of each, and that of the cores' time.
    """
    figures = {
        "median": statistics.median(a.clock / b.clock for a, b in zip(calls, others, strict=True)),
        "of_least": min(a.clock for a in calls) / min(b.clock for b in others),
        "of_cores": statistics.median(a.cores / b.cores for a, b in zip(calls, others, strict=True)),
    }
    return {name: round(scale * value, 3) for name, value in figures.items()}


def machine() -> dict[str, Any]:
    """Where and with what a result came about."""
    device = jax.devices()[0]
    return {
        "device": f"{len(jax.devices())} x {device.device_kind}",
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "flax", "optax")},
        "commit": commit_of(ROOT),
    }


def environment_of(package: Path, home: Path) -> dict[str, str]:
    """The environment of a process that runs a checkout's code as its user would, with a cache of its own.

    Args:
      package: the checkout.
      home: the user's folder, with the cache.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    return environment | {"PYTHONPATH": str(package), "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}


def commit_of(folder: Path) -> str:
    """The commit of a checkout, with `-dirty` where files differ from it."""
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=folder, capture_output=True, text=True)
    return done.stdout.strip()


def subprocess_json(module: str, *arguments: str, **environment: str) -> Any:
    """What a program of this folder prints last, as JSON, run in a process of its own."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def arguments_of(doc: str, *, network: bool = True, size: bool = True) -> argparse.ArgumentParser:
    """A parser with what the programs take: a network, the size of pictures where any are drawn, the result's file."""
    parser = argparse.ArgumentParser(description=doc.split("\n")[0])
    if network:
        parser.add_argument("network", help="a name or file as `jaxcircuits.load` takes it")
    if size:
        parser.add_argument("--size", type=int, default=128, help="of the pictures")
    parser.add_argument("--out", type=Path, help="file for the result; it is printed too")
    return parser


def report(result: dict[str, Any], out: Path | None) -> None:
    """Prints a result with its machine and the minutes that it took, and writes it."""
    text = json.dumps({"machine": machine(), "minutes": round((time.monotonic() - BEGAN) / 60, 1)} | result, indent=1)
    print(text)
    if out:
        out.write_text(text + "\n")


def _cpu() -> str:
    names = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []
