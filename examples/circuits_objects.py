"""The car circuit and the oriented-head circuit in inceptionv1-2015, from photographs and weights.

Command:   python -m examples.circuits_objects WEIGHTS.safetensors PHOTOGRAPHS --out RESULT.json
           (PHOTOGRAPHS: a folder of one folder a synset of JPEG files, such as 800 ImageNet pictures)
Hardware:  two CPU cores
Cost:      2 to 4 minutes
Result:    examples/results/circuits_objects.NETWORK.json

Photographs with an even number, by path, choose units; those with an odd number measure them.

Cars. The car unit is the unit of mixed4c with a kernel (no 1x1 or pool branch) that vehicles move most, among those
whose answer falls by 40 % or more when the photograph is upside down; left for right must not matter. The six that
come first are all described. Parts are units of mixed4b that vehicles activate above or below the cell where it answers
most; its weights should excite them on the side where they are, and inhibit them on the other. The figure is the
correlation of the two slopes over its 100 strongest inputs, mean over photographs. The cell is chosen by the same
weights, so that most units have a correlation above 0 on any photographs: it is compared with that of all other units
with a kernel, each at its own cell of the same photographs, and with the unit's own on photographs without vehicles.

Heads. Two units of a layer are a pair that faces either way if one answers dogs as the other answers them mirrored
(correlation over photographs), and neither answers a dog and its mirror image alike; by chance is what is found where
the mirrored photographs are those of other dogs. Weights from a pair of mixed4a to a pair of mixed4b should excite
alike and inhibit across, where answers tell which units are alike; a unit of mixed4c that unites a pair is one that
dogs raise by half a standard deviation or more, and has both among its strongest inputs. `unions` looks for
the same by weights alone.

Superposition: over how many units of mixed4d, and what they answer besides, the six units of mixed4c that vehicles move
most are spread, whatever their branch.

Unions and superposition are compared with 99 shuffles that keep how strong channels and units are, so no p-value is
below 0.01; they are given as they are for one chosen before looking, and corrected for all that were searched.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import jaxcircuits as jc
from benchmarks.measuring import arguments_of, report
from examples.answers import baseline
from examples.cars import cars, superposed
from examples.figures import halves, open_photographs
from examples.heads import heads

LAYERS = ("mixed4a", "mixed4b", "mixed4c", "mixed4d")
VEHICLES = (
    "beach wagon", "cab", "convertible", "fire engine", "garbage truck", "jeep", "minibus", "minivan", "moving van",
    "police van", "racer", "school bus", "tow truck", "trolleybus", "golfcart", "go-kart", "Model T", "limousine",
    "sports car", "pickup", "ambulance",
)  # fmt: skip
DOGS = ("n02085620", "n02113978")
"""The first and the last synset of dogs."""
SHUFFLES = 99
"""Of the weights, for unions and superposition."""


def measure(network: jc.Network, folder: Path, shuffles: int = SHUFFLES) -> dict[str, Any]:
    """All figures, as plain JSON types."""
    pictures, synsets = open_photographs(folder)
    names = {label.split()[0]: label.partition(" ")[2].split(",")[0] for label in network.labels}
    vehicles = np.array([names.get(synset) in VEHICLES for synset in synsets])
    dogs = (synsets >= DOGS[0]) & (synsets <= DOGS[1])
    choice = np.zeros(len(pictures), bool)
    choice[halves(len(pictures))[0]] = True
    seen = baseline(network, pictures, LAYERS)
    return {
        "network": network.name,
        "photographs": {"that_choose": int(choice.sum()), "that_measure": int((~choice).sum())},
        "cars": cars(network, seen["mixed4c"], pictures, vehicles, choice),
        "superposition": superposed(network, seen, vehicles, dogs, choice, shuffles),
        "heads": heads(network, seen, pictures, dogs, choice, shuffles),
    }


def main() -> None:
    parser = arguments_of(__doc__, size=False)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--shuffles", type=int, default=SHUFFLES, help="of the weights")
    arguments = parser.parse_args()
    report(measure(jc.load(arguments.network), arguments.photographs, arguments.shuffles), arguments.out)


if __name__ == "__main__":
    main()
