"""What does it cost to keep examples of what a network sees?

Command:   python -m benchmarks.examples_speed WEIGHTS.safetensors PHOTOGRAPHS --out RESULT.json
Hardware:  two CPU cores, nothing beside it (the load is in the result)
Cost:      2 minutes
Result:    benchmarks/results/examples_speed.json

Three passes over the same pictures, in turns: the plain forward pass, of which the largest activation is kept; the
examples of an array, which is read without work; and those of files, which are decoded and resized. Then the memory of
passes over more and more generated pictures, of a small network: what the process holds must not grow with them.

inceptionv1-2015, mixed3a, mixed3b and mixed4c, times the plain pass, which takes 31 ms a picture: 1.07 of an array,
1.13 of files by the clock; 1.04 and 1.12 of the cores' time. What is left is bound by memory and by counting, of
which the histogram takes nearly half, so that early layers, with many activations for little arithmetic, cost more;
and of files by decoding. On a processor whose convolutions are twice as fast the share is larger. After 1,000 and after
100,000 scenes the process holds 758 MiB.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxcircuits as jc
from benchmarks.measuring import alternately, arguments_of, ratio, report, summary, timed
from jaxcircuits import evidence
from jaxcircuits.network import stream

MIB = 2**20


@dataclasses.dataclass(frozen=True)
class Largest:
    """The least that needs all of a layer: its largest activation."""

    def start(self, shapes: dict[str, tuple[int, ...]]) -> dict[str, jax.Array]:
        return {name: jnp.float32(-jnp.inf) for name in shapes}

    def update(self, state: dict[str, jax.Array], seen: dict[str, jax.Array], batch: stream.Held) -> Any:
        return {name: jnp.maximum(state[name], seen[name].max()) for name in state}


def of_array(
    network: jc.Network, images: np.ndarray, layers: list[str], repetitions: int, files: jc.Pictures | None = None
) -> dict[str, Any]:
    """Milliseconds of a picture in each kind of pass, and how many times longer than the plain one they take."""
    array, options = jc.open_pictures(images), {"stop": len(images), "progress": False}
    runs = {
        "plain": lambda: timed(lambda: stream.reduce(network, array, layers, Largest(), **options)),
        "examples of an array": lambda: timed(lambda: evidence.examples(network, array, layers, **options)),
    }
    if files is not None:
        runs["examples of files"] = lambda: timed(lambda: evidence.examples(network, files, layers, **options))
    calls = alternately(runs, repetitions)
    rows = {name: summary(of, len(images)) | {"of_plain": ratio(of, calls["plain"])} for name, of in calls.items()}
    return {"layers": layers, "pictures": len(images), "size": list(network.convention.size), "rows": rows}


def passes(network: jc.Network, folder: Path, layers: list[str], count: int, repetitions: int) -> dict[str, Any]:
    """As `of_array`, of photographs, which are decoded and resized too."""
    files = jc.open_pictures(folder, size=network.convention.size)
    read = np.concatenate([batch.images[batch.read] for batch in files.batches(32, 0, count)])
    return of_array(network, read, layers, repetitions, files)


def memory(counts: list[int]) -> list[dict[str, float]]:
    """MiB that this process holds after passes over so many scenes, one after the other."""
    network = jc.load("slide")

    def draw(key: jax.Array) -> jax.Array:
        return jax.random.uniform(key, (32, 32, 3))

    rows = []
    for count in counts:
        evidence.examples(network, jc.Scenes(draw, count), ["conv2d1"], progress=False)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        rows.append({"pictures": count, "resident": round(pages * 4096 / MIB, 1)})
    return rows


def main() -> None:
    parser = arguments_of(__doc__, size=False)
    parser.add_argument("photographs", type=Path, help="a folder")
    parser.add_argument("--layers", type=lambda text: text.split(","), default=["mixed3a", "mixed3b", "mixed4c"])
    parser.add_argument("--pictures", type=int, default=96)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument(
        "--scenes", type=lambda text: [int(n) for n in text.split(",")], default=[1000, 10_000, 100_000]
    )
    arguments = parser.parse_args()
    network = jc.load(arguments.network)
    speed = passes(network, arguments.photographs, arguments.layers, arguments.pictures, arguments.repetitions)
    report({"network": network.name, "passes": speed, "memory_MiB": memory(arguments.scenes)}, arguments.out)


if __name__ == "__main__":
    main()
