"""The union of heads: is it invariant where its oriented parts are not?

Command:   python -m examples.head_union WEIGHTS.safetensors PHOTOGRAPHS --out RESULT.json
           (WEIGHTS: of inceptionv1-2015; PHOTOGRAPHS: a folder of one folder a synset of JPEG files)
Hardware:  two CPU cores
Cost:      4 minutes
Result:    examples/results/head_union.json

Olah et al., Zoom In, Distill, 2020: units for heads that face left and units for heads that face right are united by
one that takes heads either way. Parts are pairs of units of mixed4b, of which one answers a dog as the other answers it
mirrored; the union is the unit of mixed4c that has both of a pair highest among its excitatory inputs, of the units
that dogs raise by half a standard deviation or more (`examples.heads`, with the same photographs). Pairs are found, and
what dogs raise, on photographs with an even number; all figures are of the dogs with an odd number.

What is left under a change of the pictures is the sum over dogs of the smaller of the two answers over that of the
larger: 1 where nothing changes. Pictures are mirrored, turned by 20 degrees either way, made a quarter smaller and
moved by 16 pixels, on a ground of their mean color. Intervals are of the bootstrap over dogs, and of medians of units
over units. By chance: the other units of mixed4c that dogs raise by as much as the least of the unions, and those
of mixed4b that dogs raise; and how many pairs of units of mixed4b are as high among the inputs of any unit that dogs
raise.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import jaxcircuits as jc
from benchmarks.measuring import arguments_of, report
from examples.answers import answers, baseline, best, moved, moved_by
from examples.circuits_objects import DOGS
from examples.figures import figure, halves, open_photographs, read
from examples.heads import united_by_chance, uniting
from jaxcircuits import circuits
from jaxcircuits.universality.objects import MOVED, facing_pairs

PARTS, UNIONS = "mixed4b", "mixed4c"


def altered(images: np.ndarray, change: Callable[[Image.Image], Image.Image]) -> np.ndarray:
    """Pictures (N, H, W, 3) under a change, on a ground of each one's mean color where it leaves any bare."""
    result = []
    for image in images:
        ground = tuple(int(channel) for channel in np.round(255 * image.mean((0, 1))))
        drawn = change(Image.fromarray(np.round(image * 255).astype(np.uint8)).convert("RGBA"))
        whole = Image.new("RGBA", drawn.size, (*ground, 255))
        whole.alpha_composite(drawn)
        result.append(np.asarray(whole.convert("RGB"), np.float32) / 255)
    return np.stack(result)


def placed(scale: float = 1.0, right: float = 0.0) -> Callable[[Image.Image], Image.Image]:
    """A picture made smaller about its middle, or moved."""

    def change(image: Image.Image) -> Image.Image:
        width, height = image.size
        inverse = (1 / scale, 0, width / 2 * (1 - 1 / scale) - right, 0, 1 / scale, height / 2 * (1 - 1 / scale))
        return image.transform(image.size, Image.Transform.AFFINE, inverse, Image.Resampling.BILINEAR)

    return change


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned_20_degrees": lambda image: image.rotate(20, Image.Resampling.BILINEAR),
    "turned_-20_degrees": lambda image: image.rotate(-20, Image.Resampling.BILINEAR),
    "scaled_0.75": placed(scale=0.75),
    "moved_16_px": placed(right=16),
}


def share(plain: np.ndarray, changed: np.ndarray) -> float:
    """What is left of a unit's answers (dogs,)."""
    return float(np.minimum(plain, changed).sum() / max(np.maximum(plain, changed).sum(), 1e-9))


def measure(network: jc.Network, folder: Path) -> dict[str, Any]:
    """All figures, as plain JSON types."""
    pictures, synsets = open_photographs(folder)
    dogs = (synsets >= DOGS[0]) & (synsets <= DOGS[1])
    choice = np.zeros(len(pictures), bool)
    choice[halves(len(pictures))[0]] = True
    layers = (PARTS, UNIONS)
    seen = baseline(network, pictures, layers)
    shift = {layer: moved(seen[layer][choice], dogs[choice]) for layer in layers}
    raised = {layer: shift[layer] > MOVED for layer in layers}

    def answered(images: np.ndarray) -> dict[str, np.ndarray]:
        return best(answers(network, np.ascontiguousarray(images), layers))

    choosing = read(pictures, np.flatnonzero(dogs & choice))
    found = facing_pairs(
        *(answered(images)[PARTS] for images in (choosing, choosing[:, :, ::-1])), shift[PARTS]
    ).tolist()
    weights = circuits.direct_weights(network, PARTS, UNIONS)
    measuring = read(pictures, np.flatnonzero(dogs & ~choice))
    before = answered(measuring)
    changed = {name: answered(altered(measuring, change)) for name, change in CHANGES.items()}

    def of_unit(layer: str, unit: int) -> dict[str, Any]:
        return {
            "unit": f"{layer}:{unit}",
            "left": {
                name: figure(share, before[layer][:, unit], after[layer][:, unit]) for name, after in changed.items()
            },
        }

    rows, unions = [], []
    for pair in found:
        united = uniting(weights, list(pair), raised[UNIONS])
        if not united:
            continue
        union = united[0]["unit"]
        unions.append(union)
        rows.append(
            {
                "parts": [of_unit(PARTS, unit) for unit in pair],
                "union": of_unit(UNIONS, union)
                | {"ranks_of_parts_among_inputs": united[0]["ranks"], "tied_with": united[0]["tied_with"]},
                "inputs": weights.shape[3],
                "raised_by_dogs_sd": moved_by(seen[UNIONS][~choice][:, union], dogs[~choice]),
                "united_by_chance": united_by_chance(
                    weights, list(pair), {"channels": raised[PARTS], "units": raised[UNIONS]}
                ),
            }
        )
    least = min((shift[UNIONS][union] for union in unions), default=np.inf)
    alike = np.setdiff1d(np.flatnonzero(shift[UNIONS] >= least), unions)
    others = np.setdiff1d(np.flatnonzero(raised[PARTS]), np.ravel(found))

    def medians(layer: str, units: np.ndarray) -> dict[str, Any]:
        return {
            name: figure(np.median, np.array([share(before[layer][:, u], after[layer][:, u]) for u in units]))
            for name, after in changed.items()
            if len(units)
        }

    return {
        "network": network.name,
        "photographs": len(pictures),
        "dogs": {"choose": len(choosing), "measure": len(measuring)},
        "units_are_raised_by_sd": MOVED,
        "pairs": rows,
        "other_units_that_dogs_raise": {
            "units": len(alike),
            "raised_by_sd_at_least": round(float(least), 2) if unions else None,
            "left_median": medians(UNIONS, alike),
        },
        "other_units_of_the_parts_layer": {"units": len(others), "left_median": medians(PARTS, others)},
    }


def main() -> None:
    parser = arguments_of(__doc__, size=False)
    parser.add_argument("photographs", type=Path)
    arguments = parser.parse_args()
    report(measure(jc.load(arguments.network), arguments.photographs), arguments.out)


if __name__ == "__main__":
    main()
