"""How much memory does a step need, by batch size?

Command:   python -m benchmarks.memory WEIGHTS.safetensors --out RESULT.json
Hardware:  two CPU cores
Cost:      about 2 minutes
Result:    benchmarks/results/memory.json

MiB of a step's program, in brackets of the activations that are counted for it, by pictures; and the most that the
process that draws 32 ever held:

| layer | 1 picture | 8 | 16 | 32 | process |
| --- | --- | --- | --- | --- | --- |
| conv2d2 | 8 (5) | 63 (43) | 126 (86) | 251 (172) | 968 |
| mixed4b | 16 (12) | 98 (96) | 190 (192) | 375 (385) | 1432 |
| mixed5b | 35 (15) | 116 (123) | 214 (247) | 415 (493) | 1702 |

`program` is what the compiler says the step needs beside its arguments (its results and temporaries);
`peak_resident` is the most that a process drawing two steps ever held, its libraries included, and compilation where
the program was not in the persistent cache. `activations` is `jaxcircuits.bulk.memory`'s count, by which batch
sizes are chosen.
"""

from __future__ import annotations

import json
import resource

import jax

import jaxcircuits as jc
from benchmarks.measuring import Drawing, arguments_of, report, subprocess_json
from jaxcircuits.bulk.memory import activation_bytes

MIB = 2**20


def measured(network: jc.Network, layer: str, batch_size: int, recipe: jc.Recipe) -> dict[str, float]:
    """Memory in MiB of this process after two steps, and of its step."""
    drawing = Drawing(network, layer, batch_size, recipe)
    for _ in range(2):
        drawing.advance()
    stats = jax.devices()[0].memory_stats() or {}
    compiled = drawing.lowered().compile().memory_analysis()
    on_device = {"peak_on_device": stats["peak_bytes_in_use"] / MIB} if "peak_bytes_in_use" in stats else {}
    return on_device | {
        "program": round((compiled.temp_size_in_bytes + compiled.output_size_in_bytes) / MIB, 1),
        "activations": round(batch_size * activation_bytes(network, layer, recipe) / MIB, 1),
        "peak_resident": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def main() -> None:
    parser = arguments_of(__doc__)
    parser.add_argument("--layers", type=lambda text: text.split(","), default=["conv2d2", "mixed4b", "mixed5b"])
    parser.add_argument("--batch-sizes", type=lambda text: [int(n) for n in text.split(",")], default=[1, 8, 16, 32])
    parser.add_argument("--inside", action="store_true", help="only the first layer and batch size, in this process")
    arguments = parser.parse_args()
    network, recipe = jc.load(arguments.network), jc.Recipe(size=arguments.size)
    if arguments.inside:
        print(json.dumps(measured(network, arguments.layers[0], arguments.batch_sizes[0], recipe)))
        return

    rows = []
    for layer in arguments.layers:
        for batch_size in arguments.batch_sizes:
            options = ("--layers", layer, "--batch-sizes", str(batch_size), "--size", str(arguments.size), "--inside")
            figures = subprocess_json("memory", arguments.network, *options)
            rows.append({"layer": layer, "batch_size": batch_size} | figures)
            print(rows[-1], flush=True)
    report({"network": network.name, "unit": "MiB", "rows": rows}, arguments.out)


if __name__ == "__main__":
    main()
