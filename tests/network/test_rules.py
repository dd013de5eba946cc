"""Max-pools as shifted slices: the values of the pool, and where its gradient goes among equals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

import jaxcircuits as jc

POOLS = {"3x3 by 2": ((3, 3), (2, 2), "SAME"), "3x3 by 1": ((3, 3), (1, 1), "SAME"), "2x3": ((2, 3), (2, 1), "VALID")}


def brute_force(x, gradient, size, stride, pads):
    """The pool of (H, W), and its gradient: of equals in a window, to the topmost of the leftmost column."""
    padded = np.pad(x, pads, constant_values=-np.inf)
    value, back = np.zeros(gradient.shape), np.zeros(padded.shape)
    for i, j in np.ndindex(gradient.shape):
        top, left = i * stride[0], j * stride[1]
        window = padded[top : top + size[0], left : left + size[1]]
        value[i, j] = window.max()
        column, row = divmod(int(window.T.argmax()), size[0])
        back[top + row, left + column] += gradient[i, j]
    return value, back[pads[0][0] : pads[0][0] + x.shape[0], pads[1][0] : pads[1][0] + x.shape[1]]


@pytest.mark.parametrize("name", POOLS)
def test_gradient_of_max_pools_among_equals(name):
    size, stride, padding = POOLS[name]
    network = jc.Network.from_function(
        lambda params, x: nn.max_pool(x, size, stride, padding), (), jc.InputConvention(size=(7, 8), channels=1)
    )
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (2, 7, 8, 1)).astype(np.float32)  # with many equals
    pads = jax.lax.padtype_to_pads((7, 8), size, stride, padding)
    value, back = jax.vjp(lambda x: network.forward.run((), x, ["output"])["output"], jnp.asarray(x))
    gradient = rng.normal(size=value.shape).astype(np.float32)
    (found,) = back(jnp.asarray(gradient))
    for n in range(2):
        expected = brute_force(x[n, ..., 0], gradient[n, ..., 0], size, stride, pads)
        np.testing.assert_array_equal(value[n, ..., 0], expected[0])
        np.testing.assert_allclose(found[n, ..., 0], expected[1], rtol=1e-5, atol=1e-6)
