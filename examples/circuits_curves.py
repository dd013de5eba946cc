"""The curve circuit in real networks: which units, whether like excites like, and whether weights alone turn.

Command:   python -m examples.circuits_curves slide --out RESULT.json
           python -m examples.circuits_curves WEIGHTS.safetensors --out RESULT.json
           (WEIGHTS: of inceptionv1 or inceptionv1-2015)
Hardware:  two CPU cores
Cost:      10 seconds for slide, 1 minute for InceptionV1
Result:    examples/results/circuits_curves.NETWORK.json

Curve units are those that answer the best orientation of a curve at least 3 times better than the opposite one and no
straight line more than 0.7 times as well (in `slide` straight lines are not excluded); early ones, of the layer before,
need only the first, and 2 times. Both answer curves at least a third as strongly as the layer's 95th percentile. Light
and dark curves on gray, of some radii; orientations and contrasts are then measured again with curves of other radii,
and those are what is compared with the weights. All units that pass are listed, and how many pass each condition.

Weights from early to late units are sums over the window, by how far the two units' orientations differ. The
correlation with the cosine of the difference is compared with late units in random order (1,000 times). Intervals are
bootstrap ones over the late units.

Equivariance is read off the expanded weights from `conv2d2` (in `slide` from mixed4a), with neither the permutation of
units nor that of channels given: the family's weights are turned, and the orientation by which each unit and the one
found for it differ is compared with the turn. By chance the median error is 90 degrees. All turns together put the
units around the circle, which is compared with the stimuli up to one common turn. Scores are compared with 19 shuffles
that keep how strong channels and units are, so no p-value is below 0.05; those of turns and mirrors are corrected for
there being ten of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import jaxcircuits as jc
from benchmarks.measuring import arguments_of, report
from examples.figures import by_chance, figure, rounded
from jaxcircuits import circuits
from jaxcircuits.circuits import motifs
from jaxcircuits.circuits.motifs.null import against_search
from jaxcircuits.evidence import circular
from jaxcircuits.evidence.curves import RADII, curve_tuning, line_answers

CONTRAST, EARLY_CONTRAST, STRONG = 3.0, 2.0, 0.33
SHUFFLES, ORDERS = 19, 1000
TURNS = (30, 40, 60, 90, 120, 180)
MIRRORS = (0, 45, 90, 135)
SETTINGS = {
    "slide": {
        "layers": ("mixed4c", "mixed4d"),
        "from": "mixed4c",
        "size": 96,
        "radii": RADII,
        "held_out_radii": (14.0, 18.0, 22.0, 27.0),
        "straight": np.inf,
    },
    "inceptionv1": {
        "layers": ("mixed3a", "mixed3b"),
        "from": "conv2d2",
        "size": 128,
        "radii": (25.0, 40.0, 60.0),
        "held_out_radii": (30.0, 50.0),
        "straight": 0.7,
    },
}
"""The early and the late layer (in `slide` the late one is the first whose curve units leave no gap above 60 degrees,
by slide.json), where the weights that are turned begin, the pictures' size and the curves' radii in pixels, those that
choose and those that measure, and how well a straight line may be answered."""


def setting_of(network: jc.Network) -> dict[str, Any]:
    """The entry of `SETTINGS` for a network."""
    return SETTINGS["slide" if network.name == "slide" else "inceptionv1"]


def curve_units(network: jc.Network) -> dict[str, dict[str, np.ndarray]]:
    """Layer -> orientation (radians), contrast, straightness, peak and width of all its units.

    `contrast`, `straight` and `peak` are by the curves that choose; `orientation`, `width` and `held_out_contrast` by
    those of other radii.
    """
    setting = setting_of(network)
    layers, size = setting["layers"], setting["size"]
    orientations, choosing = curve_tuning(network, layers, 24, size, setting["radii"])
    _, answers = curve_tuning(network, layers, 24, size, setting["held_out_radii"])
    _, straight = line_answers(network, layers, size=size)
    measured = {}
    for layer in layers:
        _, contrast = circular.preference(orientations, choosing[layer])
        preferred, held_out = circular.preference(orientations, answers[layer])
        peak = choosing[layer].max(0)
        measured[layer] = {
            "orientation": preferred,
            "contrast": contrast,
            "held_out_contrast": held_out,
            "straight": straight[layer].max(0) / np.maximum(peak, 1e-9),
            "peak": peak,
            "width": circular.half_width(orientations, answers[layer]),
        }
    return measured


def conditions(of: dict[str, np.ndarray], contrast: float, straight: float) -> dict[str, np.ndarray]:
    """What a curve unit has to be, by name: bool (units,)."""
    return {
        "contrast": of["contrast"] >= contrast,
        "strong": of["peak"] >= STRONG * np.percentile(of["peak"], 95),
        "no_straight_line": of["straight"] <= straight,
    }


def families(measured: dict[str, dict[str, np.ndarray]], straight: float) -> tuple[np.ndarray, np.ndarray]:
    """The early and the late curve units, each by orientation."""
    before, late = measured.values()
    found = []
    for of, asked in ((before, (EARLY_CONTRAST, np.inf)), (late, (CONTRAST, straight))):
        units = np.flatnonzero(np.all(list(conditions(of, *asked).values()), axis=0))
        found.append(units[np.argsort(of["orientation"][units])])
    return found[0], found[1]


def like_excites_like(weights: np.ndarray, early: np.ndarray, late: np.ndarray) -> dict[str, Any]:
    """Weights from early to late units by how far their orientations differ.

    Args:
      weights: (late, h, w, early).
      early, late: orientations, radians.
    """
    sums = weights.sum((1, 2))
    off = circular.difference(late[:, None], early)

    def correlation(off: np.ndarray, sums: np.ndarray) -> float:
        return float(np.corrcoef(np.cos(off).ravel(), sums.ravel())[0, 1])

    rng = np.random.default_rng(0)
    chance = [correlation(circular.difference(rng.permutation(late)[:, None], early), sums) for _ in range(ORDERS)]
    bins = []
    for start in range(0, 180, 30):

        def mean(off: np.ndarray, sums: np.ndarray, start: int = start) -> float:
            degrees = np.degrees(np.abs(off))
            chosen = sums[(degrees >= start) & (degrees < start + 30)]
            return float(chosen.mean()) if chosen.size else np.nan

        inside = (np.degrees(np.abs(off)) >= start) & (np.degrees(np.abs(off)) < start + 30)
        bins.append({"degrees": [start, start + 30], "pairs": int(inside.sum())})
        if inside.any():
            bins[-1]["mean_weight"] = figure(mean, off, sums, digits=3)
            bins[-1]["excitatory"] = rounded((sums[inside] > 0).mean())
    found = figure(correlation, off, sums, digits=3)
    return {
        "bins": bins,
        "correlation_with_cosine": found,
        "orders": ORDERS,
        "p_value": by_chance(correlation(off, sums), np.array(chance)),
    }


def equivariance(weights: np.ndarray, orientations: np.ndarray) -> list[dict[str, Any]]:
    """What turning and mirroring a family's weights finds, against the orientations that stimuli gave (radians)."""
    rows, tried = [], []
    for name, degrees in [("turn", d) for d in TURNS] + [("mirror", d) for d in MIRRORS]:
        turning = name == "turn"
        transform = motifs.rotation(degrees) if turning else motifs.reflection(degrees)
        found = motifs.equivariance(weights, transform, exchange=turning, shuffles=SHUFFLES)
        expected = orientations + np.radians(degrees) if turning else np.pi + 2 * np.radians(degrees) - orientations
        tried.append(found)
        error = np.degrees(np.abs(circular.difference(orientations[found.units], expected)))
        nearest = [np.degrees(np.abs(circular.difference(orientations, one))).min() for one in expected]
        rows.append(
            {
                name: degrees,
                "score": rounded(found.score, 3),
                "null": [rounded(found.null.mean(), 3), rounded(found.null.max(), 3)],
                "p_value": rounded(found.p_value, 4),
                "median_error_degrees": figure(np.median, error, digits=1),
                "best_possible_median": rounded(np.median(nearest), 1),
                "within_45_degrees": int((error <= 45).sum()),
                "order": found.order,
            }
        )
        print(rows[-1], flush=True)
    adjusted = against_search(np.array([one.score for one in tried]), np.stack([one.null for one in tried], axis=1))
    return [row | {"adjusted_p_value": rounded(p, 4)} for row, p in zip(rows, adjusted)]


def by_weights_alone(weights: np.ndarray, facing: np.ndarray, units: np.ndarray) -> dict[str, Any]:
    """The family's orientations read off its weights, against those that stimuli gave (radians), up to a turn."""
    found = motifs.orientations(weights, shuffles=SHUFFLES)

    def errors(off: np.ndarray) -> np.ndarray:
        return np.degrees(np.angle(off * np.mean(off).conj()))

    off = np.exp(1j * (found.radians - facing))
    error = errors(off)
    chance = np.random.default_rng(0).uniform(0, 2 * np.pi, (ORDERS, len(off)))
    return {
        "agreement": rounded(found.score, 3),
        "null": [rounded(found.null.mean(), 3), rounded(found.null.max(), 3)],
        "p_value": rounded(found.p_value, 4),
        "shuffles": SHUFFLES,
        "median_error_degrees": figure(lambda off: np.median(np.abs(errors(off))), off, digits=1),
        "median_error_by_chance": rounded(np.median([np.median(np.abs(errors(np.exp(1j * c)))) for c in chance]), 1),
        "largest_error_degrees": rounded(np.abs(error).max(), 1),
        "largest_error_of": int(units[np.abs(error).argmax()]),
        "error_degrees": dict(zip(units.tolist(), error.round(1).tolist())),
    }


def measure(network: jc.Network) -> dict[str, Any]:
    """All figures, as plain JSON types."""
    setting = setting_of(network)
    early_layer, late_layer = setting["layers"]
    measured = curve_units(network)
    early, late = families(measured, setting["straight"])

    def family(layer: str, units: np.ndarray, contrast: float, straight: float) -> dict[str, Any]:
        of = measured[layer]
        passed = np.ones(len(of["contrast"]), bool)
        tried = {"units": len(passed)}
        for name, holds in conditions(of, contrast, straight).items():
            passed &= holds
            tried[f"and_{name}"] = int(passed.sum())
        return {
            "layer": layer,
            "tried": tried,
            "held_out_contrast_too": int((of["held_out_contrast"][units] >= contrast).sum()),
            "no_straight_line": int((of["straight"][units] <= SETTINGS["inceptionv1"]["straight"]).sum()),
            "units": [
                {
                    "unit": int(unit),
                    "degrees": rounded(np.degrees(of["orientation"][unit]), 1),
                    "contrast": rounded(min(of["contrast"][unit], 1e3)),
                    "held_out_contrast": rounded(min(of["held_out_contrast"][unit], 1e3)),
                    "straight": rounded(of["straight"][unit]),
                    "width_degrees": rounded(np.degrees(of["width"][unit]), 1),
                    "branch": branch(network, layer, unit),
                }
                for unit in units
            ],
        }

    weights = circuits.expanded_weights(network, early_layer, late_layer, late)[..., early]
    turning = circuits.expanded_weights(network, setting["from"], late_layer, late)
    orientations = measured[late_layer]["orientation"][late]
    print(len(early), early_layer, len(late), late_layer, flush=True)
    gap = np.degrees(circular.largest_gap(orientations))
    return {
        "network": network.name,
        "radii": {"that_choose": list(setting["radii"]), "that_measure": list(setting["held_out_radii"])},
        "early": family(early_layer, early, EARLY_CONTRAST, np.inf),
        "late": family(late_layer, late, CONTRAST, setting["straight"])
        | {
            "largest_gap_degrees": rounded(gap, 1),
            "largest_gap_by_chance": gap_by_chance(len(late)),
        },
        "early_to_late": like_excites_like(weights, measured[early_layer]["orientation"][early], orientations),
        "strongest_pairs": pairs(weights, early, late),
        "orientations_by_weights_alone": by_weights_alone(turning, orientations, late),
        "equivariance": equivariance(turning, orientations),
    }


def gap_by_chance(count: int) -> float:
    """The median widest gap, in degrees, between as many orientations at random."""
    rng = np.random.default_rng(0)
    gaps = [circular.largest_gap(rng.uniform(0, 2 * np.pi, count)) for _ in range(ORDERS)]
    return rounded(np.median(np.degrees(gaps)))


def branch(network: jc.Network, layer: str, unit: int) -> str:
    """Which branch of its block makes a unit."""
    start = 0
    for name in network.layers[layer].inputs:
        start += network.layers[name].channels
        if unit < start:
            return name.removeprefix(f"{layer}_")
    return layer


def pairs(weights: np.ndarray, early: np.ndarray, late: np.ndarray, count: int = 6) -> dict[str, list[list[int]]]:
    """The (early, late) pairs of most excitation and most inhibition, for figures."""
    sums = weights.sum((1, 2))
    order = np.argsort(sums, axis=None)
    named = [[int(early[j]), int(late[i])] for i, j in zip(*np.unravel_index(order, sums.shape))]
    return {"exciting": named[::-1][:count], "inhibiting": named[:count]}


def main() -> None:
    arguments = arguments_of(__doc__, size=False).parse_args()
    report(measure(jc.load(arguments.network)), arguments.out)


if __name__ == "__main__":
    main()
