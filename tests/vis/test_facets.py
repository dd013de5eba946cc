"""The facet objective, against its formula with gradients by finite differences in float64."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

import jaxcircuits as jc
from jaxcircuits.network import Network
from jaxcircuits.vis import Fourier
from jaxcircuits.zoo import InputConvention
from support.two_layers import KERNELS, RNG, SIZE, VECTORS, convolved, two_layers

STILL = jc.Recipe(size=SIZE, steps=0, transforms=(), parametrization=Fourier())


@pytest.fixture(scope="module")
def network():
    kernels = [jnp.asarray(kernel) for kernel in KERNELS]
    return Network.from_function(two_layers, kernels, InputConvention(size=SIZE, mean=0.5, std=0.25))


def slow_facet(picture, answer, vector):
    """f(g) + w' sum over cells of g * grad f(g), for `answer` from the second layer to f."""
    g = convolved((picture.astype(np.float64) - 0.5) / 0.25, KERNELS[0])
    owed = np.zeros(g.shape[-1])
    for cell in np.ndindex(g.shape):
        if g[cell]:
            step = np.zeros_like(g)
            step[cell] = 1e-6
            slope = answer(convolved(g + step, KERNELS[1])) - answer(convolved(g - step, KERNELS[1]))
            owed[cell[-1]] += g[cell] * slope / 2e-6
    return answer(convolved(g, KERNELS[1])) + owed @ vector


MASK = np.zeros(SIZE)
MASK[2:5, 3:7] = 1
CASES = {
    "channel": (
        lambda: jc.facet(jc.channel("second", [1, 2]), "first", VECTORS),
        lambda i: lambda h: h[..., 1 + i].mean(),
        VECTORS,
    ),
    "neuron": (
        lambda: jc.facet(jc.neuron("second", 3, (4, 5)), "first", VECTORS),
        lambda i: lambda h: h[4, 5, 3],
        VECTORS,
    ),
    "masked": (
        lambda: jc.masked(jc.facet(jc.channel("second", [1, 2]), "first", VECTORS), MASK),
        lambda i: lambda h: h[2:5, 3:7, 1 + i].mean(),
        VECTORS,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_values(name, network):
    make, answer, vectors = CASES[name]
    rendering = jc.render(network, make(), STILL, seed=5)
    expected = [slow_facet(picture, answer(i), vectors[i]) for i, picture in enumerate(rendering.images)]
    np.testing.assert_allclose(rendering.scores, expected, rtol=2e-4)


def test_facets_keep_their_own_attributions_in_sums(network):
    one = jc.facet(jc.channel("second", [1, 2]), "first", VECTORS)
    other = jc.facet(jc.neuron("second", [0, 3], (4, 5)), "first", VECTORS[::-1])
    start = RNG.uniform(0.2, 0.8, (2, *SIZE, 3)).astype(np.float32)
    apart = [jc.render(network, objective, STILL, start=start).scores for objective in (one, other)]
    np.testing.assert_allclose(
        jc.render(network, one - 2 * other, STILL, start=start).scores, apart[0] - 2 * apart[1], rtol=1e-4
    )
    np.testing.assert_allclose(
        jc.render(network, one * other, STILL, start=start).scores, apart[0] * apart[1], rtol=1e-4
    )


def test_drawing_follows_the_facet(network):
    """Of two opposite facets each picture excites the unit by its own."""
    vectors = np.float32([[3, -3, 0, 0, 0], [-3, 3, 0, 0, 0]])
    recipe = jc.Recipe(size=SIZE, steps=60, transforms=())
    images = jc.render(network, jc.facet(jc.channel("second", [2, 2]), "first", vectors), recipe).images
    owed = []
    for picture in images:
        owed.append([slow_facet(picture, lambda h: h[..., 2].mean(), vector) for vector in vectors])
    assert owed[0][0] > owed[0][1] and owed[1][1] > owed[1][0]


@pytest.mark.filterwarnings("ignore:dtype bfloat16")
def test_views_and_half_precision(network):
    """Each of several views has the gradient of its own score, and half precision changes little."""
    objective = jc.facet(jc.channel("second", [1, 2]), "first", VECTORS)
    plain = jc.render(network, objective, STILL, seed=5).scores
    for change, tolerance in (({"views": 3}, 1e-5), ({"dtype": "bfloat16"}, 0.05)):
        found = jc.render(network, objective, dataclasses.replace(STILL, **change), seed=5).scores
        np.testing.assert_allclose(found, plain, rtol=tolerance)


BAD = {
    "penalty": (lambda: jc.facet(jc.total_variation(), "first", VECTORS), "a facet of .*; expected what layers answer"),
    "group": (lambda: jc.facet(jc.diversity("second", 2), "first", VECTORS), "expected what layers answer"),
    "nested": (
        lambda: jc.facet(jc.facet(jc.channel("second", 1), "first", VECTORS), "first", VECTORS),
        "expected what",
    ),
    "channels": (lambda: jc.facet(jc.channel("second", 1), "first", np.ones(4)), "a facet of 4 numbers; first has 5"),
    "order": (lambda: jc.facet(jc.channel("first", 1), "second", np.ones(4)), "first is not computed from second"),
    "itself": (lambda: jc.facet(jc.channel("second", 1), "second", np.ones(4)), "second is not computed from second"),
    "unknown": (lambda: jc.facet(jc.channel("second", 1), "frist", np.ones(5)), "did you mean first"),
    "finite": (lambda: jc.facet(jc.channel("second", 1), "first", np.full(5, np.nan)), "not finite"),
    "rows": (lambda: jc.facet(jc.channel("second", [1, 2, 3]), "first", VECTORS), "2 pictures does not pair with 3"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name, network):
    make, message = BAD[name]
    with pytest.raises(jc.InputError, match=message) as error:
        jc.render(network, make(), STILL)
    assert "\n" not in str(error.value)


def test_facets_have_no_percentile(network):
    objective = jc.facet(jc.channel("second", 1), "first", VECTORS[0])
    pictures = np.full((1, *SIZE, 3), 0.5, np.float32)
    with pytest.raises(jc.InputError, match="of attributions, has no percentile"):
        jc.percentiles(network, objective, pictures, pictures)
