"""What would a step cost on TPUs? Asked of their own compiler, on a machine without one.

Command:   JAX_PLATFORMS=cpu TPU_SKIP_MDS_QUERY=1 python -m benchmarks.tpu_aot WEIGHTS.safetensors --out RESULT.json
           (needs `pip install jaxcircuits[tpu-aot]`: libtpu, whose compiler needs no TPU. Where it is installed JAX
           looks for a TPU at every start unless JAX_PLATFORMS says otherwise)
Hardware:  two CPU cores
Cost:      two to three minutes a row
Result:    benchmarks/results/tpu_aot.json

One step for 64 pictures in bfloat16, in milliseconds by the compiler:

| | arithmetic | memory traffic | the compiler's cycles | what has none |
| --- | --- | --- | --- | --- |
| mixed4b, v5e | 0.82 | 1.80 | 6.18 | 0.65 |
| mixed5b, v5e | 1.08 | 1.99 | 7.22 | 0.76 |
| mixed4b, v4 | 0.59 | 1.31 | 12.81 | 0.22 |
| mixed5b, v4 | 0.78 | 1.34 | 14.70 | 0.20 |

For mixed4b on v5e it was 12.95 at first, besides thirteen gathers and scatters that had no cycles; 9.46 where views
are products, and pools, the stem and LRN a TPU's own; 7.72 where the lines of views lie side by side; 6.93 where the
stem's gradient is of blocks of rows; 6.56 where steps that redirect nobody are a branch of their own, and 6.18 where
the signs of pre-activations are not packed. On v4 24.4 at first, 14.7 before the last three. The programs of the
table took 112 to 224 s to compile beside other work; that of mixed4b on v5e took 106 to 128 alone. A million
directions: PLAN.md.

A pass of `evidence.examples` over 128 pictures to mixed4b: 9.3 ms by the compiler on v5e and 20.1 on v4, the counts of
12.8 million activations included. Without cycles are what finds the strongest pictures and those of every interval:
scatters and gathers of one number a unit and picture, a two-hundredth of that.

Compiled is the program that `render` runs there, `STEPS_A_CALL` steps a call with the loop inside; a loop's body counts
once, so numbers are those of one step on one chip. `roofline_ms` is the larger of FLOPs over the chip's peak and bytes
over its memory's bandwidth: no program is faster, and how near a real one comes is not known without a TPU. FLOPs count
useful products, which a chip that pads channels to 128 lanes cannot all use; bytes are what each operation reads from
and writes to the chip's memory, fused ones once (`hlo.py`). `compiler_ms` sums the cycles by which the compiler itself
chooses among programs, one operation after the other; `dearest_ms` names where they go. Some operations have none, such
as gathers and the gradient of max-pools: `uncounted_ms` is what they read and write over the memory's bandwidth, though
part of it lies on the chip. Of the two branches of a step, counted is the one of steps that redirect nobody's
gradients; the first 17 of 512 take the other.
"""

from __future__ import annotations

import itertools
import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import jax
from jax.experimental import topologies

import jaxcircuits as jc
from benchmarks import hlo
from benchmarks.ahead_of_time import compiled_pass, compiled_step
from benchmarks.measuring import arguments_of, report
from jaxcircuits.network import stream
from jaxcircuits.platforms import traced_for_tpu


class Chip(NamedTuple):
    """Peak numbers of one chip, as published for Google Cloud.

    Attributes:
      bfloat16: FLOP/s.
      bandwidth: of its memory, bytes/s.
      memory: bytes.
      clock: Hz, such that the matrix units (4 on v5e, 8 on v4, of 128 x 128 products a cycle) give the peak.
      slice: the chips of a small slice, side by side.
      source: the page.
    """

    bfloat16: float
    bandwidth: float
    memory: float
    clock: float
    slice: str
    source: str


CHIPS = {
    "v5e": Chip(197e12, 819e9, 16e9, 1.5e9, "2x2", "cloud.google.com/tpu/docs/v5e"),
    "v4": Chip(275e12, 1228e9, 32e9, 1.05e9, "2x2x1", "cloud.google.com/tpu/docs/v4"),
}


def figures(
    compiled: jax.stages.Compiled, lines: list[str], chip: Chip, pictures_a_chip: int, steps: int
) -> dict[str, float]:
    """What the compiler says of a step on one chip, and what the chip could do at best; `lines` are of the step."""
    cost, memory = compiled.cost_analysis(), compiled.memory_analysis()
    needed = memory.temp_size_in_bytes + memory.argument_size_in_bytes + memory.output_size_in_bytes
    moved, cycles = hlo.moved(lines), _cycles(lines)
    computing, moving = cost["flops"] / chip.bfloat16, moved / chip.bandwidth
    held = needed - memory.alias_size_in_bytes
    least = max(computing, moving)
    values = {
        "gigaflops": cost["flops"] / 1e9,
        "gigabytes_moved": moved / 1e9,
        "memory_gigabytes": held / 1e9,
        "part_of_memory": held / chip.memory,
        "computing_ms": 1e3 * computing,
        "moving_ms": 1e3 * moving,
        "roofline_ms": 1e3 * least,
        "compiler_ms": 1e3 * sum(cycles.values()) / chip.clock,
        "pictures_a_second_at_most": pictures_a_chip / (steps * least),
        "pictures_a_second_by_compiler": pictures_a_chip / (steps * sum(cycles.values()) / chip.clock),
    }
    dearest = {name: float(f"{1e3 * count / chip.clock:.4g}") for name, count in cycles.most_common(12)}
    others = hlo.without_cycles(lines)
    uncounted = {name: float(f"{1e3 * count / chip.bandwidth:.4g}") for name, count in others.most_common(6)}
    rounded = {name: float(f"{value:.4g}") for name, value in values.items()}
    return rounded | {"dearest_ms": dearest, "uncounted_ms": uncounted}


def _cycles(lines: list[str]) -> Counter[str]:
    """The compiler's own estimate of cycles, summed by the operation that a fusion ends with."""
    cycles: Counter[str] = Counter()
    for line in lines:
        if estimate := re.search(r'"estimated_cycles":"(\d+)"', line):
            origin = re.search(r'op_name="([^"]*)"', line)
            cycles[origin[1].rsplit("/", 1)[-1] if origin else "?"] += int(estimate[1])
    return cycles


def rows(network: jc.Network, arguments) -> Iterator[dict]:
    """One a kind of chip, layer, number of chips, type and batch size; and one a layer for a pass over pictures."""
    for kind, layer in itertools.product(arguments.chips, arguments.layers):
        topology = topologies.get_topology_desc(topology_name=f"{kind}:{CHIPS[kind].slice}", platform="tpu")
        counts = (1, len(topology.devices))
        for chips, dtype, pictures in itertools.product(counts, arguments.dtypes, arguments.batch_sizes):
            recipe, began = jc.Recipe(size=arguments.size, dtype=dtype), time.time()
            with traced_for_tpu():
                compiled = compiled_step(network, layer, chips * pictures, recipe, list(topology.devices[:chips]))
            body = hlo.loop_body(compiled.as_text())
            row = {"program": "step", "layer": layer, "chip": kind, "chips": chips, "dtype": dtype}
            row |= {"pictures_a_chip": pictures} | figures(compiled, body, CHIPS[kind], pictures, recipe.steps)
            yield _done(row, began)
        began, pictures = time.time(), stream.LARGE_BATCH
        with traced_for_tpu():
            compiled = compiled_pass(network, (layer,), pictures, topology.devices[0])
        row = {"program": "pass", "layer": layer, "chip": kind, "chips": 1, "pictures_a_chip": pictures}
        yield _done(row | figures(compiled, hlo.entry(compiled.as_text()), CHIPS[kind], pictures, 1), began)


def _done(row: dict, began: float) -> dict:
    row["compile_seconds"] = round(time.time() - began, 1)
    print(row, flush=True)
    return row


def main() -> None:
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    jax.config.update("jax_enable_compilation_cache", False)  # it cannot load programs for devices that are not there
    parser = arguments_of(__doc__)
    parser.add_argument("--layers", type=lambda text: text.split(","), default=["mixed4b", "mixed5b"])
    parser.add_argument("--chips", type=lambda text: text.split(","), default=list(CHIPS))
    parser.add_argument("--batch-sizes", type=lambda text: [int(n) for n in text.split(",")], default=[64])
    parser.add_argument("--dtypes", type=lambda text: text.split(","), default=["bfloat16"])
    arguments = parser.parse_args()
    network = jc.load(arguments.network)
    peaks = {kind: CHIPS[kind]._asdict() for kind in arguments.chips}
    table = list(rows(network, arguments))
    report({"network": network.name, "chips": peaks, "rows": table}, arguments.out)


if __name__ == "__main__":
    main()
