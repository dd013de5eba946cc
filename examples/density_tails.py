"""How often curve units answer how much: is the tail an exponential?

Command:   python -m examples.density_tails WEIGHTS.safetensors PHOTOGRAPHS --out RESULT.json [--figure FILE.jpg]
           (PHOTOGRAPHS: what `open_pictures` takes, such as a folder of JPEG files)
Hardware:  two CPU cores
Cost:      1 minute
Result:    examples/results/density_tails.NETWORK.json

Cammarata et al., Curve Detectors, Distill, 2020: curve units answer seldom, and the density of their activation falls
off exponentially. Here at all places of photographs, of all curve units (`examples.families`) and of as many other
units of the layer, taken evenly from those that fire as often as they at least. Thresholds are quantiles of a unit's
positive activations on photographs of even numbers; fits are of those of odd numbers (`evidence.tail`). A tail's shape
is 0 for an exponential and above for heavier ones; it is told of how many units the interval of 95 % holds 0. Of few
activations intervals are too narrow, so of how many it would be so if they were exponentials is measured, too: with
exponential numbers in their places, as many in each photograph.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import jaxcircuits as jc
from benchmarks.measuring import arguments_of, report
from examples import families
from jaxcircuits import evidence

QUANTILES = (0.5, 0.9, 0.99)
DRAWS, RESAMPLES = 20, 400
"""Sets of exponential numbers in the place of each unit's activations, and resamples of each."""


def maps(network: jc.Network, layer: str, pictures: jc.Pictures) -> np.ndarray:
    """Activations at all places, float32 (pictures, places, units)."""
    parts = []
    for batch in pictures.at(network.convention.size).batches(16):
        images = batch.images / np.float32(255) if batch.images.dtype == np.uint8 else batch.images
        seen = np.asarray(network.activations(images, layer)[layer])[batch.read]
        parts.append(seen.reshape(len(seen), -1, seen.shape[-1]))
    return np.concatenate(parts)


def fitted(values: np.ndarray) -> dict[float, evidence.Tail]:
    """A unit's tails on photographs of odd numbers, by the quantile of those of even numbers; (pictures, places)."""
    chosen_by = values[0::2]
    found = {}
    for quantile in QUANTILES:
        found[quantile] = evidence.tail(values[1::2], float(np.quantile(chosen_by[chosen_by > 0], quantile)))
    return found


def holds_zero(tail: evidence.Tail) -> bool:
    """Whether the interval of the shape has the exponential in it."""
    return tail.shape_interval[0] <= 0 <= tail.shape_interval[1]


def of_exponentials(values: np.ndarray, threshold: float, rng: np.random.Generator) -> float:
    """How often the interval holds 0 where exponential numbers stand for what is above the threshold.

    Args:
      values: of a unit, (pictures, places).
      threshold: of the tail.
      rng: of the numbers.
    """
    above = values > threshold
    held = []
    for _ in range(DRAWS):
        drawn = np.where(above, rng.exponential(size=above.shape), -1.0)
        held.append(holds_zero(evidence.tail(drawn, 0.0, resamples=RESAMPLES)))
    return float(np.mean(held))


def told(tails: list[dict[float, evidence.Tail]], values: list[np.ndarray], quantile: float) -> dict[str, Any]:
    """What the tails of a group of units come to, whose activations (pictures, places) they are of."""
    of = [one[quantile] for one in tails]
    rng = np.random.default_rng(0)
    exponential = [of_exponentials(own, one.threshold, rng) for own, one in zip(values, of)]
    shapes = np.array([one.shape for one in of])
    return {
        "units": len(of),
        "activations_median": int(np.median([one.count for one in of])),
        "pictures_median": int(np.median([one.pictures for one in of])),
        "shape_median": round(float(np.median(shapes)), 3),
        "shape_quartiles": [round(float(q), 3) for q in np.quantile(shapes, (0.25, 0.75))],
        "exponential_within_interval": sum(map(holds_zero, of)),
        "of_exponentials": round(float(np.sum(exponential)), 1),
        "distance_median": round(float(np.median([one.distance for one in of])), 3),
    }


def measure(network: jc.Network, pictures: jc.Pictures) -> tuple[dict[str, Any], dict[str, Any]]:
    """All figures as plain JSON types, and what the figure is drawn from."""
    layer = families.LAYERS[network.name].curves
    units, _ = families.curve_units(network, layer)
    values = maps(network, layer, pictures)
    density = (values > 0).mean((0, 1))
    others = np.setdiff1d(np.flatnonzero(density >= density[units].min()), units)
    others = others[np.linspace(0, len(others) - 1, min(len(units), len(others))).round().astype(int)]
    groups = {"curves": units, "others": others}
    tails = {name: [fitted(values[..., unit]) for unit in of] for name, of in groups.items()}
    result = {
        "network": network.name,
        "layer": layer,
        "photographs": {"thresholds": len(values[0::2]), "fits": len(values[1::2])},
        "places_in_each": values.shape[1],
        "units": {name: of.tolist() for name, of in groups.items()},
        "density_percent": {
            name: [round(float(100 * q), 1) for q in np.quantile(density[of], (0, 0.5, 1))]
            for name, of in groups.items()
        },
        "tails": {
            name: {
                f"above_quantile_{quantile}": told(of, [values[1::2, :, unit] for unit in groups[name]], quantile)
                for quantile in QUANTILES
            }
            for name, of in tails.items()
        },
        "each_curve_unit_above_quantile_0.9": [
            {
                "unit": int(unit),
                "falls_by_e_over": round(1 / one[0.9].rate, 2),
                "shape": round(one[0.9].shape, 3),
                "shape_interval": [round(end, 3) for end in one[0.9].shape_interval],
                "distance": round(one[0.9].distance, 3),
            }
            for unit, one in zip(units, tails["curves"])
        ],
    }
    return result, {"values": {name: values[1::2][..., of] for name, of in groups.items()}, "tails": tails}


def draw(shown: dict[str, Any], path: Path) -> None:
    """Log density over activation in units of each one's median positive activation, with the fits."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, both = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, sharex=True)
    for axes, name in zip(both, ("curves", "others")):
        for k, tails in enumerate(shown["tails"][name]):
            values = shown["values"][name][..., k].ravel()
            unit = tails[0.5].threshold
            ends = np.linspace(0, 12, 49)
            counts, _ = np.histogram(values[values > 0] / unit, ends)
            density = counts / len(values) / np.diff(ends)
            middle = (ends[1:] + ends[:-1]) / 2
            axes.plot(middle[counts > 0], density[counts > 0], color="C0", alpha=0.35, linewidth=0.8)
            if not k:
                fit = tails[0.9]
                x = np.array([fit.threshold / unit, 12])
                share = fit.count / len(values)
                y = share * fit.rate * unit * np.exp(-fit.rate * (x * unit - fit.threshold))
                axes.plot(x, y, color="black", linewidth=1.2, linestyle="--", label="exponential of the first")
        axes.set_yscale("log")
        axes.set_ylim(1e-7, 1)
        axes.set_title(f"{len(shown['tails'][name])} {'curve' if name == 'curves' else 'other'} units", fontsize=9)
        axes.set_xlabel("activation / median positive activation", fontsize=8)
        axes.legend(fontsize=7)
    both[0].set_ylabel("density", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=100, pil_kwargs={"quality": 85})


def main() -> None:
    parser = arguments_of(__doc__, size=False)
    parser.add_argument("photographs", help="what open_pictures takes")
    parser.add_argument("--figure", type=Path, help="a JPEG of the densities")
    arguments = parser.parse_args()
    result, shown = measure(jc.load(arguments.network), jc.open_pictures(arguments.photographs))
    report(result, arguments.out)
    if arguments.figure:
        draw(shown, arguments.figure)


if __name__ == "__main__":
    main()
