"""Convolutions in groups are computed otherwise on a CPU, and say the same."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxcircuits.network.grouped import grouped_convolutions
from jaxcircuits.network.run import Run
from jaxcircuits.network.trace import trace

pytestmark = pytest.mark.usefixtures("compiled_quickly")

CASES = {
    "depthwise": (8, 8, 8, (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    "depthwise with strides": (6, 6, 6, (3, 5), (2, 1), ((0, 1), (2, 2)), (1, 1)),
    "depthwise with dilation": (6, 6, 6, (3, 2), (1, 2), ((2, 2), (0, 0)), (2, 3)),
    "several of each channel": (4, 12, 4, (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    "one block": (8, 16, 4, (3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1)),
    "several blocks": (96, 48, 12, (3, 1), (1, 1), ((1, 1), (0, 0)), (1, 1)),
    "a group a block": (80, 4, 2, (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1)),
    "a large depthwise window": (4, 4, 4, (9, 9), (1, 1), ((4, 4), (4, 4)), (1, 1)),
}


def by_loops(x, kernel, groups, strides, padding, dilation):
    """The convolution in float64, one output cell at a time; channels first."""
    x = np.pad(np.float64(x), ((0, 0), (0, 0), *padding))
    out, into, *window = kernel.shape
    sizes = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], window, strides, dilation)]
    y = np.zeros((len(x), out, *sizes))
    for o in range(out):
        first = o // (out // groups) * into
        for i, j in np.ndindex(*sizes):
            rows = i * strides[0] + dilation[0] * np.arange(window[0])
            columns = j * strides[1] + dilation[1] * np.arange(window[1])
            seen = x[:, first : first + into][:, :, rows[:, None], columns]
            y[:, o, i, j] = (seen * np.float64(kernel[o])).sum((1, 2, 3))
    return y


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("case", CASES)
def test_grouped_convolutions_say_the_same(case, layout):
    """As loops over cells in float64, and their gradients as those of XLA's convolution."""
    into, out, groups, window, strides, padding, dilation = CASES[case]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, into, 11, 10)).astype(np.float32)
    kernel = rng.normal(size=(out, into // groups, *window)).astype(np.float32)
    expected = by_loops(x, kernel, groups, strides, padding, dilation)
    last = layout == "NHWC"
    x = np.moveaxis(x, 1, -1) if last else x
    given = np.transpose(kernel, (2, 3, 1, 0)) if last else kernel
    spec = (layout, "HWIO" if last else "OIHW", layout)

    def model(params, x):
        return lax.conv_general_dilated(x, params, strides, padding, (1, 1), dilation, spec, feature_group_count=groups)

    program = trace(model, given, x)
    exchange = grouped_convolutions(program)
    assert list(exchange) == [program.outputs[0]]

    def ours(params, x):
        return Run(program, {program.parameters[0]: params, program.image: x}, exchange).get(program.outputs)[0]

    answer = np.asarray(jax.jit(ours)(given, x))
    answer = np.moveaxis(answer, -1, 1) if last else answer
    np.testing.assert_allclose(answer, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    for ours_slope, slope in zip(
        *(jax.grad(lambda p, x, f=f: jnp.sin(f(p, x)).sum(), (0, 1))(given, x) for f in (ours, model))
    ):
        np.testing.assert_allclose(ours_slope, slope, rtol=0, atol=1e-5 * np.abs(slope).max())


def test_other_convolutions_stay():
    """Dense ones, and transposed ones in groups."""

    def model(params, x):
        y = lax.conv_general_dilated(x, params[0], (1, 1), "SAME")
        gaps = {"lhs_dilation": (2, 2), "feature_group_count": 2}
        return lax.conv_general_dilated(y, params[1], (1, 1), ((1, 1), (1, 1)), **gaps)

    params = (jnp.ones((4, 3, 3, 3)), jnp.ones((4, 2, 3, 3)))
    assert not grouped_convolutions(trace(model, params, jnp.ones((1, 3, 8, 8))))
