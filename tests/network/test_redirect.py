"""Redirected ReLU gradients: Lucid's rule, in whatever way a network calls its ReLUs."""

import contextlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxcircuits as jc
from jaxcircuits.network.redirect import redirected_relu
from jaxcircuits.platforms import traced_for_tpu

pytestmark = pytest.mark.usefixtures("compiled_quickly")


def slow_gradient(x, gradient, redirect):
    """Lucid's rule, picture by picture; a positive gradient of the loss pushes x lower. 0 is not below 0."""
    return slow_gradient_between(x, gradient, redirect, 0, np.inf)


def slow_gradient_between(x, gradient, redirect, low, high):
    """The same for a function that is flat below `low` and above `high`, as Lucid has it for ReLU6."""
    out = np.where((x < low) | (x > high), 0, gradient)
    for n in range(len(x)):
        if redirect and not out[n].any():
            away = ((x[n] < low) & (gradient[n] > 0)) | ((x[n] > high) & (gradient[n] < 0))
            out[n] = np.where(away, 0, gradient[n])
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
    x[4] = np.where(rng.random((4, 4, 3)) < 0.5, 0, -np.abs(x[4]))  # at the edge
    value, transpose = jax.vjp(lambda x: redirected_relu(x, np.full(5, redirect)), np.float32(x))
    np.testing.assert_allclose(value, np.maximum(x, 0), rtol=1e-6)
    np.testing.assert_allclose(transpose(np.float32(gradient))[0], slow_gradient(x, gradient, redirect), rtol=1e-6)


@pytest.mark.parametrize("redirect", [True, False, None])
@pytest.mark.parametrize("name", ["relu", "relu6"])
def test_gradient_in_a_network(name, redirect):
    """By whatever the network calls it: at the edges of the flat sides, as between them."""
    x = np.random.default_rng(3).choice([-2.0, 0.0, 1.0, 6.0, 7.0], size=(6, 5, 4, 3))
    x[0], x[1], x[2] = -1, np.minimum(x[1], 0), np.maximum(x[2], 7)
    weights = np.random.default_rng(4).normal(size=x.shape)
    function = getattr(jax.nn, name)
    network = jc.Network.from_function(lambda params, x: function(x), (), jc.InputConvention(size=(5, 4)))

    def loss(x):
        of_pictures = False if redirect is None else np.full(6, redirect)  # nobody's, known beforehand
        found = network.forward.run((), x, ["output"], redirect=of_pictures)["output"]
        return (found * weights).sum()

    expected = slow_gradient_between(x, weights, redirect, 0, np.inf if name == "relu" else 6)
    np.testing.assert_allclose(jax.grad(loss)(jnp.float32(x)), expected, rtol=1e-5)


def test_default_redirects_as_many_steps_as_lucid():
    """Whose rule ends when the number of the step, counted from 0, is greater than 16."""
    assert jc.Recipe().redirect_steps == sum(1 for step in range(512) if not step > 16)


def with_jit(x):
    return jax.jit(lambda x: nnx.relu(x) * 2)(x)


@jax.custom_vjp
def own_relu(x):
    return jnp.maximum(x, 0)


own_relu.defvjp(lambda x: (own_relu(x), x), lambda x, gradient: (jnp.where(x > 0, gradient, 0),))


def in_scan(x):
    """Layers of one kind one after another, as `nn.scan` and `nnx.scan` run them; what it hands out is not carried."""

    def layer(carry, weights):
        x, total = carry
        return (jax.nn.relu(x * weights), total + 1), x.sum()

    return jax.lax.scan(layer, (x, 0), jnp.array([1.0, 2.0, 0.5]))[0][0]


FLAT = {
    "jax.nn.relu": jax.nn.relu,
    "flax.linen.relu": nn.relu,
    "jnp.maximum": lambda x: jnp.maximum(x, 0),
    "the other way round": lambda x: jnp.maximum(0, x),
    "clip": lambda x: jnp.clip(x, 0),
    "where": lambda x: jnp.where(x > 0, x, 0),
    "inside jit": with_jit,
    "inside nested jit": jax.jit(lambda x: with_jit(x + 0)),
    "inside remat": jax.remat(lambda x: jax.nn.relu(x * 2)),
    "with a gradient of its own": own_relu,
    "inside scan": lambda x: jax.lax.scan(lambda x, _: (jax.nn.relu(x) + 0, x), x, None, length=2)[0],
    "inside scan, over weights": in_scan,
    "inside fori_loop": lambda x: jax.lax.fori_loop(0, 2, lambda i, x: jax.nn.relu6(x * 1.0), x),
    "inside cond": lambda x: jax.lax.cond(x.sum() > 1e9, lambda x: 2 * x, jax.nn.relu, x),
    "inside scan, inside remat": jax.remat(lambda x: in_scan(2 * x)),
    "inside cond, inside scan": lambda x: jax.lax.scan(
        lambda x, i: (jax.lax.switch(i, [jax.nn.relu, lambda x: x + 0], x), None), x, jnp.arange(2)
    )[0],
    "times itself": lambda x: x * (x > 0),
    "relu6": jax.nn.relu6,
    "clip on both sides": lambda x: jnp.clip(x, 0, 6),
    "hard_sigmoid": lambda x: jax.nn.hard_sigmoid(x - 3),
    "maximum with one": lambda x: jnp.maximum(x - 1, 1.0),
    "threshold": lambda x: -jnp.minimum(-x, 0),
}
NOT_FLAT = {
    "leaky": jax.nn.leaky_relu,
    "maximum of arrays": lambda x: jnp.maximum(x, 2 * x),
    "max pool": lambda x: nn.max_pool(x, (2, 2)),
    "affine": lambda x: 3 * x - 1,
}


@pytest.mark.parametrize("name", [*FLAT, *NOT_FLAT])
@pytest.mark.parametrize("merged", [False, True], ids=["pictures", "pictures merged with positions"])
def test_every_way_of_writing_a_flat_function(name, merged):
    """Where a picture's whole gradient vanishes, one that makes it active passes; another picture keeps its own."""
    function = FLAT.get(name) or NOT_FLAT[name]

    def model(params, x):
        if name == "max pool":
            return function(x)
        return function(x.reshape(-1, 3)).reshape(x.shape) if merged else function(x)

    network = jc.Network.from_function(model, (), jc.InputConvention(size=(4, 4)))
    x = jnp.asarray(np.random.default_rng(1).uniform(4, 5, (2, 4, 4, 3)), jnp.float32)
    x = x.at[0].multiply(-1)  # the first picture is silent

    def loss(x, redirect):
        return -network.forward.run((), x, ["output"], redirect=redirect)["output"].sum()

    plain = jax.grad(loss)(x, None)
    redirected = jax.grad(loss)(x, jnp.array([True, True]))
    np.testing.assert_allclose(
        network.forward.run((), x, ["output"], redirect=jnp.array([True, True]))["output"], model((), x), rtol=1e-6
    )
    np.testing.assert_allclose(redirected[1], plain[1], rtol=1e-6)
    for nobody in (jnp.array([False, False]), False):
        np.testing.assert_array_equal(jax.grad(lambda x, nobody=nobody: loss(x, nobody))(x), plain)
    assert (plain[0] == 0).all() == (name in FLAT)
    assert (redirected[0] < 0).any() and (redirected[0] <= 0).all()
    if name in NOT_FLAT:
        np.testing.assert_allclose(redirected, plain, rtol=1e-6)
    else:
        pushed_lower = jax.grad(lambda x: -loss(x, jnp.array([True, True])))(x)
        assert (pushed_lower[0] == 0).all()


@pytest.mark.parametrize("on_a_tpu", [False, True])
@pytest.mark.parametrize("redirect_steps", [0, 16])
def test_a_silent_unit_is_drawn_only_with_redirection(redirect_steps, on_a_tpu):
    """A unit whose bias keeps it silent at any random start, and that a picture can still excite."""

    def network(params, x):
        return jax.nn.relu(jax.lax.conv(x.transpose(0, 3, 1, 2), params, (1, 1), "SAME").transpose(0, 2, 3, 1) - 0.03)

    kernel = np.zeros((1, 3, 1, 1), np.float32)
    kernel[0, 0] = 1  # red, compared with gray
    convention = jc.InputConvention(size=(16, 16), mean=0.5)
    model = jc.Network.from_function(network, kernel, convention)
    recipe = jc.Recipe(size=16, steps=60, redirect_steps=redirect_steps)
    with traced_for_tpu() if on_a_tpu else contextlib.nullcontext():
        rendering = jc.render(model, jc.channel("output", 0), recipe, snapshots=[1])
    assert (rendering.scores[0] > 0) == (redirect_steps > 0)
    assert np.array_equal(rendering.images, rendering.snapshots[1]) == (redirect_steps == 0)
