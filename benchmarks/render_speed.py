"""How long does a step take, layer by layer, and how near is it to its convolutions alone?

Command:   python -m benchmarks.render_speed WEIGHTS.safetensors --out RESULT.json
           on a GPU: the same with --batch-sizes 64,128,256 --dtypes float32,bfloat16
Hardware:  two CPU cores that others use too
Cost:      about 30 seconds a layer
Result:    benchmarks/results/render_speed.json

Milliseconds a picture and step (JAX 0.10, float32, medians of 9), and a step's time over its convolutions' alone, on a
Xeon with AVX-512:

| layer | 1 picture | 4 | 8 | 16 | over convolutions | compilation, cold | warm |
| --- | --- | --- | --- | --- | --- | --- | --- |
| conv2d2 | 13.7 | 10.8 | 10.7 | 10.6 | 1.52 to 1.77 | 6.3 s | 3.5 s |
| mixed3b | 24.4 | 22.9 | 20.5 | 21.7 | 1.47 to 1.79 | 10.6 s | 3.5 s |
| mixed4b | 28.0 | 29.9 | 27.1 | 26.3 | 1.33 to 1.66 | 12.0 s | 4.8 s |
| mixed4d | 29.5 | 31.1 | 30.9 | 29.0 | 1.37 to 1.51 | 16.0 s | 4.9 s |
| mixed5b | 53.4 | 36.3 | 36.9 | 33.8 | 1.30 to 1.46 | 20.0 s | 5.9 s |

Freed memory is kept (`jaxcircuits.keep_memory`). Times vary by a fifth and more from process to process, ratios less.

Steps and convolutions are called in turns, so that both meet the same disturbances. `least` is the least of all calls,
the nearest to a quiet machine; `cores` is the time that all processor cores spent, which others disturb least. Pictures
a second are those of the recipe's 512 steps. Compilation is that of a process that draws its first picture, with an
empty and then with a filled persistent cache.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator

import jax
import numpy as np

import jaxcircuits as jc
from benchmarks import floor
from benchmarks.measuring import (
    LAYERS,
    Drawing,
    alternately,
    arguments_of,
    ratio,
    report,
    subprocess_json,
    summary,
    timed,
)


def speed(network: jc.Network, layer: str, batch_size: int, recipe: jc.Recipe, repetitions: int) -> dict:
    """One row: a step's time, that of the convolutions, and their ratio."""
    drawing = Drawing(network, layer, batch_size, recipe)
    convolutions = floor.convolutions(network, layer, batch_size, recipe)
    runs = {"step": lambda: timed(drawing.advance), "convolutions": lambda: timed(convolutions)}
    seconds = alternately(runs, repetitions)
    step = summary(seconds["step"], drawing.steps_a_call)
    pictures = {
        f"pictures_a_second_{kind}": round(1e3 * batch_size / (recipe.steps * step[f"{kind}_ms"]), 4)
        for kind in ("median", "least")
    }
    work = batch_size * floor.operations(network, layer, recipe)
    return {
        "layer": layer,
        "batch_size": batch_size,
        "dtype": recipe.dtype,
        "step": step,
        "convolutions": summary(seconds["convolutions"]),
        "step_over_convolutions": ratio(seconds["step"], seconds["convolutions"], 1 / drawing.steps_a_call),
        "gigaflops_of_convolutions": round(work / 1e9, 3),
        "gigaflops_a_second_of_step": round(work / 1e6 / step["least_ms"], 1),
        **pictures,
    }


def compile_seconds(weights: str, layer: str, batch_size: int, size: int) -> dict[str, dict[str, float]]:
    """Seconds of compilation in a fresh process, with an empty and with a filled persistent cache."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {"JAX_COMPILATION_CACHE_DIR": cache, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        options = (weights, "--layers", layer, "--batch-sizes", str(batch_size), "--size", str(size), "--first")
        return {kind: subprocess_json("render_speed", *options, **environment) for kind in ("cold", "warm")}


def first_picture(network: jc.Network, layer: str, batch_size: int, recipe: jc.Recipe) -> dict[str, float]:
    """Seconds until each of the programs of a drawing has run for the first time; all of them, and of the cores."""
    times, cores, began = {}, time.process_time(), time.perf_counter()
    drawing = Drawing(network, layer, batch_size, recipe)
    jax.block_until_ready(drawing.state)
    for name, run in (
        ("start", lambda: None),
        ("step", drawing.advance),
        ("pictures", lambda: jax.block_until_ready(drawing.programs.pictures(drawing.state))),
        ("score", lambda: drawing.programs.score(drawing.batch, drawing.state, np.zeros(batch_size, np.int32))),
    ):
        run()
        times[name] = round(time.perf_counter() - began, 2)
        began = time.perf_counter()
    return times | {"all": round(sum(times.values()), 2), "cores": round(time.process_time() - cores, 2)}


def rows(arguments: argparse.Namespace, network: jc.Network) -> Iterator[dict]:
    """One a layer, type and batch size; the first of a layer with its compilation."""
    for layer in arguments.layers:
        compilation = {"compilation_seconds": compile_seconds(arguments.network, layer, 8, arguments.size)}
        for dtype in arguments.dtypes:
            for batch_size in arguments.batch_sizes:
                recipe = jc.Recipe(size=arguments.size, dtype=dtype)
                row = speed(network, layer, batch_size, recipe, arguments.repetitions) | compilation
                print(row, flush=True)
                yield row
                compilation = {}


def main() -> None:
    parser = arguments_of(__doc__)
    parser.add_argument("--layers", type=lambda text: text.split(","), default=LAYERS)
    parser.add_argument("--batch-sizes", type=lambda text: [int(n) for n in text.split(",")], default=[1, 4, 8, 16])
    parser.add_argument("--dtypes", type=lambda text: text.split(","), default=["float32"])
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--first", action="store_true", help="only the seconds to a process's first picture")
    arguments = parser.parse_args()
    jc.keep_memory()
    network = jc.load(arguments.network)
    if arguments.first:
        recipe = jc.Recipe(size=arguments.size)
        print(json.dumps(first_picture(network, arguments.layers[0], arguments.batch_sizes[0], recipe)))
    else:
        report({"network": network.name, "rows": list(rows(arguments, network))}, arguments.out)


if __name__ == "__main__":
    main()
