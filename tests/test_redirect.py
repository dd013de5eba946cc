"""Redirected ReLU gradients: Lucid's rule, in whatever way a network calls its ReLUs."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxcircuits as jc
from jaxcircuits.network.redirect import redirected_relu, replace_relu


def slow_gradient(x, gradient, redirect):
    """Lucid's rule, picture by picture; a positive gradient of the loss pushes x lower."""
    out = np.where(x > 0, gradient, 0)
    for n in range(len(x)):
        if redirect and not out[n].any():
            out[n] = np.where((x[n] <= 0) & (gradient[n] > 0), 0, gradient[n])
    return out


@pytest.mark.parametrize("redirect", [True, False])
def test_gradient(redirect):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 4, 4, 3))
    x[1] = -np.abs(x[1])  # silent
    x[2], x[3] = -np.abs(x[2]), -np.abs(x[3])
    gradient = rng.normal(size=x.shape)
    gradient[2] = np.abs(gradient[2])  # silent, and only pushed lower
    x[3, 0, 0, 0] = 1.0  # active at one place
    value, transpose = jax.vjp(lambda x: redirected_relu(x, np.full(5, redirect)), np.float32(x))
    np.testing.assert_allclose(value, np.maximum(x, 0), rtol=1e-6)
    np.testing.assert_allclose(transpose(np.float32(gradient))[0], slow_gradient(x, gradient, redirect), rtol=1e-6)


def with_jit(x):
    return jax.jit(lambda x: nnx.relu(x) * 2)(x)


RELUS = {
    "jax.nn.relu": jax.nn.relu,
    "flax.linen.relu": nn.relu,
    "jnp.maximum": lambda x: jnp.maximum(x, 0),
    "inside jit": with_jit,
    "inside nested jit": jax.jit(lambda x: with_jit(x + 0)),
}
NOT_RELUS = {
    "relu6": jax.nn.relu6,
    "gelu": jax.nn.gelu,
    "maximum of arrays": lambda x: jnp.maximum(x, x * 0),
    "maximum with one": lambda x: jnp.maximum(x, 1.0),
    "max pool": lambda x: nn.max_pool(x[..., None], (1,), (1,))[..., 0],
}


@pytest.mark.parametrize("name", [*RELUS, *NOT_RELUS])
def test_which_operations_are_replaced(name):
    function = RELUS.get(name) or NOT_RELUS[name]
    x = jnp.linspace(-2.0, 2.0, 12).reshape(2, 6)
    plain = replace_relu(function, lambda x: jnp.maximum(x, 0))(x)
    np.testing.assert_allclose(plain, function(x), rtol=1e-6)
    marked = replace_relu(function, lambda x: jnp.maximum(x, 0) + 100)(x)
    assert (np.abs(marked - plain) > 50).all() == (name in RELUS)


@pytest.mark.parametrize("redirect_steps", [0, 16])
def test_a_silent_unit_is_drawn_only_with_redirection(redirect_steps):
    """A unit whose bias keeps it silent at any random start, and that a picture can still excite."""

    def network(params, x):
        return jax.nn.relu(jax.lax.conv(x.transpose(0, 3, 1, 2), params, (1, 1), "SAME").transpose(0, 2, 3, 1) - 0.03)

    kernel = np.zeros((1, 3, 1, 1), np.float32)
    kernel[0, 0] = 1  # red, compared with grey
    convention = jc.InputConvention(size=(16, 16), mean=0.5)
    model = jc.Network.from_function(network, kernel, convention)
    recipe = jc.Recipe(size=16, steps=60, redirect_steps=redirect_steps)
    rendering = jc.render(model, jc.channel("output", 0), recipe, snapshots=[1])
    assert (rendering.scores[0] > 0) == (redirect_steps > 0)
    assert np.array_equal(rendering.images, rendering.snapshots[1]) == (redirect_steps == 0)
