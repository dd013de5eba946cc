"""What a TPU computes otherwise of a network, on a CPU: the same answers and gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxcircuits as jc
from jaxcircuits.network.blocks import by_blocks
from jaxcircuits.network.on_tpu import FEW, WIDEST_BAND, by_band, exchanged_on_tpu
from jaxcircuits.network.redirect import redirected_relu
from jaxcircuits.network.trace import trace
from jaxcircuits.platforms import traced_for_tpu

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("redirect", [[True, True, False, False], [False] * 4, None], ids=str)
def test_silent_pictures_are_redirected_on_a_tpu(redirect):
    """Those that are to be redirected hand on what does not push them lower; of nobody, nothing is asked."""
    x, gradient = -np.abs(RNG.normal(size=(4, 3, 3, 2))), RNG.normal(size=(4, 3, 3, 2))
    x[1, 0, 0, 0], x[2, 0, 0, 0] = 1.0, 0.0
    given = None if redirect is None else np.array(redirect)

    def handed_on(x, gradient):
        return jax.vjp(lambda x: redirected_relu(x, given), x)[1](gradient)[0]

    with traced_for_tpu():
        found = handed_on(jnp.float32(x), jnp.float32(gradient))
        assert ("reduce_or" in str(jax.make_jaxpr(handed_on)(x, gradient))) == (redirect is not None)
    expected = np.where(x >= 0, gradient, 0)
    if redirect is not None and any(redirect):
        expected[0] = np.minimum(gradient[0], 0)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("size", "window", "stride", "padding"),
    [
        ((15, 18), (7, 7), (2, 2), ((2, 3), (3, 3))),
        ((14, 15), (3, 5), (3, 1), ((0, 0), (1, 2))),
        ((20, 21), (5, 4), (4, 2), ((1, 1), (0, 2))),
        ((9, 9), (1, 2), (2, 2), ((0, 0), (0, 0))),
        ((37, 10), (4, 4), (4, 4), ((3, 0), (0, 2))),  # rows that no window reads, and blocks of 8 of them
        ((90, 6), (7, 3), (2, 1), ((3, 3), (1, 1))),  # three blocks of the gradient
    ],
    ids=str,
)
@pytest.mark.parametrize("wide_gradient", [False, True])
@pytest.mark.parametrize("layout", [("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NCHW"), ("NHWC", "OHWI", "HWNC")])
def test_strided_convolutions_by_blocks(size, window, stride, padding, layout, wide_gradient):
    """Their answers and both gradients, by a loop over windows in float64."""
    shape = {"N": 2, "C": 3, "H": size[0], "W": size[1]}
    x = RNG.normal(size=[shape[name] for name in layout[0]])
    kernel = RNG.normal(size=[{"I": 3, "O": 5, "H": window[0], "W": window[1]}[name] for name in layout[1]])
    own = functools.partial(lax.conv_general_dilated, window_strides=stride, padding=padding, dimension_numbers=layout)
    given = jnp.float32(x), jnp.float32(kernel)
    params = jax.make_jaxpr(own)(*given).eqns[-1].params
    by_window = np.pad(np.einsum(f"{layout[0]}->NHWC", x), ((0, 0), *padding, (0, 0)))
    weights = np.einsum(f"{layout[1]}->HWIO", kernel)
    counts = [(by_window.shape[1 + axis] - window[axis]) // stride[axis] + 1 for axis in (0, 1)]
    expected, gradient = np.zeros((2, *counts, 5)), RNG.normal(size=(2, *counts, 5))
    by_x, by_kernel = np.zeros_like(by_window), np.zeros_like(weights)
    for i in range(counts[0]):
        for j in range(counts[1]):
            at = np.s_[:, i * stride[0] :, j * stride[1] :]
            part = by_window[at][:, : window[0], : window[1]]
            expected[:, i, j] = np.einsum("nhwi,hwio->no", part, weights)
            by_x[at][:, : window[0], : window[1]] += np.einsum("no,hwio->nhwi", gradient[:, i, j], weights)
            by_kernel += np.einsum("no,nhwi->hwio", gradient[:, i, j], part)
    by_x = by_x[:, padding[0][0] :, padding[1][0] :][:, : size[0], : size[1]]
    found, transposed = jax.vjp(lambda x, kernel: by_blocks(x, kernel, params, wide_gradient), *given)
    np.testing.assert_allclose(found, np.einsum(f"NHWC->{layout[2]}", expected), atol=2e-5)
    found_by_x, found_by_kernel = transposed(jnp.float32(np.einsum(f"NHWC->{layout[2]}", gradient)))
    np.testing.assert_allclose(found_by_x, np.einsum(f"NHWC->{layout[0]}", by_x), atol=2e-5)
    np.testing.assert_allclose(found_by_kernel, np.einsum(f"HWIO->{layout[1]}", by_kernel), atol=1e-3)


def test_padding_that_a_window_does_not_reach_is_no_block():
    """More zeros before the input than a window has cells."""

    def convolved(params, x):
        return lax.conv_general_dilated(x, params, (2, 2), [(3, 0), (0, 0)], dimension_numbers=("NHWC", "HWIO", "NHWC"))

    assert not exchanged_on_tpu(trace(convolved, jnp.zeros((3, 3, 3, 5)), jnp.zeros((1, 9, 9, 3))))


@pytest.mark.parametrize(("window", "padding"), [(5, (2, 2)), (4, (0, 3)), (3, (0, 0))])
def test_sums_over_channels_by_a_band(window, padding):
    x = RNG.normal(size=(2, 3, 9))

    def own(x):
        return lax.reduce_window(x, 0.0, lax.add, (1, 1, window), (1, 1, 1), ((0, 0), (0, 0), padding))

    params = jax.make_jaxpr(own)(jnp.float32(x)).eqns[-1].params
    wide = np.pad(x, ((0, 0), (0, 0), padding))
    expected = np.stack([wide[..., i : i + window].sum(-1) for i in range(wide.shape[-1] - window + 1)], -1)
    np.testing.assert_allclose(by_band(jnp.float32(x), params), expected, atol=1e-5)


def stem_and_normalization(params, x):
    x = lax.conv_general_dilated(x, params, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    x = jnp.maximum(x, 0)
    x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
    squares = lax.reduce_window(x * x, 0.0, lax.add, (1, 1, 1, 5), (1, 1, 1, 1), "SAME")
    return {"normalized": x * (1 + 0.1 * squares) ** -0.75}


def test_a_network_answers_the_same_on_a_tpu():
    """Its stem, max-pool and normalization, and their gradients, are computed otherwise there."""
    kernel = jnp.float32(RNG.normal(size=(7, 7, 3, 16)) / 12)
    network = jc.Network.from_function(stem_and_normalization, kernel, jc.InputConvention(size=(24, 21)), name="stem")
    pictures = jnp.float32(RNG.uniform(size=(2, 24, 21, 3)))
    weights = jnp.float32(RNG.normal(size=(2, 6, 6, 16)))

    def answer(pictures):
        return (network.forward(network.params, pictures, ("normalized",))["normalized"] * weights).sum()

    def program():
        return str(jax.make_jaxpr(jax.grad(lambda pictures: answer(pictures)))(pictures))

    value, gradient = jax.value_and_grad(answer)(pictures)
    with traced_for_tpu():
        there, its_gradient = jax.value_and_grad(answer)(pictures)
        assert "window_strides=(1, 1)" in program() and "reduce_window_sum" not in program()
        assert "select_and_scatter" in program()
    assert "window_strides=(2, 2)" in program() and "select_and_scatter" not in program()
    np.testing.assert_allclose(there, value, rtol=1e-5)
    np.testing.assert_allclose(its_gradient, gradient, atol=1e-5 * np.abs(gradient).max())


@pytest.mark.parametrize("channels", [FEW, FEW + 1])
def test_wide_pictures_keep_their_convolution(channels):
    x, kernel = jnp.zeros((1, 9, 9, channels)), jnp.zeros((3, 3, channels, 5))

    def convolved(params, x):
        return lax.conv_general_dilated(x, params, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    assert len(exchanged_on_tpu(trace(convolved, kernel, x))) == (channels == FEW)


@pytest.mark.parametrize("channels", [WIDEST_BAND, WIDEST_BAND + 1])
def test_sums_over_many_channels_are_no_band(channels):
    def summed(params, x):
        return lax.reduce_window(x, 0.0, lax.add, (1, 1, 1, 5), (1, 1, 1, 1), "SAME")

    assert len(exchanged_on_tpu(trace(summed, (), jnp.zeros((1, 2, 2, channels))))) == (channels == WIDEST_BAND)
