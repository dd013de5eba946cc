"""Do units fire more on the pictures drawn for them than on any photograph?

Command:   python -m benchmarks.pictures_against_photographs WEIGHTS.safetensors PHOTOGRAPHS --out RESULT.json
           (PHOTOGRAPHS: a folder of class folders of JPEG files, such as 800 ImageNet pictures)
Hardware:  two CPU cores
Cost:      12 minutes for 64 units at the default recipe and 800 photographs
Result:    benchmarks/results/pictures_against_photographs.json

64 of 64 units of inceptionv1-2015 do; the least, mixed3a:4, 1.9 times as much.

Draws random units of mixed3a to mixed5a at the default recipe (128 px, 512 steps) and puts the finished pictures
through the network as they are. Photographs are resized to 224 px. What is compared is the unit's activation, mean
over space.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import jaxcircuits as jc
from benchmarks.measuring import arguments_of, report

LAYERS = ("mixed3a", "mixed3b", "mixed4a", "mixed4b", "mixed4c", "mixed4d", "mixed4e", "mixed5a")


def choose_units(network: jc.Network, count: int, seed: int) -> dict[str, list[int]]:
    """`count` units, as good as evenly over the layers, each at random within its layer."""
    rng = np.random.default_rng(seed)
    shares = np.array_split(np.arange(count), len(LAYERS))
    return {
        layer: sorted(rng.choice(network.layers[layer].channels, len(share), replace=False).tolist())
        for layer, share in zip(LAYERS, shares)
    }


def best_photographs(network: jc.Network, photographs: jc.Pictures, layers: list[str]) -> dict[str, np.ndarray]:
    """Layer -> (channels,), the largest mean activation over all photographs."""
    best = {layer: np.full(network.layers[layer].channels, -np.inf) for layer in layers}
    for batch in photographs.batches(40):
        seen = network.activations(batch.images[batch.read] / np.float32(255), layers)
        for layer in layers:
            best[layer] = np.maximum(best[layer], np.asarray(seen[layer]).mean((1, 2)).max(0))
    return best


def compare(
    network: jc.Network, photographs: jc.Pictures, units: dict[str, list[int]], recipe: jc.Recipe
) -> list[dict]:
    """One row a unit: its mean activation on its picture and on the best photograph."""
    layers = [layer for layer, chosen in units.items() if chosen]
    best = best_photographs(network, photographs, layers)
    rows = []
    for layer in layers:
        rendering = jc.render(network, jc.channel(layer, units[layer]), recipe)
        seen = np.asarray(network.activations(rendering.images, layer)[layer]).mean((1, 2))
        for i, unit in enumerate(units[layer]):
            rows.append(
                {
                    "layer": layer,
                    "unit": unit,
                    "picture": round(float(seen[i, unit]), 2),
                    "best_photograph": round(float(best[layer][unit]), 2),
                }
            )
        print(
            layer,
            *(f"{row['unit']}: {row['picture']}/{row['best_photograph']}" for row in rows[-len(seen) :]),
            flush=True,
        )
    return rows


def main() -> None:
    parser = arguments_of(__doc__)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0, help="of the choice of units")
    arguments = parser.parse_args()
    network = jc.load(arguments.network)
    photographs = jc.open_pictures(arguments.photographs, size=224, fit="whole")
    units = choose_units(network, arguments.units, arguments.seed)
    rows = compare(network, photographs, units, jc.Recipe(size=arguments.size))
    higher = sum(row["picture"] > row["best_photograph"] for row in rows)
    result = {
        "network": network.name,
        "units": len(rows),
        "picture_above_every_photograph": higher,
        "rows": rows,
    }
    report(result, arguments.out)
    print(f"{higher} of {len(rows)} units fire more on their picture than on any photograph")


if __name__ == "__main__":
    main()
