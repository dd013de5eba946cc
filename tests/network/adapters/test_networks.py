"""A network of every framework, end to end: the same small model, looked at and drawn."""

import os
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxcircuits as jc
from jaxcircuits import InputConvention, InputError, Network, circuits

os.environ.setdefault("KERAS_BACKEND", "jax")  # read where Keras is first imported

PICTURES = np.random.default_rng(0).uniform(size=(3, 8, 8, 3)).astype(np.float32)
CONVENTION = {"size": (8, 8), "mean": 0.5, "std": 0.25}
RNG = np.random.default_rng(1)
KERNELS = [RNG.normal(scale=0.3, size=(3, 3, into, 4)).astype(np.float32) for into in (3, 4)]
HEAD = RNG.normal(size=(4, 5)).astype(np.float32)


def expected():
    """Two convolutions with ReLU, a mean and a dense layer, in NumPy's float64."""
    x, layers = (PICTURES.astype(np.float64) - 0.5) / 0.25, {}
    for name, kernel in zip(("first", "second"), KERNELS):
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
        layers[name] = np.einsum("nhwcij,ijco->nhwo", windows, kernel)
        x = layers[f"{name} rectified"] = np.maximum(layers[name], 0)
    layers["head"] = x.mean((1, 2)) @ HEAD
    return layers


class NNXNet(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Conv(3, 4, (3, 3), use_bias=False, rngs=rngs)
        self.second = nnx.Conv(4, 4, (3, 3), use_bias=False, rngs=rngs)
        self.head = nnx.Linear(4, 5, use_bias=False, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.first(x))
        x = nnx.relu(self.second(x))
        return self.head(x.mean((1, 2)))


class LinenNet(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3, 3), use_bias=False, name="first")(x))
        x = nn.relu(nn.Conv(4, (3, 3), use_bias=False, name="second")(x))
        return nn.Dense(5, use_bias=False, name="head")(x.mean((1, 2)))


def from_nnx():
    module = NNXNet(nnx.Rngs(0))
    for layer, kernel in zip((module.first, module.second, module.head), (*KERNELS, HEAD)):
        layer.kernel[...] = jnp.asarray(kernel)
    return Network.from_nnx(module, InputConvention(**CONVENTION))


def from_linen():
    params = {name: {"kernel": jnp.asarray(k)} for name, k in zip(("first", "second", "head"), (*KERNELS, HEAD))}
    return Network.from_linen(LinenNet(), {"params": params}, InputConvention(**CONVENTION))


def from_function():
    def function(params, x):
        for name, kernel in zip(("first", "second"), params["kernels"]):
            x = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
            x = jax.nn.relu(jc.naming.named(name, x))
        return jc.naming.named("head", x.mean((1, 2)) @ params["head"])

    params = {"kernels": [jnp.asarray(kernel) for kernel in KERNELS], "head": jnp.asarray(HEAD)}
    return Network.from_function(function, params, InputConvention(**CONVENTION))


def from_keras():
    keras = pytest.importorskip("keras", reason="needs Keras")
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, padding="same", use_bias=False, name="first"),
            layers.ReLU(name="relu"),
            layers.Conv2D(4, 3, padding="same", use_bias=False, name="second"),
            layers.ReLU(name="relu_1"),
            layers.GlobalAveragePooling2D(name="mean"),
            layers.Dense(5, use_bias=False, name="head"),
        ]
    )
    model.set_weights([*KERNELS, HEAD])
    return Network.from_keras(model, InputConvention(**CONVENTION))


def from_equinox():
    eqx = pytest.importorskip("equinox", reason="needs Equinox")

    class Net(eqx.Module):
        first: eqx.nn.Conv2d
        second: eqx.nn.Conv2d
        head: eqx.nn.Linear

        def __call__(self, x):
            x = jax.nn.relu(self.first(x))
            x = jax.nn.relu(self.second(x))
            return self.head(x.mean((1, 2)))

    first, second = (eqx.nn.Conv2d(k.shape[2], 4, 3, padding=1, use_bias=False, key=jax.random.key(0)) for k in KERNELS)
    module = Net(first, second, eqx.nn.Linear(4, 5, use_bias=False, key=jax.random.key(0)))
    weights = [*(jnp.asarray(kernel.transpose(3, 2, 0, 1)) for kernel in KERNELS), jnp.asarray(HEAD.T)]
    module = eqx.tree_at(lambda m: [m.first.weight, m.second.weight, m.head.weight], module, weights)
    return Network.from_equinox(module, InputConvention(**CONVENTION, layout="CHW"))


WAYS_IN = [from_nnx, from_linen, from_function, from_keras, from_equinox]


@pytest.mark.parametrize("make", WAYS_IN)
def test_activations_are_the_same_from_every_framework(make):
    network = make()
    answers, layers = network.activations(PICTURES), expected()
    for name in ("first", "second", "head"):
        np.testing.assert_allclose(answers[name], layers[name], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(answers["relu"], layers["first rectified"], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(answers["relu_1"], layers["second rectified"], rtol=1e-4, atol=1e-4)
    assert list(network.layers) == ["first", "relu", "second", "relu_1", "mean", "head", "output"]
    assert [layer.kind for layer in network.layers.values()][:5] == ["convolution", "activation"] * 2 + ["pool"]
    for name, kernel in zip(("first", "second", "head"), (*KERNELS, HEAD[None, None])):
        np.testing.assert_array_equal(network.kernel(name), kernel)


@pytest.mark.parametrize("make", WAYS_IN)
def test_expanded_weights_of_every_framework_are_its_kernel(make):
    expanded = circuits.expanded_weights(make(), "relu", "relu_1", units=range(4))
    np.testing.assert_allclose(expanded, KERNELS[1].transpose(3, 0, 1, 2), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", WAYS_IN)
def test_units_of_every_framework_are_drawn(make):
    network = make()
    recipe = jc.Recipe(size=8, steps=12, transforms=())
    drawn = jc.render(network, jc.channel("second", range(4)), recipe, snapshots=[1])
    assert drawn.images.shape == (4, 8, 8, 3)

    def means(images):
        return np.asarray(network.activations(images, "second")["second"]).mean((1, 2))[range(4), range(4)]

    assert (means(drawn.images) > means(drawn.snapshots[1])).all()


def edges(x):
    return x[:, 1:] - x[:, :-1]


RETURNED = {
    "dict": (lambda x: {"edges": edges(x), "mean": x.mean((1, 2))}, {"edges", "mean"}),
    "nested dict": (lambda x: {"maps": {"edges": edges(x)}, "mean": x.mean((1, 2))}, {"maps/edges", "mean"}),
    "tuple with None": (lambda x: (edges(x), None, [x.mean((1, 2))]), {"0", "2/0"}),
    "squeezed": (lambda x: x.mean((1, 2)).squeeze() @ HEAD[:3], {"output"}),
}


class NNXReturning(nnx.Module):
    def __init__(self, function):
        self.function = function

    def __call__(self, x, layers=()):
        return self.function(x)


class LinenReturning(nn.Module):
    function: Callable

    @nn.compact
    def __call__(self, x):
        return self.function(x)


def keras_returning(function):
    keras = pytest.importorskip("keras", reason="needs Keras")

    class KerasReturning(keras.Model):
        def call(self, x, layers=()):
            return function(x)

    model = KerasReturning()
    model(PICTURES)
    return model


def equinox_returning(function):
    eqx = pytest.importorskip("equinox", reason="needs Equinox")

    class EquinoxReturning(eqx.Module):
        def __call__(self, x):
            return jax.tree.map(lambda value: value[0], function(jnp.stack([x, x])))

    return EquinoxReturning()


RETURNING = {
    "nnx": lambda function, convention: Network.from_nnx(NNXReturning(function), convention),
    "linen": lambda function, convention: Network.from_linen(LinenReturning(function), {}, convention),
    "function": lambda function, convention: Network.from_function(lambda params, x: function(x), {}, convention),
    "keras": lambda function, convention: Network.from_keras(keras_returning(function), convention),
    "equinox": lambda function, convention: Network.from_equinox(equinox_returning(function), convention),
}


@pytest.mark.parametrize("way_in", RETURNING)
@pytest.mark.parametrize("case", RETURNED)
def test_whatever_a_model_returns_is_layers(way_in, case):
    function, names = RETURNED[case]
    network = RETURNING[way_in](function, InputConvention(size=(8, 8)))
    assert set(network.graph.output) == names
    answers = network.activations(PICTURES, network.graph.output)
    leaves = [leaf for leaf in jax.tree.leaves(function(jnp.asarray(PICTURES)))]
    assert len(leaves) == len(answers)
    for name, leaf in zip(network.graph.output, leaves):
        np.testing.assert_allclose(answers[name], leaf, rtol=1e-5, atol=1e-5)
    alone = network.activations(PICTURES[:1], network.graph.output)
    for name in names:
        np.testing.assert_allclose(alone[name], answers[name][:1], rtol=1e-5, atol=1e-5)


def test_a_submodule_called_output_keeps_its_name():
    class Net(nnx.Module):
        def __init__(self, rngs):
            self.output = nnx.Conv(3, 4, (1, 1), rngs=rngs)

        def __call__(self, x):
            return 2 * self.output(x)

    module = Net(nnx.Rngs(0))
    network = Network.from_nnx(module, InputConvention(size=(8, 8)))
    answers = network.activations(PICTURES)
    np.testing.assert_allclose(answers["output"], module.output(jnp.asarray(PICTURES)), rtol=1e-5, atol=1e-6)
    (last,) = network.graph.output
    np.testing.assert_allclose(answers[last], 2 * answers["output"], rtol=1e-6)


def test_names_of_keras_applications_are_checked():
    pytest.importorskip("keras", reason="needs Keras")
    with pytest.raises(InputError, match="unknown Keras application 'VGG18'; did you mean VGG19 or VGG16"):
        jc.load("keras:VGG18")
