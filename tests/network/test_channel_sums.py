"""Sums over neighboring channels by slices: the same values and gradients, in drawings and nowhere else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxcircuits as jc
from jaxcircuits.network.channel_sums import WIDEST, by_slices, sums_by_slices
from jaxcircuits.network.trace import trace
from jaxcircuits.platforms import traced_for_tpu

RNG = np.random.default_rng(0)
WINDOWS = [(5, (2, 2)), (11, (5, 5)), (4, (0, 3)), (3, (0, 0)), (2, (4, 1)), (1, (0, 0)), (9, (8, 8))]
"""Of values, and zeros before and after: centered, one-sided, none, more than a window reaches, a window of one."""


@pytest.mark.parametrize(("window", "padding"), WINDOWS, ids=str)
def test_sums_and_their_gradient(window, padding):
    x = RNG.normal(size=(2, 3, 12))
    count = 12 + sum(padding) - window + 1
    gradient = RNG.normal(size=(2, 3, count))
    wide = np.pad(x, ((0, 0), (0, 0), padding))
    expected = np.stack([wide[..., i : i + window].sum(-1) for i in range(count)], -1)
    back = np.zeros_like(wide)
    for i in range(count):
        back[..., i : i + window] += gradient[..., i, None]
    found, pull = jax.vjp(lambda x: by_slices(x, window, padding), jnp.float32(x))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(pull(jnp.float32(gradient))[0], back[..., padding[0] : padding[0] + 12], atol=1e-5)
    twice = jax.grad(lambda x: jax.grad(lambda x: (by_slices(x, window, padding) ** 3).sum())(x).sum())(jnp.float32(x))
    assert np.isfinite(twice).all()


def normalized(params, x):
    x = jnp.maximum(x @ params, 0)
    squares = lax.reduce_window(x * x, 0.0, lax.add, (1, 1, 1, 5), (1, 1, 1, 1), "SAME")
    return {"normalized": x * lax.rsqrt(1 + 0.1 * squares)}


def test_drawings_sum_by_slices():
    network = jc.Network.from_function(
        normalized, jnp.float32(RNG.normal(size=(3, 16))), jc.InputConvention(size=(6, 6)), name="normalized"
    )
    pictures, redirect = jnp.float32(RNG.uniform(size=(2, 6, 6, 3))), jnp.array([True, False])
    weights = jnp.float32(RNG.normal(size=(2, 6, 6, 16)))

    def answer(pictures, redirect=None):
        seen = network.forward(network.params, pictures, ("normalized",), redirect=redirect)
        return (seen["normalized"] * weights).sum()

    def program(*redirect):
        return str(jax.make_jaxpr(jax.grad(answer))(pictures, *redirect))

    assert "reduce_window_sum" in program()
    assert "reduce_window_sum" not in program(redirect)
    with traced_for_tpu():
        assert "reduce_window_sum" not in program(redirect) and "by_slices" not in program(redirect)
    # No picture is silent, so none is redirected: the gradients are the ordinary ones.
    plain, drawn = jax.value_and_grad(answer)(pictures), jax.value_and_grad(answer)(pictures, redirect)
    for one, two in zip(plain, drawn):
        np.testing.assert_allclose(two, one, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("window", "strides", "padding", "taken"),
    [
        ((1, 1, 1, WIDEST), (1, 1, 1, 1), "VALID", True),
        ((1, 1, 1, WIDEST + 1), (1, 1, 1, 1), "VALID", False),
        ((1, 1, 1, 5), (1, 1, 1, 2), "VALID", False),
        ((1, 3, 1, 5), (1, 1, 1, 1), "SAME", False),
        ((1, 3, 3, 1), (1, 1, 1, 1), "SAME", False),
        ((1, 1, 1, 5), (1, 1, 1, 1), ((0, 0), (1, 1), (0, 0), (2, 2)), False),
    ],
    ids=str,
)
def test_only_such_sums_are_taken(window, strides, padding, taken):
    def summed(params, x):
        return lax.reduce_window(x, 0.0, lax.add, window, strides, padding)

    assert bool(sums_by_slices(trace(summed, (), jnp.zeros((1, 6, 6, 20))))) == taken
