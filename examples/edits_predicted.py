"""Do the weights tell what an edit of a circuit will change?

Command:   python -m examples.edits_predicted WEIGHTS.safetensors PHOTOGRAPHS --out RESULT.json
           (PHOTOGRAPHS: a folder of class folders of JPEG files, such as 800 ImageNet pictures)
Hardware:  two CPU cores
Cost:      3.5 minutes
Result:    examples/results/edits_predicted.json

Circuits are edited in seven ways. Units and their inputs are chosen on 16 photographs, by what they contribute there;
outcomes are those on 32 others. Each edit is predicted by `circuits.predict_edit` at the edited units, at the 20 units
of the next block to which they contribute most, and at 20 of the block after that. Compared is the change of the
pre-activation, over photographs and cells, for every target by itself; the numbers are medians over targets, with
bootstrap intervals over photographs, and nothing is left out. `changed` says of how many targets the edit changes
anything. Ablated units have the pre-activations that they had, so theirs are not predicted. The weights at each picture
know which units are silent there (the edited block is computed as it is, from there on it is the gradient before the
edit), so at the edited units they are the outcome by construction, and are not measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

import jaxcircuits as jc
from benchmarks.measuring import arguments_of, report
from examples.figures import RESAMPLES, interval, open_photographs, read, rounded
from jaxcircuits import circuits
from jaxcircuits.pages import prediction_plot

BLOCKS = ("mixed3a", "mixed3b", "mixed4a", "mixed4b", "mixed4c", "mixed4d", "mixed4e", "mixed5a", "mixed5b")
TARGETS = 20
"""Units that are looked at in each block beyond the edited one."""


def spread(photographs: jc.Pictures, count: int, first: int) -> np.ndarray:
    """(count, 224, 224, 3) in [0, 1]: photograph `first`, and others at equal distances, so of many classes."""
    return read(photographs, np.arange(first, len(photographs), max(len(photographs) // count, 1))[:count])


def intervals(found: circuits.Prediction) -> dict[str, list[float]]:
    """Of the medians over targets of correlation and slope, over photographs: from each photograph's sums."""
    predicted, outcome = (
        np.float64(values).reshape(len(values), -1, len(found.units)) for values in (found.predicted, found.outcome)
    )
    sums = [part.sum(1) for part in (predicted, outcome, predicted**2, outcome**2, predicted * outcome)]
    cells, changed = predicted.shape[1], np.isfinite(found.correlation)
    if not changed.any():
        return {"correlation_interval": [float("nan")] * 2, "slope_interval": [float("nan")] * 2}

    def correlation(p: np.ndarray, o: np.ndarray, pp: np.ndarray, oo: np.ndarray, po: np.ndarray) -> float:
        n = cells * len(p)
        covariance = po.sum(0) - p.sum(0) * o.sum(0) / n
        variances = (pp.sum(0) - p.sum(0) ** 2 / n) * (oo.sum(0) - o.sum(0) ** 2 / n)
        return median(np.where(variances > 0, covariance, np.nan), np.sqrt(np.maximum(variances, 0)))

    def slope(p: np.ndarray, o: np.ndarray, pp: np.ndarray, oo: np.ndarray, po: np.ndarray) -> float:
        return median(po.sum(0), pp.sum(0))

    def median(numerator: np.ndarray, denominator: np.ndarray) -> float:
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.nanmedian(np.where(denominator > 0, numerator / denominator, np.nan)))

    parts = [part[:, changed] for part in sums]
    return {
        f"{name}_interval": [rounded(end, 4) for end in interval(statistic, *parts)]
        for name, statistic in (("correlation", correlation), ("slope", slope))
    }


def most_active(network: jc.Network, layer: str, branch: str, pictures: np.ndarray, count: int) -> list[int]:
    """The units of a block's branch that are most active on pictures."""
    branches = network.layers[layer].inputs
    first = sum(network.layers[name].channels for name in branches[: branches.index(f"{layer}_{branch}")])
    mean = np.asarray(network.activations(pictures, f"{layer}_{branch}")[f"{layer}_{branch}"]).mean((0, 1, 2))
    return (first + np.argsort(-mean)[:count]).tolist()


def most_contributing(
    network: jc.Network, layer: str, units: list[int], pictures: np.ndarray, sign: int, count: int
) -> list[str]:
    """The units of the block before that add most to units on pictures, or take most."""
    source = BLOCKS[BLOCKS.index(layer) - 1]
    total = circuits.contributions(network, source, layer, pictures, units).sum((0, 1, 2))
    return named(source, np.argsort(-sign * total)[:count].tolist())


def readers(network: jc.Network, layer: str, units: list[int], target: str, pictures: np.ndarray) -> list[int]:
    """The units of a later block to which units contribute most on pictures, of either sign."""
    brought = circuits.contributions(network, layer, target, pictures)[..., units]
    return np.argsort(-np.abs(brought.sum((1, 2, 3))))[:TARGETS].tolist()


def named(layer: str, units: list[int]) -> list[str]:
    return [f"{layer}:{unit}" for unit in units]


class Edit(NamedTuple):
    """An edit of a circuit.

    Attributes:
      what: is done, in words.
      layer: the edited block.
      units: those edited.
      network: the edited one.
      of_weights: whether their weights are edited, or else their activations.
    """

    what: str
    layer: str
    units: list[int]
    network: jc.Network
    of_weights: bool = True


def edits(network: jc.Network, pictures: np.ndarray) -> Iterator[Edit]:
    """All seven."""

    def chosen(layer: str, branch: str, units: int, sign: int = 1, sources: int = 10) -> tuple[list[int], list[str]]:
        units = most_active(network, layer, branch, pictures, units)
        return units, most_contributing(network, layer, units, pictures, sign, sources)

    units, sources = chosen("mixed4c", "1x1", 5)
    cut = circuits.cut(network, sources, named("mixed4c", units))
    yield Edit("cut the 10 most exciting inputs", "mixed4c", units, cut)
    units, sources = chosen("mixed3b", "5x5", 5)
    cut = circuits.cut(network, sources, named("mixed3b", units))
    yield Edit("cut the 10 most exciting inputs", "mixed3b", units, cut)
    units, sources = chosen("mixed4d", "3x3", 5)
    cut = circuits.cut(network, sources, named("mixed4d", units))
    yield Edit("cut the 10 most exciting inputs", "mixed4d", units, cut)
    units, sources = chosen("mixed4c", "3x3", 5, sign=-1)
    edited = circuits.scale_weights(network, sources, named("mixed4c", units), 2.0)
    yield Edit("double the 10 most inhibiting inputs", "mixed4c", units, edited)
    units, sources = chosen("mixed4b", "5x5", 5, sources=1)
    edited = circuits.scale_weights(network, sources, named("mixed4b", units), -1.0)
    yield Edit("turn the most exciting input round", "mixed4b", units, edited)
    units = most_active(network, "mixed4b", "3x3", pictures, 1)
    silenced = circuits.ablate(network, named("mixed4b", units))
    yield Edit("silence a unit", "mixed4b", units, silenced, of_weights=False)
    units = most_active(network, "mixed4c", "5x5", pictures, 5)
    fixed = circuits.ablate(network, named("mixed4c", units), pictures)
    yield Edit("fix units at their mean", "mixed4c", units, fixed, of_weights=False)


def compare(network: jc.Network, choice: np.ndarray, held_out: np.ndarray, plots: list[Image.Image]) -> Iterator[dict]:
    """One row an edit and a distance to the targets; plots of the edited units and of those one block on."""
    for what, layer, units, edited, of_weights in edits(network, choice):
        start = BLOCKS.index(layer)
        for distance in range(0 if of_weights else 1, 3):
            target = BLOCKS[start + distance]
            targets = readers(network, layer, units, target, choice) if distance else units
            row = {"edit": what, "block": layer, "units": units, "targets": target, "blocks_between": distance}
            for kind in ("linearized", "gated") if distance else ("linearized",):
                found = circuits.predict_edit(network, edited, target, held_out, targets, gated=kind == "gated")
                print(f"{what}, {layer} {units}, {kind}: {found!r}", flush=True)
                if distance < 2 and kind == "linearized":
                    plots.append(prediction_plot(found, f"{what}: {layer} to {target}"))
                values = {name: getattr(found, name) for name in ("correlation", "slope", "explained")}
                row[kind] = {name: round(float(np.nanmedian(value)), 4) for name, value in values.items()}
                row[kind] |= intervals(found)
                row[kind] |= {
                    "changed": int(np.isfinite(found.correlation).sum()),
                    "correlations": [round(float(r), 3) for r in found.correlation],
                    "outcome_over_spread": round(float(found.outcome.std() / found.before.std()), 4),
                }
            yield row


def main() -> None:
    parser = arguments_of(__doc__, size=False)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--count", type=int, default=32, help="photographs to take outcomes on")
    parser.add_argument("--plots", type=Path, help="file for plots of prediction against outcome")
    arguments = parser.parse_args()
    network, (photographs, _) = jc.load(arguments.network), open_photographs(arguments.photographs)
    choice, held_out = spread(photographs, 16, 1), spread(photographs, arguments.count, 0)
    plots: list[Image.Image] = []
    rows = list(compare(network, choice, held_out, plots))
    if arguments.plots:
        jc.contact_sheet(np.stack([np.asarray(plot) for plot in plots]) / 255, columns=4).save(arguments.plots)
    result = {
        "network": network.name,
        "photographs": {"that_choose": len(choice), "that_measure": len(held_out)},
        "resamples": RESAMPLES,
        "rows": rows,
    }
    report(result, arguments.out)
    for row in rows:
        ways = {kind: row[kind]["correlation"] for kind in ("linearized", "gated") if kind in row}
        print(f"{row['edit']} of {row['block']}, {row['blocks_between']} blocks on: {ways}")


if __name__ == "__main__":
    main()
