"""Do several devices share the work evenly, and draw the same pictures?

Command:   python -m benchmarks.scaling WEIGHTS.safetensors --out RESULT.json
Hardware:  two CPU cores, which pose as 1 to 8 devices (--xla_force_host_platform_device_count), so that work is
           counted and not timed
Cost:      about 3 minutes
Result:    benchmarks/results/scaling.json

8 pictures of mixed4b, 16 steps: 1, 2, 4 and 8 devices do 1, 0.5, 0.25 and 0.125 of the work each. The pictures of 2
devices are those of one to the last bit; those of 4 and 8 differ by at most 0.0005 and 0.0023 in any color value after
the first step, by a quarter in the worst value after 16, and by 2 and 3 % in a score. 1, 2 and 4 processes draw 48, 24
and 12 pictures each, to the same files.

Each number of devices is a process of its own, which draws the same pictures with `render`. `gigaflops` are those of
one step on one device, as the compiler counts them; `share` is their part of the work on one device;
`first_differ_by` is the largest difference of any color value from the pictures of one device after one step,
`last_differ_by` after all, `scores_differ_by` that of a score, relative. Convolutions may add up in another order where
a device has another number of threads; Adam makes much of the rounding of gradients near 0, and every step of what the
one before left. `processes` share a bulk drawing of slide through `jax.distributed`: how many pictures each drew, and
whether the files are those that one process draws.
"""

from __future__ import annotations

import json
import socket
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh

import jaxcircuits as jc
from benchmarks.measuring import Drawing, arguments_of, report, subprocess_json
from jaxcircuits import bulk
from jaxcircuits.vis.optimize import PICTURES


def share(network: jc.Network, layer: str, pictures: int, recipe: jc.Recipe, file: Path) -> dict[str, float]:
    """Draws on this process's devices, keeps the pictures in a file, and counts one device's work of a step."""
    devices = jax.local_devices()
    objective = jc.channel(layer, range(pictures))
    drawn = jc.render(network, objective, recipe, batch_size=pictures, snapshots=[1], progress=False)
    np.savez(file, first=drawn.snapshots[1], last=drawn.images, scores=drawn.scores)
    mesh = Mesh(np.array(devices), (PICTURES,)) if len(devices) > 1 else None
    cost = Drawing(network, layer, pictures, recipe, mesh=mesh).lowered().compile().cost_analysis()
    return {"devices": len(devices), "gigaflops": cost["flops"] / 1e9}


def drawn_by(processes: int, out: Path) -> list[int]:
    """How many pictures each of several processes draws of 48 units of slide, which they share."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        coordinator = f"127.0.0.1:{free.getsockname()[1]}"
    options = ("--shared", str(out)) + (("--coordinator", coordinator) if processes > 1 else ())
    with ThreadPoolExecutor(processes) as pool:

        def process(index: int) -> int:
            return subprocess_json("scaling", "slide", *options, "--processes", str(processes), "--process", str(index))

        return list(pool.map(process, range(processes)))


def draw_share(out: Path, coordinator: str | None, processes: int, process: int) -> int:
    """This process's pictures of the shared drawing."""
    hosts = bulk.meet(coordinator, processes, process) if coordinator else bulk.ALONE
    recipe = jc.Recipe(size=32, steps=8, transforms=(), redirect_steps=0)
    series = [bulk.Series(layer, tuple(range(24))) for layer in ("mixed3a", "mixed4a")]
    with bulk.drawings(jc.load("slide"), series, recipe, out, batch_size=4, hosts=hosts) as job:
        job.run(progress=False)
        return sum(len(job.plan.shards[index].units) for index in job.todo)


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def main() -> None:
    parser = arguments_of(__doc__)
    parser.add_argument("--layer", default="mixed4b")
    parser.add_argument("--pictures", type=int, default=8, help="drawn together; a multiple of every number of devices")
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--devices", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2, 4, 8])
    parser.add_argument("--inside", type=Path, help="only on this process's devices; pictures go into that file")
    parser.add_argument("--shared", type=Path, help="only this process's share of a drawing into that folder")
    parser.add_argument("--coordinator", help="where the processes of such a drawing meet")
    parser.add_argument("--processes", type=int)
    parser.add_argument("--process", type=int)
    arguments = parser.parse_args()
    if arguments.shared:
        print(draw_share(arguments.shared, arguments.coordinator, arguments.processes, arguments.process))
        return
    network, recipe = jc.load(arguments.network), jc.Recipe(size=arguments.size, steps=arguments.steps)
    if arguments.inside:
        print(json.dumps(share(network, arguments.layer, arguments.pictures, recipe, arguments.inside)))
        return
    rows, results = [], []
    with tempfile.TemporaryDirectory() as folder:
        for count in arguments.devices:
            file = Path(folder) / f"{count}.npz"
            options = ("--layer", arguments.layer, "--pictures", str(arguments.pictures), "--inside", str(file))
            options += ("--steps", str(arguments.steps), "--size", str(arguments.size))
            flags = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={count}", "JAX_PLATFORMS": "cpu"}
            rows.append(subprocess_json("scaling", arguments.network, *options, **flags))
            results.append(dict(np.load(file)))
            rows[-1]["share"] = round(rows[-1]["gigaflops"] / rows[0]["gigaflops"], 4)
            for name, values in results[-1].items():
                scale = results[0][name] if name == "scores" else 1
                difference = np.abs((values - results[0][name]) / scale).max()
                rows[-1][f"{name}_differ_by"] = float(f"{difference:.3g}")
            print(rows[-1], flush=True)
        shares, files = [], []
        for count in (1, 2, 4):
            out = Path(folder) / f"{count} processes"
            shares.append({"processes": count, "pictures": drawn_by(count, out)})
            files.append(contents(out))
            shares[-1]["files_of_one"] = files[-1] == files[0]
            print(shares[-1], flush=True)
    task = {"layer": arguments.layer, "pictures": arguments.pictures, "steps": arguments.steps}
    report({"network": network.name} | task | {"rows": rows, "processes": shares}, arguments.out)


if __name__ == "__main__":
    main()
