"""Curve detectors written by hand, beside the trained ones and in their place.

Command:   python -m examples.handwritten_curves slide --out RESULT.json
           python -m examples.handwritten_curves WEIGHTS.safetensors --photographs FOLDER --out RESULT.json
Hardware:  two CPU cores
Cost:      12 seconds for slide, 4 minutes for InceptionV1 with 800 photographs
Result:    examples/results/handwritten_curves.NETWORK.json

The trained units are those of `examples.circuits_curves`, of the late layer. Each gets a unit written by hand for the
orientation that its tuning curve prefers; nothing else is taken from it. Compared are peak positions, widths at half
height, and the correlation of the two tuning curves over 360 degrees, for curves of other radii than those that chose
the units. How far any curve unit's tuning is like any other's is said beside it: the correlation of two trained ones,
each turned to where it has its peak.

Then the trained units are silenced, or their answers replaced by those of the units written by hand (the strongest of
each cell, times the one factor a unit that makes the peaks of the two tuning curves equal), and the network is asked
again: slide for its classes on 36 fresh scenes of each, InceptionV1 for the classes of photographs. Neither had part in
the choice. As a control, the units written by hand take each other's places (every orientation is 180 degrees wrong).
Intervals are bootstrap ones over scenes or photographs, those of differences over the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxcircuits as jc
from benchmarks.measuring import arguments_of, report
from examples.circuits_curves import curve_units, families, setting_of
from examples.figures import figure, open_photographs, read, rounded
from jaxcircuits import circuits
from jaxcircuits.evidence import circular, handwritten
from jaxcircuits.evidence.curves import curve_tuning
from jaxcircuits.slide import scenes

ORIENTATIONS = 72
RADIUS = {"slide": 20.0, "inceptionv1": 40.0}
STROKE = 5.0


def compare(network: jc.Network, hand: jc.Network, layer: str, units: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    """Tuning of the trained units and of those written by hand; and the factors that make their peaks equal."""
    setting = setting_of(network)
    arguments = ORIENTATIONS, setting["size"], setting["held_out_radii"]
    orientations, trained = curve_tuning(network, [layer], *arguments)
    _, written = curve_tuning(hand, ["curves"], *arguments)
    curves = {"trained": trained[layer][:, units], "by_hand": written["curves"]}
    peaks = {name: circular.preference(orientations, values)[0] for name, values in curves.items()}
    widths = {name: np.degrees(circular.half_width(orientations, values)) for name, values in curves.items()}
    off = np.degrees(circular.difference(peaks["by_hand"], peaks["trained"]))
    correlation = [np.corrcoef(one, other)[0, 1] for one, other in zip(*(values.T for values in curves.values()))]
    # All turned to the same orientation.
    turned = {
        name: np.array(
            [
                np.interp(np.arange(0, 360, 5), np.degrees(orientations - peak) % 360, curve / curve.max(), period=360)
                for peak, curve in zip(peaks["trained"], values.T)
            ]
        )
        for name, values in curves.items()
    }
    others = np.corrcoef(turned["trained"])[np.triu_indices(len(units), 1)]
    figures = {
        "peak_differs_degrees": {
            "median": figure(np.median, np.abs(off), digits=1),
            "most": rounded(np.abs(off).max(), 1),
        },
        "half_width_degrees": {name: figure(np.median, values, digits=1) for name, values in widths.items()},
        "correlation": {
            "median": figure(np.median, np.array(correlation), digits=3),
            "least": rounded(min(correlation), 3),
            "of_two_trained_ones_median": rounded(np.median(others), 3),
        },
        "mean_tuning_every_5_degrees": {name: values.mean(0).round(3).tolist() for name, values in turned.items()},
        "units": [
            {
                "unit": int(unit),
                "degrees": round(float(np.degrees(peaks["trained"][i])), 1),
                "by_hand_degrees": round(float(np.degrees(peaks["by_hand"][i])), 1),
                "half_width": [round(float(widths[name][i]), 1) for name in curves],
                "correlation": round(float(correlation[i]), 3),
            }
            for i, unit in enumerate(units)
        ],
    }
    return figures, curves["trained"].max(0) / np.maximum(curves["by_hand"].max(0), 1e-9)


def on_the_grid(network: jc.Network, hand: jc.Network, layer: str, pictures: np.ndarray) -> np.ndarray:
    """What units written by hand answer to pictures, on the grid of a layer: the strongest of each cell."""
    height, width, _ = network.shapes(pictures.shape[1:3], [layer])[layer]
    values = np.asarray(hand.activations(pictures, "curves")["curves"])
    rows, columns = values.shape[1] // height, values.shape[2] // width
    cells = values[:, : rows * height, : columns * width]
    return cells.reshape(len(values), height, rows, width, columns, -1).max((2, 4))


def replaced(
    network: jc.Network,
    hand: jc.Network,
    layer: str,
    units: np.ndarray,
    facing: np.ndarray,
    factors: np.ndarray,
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
) -> dict[str, dict[str, Any]]:
    """Accuracy with the trained units, without them, with those written by hand, and with those 180 degrees wrong.

    Args:
      network, hand, layer: of the trained units, and those that take their place.
      units: of the layer.
      facing: their orientations, radians, which are those of the units written by hand.
      factors: on what those answer.
      batches: pictures (N, H, W, 3) and classes (N,).
    """
    names = [f"{layer}:{unit}" for unit in units]
    silent = circuits.ablate(network, names)
    wrong = np.abs(circular.difference(facing[:, None] + np.pi, facing)).argmin(1)
    seen: dict[str, list[np.ndarray]] = {}
    for pictures, classes in batches:
        own = on_the_grid(network, hand, layer, pictures) * factors
        variants = {
            "trained": network,
            "silenced": silent,
            "by_hand": circuits.patch(network, names, own),
            "by_hand_turned_180": circuits.patch(network, names, own[..., wrong]),
        }
        for name, variant in variants.items():
            logits = np.asarray(variant.activations(pictures, network.logits)[network.logits])
            ranks = (logits > np.take_along_axis(logits, classes[:, None], 1)).sum(1)
            seen.setdefault(name, []).append(np.stack([classes, ranks]))
    (classes, _), ranks = (
        np.concatenate(seen["trained"], axis=1),
        {name: np.concatenate(parts, axis=1)[1] for name, parts in seen.items()},
    )
    curves = np.isin(classes, [i for i, label in enumerate(network.labels) if label.startswith("curve ")])
    asked = {"top_1": (1, slice(None)), "top_5": (5, slice(None))} | (
        {"top_1_of_curves": (1, curves)} if curves.any() else {}
    )
    figures: dict[str, Any] = {name: {} for name in ranks}
    for question, (k, of) in asked.items():
        right = {name: (values < k)[of].astype(float) for name, values in ranks.items()}
        for name, values in right.items():
            figures[name][question] = figure(np.mean, values, digits=4)
        for name in ("by_hand", "by_hand_turned_180"):
            key = f"{question}_above_silenced"
            figures[name][key] = figure(np.mean, right[name] - right["silenced"], digits=4)
        apart = right["by_hand"] - right["by_hand_turned_180"]
        figures["by_hand"][f"{question}_above_turned_180"] = figure(np.mean, apart, digits=4)
    return figures


def scene_batches(seed: int, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Fresh scenes, four of each class at a time."""
    for key in jax.random.split(jax.random.key(seed), count):
        pictures, classes = scenes.batch(key, 4)
        yield np.asarray(pictures), np.asarray(classes)


def photograph_batches(network: jc.Network, folder: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Photographs whose synset is a label, 40 at a time."""
    photographs, synsets = open_photographs(folder)
    classes = {label.split()[0]: i for i, label in enumerate(network.labels)}
    known = np.flatnonzero([synset in classes for synset in synsets])
    for start in range(0, len(known), 40):
        chosen = known[start : start + 40]
        yield read(photographs, chosen), np.array([classes[synset] for synset in synsets[chosen]])


def measure(network: jc.Network, photographs: Path | None) -> dict[str, Any]:
    """All figures, as plain JSON types."""
    layer = setting_of(network)["layers"][1]
    measured = curve_units(network)
    _, units = families(measured, setting_of(network)["straight"])
    facing = measured[layer]["orientation"][units]
    radius = RADIUS["slide" if network.name == "slide" else "inceptionv1"]
    hand = handwritten.handwritten_curves(facing, radius=radius, stroke=STROKE)
    figures, factors = compare(network, hand, layer, units)
    result = {"network": network.name, "layer": layer, "radius": radius, "units": len(units), "tuning": figures}
    if network.name == "slide":
        batches = scene_batches(7, 9)
    elif photographs:
        batches = photograph_batches(network, photographs)
    else:
        return result
    return result | {"in_their_place": replaced(network, hand, layer, units, facing, factors, batches)}


def main() -> None:
    parser = arguments_of(__doc__, size=False)
    parser.add_argument("--photographs", type=Path, help="folder of one folder a synset")
    arguments = parser.parse_args()
    report(measure(jc.load(arguments.network), arguments.photographs), arguments.out)


if __name__ == "__main__":
    main()
