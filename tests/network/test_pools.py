"""Max-pools as shifted slices: the values of the pool, and where its gradient goes among equals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

import jaxcircuits as jc

POOLS = {
    "3x3 by 2": ((3, 3), (2, 2), "SAME"),
    "3x3 by 1": ((3, 3), (1, 1), "SAME"),
    "2x3": ((2, 3), (2, 1), "VALID"),
    "3x3 by 2, the last over the edge": ((3, 3), (2, 2), ((0, 2), (0, 1))),
    "5x4 by 3, cells beside it": ((5, 4), (3, 3), ((1, 0), (2, 0))),
    "2x1 by 3, cells between": ((2, 1), (3, 2), "VALID"),
    "of columns only": ((1, 3), (1, 2), ((0, 0), (2, 2))),
}


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


@pytest.mark.parametrize("redirect", [None, False], ids=["as written", "in a drawing"])
@pytest.mark.parametrize("name", POOLS)
def test_gradient_of_max_pools_among_equals(name, redirect):
    size, stride, padding = POOLS[name]
    network = jc.Network.from_function(
        lambda params, x: nn.max_pool(x, size, stride, padding), (), jc.InputConvention(size=(7, 8), channels=1)
    )
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (2, 7, 8, 1)).astype(np.float32)  # with many equals
    pads = jax.lax.padtype_to_pads((7, 8), size, stride, padding) if isinstance(padding, str) else padding

    def pooled(x):
        return network.forward.run((), x, ["output"], redirect=redirect)["output"]

    value, back = jax.vjp(pooled, jnp.asarray(x))
    gradient = rng.normal(size=value.shape).astype(np.float32)
    (found,) = back(jnp.asarray(gradient))
    for n in range(2):
        expected = brute_force(x[n, ..., 0], gradient[n, ..., 0], size, stride, pads)
        np.testing.assert_array_equal(value[n, ..., 0], expected[0])
        np.testing.assert_allclose(found[n, ..., 0], expected[1], rtol=1e-5, atol=1e-6)


def test_what_is_not_drawn_keeps_forward_derivatives():
    """Which the written gradient of a drawing's pools takes away."""
    network = jc.Network.from_function(
        lambda params, x: nn.max_pool(x, (3, 3), (2, 2), "SAME"), (), jc.InputConvention(size=(7, 8), channels=1)
    )
    x, toward = np.random.default_rng(1).normal(size=(2, 2, 7, 8, 1)).astype(np.float32)

    def pooled(x):
        return network.forward.run((), x, ["output"])["output"]

    value, change = jax.jvp(pooled, (x,), (toward,))
    gradient = np.random.default_rng(2).normal(size=value.shape).astype(np.float32)
    (back,) = jax.vjp(pooled, x)[1](gradient)
    np.testing.assert_allclose((change * gradient).sum(), (toward * back).sum(), rtol=1e-5)
