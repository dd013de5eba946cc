"""The zoo's operations against brute-force loops in float64, and whole small networks with them."""

import numpy as np
import pytest
from conftest import SMALL, random_params

from jaxcircuits.network import Network
from jaxcircuits.zoo import INPUT, InputConvention, ops
from jaxcircuits.zoo.architecture import LRN


def starts_and_output(n, kernel, stride, convention, pool):
    """Where each window of an axis begins, from the conventions' definitions."""
    if convention == "SAME":
        output = -(-n // stride)
        before = max((output - 1) * stride + kernel - n, 0) // 2
    elif pool and stride > 1:
        output, before = -(-(n - kernel) // stride) + 1, 0
    else:
        before = kernel // 2
        output = (n + 2 * before - kernel) // stride + 1
    return [i * stride - before for i in range(output)]


def windows(x, kernel, stride, convention, pool):
    """(row, column, kernel row, kernel column, y, x) of every cell that lies inside the picture."""
    for i, top in enumerate(starts_and_output(x.shape[0], kernel, stride, convention, pool)):
        for j, left in enumerate(starts_and_output(x.shape[1], kernel, stride, convention, pool)):
            for di in range(kernel):
                for dj in range(kernel):
                    if 0 <= top + di < x.shape[0] and 0 <= left + dj < x.shape[1]:
                        yield i, j, di, dj, top + di, left + dj


def slow_shape(x, kernel, stride, convention, pool):
    return tuple(len(starts_and_output(n, kernel, stride, convention, pool)) for n in x.shape[:2])


def slow_conv(x, kernel, bias, stride, convention):
    out = np.zeros((*slow_shape(x, kernel.shape[0], stride, convention, False), kernel.shape[3]))
    for i, j, di, dj, y, column in windows(x, kernel.shape[0], stride, convention, False):
        out[i, j] += x[y, column] @ kernel[di, dj]
    return out + bias


def slow_max_pool(x, kernel, stride, convention):
    out = np.full((*slow_shape(x, kernel, stride, convention, True), x.shape[2]), -np.inf)
    for i, j, _, _, y, column in windows(x, kernel, stride, convention, True):
        out[i, j] = np.maximum(out[i, j], x[y, column])
    return out


def slow_average_pool(x, kernel, stride, convention):
    shape = slow_shape(x, kernel, stride, convention, True)
    total, count = np.zeros((*shape, x.shape[2])), np.zeros((*shape, 1))
    for i, j, _, _, y, column in windows(x, kernel, stride, convention, True):
        total[i, j] += x[y, column]
        count[i, j] += 1
    return total / count


def slow_lrn(x, lrn):
    out = np.zeros_like(x)
    for c in range(x.shape[-1]):
        near = x[..., max(c - lrn.radius, 0) : c + lrn.radius + 1]
        out[..., c] = x[..., c] / (lrn.bias + lrn.alpha * (near**2).sum(-1)) ** lrn.beta
    return out


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


def slow_network(architecture, params, x, linear=False):
    """Runs an Inception network, or its linearized form, in float64 with nothing of the module's code."""
    seen = {INPUT: x}
    for layer in architecture.layers:
        inputs = [seen[name] for name in layer.inputs]
        weights = {kind: np.float64(value) for kind, value in params.get(layer.weights, {}).items()}
        match layer.op:
            case "conv":
                out = slow_conv(inputs[0], weights["kernel"], weights["bias"], layer.stride, architecture.padding)
            case "relu":
                out = inputs[0] if linear else np.maximum(inputs[0], 0)
            case "max_pool":
                pool = slow_average_pool if linear else slow_max_pool
                out = pool(inputs[0], layer.kernel, layer.stride, architecture.padding)
            case "lrn":
                out = inputs[0] if linear else slow_lrn(inputs[0], architecture.lrn)
            case "concat":
                out = np.concatenate(inputs, -1)
            case "average":
                out = inputs[0].mean((0, 1))
            case "dense":
                out = inputs[0] @ weights["kernel"] + weights["bias"]
            case "softmax":
                out = np.exp(inputs[0] - inputs[0].max())
                out /= out.sum()
        seen[layer.name] = out
    return seen


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
