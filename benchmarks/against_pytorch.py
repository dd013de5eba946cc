"""Is it faster than Lucent, and than PyTorch written for speed?

Command:   python -m benchmarks.against_pytorch WEIGHTS.safetensors --torch VENV/bin/python --out RESULT.json
           (VENV: an environment with torch, torch-lucent 0.1.8, kornia 0.4.1 and what Lucent imports; torchvision need
           not be there). On a GPU: the same with --batch-sizes 64,128,256 --dtypes float32,bfloat16
Hardware:  two CPU cores that others use too
Cost:      5 to 13 minutes
Result:    benchmarks/results/against_pytorch.json

Milliseconds a step of mixed4b takes for one picture (JAX 0.10, PyTorch 2.13, float32, medians of 8 calls in turns), by
how many are drawn together; in brackets, how many times ours:

| tool | 1 picture | 4 | 16 |
| --- | --- | --- | --- |
| ours | 20.5 | 17.2 | 17.4 |
| Lucent at its defaults | 283 (14.0) | 200 (11.5) | 179 (10.2) |
| Lucent at our view | 164 (7.6) | 88.4 (5.0) | 74.7 (4.2) |
| baseline | 42.2 (2.0) | 25.4 (1.4) | 21.4 (1.2) |
| baseline, compiled | 49.9 (2.4) | 34.1 (2.0) | 30.1 (1.7) |

At the best batch size of each, ours is 1.24 times as fast as the baseline, and 1.20 by the least of the calls. That was
a Xeon with AVX-512 in a quiet hour; the time of all cores says 1.6, 1.3 and 1.2 times at 1, 4 and 16 pictures. On an
EPYC without AVX-512 (results/against_pytorch_without_avx512.json, an earlier version) ours took 26.2, 22.4 and 22.7 ms
and the baseline 3.6, 1.7 and 1.3 times that. The baseline computes the same activations of mixed4b as ours, to 1e-6 of
the largest.

All tools draw the same units of the same network with the same weights, in turns (A B C A B C ...), each in a process
of its own that waits while the others draw. Lucent stands at its own defaults (a 128 px picture enlarged to 224 px, the
whole network) and at the same view as ours; it runs the whole network there too. `baseline` is PyTorch as one would
write it for speed: batched, channels last, truncated at the layer, no gradients of parameters, one resample a step for
the whole batch, with and without `torch.compile`. All keep the memory that they free (`jaxcircuits.keep_memory`, and
the same settings for PyTorch's processes). A call draws a few steps from a fresh start.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import jaxcircuits as jc
from benchmarks.measuring import Call, Drawing, alternately, arguments_of, ratio, report, summary, timed
from jaxcircuits.zoo.ops import window_padding
from weights_convert.naming import LUCENT, slots

WORKER = Path(__file__).with_name("torch_worker.py")

KEPT = "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=2147483647"
"""What `jaxcircuits.keep_memory` sets, for processes that do not know it."""


class Worker:
    """A PyTorch process that draws when told to.

    Args:
      python: of PyTorch's environment.
      task: what to draw.
      kept: whether it keeps the memory that it frees, as this process does.
    """

    def __init__(self, python: str, task: dict[str, Any], kept: bool = False):
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        # PyTorch's waiting threads would otherwise spin, to the harm of whoever draws next and of itself.
        settings = {"OMP_WAIT_POLICY": "PASSIVE"} | ({"GLIBC_TUNABLES": KEPT} if kept else {})
        environment = settings | os.environ
        self.process = subprocess.Popen([python, str(WORKER)], env=environment, text=True, **pipes)
        self.facts = self._ask(json.dumps(task))

    def draw(self, steps: int) -> Call:
        """What so many steps took."""
        return Call(**self._ask(str(steps)))

    def close(self) -> None:
        """Ends the process."""
        self.process.communicate()

    def _ask(self, line: str) -> dict[str, Any]:
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the PyTorch process ended:\n{self.process.communicate()[1][-2000:]}")
        return json.loads(answer)


def published(network: jc.Network) -> dict[str, np.ndarray]:
    """The network's weights under Lucent's names, in PyTorch's order of axes."""
    tensors = {}
    for name, slot in slots(network.forward.model.architecture, LUCENT).items():
        layer, kind = slot.name.rsplit("/", 1)
        own_axes = "HWIO"[-len(slot.shape) :]
        values = np.asarray(network.params[layer][kind])
        tensors[name] = np.ascontiguousarray(values.transpose([own_axes.index(axis) for axis in slot.axes]))
    return tensors


def task(network: jc.Network, layer: str, batch_size: int, recipe: jc.Recipe, weights: Path) -> dict[str, Any]:
    """What a worker has to know."""
    architecture, view = network.forward.model.architecture, recipe.view_size
    shapes = {**network.shapes(view), "input": (*view, 3)}

    def row(needed) -> dict[str, Any]:
        size = shapes[needed.inputs[0]][:2]
        pool = needed.op == "max_pool"
        padding = window_padding(size, needed.kernel, needed.stride, architecture.padding, pool)
        return dataclasses.asdict(needed) | {"padding": padding}

    convention = network.convention
    zero, one = (np.ravel(np.asarray(convention(np.full((1, 1, 1, 3), v, np.float32)))) for v in (0.0, 1.0))
    factor = float((one - zero)[0])
    return {
        "weights": str(weights),
        "layer": layer,
        "channels": network.layers[layer].channels,
        "batch_size": batch_size,
        "size": recipe.size[0],
        "view": view[0],
        "dtype": recipe.dtype,
        "layers": [row(needed) for needed in architecture.needed([layer])],
        "lrn": architecture.lrn and dataclasses.asdict(architecture.lrn),
        "mean": float(-zero[0] / factor),
        "factor": factor,
    }


TOOLS = {
    "lucent": {"tool": "lucent", "same_view": False},
    "lucent-same-view": {"tool": "lucent", "same_view": True},
    "baseline": {"tool": "baseline", "compiled": False},
    "baseline-compiled": {"tool": "baseline", "compiled": True},
}
"""What is compared with, by name; Lucent knows no other type than float32."""


def compare(
    network: jc.Network, base: dict[str, Any], recipe: jc.Recipe, arguments: argparse.Namespace, kept: bool = False
) -> dict:
    """One row: every tool's step, and how many times longer it takes than ours; `kept` as of `Worker`."""
    drawing = Drawing(network, base["layer"], base["batch_size"], recipe)
    calls = -(-arguments.steps // drawing.steps_a_call)
    steps = calls * drawing.steps_a_call

    def ours() -> None:
        for _ in range(calls):
            drawing.advance()

    workers: dict[str, Worker] = {}
    failed: dict[str, str] = {}
    try:
        for name in arguments.tools:
            if recipe.dtype != "float32" and TOOLS[name]["tool"] == "lucent":
                continue
            try:
                workers[name] = Worker(arguments.torch, base | TOOLS[name], kept)
            except RuntimeError as error:
                failed[name] = str(error).splitlines()[-1]
        runs: dict[str, Callable[[], Call]] = {"ours": lambda: timed(ours)}
        runs |= {name: lambda worker=worker: worker.draw(steps) for name, worker in workers.items()}
        seconds = alternately(runs, arguments.repetitions)
    finally:
        for worker in workers.values():
            worker.close()
    return {
        "layer": base["layer"],
        "batch_size": base["batch_size"],
        "dtype": recipe.dtype,
        "step": {name: summary(values, steps) for name, values in seconds.items()},
        "times_ours": {name: ratio(values, seconds["ours"]) for name, values in seconds.items() if name != "ours"},
        "failed": failed,
        "workers": {name: worker.facts for name, worker in workers.items()},
    }


def main() -> None:
    parser = arguments_of(__doc__)
    parser.add_argument("--torch", required=True, help="the Python of PyTorch's environment")
    parser.add_argument("--layers", type=lambda text: text.split(","), default=["mixed4b"])
    parser.add_argument("--batch-sizes", type=lambda text: [int(n) for n in text.split(",")], default=[1, 4, 16])
    parser.add_argument("--dtypes", type=lambda text: text.split(","), default=["float32"])
    parser.add_argument("--tools", type=lambda text: text.split(","), default=list(TOOLS))
    parser.add_argument("--steps", type=int, default=4, help="of a call")
    parser.add_argument("--repetitions", type=int, default=8)
    arguments = parser.parse_args()
    kept = jc.keep_memory()
    network, rows = jc.load(arguments.network), []
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "weights.npz"
        np.savez(weights, **published(network))
        for layer in arguments.layers:
            for dtype in arguments.dtypes:
                for batch_size in arguments.batch_sizes:
                    recipe = jc.Recipe(size=arguments.size, dtype=dtype)
                    base = task(network, layer, batch_size, recipe, weights)
                    rows.append(compare(network, base, recipe, arguments, kept))
                    print(rows[-1], flush=True)
    report({"network": network.name, "memory_kept": kept, "rows": rows}, arguments.out)


if __name__ == "__main__":
    main()
