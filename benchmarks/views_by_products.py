"""What the views that a TPU draws with change: by how much they differ, and what becomes of finished pictures' scores.

Command:   python -m benchmarks.views_by_products WEIGHTS.safetensors --out RESULT.json
Hardware:  two CPU cores
Cost:      five minutes
Result:    benchmarks/results/views_by_products.json

Units of mixed4b at the default recipe, drawn as on other devices and once more with the branches that a TPU takes, from
the same starts under the same draws of views, in float32 both. Both are scored by bilinear views, the mean of eight.
Beside them the root mean square by which views of the finished pictures, and of uniform noise, differ between the ways.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import jax
import numpy as np

import jaxcircuits as jc
from benchmarks.measuring import arguments_of, report
from jaxcircuits.vis.optimize import programs
from jaxcircuits.vis.transforms import CAPTUM, LUCID, random_view

LAYER = "mixed4b"
UNITS = (3, 11, 77, 136, 208, 301, 402, 479)
VIEWS = 16


@contextlib.contextmanager
def as_on_a_tpu() -> Iterator[None]:
    """The branches that a program takes on a TPU, on whatever device there is."""
    other = jax.lax.platform_dependent
    jax.lax.platform_dependent = lambda *arguments, tpu, default: tpu(*arguments)
    programs.cache_clear()
    try:
        yield
    finally:
        jax.lax.platform_dependent = other
        programs.cache_clear()


def views(transforms: tuple, pictures: np.ndarray) -> np.ndarray:
    """`VIEWS` of each."""

    def of_one(picture, key):
        return jax.vmap(lambda k: random_view(transforms, k, picture))(jax.random.split(key, VIEWS))

    return np.asarray(jax.jit(jax.vmap(of_one))(pictures, jax.random.split(jax.random.key(0), len(pictures))))


def main() -> None:
    arguments = arguments_of(__doc__, size=False).parse_args()
    network, units = jc.load(arguments.network), jc.channel(LAYER, UNITS)
    drawn = {"gathers": jc.render(network, units).images}
    with as_on_a_tpu():
        drawn["products"] = jc.render(network, units).images
    scored = {way: jc.render(network, units, jc.Recipe(steps=0), start=images).scores for way, images in drawn.items()}
    ratios = scored["products"] / scored["gathers"]
    noise = np.random.default_rng(0).uniform(size=drawn["gathers"].shape).astype(np.float32)
    differences = {}
    for name, transforms in (("lucid", LUCID), ("captum", CAPTUM)):
        for kind, pictures in (("finished pictures", drawn["gathers"]), ("uniform noise", noise)):
            bilinear = views(transforms, pictures)
            with as_on_a_tpu():
                other = views(transforms, pictures)
            differences[f"{name}, {kind}"] = round(float(np.sqrt(np.square(other - bilinear).mean())), 5)
    result = {
        "network": network.name,
        "layer": LAYER,
        "units": UNITS,
        "root_mean_square": differences,
        "scores": {way: [round(float(score), 1) for score in scores] for way, scores in scored.items()},
        "mean_score": {way: round(float(scores.mean()), 1) for way, scores in scored.items()},
        "ratios": [round(float(ratio), 4) for ratio in ratios],
    }
    print(result)
    report(result, arguments.out)


if __name__ == "__main__":
    main()
