"""What would a step do on a GPU? Asked of its compiler, on a machine without one.

Command:   JAX_PLATFORMS=cpu python -m benchmarks.gpu_aot WEIGHTS.safetensors --out RESULT.json
           (needs `pip install jaxcircuits[gpu-aot]`: XLA's compiler for CUDA, without CUDA itself. Where it is
           installed JAX looks for a GPU at every start unless JAX_PLATFORMS says otherwise)
Hardware:  two CPU cores
Cost:      half a minute a row
Result:    benchmarks/results/gpu_aot.json

One step for 64 pictures on an H100, by what its compiler says of the program:

| | launches | GB moved | ms to move them | ms of convolutions at peak |
| --- | --- | --- | --- | --- |
| mixed4b, bfloat16 | 184 | 2.95 | 0.88 | 0.11 |
| mixed4b, float32 | 183 | 4.95 | 1.48 | 0.22 |
| mixed5b, bfloat16 | 328 | 3.73 | 1.11 | 0.17 |
| mixed5b, float32 | 328 | 6.51 | 1.94 | 0.34 |

So memory decides, not arithmetic: three quarters of the traffic are of what lies between the convolutions. For mixed4b
in bfloat16 it was 231 launches and 3.39 GB, four of them calls of cuSOLVER and cuBLAS that factored the matrices of the
views, until these were inverted by their formula and gradients were read for whether they are silent only in the steps
that ask. Layouts need no mending: convolutions take channels last, no activation is transposed, and the pictures'
parameters and moments are donated.

Compiled is the program that `render` runs there, with the loop over steps inside; a loop's body counts once, so numbers
are those of one step. `launches` counts kernels and calls of cuDNN, each of which takes a GPU some microseconds to
begin, whatever it does. `moved` is what each of them reads from and writes to memory, `roofline_ms` the larger of that
over the memory's bandwidth and the convolutions' FLOPs over the peak of matrix units: no program is faster, and how
near this one comes is not known without a GPU. Unlike a TPU's, this compiler tells no cycles, and which of cuDNN's ways
of convolving is taken is decided on the GPU. `others` are calls of other libraries, of which a step should have none;
`waits` is how often the GPU waits for the host to decide what follows: once for the loop, and once for the branch of
steps that redirect nobody's gradients. Of the branch's two ways that one is counted; the first 17 of 512 steps take the
other. `donated` is the part of a step's results that take the place of what it is given. Networks with convolutions in
groups are compiled as for a CPU, as sums of slices.
"""

from __future__ import annotations

import itertools
import re
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
from jax.experimental import topologies

import jaxcircuits as jc
from benchmarks import floor, hlo
from benchmarks.ahead_of_time import compiled_pass, compiled_step
from benchmarks.measuring import arguments_of, report
from jaxcircuits.network import stream


class Chip(NamedTuple):
    """Peak numbers of one GPU, as its maker publishes them, and what the compiler asks of it.

    Attributes:
      peak: FLOP/s of the matrix units, by type of the arithmetic: of float32 as TF32.
      bandwidth: of its memory, bytes/s.
      memory: bytes.
      source: of these.
      target: XLA's description of the device, as text of its protocol buffer.
    """

    peak: dict[str, float]
    bandwidth: float
    memory: float
    source: str
    target: str


H100 = Chip(
    {"bfloat16": 989e12, "float32": 494e12},
    3.35e12,
    80e9,
    "NVIDIA H100 Tensor Core GPU data sheet, SXM, without sparsity",
    """
    platform_name: "CUDA"
    device_description_str: "NVIDIA H100 80GB HBM3"
    dnn_version_info { major: 9 minor: 7 }
    runtime_version { major: 12 minor: 8 patch: 0 }
    gpu_device_info {
      cuda_compute_capability { major: 9 }
      core_count: 132
      clock_rate_ghz: 1.98
      fpus_per_core: 128
      device_memory_size: 84929347584
      memory_bandwidth: 3352320000000
      l2_cache_size: 52428800
      threads_per_warp: 32
      threads_per_block_limit: 1024
      threads_per_core_limit: 2048
      block_dim_limit_x: 2147483647
      block_dim_limit_y: 65535
      block_dim_limit_z: 65535
      shared_memory_per_block: 49152
      shared_memory_per_block_optin: 232448
      shared_memory_per_core: 233472
      registers_per_block_limit: 65536
      registers_per_core_limit: 65536
    }
    """,
)
CUDNN = "__cudnn$"
"""How the names of calls of cuDNN begin."""


def device() -> Any:
    """A GPU that is not there, to compile for."""
    from jax._src import xla_bridge

    there = xla_bridge.canonicalize_platform

    def named(platform: str) -> str:
        # JAX finds out by the devices that are there which maker's GPU "gpu" is.
        return "cuda" if platform in ("gpu", "cuda") else there(platform)

    xla_bridge.canonicalize_platform = named
    return topologies.get_topology_desc(platform="cuda", topology="1x1x1", target_config=H100.target).devices[0]


def figures(program: str, lines: list[str], memory: Any, flops: float, dtype: str) -> dict[str, Any]:
    """What the compiler says of a step or a pass.

    Args:
      program: all of its text.
      lines: those of the step.
      memory: the compiler's analysis of it.
      flops: of its convolutions.
      dtype: of the network's arithmetic.
    """
    held = memory.temp_size_in_bytes + memory.argument_size_in_bytes + memory.output_size_in_bytes
    called = Counter(re.findall(r'custom_call_target="([^"]+)"', "\n".join(lines)))
    moved, beside = hlo.moved(lines), hlo.without_cycles(lines).total()
    computing, moving = flops / H100.peak[dtype], moved / H100.bandwidth
    values = {
        "gigaflops_of_convolutions": flops / 1e9,
        "gigabytes_moved": moved / 1e9,
        "gigabytes_beside_convolutions": beside / 1e9,
        "memory_gigabytes": (held - memory.alias_size_in_bytes) / 1e9,
        "donated": memory.alias_size_in_bytes / memory.output_size_in_bytes,
        "computing_ms": 1e3 * computing,
        "moving_ms": 1e3 * moving,
        "roofline_ms": 1e3 * max(computing, moving),
    }
    return {name: float(f"{value:.4g}") for name, value in values.items()} | {
        "launches": len(hlo.launched(lines)),
        "convolutions": sum(count for name, count in called.items() if name.startswith(CUDNN)),
        "others": {name: count for name, count in called.items() if not name.startswith(CUDNN)},
        "waits": len(re.findall(r" (?:while|conditional)\(", program)),
    }


def rows(network: jc.Network, arguments) -> Iterator[dict]:
    """One a layer and type for a step, and one a layer for a pass over pictures."""
    chip = device()
    for layer in arguments.layers:
        for dtype, pictures in itertools.product(arguments.dtypes, arguments.batch_sizes):
            recipe, began = jc.Recipe(size=arguments.size, dtype=dtype), time.time()
            compiled = compiled_step(network, layer, pictures, recipe, [chip])
            program, flops = compiled.as_text(), pictures * floor.operations(network, layer, recipe)
            said = figures(program, hlo.loop_body(program), compiled.memory_analysis(), flops, dtype)
            yield _done({"program": "step", "layer": layer, "dtype": dtype, "pictures": pictures} | said, began)
        began, pictures = time.time(), stream.LARGE_BATCH
        compiled = compiled_pass(network, (layer,), pictures, chip)
        native = jc.Recipe(size=network.convention.size[0], transforms=())
        # Forward only, which is half of what a step computes.
        program, flops = compiled.as_text(), pictures * floor.operations(network, layer, native) / 2
        said = figures(program, hlo.entry(program), compiled.memory_analysis(), flops, "float32")
        yield _done({"program": "pass", "layer": layer, "dtype": "float32", "pictures": pictures} | said, began)


def _done(row: dict, began: float) -> dict:
    row["compile_seconds"] = round(time.time() - began, 1)
    print(row, flush=True)
    return row


def main() -> None:
    jax.config.update("jax_enable_compilation_cache", False)  # it cannot load programs for devices that are not there
    parser = arguments_of(__doc__)
    parser.add_argument("--layers", type=lambda text: text.split(","), default=["mixed4b", "mixed5b"])
    parser.add_argument("--batch-sizes", type=lambda text: [int(n) for n in text.split(",")], default=[64])
    parser.add_argument("--dtypes", type=lambda text: text.split(","), default=["bfloat16", "float32"])
    arguments = parser.parse_args()
    network = jc.load(arguments.network)
    table = list(rows(network, arguments))
    report({"network": network.name, "chips": {"H100": H100._asdict()}, "rows": table}, arguments.out)


if __name__ == "__main__":
    main()
