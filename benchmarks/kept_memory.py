"""What does a step gain where a process keeps the memory that it frees?

Command:   python -m benchmarks.kept_memory WEIGHTS.safetensors --out RESULT.json
Hardware:  two CPU cores with nothing else running
Cost:      8 minutes
Result:    benchmarks/results/kept_memory.json

Processes compile and draw in turns, without `jaxcircuits.keep_memory`, with it, and with it where JAX computes on a
thread of its own all the same, as it does by default: seconds to the first step, milliseconds of the clock a step takes
for one picture, the part of the cores' time that the system takes, and the pages that it hands out in a step; and the
most memory that the process held. Medians of the processes' medians; `gain` is how many times faster steps are than
without, turn by turn.

mixed4b on a Xeon with AVX-512, medians of three turns; others used the machine while 4 and 16 were drawn:

| pictures | first step: given back | kept | kept, another thread | a step: given back | kept | kept, another thread |
| --- | --- | --- | --- | --- | --- | --- |
| 1 | 7.7 s | 7.3 | 7.5 | 20.3 ms | 20.7 | 23.0 |
| 4 | 11.9 | 11.5 | 11.6 | 31.7 | 26.3 | 28.4 |
| 16 | 10.7 | 9.4 | 9.7 | 27.6 | 18.6 | 25.9 |

4 pictures together gain 1.13 times (0.88 to 1.26) and 16 gain 1.42 (1.32 to 1.60): the system had taken a sixth of the
cores' time. One alone, whose memory is small, gains nothing. 16 ask for a block of 163 MB: a thread's heap ends at 64,
and what is larger is mapped, zeroed and unmapped in each step, whatever is set. Only the main thread's heap has no end,
so it is there that JAX is made to compute. One heap for all threads would keep such blocks too, but there the
threads that compile wait for each other, and all later steps search among what compiling left.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import tempfile
from typing import Any

import jax

import jaxcircuits as jc
from benchmarks.measuring import Drawing, arguments_of, report, subprocess_json, timed

WAYS = ("given back", "kept", "on another thread")


def one(network: str, layer: str, batch_size: int, size: int, steps: int, way: str) -> dict[str, float]:
    """What steps take in this process."""
    if way != "given back" and not jc.keep_memory():
        raise RuntimeError("memory is not kept here: see jaxcircuits.keep_memory")
    if way == "on another thread":
        jax.config.update("jax_cpu_enable_async_dispatch", True)
    drawing = Drawing(jc.load(network), layer, batch_size, jc.Recipe(size=size))
    compiling = timed(drawing.advance).clock
    drawing.advance()
    before = resource.getrusage(resource.RUSAGE_SELF)
    calls = [timed(drawing.advance) for _ in range(steps)]
    after = resource.getrusage(resource.RUSAGE_SELF)
    system, user = after.ru_stime - before.ru_stime, after.ru_utime - before.ru_utime
    return {
        "first_step_seconds": compiling,
        "ms": 1e3 * statistics.median(call.clock for call in calls) / batch_size,
        "part_of_system": system / (system + user),
        "pages_a_step": (after.ru_minflt - before.ru_minflt) / steps,
        "most_MiB": after.ru_maxrss / 1024,
    }


def compared(rounds: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """The medians of processes that took turns, and the gain."""
    ways = {
        way: {name: round(statistics.median(turn[way][name] for turn in rounds), 3) for name in rounds[0][way]}
        for way in WAYS
    }
    for way, figures in ways.items():
        gains = [turn["given back"]["ms"] / turn[way]["ms"] for turn in rounds]
        figures |= {"gain": round(statistics.median(gains), 3), "gains": [round(gain, 3) for gain in sorted(gains)]}
    return ways


def alone(way: str, *arguments: str) -> dict[str, float]:
    """What a process prints that finds no compiled program."""
    with tempfile.TemporaryDirectory() as cache:
        return subprocess_json("kept_memory", *arguments, "--way", way, JAX_COMPILATION_CACHE_DIR=cache)


def main() -> None:
    parser = arguments_of(__doc__)
    parser.add_argument("--layer", default="mixed4b")
    parser.add_argument("--batch-sizes", type=lambda text: [int(n) for n in text.split(",")], default=[1, 4, 16])
    parser.add_argument("--steps", type=int, default=12, help="of the largest batch; of smaller ones more")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each kind")
    parser.add_argument("--way", choices=WAYS, help="draw in this process, with the first of the batch sizes")
    options = parser.parse_args()
    if options.way:
        drawn = (options.network, options.layer, options.batch_sizes[0], options.size, options.steps)
        print(json.dumps(one(*drawn, options.way)))
        sys.exit()
    rows = []
    for batch_size in options.batch_sizes:
        steps = options.steps * max(options.batch_sizes) // batch_size
        drawn = [options.network, "--layer", options.layer, "--size", options.size, "--steps", steps]
        arguments = [*map(str, drawn), "--batch-sizes", str(batch_size)]
        rounds = [{way: alone(way, *arguments) for way in WAYS} for _ in range(options.rounds)]
        rows.append({"pictures": batch_size, "steps": steps} | compared(rounds))
    report({"network": jc.load(options.network).name, "layer": options.layer, "rows": rows}, options.out)


if __name__ == "__main__":
    main()
