"""The zoo's operations against brute-force loops in float64, and whole small networks with them."""

import numpy as np
import pytest

from jaxcircuits.network import Network
from jaxcircuits.zoo import InputConvention, ops
from jaxcircuits.zoo.architecture import LRN
from support.loops import slow_lrn, slow_max_pool, slow_network
from support.small import SMALL, random_params


@pytest.mark.parametrize("convention", ["SAME", "CAFFE"])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (3, 1)])
@pytest.mark.parametrize("size", [(7, 8), (9, 6), (3, 5)])
def test_pools(size, kernel, stride, convention):
    x = np.random.default_rng(0).normal(size=(*size, 4))
    padding = ops.window_padding(size, kernel, stride, convention, pool=True)
    result = ops.max_pool(np.float32(x)[None], kernel, stride, padding)[0]
    np.testing.assert_array_equal(result, np.float32(slow_max_pool(x, kernel, stride, convention)))


@pytest.mark.parametrize("lrn", [LRN(5, 2.0, 1e-4, 0.5), LRN(2, 1.0, 2e-5, 0.75), LRN(1, 1.0, 0.5, 0.75)])
def test_local_response_norm(lrn):
    x = np.random.default_rng(1).normal(scale=100, size=(3, 4, 16))
    np.testing.assert_allclose(ops.local_response_norm(np.float32(x)[None], lrn)[0], slow_lrn(x, lrn), rtol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("linear", [False, True], ids=["as-is", "linearized"])
@pytest.mark.parametrize("convention", ["google", "caffe"])
@pytest.mark.parametrize("size", [(33, 33), (32, 47)], ids=str)
def test_every_layer_of_a_small_network(convention, size, linear):
    architecture = SMALL[convention]
    params = random_params(architecture)
    network = Network.from_architecture(architecture, params, InputConvention(mean=0.5, std=0.25))
    network = network.linearized() if linear else network
    picture = np.random.default_rng(2).uniform(size=(*size, 3))
    expected = slow_network(architecture, params, (picture - 0.5) / 0.25, linear)
    result = network.activations(np.float32(picture)[None])
    assert list(result) == list(network.layers)
    for name, value in result.items():
        # A layer of few units may be silent everywhere.
        error, norm = np.linalg.norm(value[0] - expected[name]), np.linalg.norm(expected[name])
        assert error <= 1e-5 * norm + 1e-9, (name, error, norm)
