"""What a drawing computes outside its network, on devices that round products or call libraries unless told not to.

A TPU rounds the factors of a product to bfloat16 and a GPU to TF32, which moves the pixels of a view by a part of their
distance from the center; and factors of small matrices by a library take a GPU longer than a network.
"""

import jax
import jax.extend
import numpy as np
import pytest

from jaxcircuits.vis.parametrization import PARAMETRIZATIONS
from jaxcircuits.vis.transforms import (
    CAPTUM,
    LUCID,
    MACO,
    TRANSFORMS,
    Affine,
    Blur,
    Color,
    Crop,
    Elastic,
    Flip,
    Homography,
    Jitter,
    Noise,
    Pad,
    Rotate,
    Scale,
    random_view,
)
from jaxcircuits.vis.transforms.base import inverse, matrix_of
from jaxcircuits.vis.transforms.geometric import Native

KEY = jax.random.key(0)
SIZE = (24, 24)
CHAINS = {
    "LUCID": LUCID,
    "CAPTUM": CAPTUM,
    "MACO": MACO,
    "matrices": (
        Pad(2),
        Jitter(3),
        Scale((0.8, 1.3)),
        Rotate((-30, 20)),
        Flip(0.5, 0.5),
        Affine(shear=(-20, 20)),
        Native(30, 24),
    ),
    "crop": (Crop(),),
    "homography": (Homography(0.4),),
    "elastic": (Elastic(2, 3),),
    "photometric": (Blur((0.5, 3)), Noise(0.1, 0.1), Color((0.5, 1.5), (0.5, 1.5), (0, 2))),
}
"""Every transform."""
LIBRARIES = ("lu", "qr", "svd", "eigh", "eig", "cholesky", "triangular_solve", "schur", "hessenberg")


def operations(jaxpr):
    """Of a program and of all that it calls."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
            yield from operations(inner)


def assert_exact(function, *arguments):
    """In full precision, forward and backward."""
    found = list(operations(jax.make_jaxpr(function)(*arguments).jaxpr))
    for equation in found:
        assert equation.primitive.name not in LIBRARIES, equation
        if equation.primitive.name in ("dot_general", "conv_general_dilated"):
            precision = equation.params["precision"]
            pair = precision if isinstance(precision, tuple) else (precision,) * 2
            assert pair == (jax.lax.Precision.HIGHEST,) * 2, equation
    return {equation.primitive.name for equation in found}


@pytest.mark.parametrize("chain", CHAINS)
def test_views(chain):
    def seen(picture):
        view, back = jax.vjp(lambda picture: random_view(CHAINS[chain], KEY, picture), picture)
        return back(view)

    names = assert_exact(seen, np.zeros((*SIZE, 3), np.float32))
    if chain == "LUCID":
        assert "dot_general" in names and "gather" in names


def test_every_transform_is_tried():
    assert {type(one) for chain in CHAINS.values() for one in chain} == set(TRANSFORMS)


@pytest.mark.parametrize("kind", PARAMETRIZATIONS)
def test_pictures(kind):
    parametrization = kind()
    shape, keys = (*SIZE, 3), jax.random.split(KEY, parametrization.group)

    def drawn(keys):
        parameters = parametrization.init(keys if parametrization.group > 1 else keys[0], shape)
        pictures, back = jax.vjp(lambda parameters: parametrization.picture(parameters, shape), parameters)
        return back(pictures)

    assert_exact(drawn, keys)


def test_inverse_of_affine_matrices():
    """Against NumPy in float64."""
    rng = np.random.default_rng(0)
    linear = (np.eye(2) + 0.3 * rng.normal(size=(100, 2, 2))).astype(np.float32)
    matrices = jax.vmap(matrix_of)(linear, (20 * rng.normal(size=(100, 2))).astype(np.float32))
    exact = np.linalg.inv(np.asarray(matrices, np.float64))
    error = np.abs(jax.vmap(inverse)(matrices) - exact).max((1, 2)) / np.abs(exact).max((1, 2))
    assert (error < 1e-6 * np.linalg.cond(np.asarray(linear, np.float64))).all()
