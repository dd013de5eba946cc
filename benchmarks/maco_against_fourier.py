"""MACO against the default recipe, in the same time, on a deep layer.

Command:   python -m benchmarks.maco_against_fourier WEIGHTS.safetensors --out RESULT.json --picture SIDE_BY_SIDE.jpg
Hardware:  two CPU cores
Cost:      3 to 6 minutes
Result:    benchmarks/results/maco_against_fourier.json, docs/maco.jpg

Units of mixed5a by Fourier coefficients under Lucid's views (128 px, 256 steps), then by MACO (256 px, 4 crops of 128
px a step) with as many steps as take the same time, within 5 %; compilation is apart for both. Both are scored by the
unit's mean activation on the finished pictures at 224 px.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import jax
import numpy as np
from PIL import Image

import jaxcircuits as jc
from benchmarks.measuring import arguments_of, report

LAYER = "mixed5a"
UNITS = (3, 9, 40, 55, 120, 201, 300, 401)
HALF = len(UNITS) // 2
FOURIER = jc.Recipe(steps=256)
PILOT = 6
"""Steps of MACO's first trial."""

MOST_TRIALS = 8
LIKE = 0.05
"""Part of the time by which the two may differ."""


def draw(network: jc.Network, recipe: jc.Recipe) -> tuple[np.ndarray, float]:
    """Pictures of `UNITS` in two batches, and the seconds a picture of the second one, which compiles nothing."""
    pictures, began, seconds = [], time.monotonic(), 0.0
    for _, batch in jc.render_batches(network, jc.channel(LAYER, UNITS), recipe, batch_size=HALF):
        pictures.append(batch.images)
        began, seconds = time.monotonic(), time.monotonic() - began
    return np.concatenate(pictures), seconds / HALF


def resized(pictures: np.ndarray) -> np.ndarray:
    """At 224 px."""
    return np.asarray(jax.image.resize(pictures, (len(pictures), 224, 224, 3), "cubic")).clip(0, 1)


def main() -> None:
    parser = arguments_of(__doc__, size=False)
    parser.add_argument("--picture", type=Path, required=True)
    arguments = parser.parse_args()
    network = jc.load(arguments.network)
    result: dict = {"network": network.name, "layer": LAYER, "units": UNITS}
    fourier, budget = draw(network, FOURIER)
    maco = jc.Recipe.maco(size=256, view=128, views=4, steps=PILOT)
    # A few steps tell only roughly how long many will take: what comes later sees other crops, on a busier machine.
    for _ in range(MOST_TRIALS):
        phase, seconds = draw(network, maco)
        if abs(seconds / budget - 1) <= LIKE:
            break
        maco = dataclasses.replace(maco, steps=max(round(maco.steps * budget / seconds), 1))
    else:
        raise SystemExit(
            f"MACO took {seconds:.1f} s a picture, not {budget:.1f} s, in the last of {MOST_TRIALS} trials"
        )
    rows = {"fourier": (resized(fourier), FOURIER, budget), "maco": (resized(phase), maco, seconds)}
    for name, (pictures, recipe, taken) in rows.items():
        seen = np.asarray(network.activations(pictures, LAYER)[LAYER]).mean((1, 2))
        scores = seen[np.arange(len(UNITS)), UNITS]
        result[name] = {
            "steps": recipe.steps,
            "seconds_a_picture": round(taken, 1),
            "scores": [round(float(score), 1) for score in scores],
            "mean_score": round(float(scores.mean()), 1),
        }
        print(name, result[name], flush=True)
    captions = [f"{LAYER}:{unit}" for unit in UNITS] + ["MACO"] * len(UNITS)
    both = np.concatenate([pictures for pictures, _, _ in rows.values()])
    sheet = jc.contact_sheet(both, captions, columns=len(UNITS))
    sheet = sheet.resize((sheet.width * 2 // 3, sheet.height * 2 // 3), Image.LANCZOS)
    sheet.save(arguments.picture, quality=85)
    report(result, arguments.out)


if __name__ == "__main__":
    main()
