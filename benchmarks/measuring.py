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
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxcircuits as jc
from jaxcircuits.vis.objectives.base import picture_keys
from jaxcircuits.vis.programs import STEPS_A_CALL, Batch, Programs, State

LAYERS = ("conv2d2", "mixed3b", "mixed4b", "mixed4d", "mixed5b")
"""From a cheap layer to the dearest."""

ROOT = Path(__file__).parents[1]


class Drawing:
    """A batch of pictures of a layer's first units, being drawn.

    Args:
      network: whose units.
      layer: which; units are taken again from 0 on where it has fewer than `batch_size`.
      batch_size: pictures.
      recipe: how.
      loop_inside: as `jaxcircuits.vis.programs.Programs` takes it; by default as `render` does it on this device.
    """

    def __init__(
        self,
        network: jc.Network,
        layer: str,
        batch_size: int,
        recipe: jc.Recipe = jc.Recipe(),
        loop_inside: bool | None = None,
    ):
        self.loop_inside = jax.default_backend() != "cpu" if loop_inside is None else loop_inside
        self.programs = Programs(network.forward, recipe, None, self.loop_inside)
        objective = jc.channel(layer, (np.arange(batch_size) % network.layers[layer].channels).tolist())
        keys = picture_keys(objective, list(range(batch_size)), 1)
        params = jax.tree.map(lambda p: p.astype(recipe.dtype), network.params)
        self.batch: Batch = jax.device_put(Batch(params, objective, keys))
        self.state: State = self.programs.start(keys, None)

    @property
    def steps_a_call(self) -> int:
        """How many steps the smallest call takes."""
        return STEPS_A_CALL if self.loop_inside else 1

    def advance(self) -> None:
        """Takes `steps_a_call` steps and waits for them."""
        for state, _ in self.programs.advance(self.batch, self.state, self.steps_a_call):
            self.state = state

    def lowered(self) -> jax.stages.Lowered:
        """The step as a program that is not compiled yet."""
        return self.programs.step.lower(self.batch, self.state)


def alternately(runs: Mapping[str, Callable[[], Any]], repetitions: int) -> dict[str, list[float]]:
    """Seconds of every call, taken in turns (A B C A B C ...) so that all meet the same disturbances.

    Each is called once before, unmeasured; a call that returns a number says its own seconds.
    """
    for run in runs.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repetitions):
        for name, run in runs.items():
            began = time.perf_counter()
            own = run()
            seconds[name].append(own if isinstance(own, float) else time.perf_counter() - began)
    return seconds


def summary(seconds: Iterable[float], steps: int = 1) -> dict[str, float]:
    """Median and least milliseconds of a step, of calls that take `steps` each."""
    each = [1e3 * s / steps for s in seconds]
    return {"median_ms": round(statistics.median(each), 2), "least_ms": round(min(each), 2), "calls": len(each)}


def ratio(seconds: list[float], others: list[float], scale: float = 1.0) -> dict[str, float]:
    """How many times longer calls take than others: the median over turns, and of the least of each.

    Args:
      seconds, others: of `alternately`, turn by turn.
      scale: by which to multiply, where the two do not do the same amount of work.
    """
    pairs = [scale * a / b for a, b in zip(seconds, others, strict=True)]
    return {"median": round(statistics.median(pairs), 3), "of_least": round(scale * min(seconds) / min(others), 3)}


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
        "commit": _commit(),
    }


def subprocess_json(module: str, *arguments: str, **environment: str) -> Any:
    """What a program of this folder prints last, as JSON, run in a process of its own."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def arguments_of(doc: str, *, out: bool = True) -> argparse.ArgumentParser:
    """A parser with what all programs take."""
    parser = argparse.ArgumentParser(description=doc.split("\n")[0])
    parser.add_argument("network", help="a name or file as `jaxcircuits.load` takes it")
    parser.add_argument("--size", type=int, default=128, help="of the pictures")
    if out:
        parser.add_argument("--out", type=Path, help="file for the result; it is printed too")
    return parser


def report(result: dict[str, Any], out: Path | None) -> None:
    """Prints a result with its machine, and writes it."""
    text = json.dumps({"machine": machine()} | result, indent=1)
    print(text)
    if out:
        out.write_text(text + "\n")


def _cpu() -> str:
    names = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def _commit() -> str:
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip()
