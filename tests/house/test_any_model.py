"""One's own Flax model, end to end: trained on handwritten digits, brought in, drawn, and asked what it sees.

A Linen network on gray pictures and an NNX residual network with batch normalization on color ones, as users write
them; the digits are scikit-learn's 1,797 scans of 8 x 8 pixels.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from sklearn.datasets import load_digits

import jaxcircuits as jc
from jaxcircuits.vis import Jitter, Pad


class GrayCNN(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(16, (3, 3))(x))
        x = nn.relu(nn.Conv(32, (3, 3))(x))
        x = nn.avg_pool(x, (2, 2), (2, 2)).reshape(len(x), -1)
        return nn.Dense(10)(x)


class Block(nnx.Module):
    def __init__(self, width, rngs):
        self.conv = nnx.Conv(width, width, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(width, rngs=rngs)

    def __call__(self, x):
        return nnx.relu(x + self.norm(self.conv(x)))


class ColorResNet(nnx.Module):
    def __init__(self, rngs):
        self.stem = nnx.Conv(3, 16, (3, 3), rngs=rngs)
        self.block = Block(16, rngs)
        self.head = nnx.Linear(16 * 16, 10, rngs=rngs)

    def __call__(self, x):
        x = self.block(nnx.relu(self.stem(x)))
        return self.head(nnx.avg_pool(x, (2, 2), (2, 2)).reshape(len(x), -1))


def digits(channels):
    data = load_digits()
    pictures = np.repeat(data.images[..., None] / 16, channels, -1).astype(np.float32)
    return pictures, data.target


def batches(pictures, labels, steps=300):
    rng = np.random.default_rng(0)
    for _ in range(steps):
        rows = rng.choice(len(pictures), 128)
        yield (pictures[rows] - 0.5) / 0.25, labels[rows]


def loss_of(logits, labels):
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def linen_on_gray():
    model = GrayCNN()
    variables = model.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))
    optimizer = optax.adam(3e-3)
    state = optimizer.init(variables)

    @jax.jit
    def step(variables, state, x, y):
        gradient = jax.grad(lambda v: loss_of(model.apply(v, x), y))(variables)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(variables, updates), state

    for x, y in batches(*digits(1)):
        variables, state = step(variables, state, x, y)
    convention = jc.InputConvention(size=(8, 8), channels=1, mean=0.5, std=0.25)
    return jc.Network.from_linen(model, variables, convention), "Dense_0", ["Conv_0", "Conv_1"]


def nnx_on_color():
    model = ColorResNet(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(3e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, x, y):
        optimizer.update(model, nnx.grad(lambda m: loss_of(m(x), y))(model))

    for x, y in batches(*digits(3)):
        step(model, optimizer, x, y)
    model.eval()
    convention = jc.InputConvention(size=(8, 8), mean=0.5, std=0.25)
    return jc.Network.from_nnx(model, convention), "head", ["stem", "block/conv", "block"]


def test_threads_may_look_at_one_model():
    """What one thread captures does not depend on others that run the same model, as a bulk drawing's two do."""

    class Deep(nnx.Module):
        def __init__(self, rngs):
            self.blocks = nnx.List([Block(4, rngs) for _ in range(12)])

        def __call__(self, x):
            for block in self.blocks:
                x = block(x)
            return x

    network = jc.Network.from_nnx(Deep(nnx.Rngs(0)), jc.InputConvention(size=(8, 8), channels=4))
    picture = jax.ShapeDtypeStruct((1, 8, 8, 4), jnp.float32)
    together = threading.Barrier(4)

    def look(i):
        together.wait()
        # A function of its own each time, so that JAX traces it anew.
        return [list(jax.eval_shape(lambda p, x: network.forward(p, x, None), network.params, picture)) for _ in "1234"]

    with ThreadPoolExecutor(4) as pool:
        seen = [names for each in pool.map(look, range(4)) for names in each]
    assert all(set(names) == set(network.layers) for names in seen)


@pytest.mark.slow
@pytest.mark.parametrize("train", [linen_on_gray, nnx_on_color])
def test_a_model_of_ones_own(train):
    network, logits, layers = train()
    assert set(layers) <= set(network.layers)
    pictures, labels = digits(network.convention.channels)
    seen = np.asarray(network.activations(pictures, logits)[logits])
    assert (seen.argmax(1) == labels).mean() > 0.97
    # A padded and jittered view has the size that the dense layer needs.
    recipe = jc.Recipe(size=8, steps=120, transforms=(Pad(1), Jitter(2)))
    drawn = jc.render(network, jc.class_logit(logits, range(10)), recipe)
    assert drawn.images.shape == (10, 8, 8, network.convention.channels)
    answers = np.asarray(network.activations(drawn.images, logits)[logits])
    assert (answers.argmax(1) == np.arange(10)).all()
    assert (jc.percentiles(network, jc.class_logit(logits, range(10)), drawn.images, pictures) > 90).all()
    units = jc.render(network, jc.channel(layers[-1], range(4)), recipe)
    assert (units.scores > units.history[:, 0]).all()
