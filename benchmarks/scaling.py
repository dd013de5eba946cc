"""Do several devices share the work evenly, and draw the same pictures?

Command:   python -m benchmarks.scaling WEIGHTS.safetensors --out RESULT.json
Hardware:  two CPU cores, which pose as 1 to 8 devices (--xla_force_host_platform_device_count), so that work is
           counted and not timed
Cost:      about 3 minutes
Result:    none is kept yet; --out writes it

For slide, conv2d2, 8 pictures of 32 px, 2 steps: 1, 2, 4 and 8 devices do 1, 0.5, 0.25 and 0.1264 of the work each,
and the pictures differ by 4.2e-7 at most. Not run at full size yet.

Each number of devices is a process of its own, which draws the same pictures with `render`. `gigaflops` are those of
one step on one device, as the compiler counts them; `share` is their part of the work on one device;
`largest_difference` is that of any colour value from the pictures of one device.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh

import jaxcircuits as jc
from benchmarks.measuring import Drawing, arguments_of, report, subprocess_json
from jaxcircuits.vis.programs import PICTURES


def share(network: jc.Network, layer: str, pictures: int, recipe: jc.Recipe, file: Path) -> dict[str, float]:
    """Draws on this process's devices, keeps the pictures in a file, and counts one device's work of a step."""
    devices = jax.local_devices()
    rendering = jc.render(network, jc.channel(layer, range(pictures)), recipe, batch_size=pictures, progress=False)
    np.save(file, rendering.images)
    mesh = Mesh(np.array(devices), (PICTURES,)) if len(devices) > 1 else None
    cost = Drawing(network, layer, pictures, recipe, mesh=mesh).lowered().compile().cost_analysis()
    return {"devices": len(devices), "gigaflops": cost["flops"] / 1e9}


def main() -> None:
    parser = arguments_of(__doc__)
    parser.add_argument("--layer", default="mixed4b")
    parser.add_argument("--pictures", type=int, default=8, help="drawn together; a multiple of every number of devices")
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--devices", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2, 4, 8])
    parser.add_argument("--inside", type=Path, help="only on this process's devices; pictures go into that file")
    arguments = parser.parse_args()
    network, recipe = jc.load(arguments.network), jc.Recipe(size=arguments.size, steps=arguments.steps)
    if arguments.inside:
        print(json.dumps(share(network, arguments.layer, arguments.pictures, recipe, arguments.inside)))
        return
    rows, pictures = [], []
    with tempfile.TemporaryDirectory() as folder:
        for count in arguments.devices:
            file = Path(folder) / f"{count}.npy"
            options = ("--layer", arguments.layer, "--pictures", str(arguments.pictures), "--inside", str(file))
            options += ("--steps", str(arguments.steps), "--size", str(arguments.size))
            flags = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={count}", "JAX_PLATFORMS": "cpu"}
            rows.append(subprocess_json("scaling", arguments.network, *options, **flags))
            pictures.append(np.load(file))
            rows[-1]["share"] = round(rows[-1]["gigaflops"] / rows[0]["gigaflops"], 4)
            rows[-1]["largest_difference"] = float(np.abs(pictures[-1] - pictures[0]).max())
            print(rows[-1], flush=True)
    task = {"layer": arguments.layer, "pictures": arguments.pictures, "steps": arguments.steps}
    report({"network": network.name} | task | {"rows": rows}, arguments.out)


if __name__ == "__main__":
    main()
