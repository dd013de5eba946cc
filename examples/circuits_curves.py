"""The curve circuit in real networks: which units, whether like excites like, and whether weights alone turn.

Command:   python -m benchmarks.circuits_curves slide --out RESULT.json
           python -m benchmarks.circuits_curves WEIGHTS.safetensors --out RESULT.json
           (WEIGHTS: of inceptionv1 or inceptionv1-2015)
Hardware:  two CPU cores
Cost:      6 seconds for slide, 40 for InceptionV1
Result:    benchmarks/results/circuits_curves.NETWORK.json

Curve units are those that answer the best orientation of a curve at least 3 times better than the opposite one and no
straight line more than 0.7 times as well (in `slide`, whose 19 units are known, any); early ones, of the layer before,
need only the first, and 2 times. Both answer curves at least a third as strongly as the layer's 95th percentile. Light
and dark curves on grey, three or more radii.

Weights from early to late units are sums over the window, by how far the two units' orientations differ. The
correlation with the cosine of the difference is compared with late units in random order (1,000 times).

Equivariance is read off the expanded weights from `conv2d2` (in `slide` from mixed4a), with neither the permutation of
units nor that of channels given: the family's weights are turned, and the orientation by which each unit and the one
found for it differ is compared with the turn. By chance the median error is 90 degrees. All turns together put the
units around the circle, which is compared with the stimuli up to one common turn. Scores are compared with 19 shuffles
that keep how strong channels and units are; p-values of turns and mirrors are corrected for there being ten of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import jaxcircuits as jc
from benchmarks.measuring import arguments_of, report
from jaxcircuits import circuits
from jaxcircuits.circuits import motifs
from jaxcircuits.circuits.motifs.null import against_search
from jaxcircuits.evidence import tuning

CONTRAST, EARLY_CONTRAST, STRONG = 3.0, 2.0, 0.33
SHUFFLES = 19
TURNS = (30, 40, 60, 90, 120, 180)
MIRRORS = (0, 45, 90, 135)
SETTINGS = {
    "slide": {
        "layers": ("mixed4a", "mixed4b"),
        "from": "mixed4a",
        "size": 96,
        "radii": tuning.RADII,
        "straight": np.inf,
    },
    "inceptionv1": {
        "layers": ("mixed3a", "mixed3b"),
        "from": "conv2d2",
        "size": 128,
        "radii": (25.0, 40.0, 60.0),
        "straight": 0.7,
    },
}
"""The early and the late layer, where the weights that are turned begin, the pictures' size and the curves' radii in
pixels, and how well a straight line may be answered."""


def setting_of(network: jc.Network) -> dict[str, Any]:
    """The entry of `SETTINGS` for a network."""
    return SETTINGS["slide" if network.name == "slide" else "inceptionv1"]


def curve_units(network: jc.Network) -> dict[str, dict[str, np.ndarray]]:
    """Layer -> orientation (radians), contrast, straightness and peak of all its units."""
    setting = setting_of(network)
    layers, size = setting["layers"], setting["size"]
    orientations, answers = tuning.curve_tuning(network, layers, 24, size, setting["radii"])
    _, straight = tuning.line_answers(network, layers, size=size)
    measured = {}
    for layer in layers:
        preferred, contrast = tuning.preference(orientations, answers[layer])
        peak = answers[layer].max(0)
        measured[layer] = {
            "orientation": preferred,
            "contrast": contrast,
            "straight": straight[layer].max(0) / np.maximum(peak, 1e-9),
            "peak": peak,
            "width": tuning.half_width(orientations, answers[layer]),
        }
    return measured


def families(measured: dict[str, dict[str, np.ndarray]], straight: float) -> tuple[np.ndarray, np.ndarray]:
    """The early and the late curve units, each by orientation."""
    before, late = measured.values()

    def strong(peak: np.ndarray) -> np.ndarray:
        return peak >= STRONG * np.percentile(peak, 95)

    first = np.flatnonzero((before["contrast"] >= EARLY_CONTRAST) & strong(before["peak"]))
    second = np.flatnonzero((late["contrast"] >= CONTRAST) & (late["straight"] <= straight) & strong(late["peak"]))
    return first[np.argsort(before["orientation"][first])], second[np.argsort(late["orientation"][second])]


def like_excites_like(weights: np.ndarray, early: np.ndarray, late: np.ndarray) -> dict[str, Any]:
    """Weights from early to late units by how far their orientations differ.

    Args:
      weights: (late, h, w, early).
      early, late: orientations, radians.
    """
    sums = weights.sum((1, 2))
    off = tuning.difference(late[:, None], early)

    def correlation(differences: np.ndarray) -> float:
        return float(np.corrcoef(np.cos(differences).ravel(), sums.ravel())[0, 1])

    rng = np.random.default_rng(0)
    chance = [correlation(tuning.difference(rng.permutation(late)[:, None], early)) for _ in range(1000)]
    found = correlation(off)
    bins = []
    for start in range(0, 180, 30):
        inside = (np.degrees(np.abs(off)) >= start) & (np.degrees(np.abs(off)) < start + 30)
        chosen = sums[inside]
        bins.append(
            {
                "degrees": [start, start + 30],
                "pairs": int(inside.sum()),
                "mean_weight": round(float(chosen.mean()), 3) if chosen.size else None,
                "excitatory": round(float((chosen > 0).mean()), 2) if chosen.size else None,
            }
        )
    return {
        "bins": bins,
        "correlation_with_cosine": round(found, 3),
        "p_value": float((1 + np.sum(np.array(chance) >= found)) / 1001),
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
        error = np.degrees(np.abs(tuning.difference(orientations[found.units], expected)))
        nearest = [np.degrees(np.abs(tuning.difference(orientations, one))).min() for one in expected]
        rows.append(
            {
                name: degrees,
                "score": round(found.score, 3),
                "null": [round(float(found.null.mean()), 3), round(float(found.null.max()), 3)],
                "p_value": round(found.p_value, 4),
                "median_error_degrees": round(float(np.median(error)), 1),
                "best_possible_median": round(float(np.median(nearest)), 1),
                "within_45_degrees": int((error <= 45).sum()),
                "order": found.order,
            }
        )
        print(rows[-1], flush=True)
    adjusted = against_search(np.array([one.score for one in tried]), np.stack([one.null for one in tried], axis=1))
    return [row | {"adjusted_p_value": round(float(p), 4)} for row, p in zip(rows, adjusted)]


def by_weights_alone(weights: np.ndarray, facing: np.ndarray, units: np.ndarray) -> dict[str, Any]:
    """The family's orientations read off its weights, against those that stimuli gave (radians), up to a turn."""
    found = motifs.orientations(weights, shuffles=SHUFFLES)
    off = np.exp(1j * (found.radians - facing))
    error = np.degrees(np.angle(off * np.mean(off).conj()))
    return {
        "agreement": round(found.score, 3),
        "null": [round(float(found.null.mean()), 3), round(float(found.null.max()), 3)],
        "p_value": round(found.p_value, 4),
        "shuffles": SHUFFLES,
        "median_error_degrees": round(float(np.median(np.abs(error))), 1),
        "largest_error_degrees": round(float(np.abs(error).max()), 1),
        "error_degrees": dict(zip(units.tolist(), error.round(1).tolist())),
    }


def measure(network: jc.Network) -> dict[str, Any]:
    """All figures, as plain JSON types."""
    early_layer, late_layer = setting_of(network)["layers"]
    measured = curve_units(network)
    early, late = families(measured, setting_of(network)["straight"])

    def listed(layer: str, units: np.ndarray) -> list[dict[str, Any]]:
        of = measured[layer]
        return [
            {
                "unit": int(unit),
                "degrees": round(float(np.degrees(of["orientation"][unit])), 1),
                "contrast": round(float(min(of["contrast"][unit], 1e3)), 2),
                "straight": round(float(of["straight"][unit]), 2),
                "width_degrees": round(float(np.degrees(of["width"][unit])), 1),
                "branch": branch(network, layer, unit),
            }
            for unit in units
        ]

    weights = circuits.expanded_weights(network, early_layer, late_layer, late)[..., early]
    turning = circuits.expanded_weights(network, setting_of(network)["from"], late_layer, late)
    orientations = measured[late_layer]["orientation"][late]
    print(len(early), early_layer, len(late), late_layer, flush=True)
    return {
        "network": network.name,
        "early": {"layer": early_layer, "units": listed(early_layer, early)},
        "late": {
            "layer": late_layer,
            "units": listed(late_layer, late),
            "largest_gap_degrees": round(float(np.degrees(tuning.largest_gap(orientations))), 1),
        },
        "early_to_late": like_excites_like(weights, measured[early_layer]["orientation"][early], orientations),
        "strongest_pairs": pairs(weights, early, late),
        "orientations_by_weights_alone": by_weights_alone(turning, orientations, late),
        "equivariance": equivariance(turning, orientations),
    }


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
