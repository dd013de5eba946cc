"""High-low frequency units in several networks: found, tuned, and their two sets of inputs parted by factors.

Command:   python -m examples.high_low_frequency WEIGHTS.safetensors --out RESULT.json [--figure FILE.jpg]
Hardware:  two CPU cores
Cost:      1 minute
Result:    examples/results/high_low_frequency.NETWORK.json

Schubert et al., High-Low Frequency Detectors, Distill, 2021: units that look for a boundary with fine texture on one
side and coarse texture on the other, turned every way round, in several networks; nonnegative factors of their weights
part inputs for high frequencies from inputs for low ones, which excite on opposite sides.

Units are chosen by textures of one half (`families.HALVES`) and measured on the other: orientation, and how much better
the boundary is answered than its opposite and than either texture alone. By chance: of the units that were not chosen,
how many pass on the other half.

Weights from the layer before, expanded, of all chosen units are factored into two. How fine a texture a channel prefers
is the mean logarithm of wavelength of sine gratings, weighted by its answers over all orientations. The two factors'
directions are compared with that: the correlation over channels of their difference with fineness, against 999
permutations of the channels. And the side: where in the window the fine factor lies against the coarse one, beside the
orientation from the stimuli; by chance the median difference is 90 degrees.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import jaxcircuits as jc
from benchmarks.measuring import arguments_of, report
from examples import families
from examples.figures import by_chance, figure
from jaxcircuits import circuits
from jaxcircuits.evidence import circular, stimuli, tuning

WAVELENGTHS = (3.0, 4.0, 5.5, 7.5, 10.0, 14.0, 20.0)
PERMUTATIONS = 999


def fineness(network: jc.Network, layer: str) -> np.ndarray:
    """Octaves finer than a pixel-wide wave, (channels,): minus the mean log2 of wavelength, by answers to gratings.

    Of a silent channel the mean of the others.
    """
    grid = {"wavelength": WAVELENGTHS, "orientation": np.arange(8) * np.pi / 8, "phase": (0.0, 1.6)}
    answers = np.maximum(
        tuning(network, stimuli.grating, grid, layer, size=families.SIZE, progress=False).along(layer, "wavelength"), 0
    )
    total = answers.sum(1)
    found = -(answers @ np.log2(WAVELENGTHS)) / np.where(total > 0, total, 1)
    return np.where(total > 0, found, found[total > 0].mean())


def centroid(maps: np.ndarray) -> np.ndarray:
    """Middle of maps (units, h, w) as x and y from the middle of the window, (units, 2)."""
    height, width = maps.shape[1:]
    y, x = np.indices((height, width)) - np.array([height - 1, width - 1]).reshape(2, 1, 1) / 2
    mass = np.maximum(maps.sum((1, 2)), 1e-12)
    return np.stack([(maps * x).sum((1, 2)), (maps * y).sum((1, 2))], 1) / mass[:, None]


def correlated(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's correlation."""
    return float(np.corrcoef(first, second)[0, 1])


def parted(weights: np.ndarray, fine: np.ndarray, preferred: np.ndarray) -> tuple[dict[str, Any], circuits.Factors]:
    """Two factors of units' weights, beside what their channels prefer and where the units' stimuli lie.

    Args:
      weights: (units, h, w, channels).
      fine: of the channels.
      preferred: of the units, radians.
    """
    factors = circuits.factor_weights(weights, 2)
    first, second = factors.directions.astype(np.float64)

    found = correlated(first - second, fine)
    rng = np.random.default_rng(0)
    chance = [abs(correlated(first - second, rng.permutation(fine))) for _ in range(PERMUTATIONS)]
    high, low = (0, 1) if found > 0 else (1, 0)
    ways = centroid(factors.maps[..., high]) - centroid(factors.maps[..., low])
    off = np.degrees(np.abs(circular.difference(np.arctan2(ways[:, 1], ways[:, 0]), preferred)))
    of_factor = {}
    for name, k in (("high", high), ("low", low)):
        excite = np.maximum(factors.directions[k], 0)
        strongest = np.argsort(-factors.directions[k])[:5]
        of_factor[name] = {
            "wavelength_px": figure(lambda of, by: float(2 ** -np.average(of, weights=by)), fine, excite, digits=1),
            "channels": {int(c): round(float(factors.directions[k][c]), 3) for c in strongest},
        }
    result = {
        "explained": round(factors.explained, 3),
        "correlation_with_fineness": figure(correlated, np.sign(found) * (first - second), fine),
        "by_chance_95_percent": round(float(np.quantile(chance, 0.95)), 3),
        "p_value": by_chance(abs(found), np.array(chance)),
        "factors": of_factor,
        "side_off_by_degrees_median": figure(np.median, off, digits=1),
        "side_off_by_degrees_by_chance": 90,
        "units_within_45_degrees": int((off < 45).sum()),
        "units_within_45_degrees_by_chance": round(len(off) / 4, 1),
    }
    return result, factors


def measure(network: jc.Network) -> tuple[dict[str, Any], dict[str, Any]]:
    """All figures as plain JSON types, and what the figure is drawn from."""
    layers = families.LAYERS[network.name]
    chosen_by, seen = (families.boundaries(network, layers.early, half) for half in (0, 1))
    chosen, again = families.passes(chosen_by), families.passes(seen)
    units = np.flatnonzero(chosen)
    units = units[np.argsort(seen.preferred[units])]
    others = ~chosen
    result: dict[str, Any] = {
        "network": network.name,
        "layer": layers.early,
        "units_in_layer": len(chosen),
        "pictures_in_each_half": len(families.AROUND) * 16 + 16,
        "units": units.tolist(),
        "found": len(units),
        "found_again_on_other_textures": int((chosen & again).sum()),
        "other_units_that_pass_there": int((others & again).sum()),
        "orientation_degrees": np.degrees(seen.preferred[units]).round().astype(int).tolist(),
        "orientation_differs_between_halves_median_degrees": None,
    }
    if len(units):
        differ = np.degrees(np.abs(circular.difference(chosen_by.preferred[units], seen.preferred[units])))

        def median(times: np.ndarray) -> dict[str, Any]:
            return figure(np.median, np.minimum(times, 1e3), digits=1)

        result |= {
            "orientation_differs_between_halves_median_degrees": figure(np.median, differ, digits=1),
            "widest_gap_degrees": round(float(np.degrees(circular.largest_gap(seen.preferred[units]))), 0),
            "times_opposite_median": median(seen.opposite[units]),
            "times_uniform_median": median(seen.uniform[units]),
            "others_times_opposite_median": median(seen.opposite[others]),
            "others_times_uniform_median": median(seen.uniform[others]),
        }
    factors = None
    if len(units) >= 2:
        weights = circuits.expanded_weights(network, layers.lines, layers.early, units)
        result["inputs"] = {"layer": layers.lines, "window": list(weights.shape[1:3])}
        of_factors, factors = parted(weights, fineness(network, layers.lines), seen.preferred[units])
        result["inputs"] |= of_factors
    return result, {"units": units, "curves": seen.curve[units], "preferred": seen.preferred[units], "factors": factors}


def draw(network: jc.Network, shown: dict[str, Any], path: Path, most: int = 10) -> None:
    """Drawings, tuning and the two factors' maps of the units, in order of orientation."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    layer = families.LAYERS[network.name].early
    pick = np.unique(np.linspace(0, len(shown["units"]) - 1, min(most, len(shown["units"]))).round().astype(int))
    images = jc.render(network, jc.channel(layer, shown["units"][pick]), jc.Recipe.fast(size=64, steps=128)).images
    figure = plt.figure(figsize=(1.1 * len(pick), 4.6))
    around = np.append(families.AROUND, families.AROUND[0])
    for column, k in enumerate(pick):
        axes = figure.add_subplot(4, len(pick), column + 1)
        axes.imshow(images[column])
        axes.set_title(str(shown["units"][k]), fontsize=8)
        axes.axis("off")
        axes = figure.add_subplot(4, len(pick), len(pick) + column + 1, projection="polar")
        curve = shown["curves"][k]
        axes.plot(around, np.append(curve, curve[0]) / curve.max(), color="black", linewidth=1)
        axes.set_theta_direction(-1)
        axes.set_xticks([])
        axes.set_yticks([])
        for row in (0, 1):
            axes = figure.add_subplot(4, len(pick), (2 + row) * len(pick) + column + 1)
            axes.imshow(shown["factors"].maps[k, ..., row], cmap="Grays", vmin=0)
            axes.set_xticks([])
            axes.set_yticks([])
            if not column:
                axes.set_ylabel(shown["names"][row], fontsize=8)
    figure.tight_layout(pad=0.4)
    figure.savefig(path, dpi=110, pil_kwargs={"quality": 85})


def main() -> None:
    parser = arguments_of(__doc__, size=False)
    parser.add_argument("--figure", type=Path, help="a JPEG of drawings, tuning and factors")
    arguments = parser.parse_args()
    network = jc.load(arguments.network)
    result, shown = measure(network)
    report(result, arguments.out)
    if arguments.figure and shown["factors"] is not None:
        strongest = [int(shown["factors"].directions[k].argmax()) for k in (0, 1)]
        highs = list(result["inputs"]["factors"]["high"]["channels"])
        shown["names"] = ["fine" if channel in highs else "coarse" for channel in strongest]
        draw(network, shown, arguments.figure)


if __name__ == "__main__":
    main()
