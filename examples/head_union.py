"""The union of heads: is it invariant where its oriented parts are not?

Command:   python -m examples.head_union WEIGHTS.safetensors PHOTOGRAPHS --out RESULT.json
           (WEIGHTS: of inceptionv1-2015; PHOTOGRAPHS: a folder of one folder a synset of JPEG files)
Hardware:  two CPU cores
Cost:      3 minutes
Result:    examples/results/head_union.json

Olah et al., Zoom In, Distill, 2020: units for heads that face left and units for heads that face right are united by
one that takes heads either way. Parts are pairs of units of mixed4b, of which one answers a dog as the other answers it
mirrored; unions are the units of mixed4c that have both of a pair highest among their excitatory inputs. Pairs are
found on dogs of even numbers, unions by weights alone, and all figures are of the dogs of odd numbers.

What is left under a change of the pictures is the sum over dogs of the smaller of the two answers over that of the
larger: 1 where nothing changes. Pictures are mirrored, turned by 20 degrees either way, made a quarter smaller and
moved by 16 pixels, on a ground of their mean color. Intervals are of the bootstrap over dogs. By chance: the other
units of mixed4c that dogs raise by as much as the least of the unions.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import jaxcircuits as jc
from benchmarks.measuring import arguments_of, report
from examples import families
from jaxcircuits import circuits
from jaxcircuits.evidence.responses import responses

DOGS = ("n02085620", "n02113978")
"""The first and the last synset of dogs."""
CHANGED, ALIKE, RAISED = 0.3, 0.7, 0.5
"""Of the units of a pair, at least: how much mirroring changes each; the correlation of one's answers with the other's
to mirrored dogs; by how many standard deviations dogs raise them."""
PARTS, UNIONS = "mixed4b", "mixed4c"
RESAMPLES = 1000


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


def pairs(plain: np.ndarray, mirrored: np.ndarray, raised: np.ndarray) -> list[tuple[int, int]]:
    """Units that face either way, most alike under mirroring first; answers are (dogs, units)."""
    size = np.square(plain).mean(0) + np.square(mirrored).mean(0)
    change = np.sqrt(np.square(plain - mirrored).mean(0) / np.maximum(size, 1e-9))
    units = np.flatnonzero((change >= CHANGED) & raised)
    both = np.concatenate([plain, mirrored])[:, units]
    swapped = np.concatenate([mirrored, plain])[:, units]
    likeness = np.corrcoef(both.T, swapped.T)[: len(units), len(units) :]
    best = likeness.argmax(1)
    found = [
        (-likeness[i, j], int(units[i]), int(units[j]))
        for i, j in enumerate(best.tolist())
        if i < j and best[j] == i and likeness[i, j] >= ALIKE
    ]
    return [(first, second) for _, first, second in sorted(found)]


def left(plain: np.ndarray, changed: np.ndarray) -> dict[str, Any]:
    """What is left of a unit's answers (dogs,), with its interval."""
    least, most = np.minimum(plain, changed), np.maximum(plain, changed)
    drawn = np.random.default_rng(0).integers(0, len(plain), (RESAMPLES, len(plain)))
    ratios = least[drawn].sum(1) / np.maximum(most[drawn].sum(1), 1e-9)
    return {
        "value": round(float(least.sum() / max(most.sum(), 1e-9)), 2),
        "interval": [round(float(end), 2) for end in np.quantile(ratios, (0.025, 0.975))],
    }


def measure(network: jc.Network, folder: Path) -> dict[str, Any]:
    """All figures, as plain JSON types."""
    pictures = jc.open_pictures(folder).at(network.convention.size)
    synsets = np.array([Path(pictures.name(i)).parent.name for i in range(len(pictures))])
    dogs = np.flatnonzero((synsets >= DOGS[0]) & (synsets <= DOGS[1]))
    others = np.setdiff1d(np.arange(len(pictures)), dogs)[::7]
    choosing, measuring = dogs[0::2], dogs[1::2]
    layers = [PARTS, UNIONS]
    shown = {name: families.photographs(pictures, of) for name, of in (("choose", choosing), ("measure", measuring))}
    plain = {name: responses(network, images, layers) for name, images in shown.items()}
    world = responses(network, families.photographs(pictures, others), layers)
    raise_by = {
        layer: (plain["choose"][layer].mean(0) - world[layer].mean(0)) / np.maximum(world[layer].std(0), 1e-6)
        for layer in layers
    }
    mirrored = responses(network, altered(shown["choose"], CHANGES["mirrored"]), layers)
    found = pairs(plain["choose"][PARTS], mirrored[PARTS], raise_by[PARTS] >= RAISED)
    weights = circuits.direct_weights(network, PARTS, UNIONS)
    excitation = np.linalg.norm(np.maximum(weights, 0), axis=(1, 2))
    changed = {name: responses(network, altered(shown["measure"], change), layers) for name, change in CHANGES.items()}
    before = plain["measure"]

    def of_unit(layer: str, unit: int) -> dict[str, Any]:
        return {
            "unit": f"{layer}:{unit}",
            "left": {name: left(before[layer][:, unit], after[layer][:, unit]) for name, after in changed.items()},
        }

    rows, unions = [], []
    for pair in found:
        ranks = (excitation[:, :, None] > excitation[:, None, list(pair)]).sum(1) + 1
        union = int(ranks.sum(1).argmin())
        unions.append(union)
        rows.append(
            {
                "parts": [of_unit(PARTS, unit) for unit in pair],
                "union": of_unit(UNIONS, union) | {"ranks_of_parts_among_inputs": ranks[union].tolist()},
                "inputs": weights.shape[3],
                "raised_by_dogs_sd": round(float(raise_by[UNIONS][union]), 2),
            }
        )
    least = min((raise_by[UNIONS][union] for union in unions), default=np.inf)
    alike = np.setdiff1d(np.flatnonzero(raise_by[UNIONS] >= least), unions)
    return {
        "network": network.name,
        "dogs": {"choose": len(choosing), "measure": len(measuring)},
        "other_photographs": len(others),
        "pairs": rows,
        "other_units_that_dogs_raise": {
            "units": len(alike),
            "left_median": {
                name: round(
                    float(np.median([left(before[UNIONS][:, u], after[UNIONS][:, u])["value"] for u in alike])), 2
                )
                for name, after in changed.items()
            }
            if len(alike)
            else {},
        },
    }


def main() -> None:
    parser = arguments_of(__doc__, size=False)
    parser.add_argument("photographs", type=Path)
    arguments = parser.parse_args()
    report(measure(jc.load(arguments.network), arguments.photographs), arguments.out)


if __name__ == "__main__":
    main()
