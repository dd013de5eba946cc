"""Do units of a kind keep to one branch? Three families of InceptionV1 in two networks.

Command:   python -m examples.branches WEIGHTS.safetensors PHOTOGRAPHS --out RESULT.json
           (PHOTOGRAPHS: what `open_pictures` takes, such as a folder of JPEG files)
Hardware:  two CPU cores
Cost:      1 minute
Result:    examples/results/branches.NETWORK.json

Voss et al., Branch Specialization, Distill, 2021: all 9 black-and-white against color units of mixed3a lie in its 5x5
branch (p = 2.5e-9), and all 30 curve-related units of mixed3b in its own (p = 1.7e-23). Here families are found by what
units answer (`examples.families`), without regard to branches: curve units of mixed3b, and of mixed3a black-and-white
units and high-low frequency units. Black-and-white units are those that answer gray photographs three times better than
the same in strong colors, on photographs of even numbers; how many do so on those of odd numbers is told. p-values are
hypergeometric, of the fullest branch as against chance, times the number of branches. Units of a 1x1 or pool branch see
too little to be for curves or boundaries; so p-values are given among the branches with a kernel, too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import jaxcircuits as jc
from benchmarks.measuring import arguments_of, report
from examples import families
from jaxcircuits import evidence

PHOTOGRAPHS = 200
"""Of either half, for black-and-white units."""


KERNELS = ("3x3", "5x5")
"""What the names of branches with a kernel end with."""


def with_a_kernel(of_layer: tuple[evidence.Branch, ...], units: np.ndarray) -> dict[str, Any]:
    """The same of the branches with a kernel and the family's units in them."""
    kept, places, start = [], [], 0
    for branch in of_layer:
        if branch.name.endswith(KERNELS):
            own = units[(units >= branch.start) & (units < branch.stop)]
            places += (own - branch.start + start).tolist()
            kept.append(branch._replace(start=start, stop=start + branch.stop - branch.start))
            start = kept[-1].stop
    if not places:
        return {"count": 0}
    found = evidence.branch_test(kept, places)
    return {
        "count": len(places),
        "fullest": found.best.name,
        "units": int(found.counts[found.p_values.argmin()]),
        "by_chance": round(len(places) * (found.best.stop - found.best.start) / start, 1),
        "p_value": float(f"{found.p_value:.2g}"),
    }


def tested(network: jc.Network, layer: str, units: np.ndarray) -> dict[str, Any]:
    """A family in a layer's branches, as plain JSON types."""
    of_layer = evidence.branches(network, layer)
    result = {"layer": layer, "units": sorted(units.tolist()), "count": len(units)}
    if not len(units):
        return result
    found = evidence.branch_test(of_layer, units)
    channels = of_layer[-1].stop
    rows = {}
    for branch, count, p_value in zip(of_layer, found.counts.tolist(), found.p_values.tolist()):
        size = branch.stop - branch.start
        rows[branch.name] = {
            "channels": size,
            "units": count,
            "by_chance": round(len(units) * size / channels, 1),
            "p_value": float(f"{p_value:.2g}"),
        }
    return result | {
        "branches": rows,
        "fullest": found.best.name,
        "p_value": float(f"{found.p_value:.2g}"),
        "with_a_kernel": with_a_kernel(of_layer, units),
    }


def measure(network: jc.Network, pictures: jc.Pictures) -> dict[str, Any]:
    """All figures, as plain JSON types."""
    layers = families.LAYERS[network.name]
    pictures = pictures.at(network.convention.size)
    halves = [np.arange(start, len(pictures), 2)[:: max(len(pictures) // 2 // PHOTOGRAPHS, 1)] for start in (0, 1)]
    gray = [
        families.against_color(network, layers.early, families.photographs(pictures, half)) >= families.SATURATION
        for half in halves
    ]
    high_low = [families.passes(families.boundaries(network, layers.early, half)) for half in (0, 1)]
    curves, _ = families.curve_units(network, layers.curves)
    again = {"found_again_on_other_half": int((gray[0] & gray[1]).sum()), "photographs_in_each_half": len(halves[0])}
    return {
        "network": network.name,
        "curves": tested(network, layers.curves, curves),
        "black_and_white": tested(network, layers.early, np.flatnonzero(gray[0])) | again,
        "high_low_frequency": tested(network, layers.early, np.flatnonzero(high_low[0]))
        | {"found_again_on_other_half": int((high_low[0] & high_low[1]).sum())},
    }


def main() -> None:
    parser = arguments_of(__doc__, size=False)
    parser.add_argument("photographs", help="what open_pictures takes")
    arguments = parser.parse_args()
    report(measure(jc.load(arguments.network), jc.open_pictures(arguments.photographs)), arguments.out)


if __name__ == "__main__":
    main()
