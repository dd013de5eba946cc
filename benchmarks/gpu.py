"""Everything that is to be said of one GPU, by one command.

Command:   python -m benchmarks.gpu WEIGHTS.safetensors --torch VENV/bin/python --out RESULT.json
           (VENV as for `against_pytorch`; without --torch the comparison is left out)
Hardware:  one GPU; on a CPU with small numbers, to try the program
Cost:      under 8 minutes on an H100, it is hoped: no run on a GPU is on record. It stops beginning parts after
           --minutes and says which are missing
Result:    a table at the end, and all figures as JSON; none is kept here yet

Parts, each begun only while there is time, dearest knowledge first:

1. `steps`: a step by layer, batch and arithmetic, beside its convolutions alone and its device memory. float32
   is XLA's exact one, tf32 the same with matrix units, bfloat16 a recipe's. Pictures a second are of its steps.
2. `layer`: one whole layer drawn as a user draws it, starts, scores and transfers included, and what all 5,804 channels
   of the trunk's blocks would take at that rate.
3. `against`: Lucent at its defaults, PyTorch written for speed, eager and compiled, in turns with ours.
4. `pass`: examples of an array of pictures over the plain forward pass.

Goals that decide what to mend first: 30 pictures a second on mixed4d at 512 steps, all channels in four minutes, 200
times Lucent, three times the strong baseline.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxcircuits as jc
from benchmarks import against_pytorch, examples_speed, render_speed
from benchmarks.measuring import BEGAN, LAYERS, arguments_of, report

CHANNELS = 5804
"""Of InceptionV1's blocks mixed3a to mixed5b, each concatenated output counted once."""
ARITHMETIC = {"float32": ("float32", "highest"), "tf32": ("float32", "tensorfloat32"), "bfloat16": ("bfloat16", None)}
"""Name -> a recipe's dtype, and JAX's precision of products."""


@contextlib.contextmanager
def products(precision: str | None) -> Iterator[None]:
    """Products of float32 by some units of the device."""
    if precision is None:
        yield
    else:
        with jax.default_matmul_precision(precision):
            yield


def steps(network: jc.Network, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each layer, batch and arithmetic."""
    rows = []
    for layer in arguments.layers:
        for name in arguments.arithmetic:
            dtype, precision = ARITHMETIC[name]
            for batch_size in arguments.batch_sizes:
                recipe = jc.Recipe(size=arguments.size, dtype=dtype)
                with products(precision):
                    row = render_speed.speed(network, layer, batch_size, recipe, arguments.repetitions)
                stats = jax.devices()[0].memory_stats() or {}
                rows.append(row | {"arithmetic": name, "peak_bytes_on_device": stats.get("peak_bytes_in_use")})
                print(rows[-1], flush=True)
    return rows


def layer(network: jc.Network, arguments: argparse.Namespace) -> dict[str, Any]:
    """One layer drawn whole, twice: with compilation and without."""
    channels = network.layer(arguments.whole).channels
    units = range(channels if arguments.units is None else min(arguments.units, channels))
    objective = jc.channel(arguments.whole, units)
    recipe = jc.Recipe(size=arguments.size, steps=arguments.steps, dtype=arguments.dtype)
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        rendering = jc.render(network, objective, recipe, progress=False)
        seconds.append(round(time.perf_counter() - began, 2))
    rate = len(rendering) / seconds[1]
    return {
        "layer": arguments.whole,
        "pictures": len(rendering),
        "steps": recipe.steps,
        "dtype": recipe.dtype,
        "seconds_first": seconds[0],
        "seconds_again": seconds[1],
        "pictures_a_second": round(rate, 3),
        "all_channels_minutes_at_this_rate": round(CHANNELS / rate / 60, 2),
        "finite": bool(np.isfinite(rendering.scores).all()),
    }


def against(network: jc.Network, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """PyTorch's tools in turns with ours."""
    task = argparse.Namespace(**vars(arguments) | {"tools": list(against_pytorch.TOOLS), "steps": 4, "repetitions": 5})
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "weights.npz"
        np.savez(weights, **against_pytorch.published(network))
        for batch_size in (1, max(arguments.batch_sizes)):
            recipe = jc.Recipe(size=arguments.size)
            base = against_pytorch.task(network, arguments.whole, batch_size, recipe, weights)
            rows.append(against_pytorch.compare(network, base, recipe, task))
            print(rows[-1], flush=True)
    return rows


def seen(network: jc.Network, arguments: argparse.Namespace) -> dict[str, Any]:
    """Examples over the plain pass, of as many pictures of noise as one layer has units."""
    pictures = np.random.default_rng(0).random((arguments.pictures, *network.convention.size, 3), np.float32)
    return examples_speed.of_array(network, pictures, [arguments.whole], repetitions=3)


def main() -> None:
    parser = arguments_of(__doc__)
    parser.add_argument("--torch", help="the Python of PyTorch's environment")
    parser.add_argument("--layers", type=lambda text: text.split(","), default=list(LAYERS))
    parser.add_argument("--batch-sizes", type=lambda text: [int(n) for n in text.split(",")], default=[16, 64, 256])
    parser.add_argument("--arithmetic", type=lambda text: text.split(","), default=list(ARITHMETIC))
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--whole", default="mixed4d", help="the layer that is drawn whole and compared")
    parser.add_argument("--units", type=int, help="of it; all by default")
    parser.add_argument("--steps", type=int, default=512, help="of the whole layer's pictures")
    parser.add_argument("--dtype", default="bfloat16", help="of the whole layer's recipe")
    parser.add_argument("--pictures", type=int, default=512, help="of the pass")
    parser.add_argument("--minutes", type=float, default=8, help="after which no further part is begun")
    arguments = parser.parse_args()
    network = jc.load(arguments.network)
    parts: dict[str, Callable[..., Any]] = {"layer": layer, "pass": seen, "steps": steps}
    if arguments.torch:
        parts["against"] = against
    found, missing = {}, []
    for name, part in parts.items():
        if time.monotonic() - BEGAN > 60 * arguments.minutes:
            missing.append(name)
            continue
        found[name] = part(network, arguments)
        print(name, found[name], flush=True)
    report({"network": network.name, "missing": missing} | found, arguments.out)
    for row in found.get("steps", []):
        step, rate = row["step"]["median_ms"], row["pictures_a_second_median"]
        over = row["step_over_convolutions"]["median"]
        print(
            f"{row['layer']:9} {row['arithmetic']:9} {row['batch_size']:4} pictures  {step:9.2f} ms a step  "
            f"{rate:8.3f} pictures/s  {over:5.2f} of its convolutions"
        )


if __name__ == "__main__":
    main()
