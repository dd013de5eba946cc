"""JAX's settings, which a process may have set for other reasons: drawings do not mind."""

import os
import subprocess
import sys

import numpy as np
import pytest

DRAW = """
import sys
import numpy as np
import jaxcircuits as jc
from jaxcircuits.vis import CAPTUM, MACO, Affine, Blur, Color, Crop, Elastic, Flip, Homography, Noise

network = jc.load("slide")
recipes = {
    "lucid": jc.Recipe(size=24, steps=2),
    "fast": jc.Recipe.fast(size=24, steps=2, tolerance=0.1),
    "maco": jc.Recipe.maco(size=24, view=24, steps=2, views=1),
}
if sys.argv[2] == "everything":
    views = (Affine((-5, 5)), Flip(), Blur(), Noise(0.1, 0.1), Color((0.9, 1.1)), Homography(), Elastic(), Crop(24))
    for name in ("RGBA", "Pixels", "Pyramid", "CPPN"):
        recipes[name] = jc.Recipe(size=24, steps=2, transforms=views, parametrization=name)
drawn = {}
for name, recipe in recipes.items():
    objective = jc.channel("conv2d1", [1, 2]) + 0.5 * jc.direction("conv2d0", np.linspace(0, 1, 16))
    rendering = jc.render(network, objective, recipe, progress=False)
    drawn[name] = rendering.images
    assert rendering.images.dtype == rendering.scores.dtype == np.float32
drawn["relevance"] = jc.relevance(network, "conv2d1:1", drawn["lucid"][:1], recipes["lucid"])
drawn["percentiles"] = jc.percentiles(network, jc.channel("conv2d1", [1, 2]), drawn["lucid"], drawn["maco"])
drawn["activations"] = network.activations(drawn["lucid"], "mixed3a")["mixed3a"]
np.savez(sys.argv[1], **drawn)
"""

SETTINGS = {
    "JAX_ENABLE_X64": "1",
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_NUMPY_RANK_PROMOTION": "raise",
    "JAX_TRANSFER_GUARD": "disallow",
    "JAX_DEBUG_NANS": "1",
    "JAX_CHECK_TRACER_LEAKS": "1",
    "JAX_DEFAULT_PRNG_IMPL": "rbg",
}


def draw(path, what, **settings):
    environment = dict(os.environ, JAX_PLATFORMS="cpu", JAX_DISABLE_MOST_OPTIMIZATIONS="1", **settings)
    done = subprocess.run([sys.executable, "-c", DRAW, path, what], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return np.load(path)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("plain") / "drawn.npz", "presets")


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS)
def test_pictures_are_the_same_under_any_setting(setting, plain, tmp_path):
    drawn = draw(tmp_path / "drawn.npz", "presets", **{setting: SETTINGS[setting]})
    for name in plain.files:
        np.testing.assert_allclose(drawn[name], plain[name], atol=1e-4, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["JAX_ENABLE_X64", "JAX_NUMPY_DTYPE_PROMOTION"])
def test_everything_that_is_drawn_with(setting, tmp_path):
    plain = draw(tmp_path / "plain.npz", "everything")
    drawn = draw(tmp_path / "drawn.npz", "everything", **{setting: SETTINGS[setting]})
    for name in plain.files:
        np.testing.assert_allclose(drawn[name], plain[name], atol=1e-4, err_msg=name)
