"""What the adapter of Equinox names, against what its modules compute."""

import jax
import jax.numpy as jnp
import pytest

from jaxcircuits import InputConvention, InputError
from jaxcircuits.network.adapters import equinox_model, failure, nnx_model
from support.marked import X, marked, same, scopes

eqx = pytest.importorskip("equinox", reason="needs Equinox")


class Block(eqx.Module):
    conv: eqx.nn.Conv2d
    norm: eqx.nn.BatchNorm
    activation: eqx.Module

    def __init__(self, key):
        self.conv = eqx.nn.Conv2d(4, 4, 3, padding=1, key=key)
        self.norm = eqx.nn.BatchNorm(4, "batch", mode="ema")
        self.activation = eqx.nn.PReLU()

    @eqx.filter_jit
    def __call__(self, x, state):
        y, state = self.norm(self.conv(x), state)
        return x + self.activation(y), state


class Net(eqx.Module):
    stem: eqx.nn.Sequential
    blocks: list
    dropout: eqx.nn.Dropout
    head: eqx.nn.Linear

    def __init__(self, key):
        keys = jax.random.split(key, 4)
        pool = eqx.nn.MaxPool2d(2, 2)
        self.stem = eqx.nn.Sequential(
            [eqx.nn.Conv2d(3, 4, 3, padding=1, key=keys[0]), eqx.nn.Lambda(jax.nn.relu), pool]
        )
        self.blocks = [Block(key) for key in keys[1:3]]
        self.dropout = eqx.nn.Dropout(0.5)
        self.head = eqx.nn.Linear(4, 5, key=keys[3])

    def pooled(self, x):
        return jnp.tanh(x.mean((1, 2)))

    def __call__(self, x, state, *, key):
        x = self.stem(x)
        for block in self.blocks:
            x, state = block(x, state)
        return self.head(self.pooled(self.dropout(x, key=key))), state


def test_equinox_layers_are_what_its_modules_return():
    module, state = eqx.nn.make_with_state(Net)(jax.random.key(0))
    state = jax.tree.map(lambda a: a + 0.5 if a.dtype == jnp.float32 else a, state)
    x = jnp.moveaxis(X, -1, 1)
    model, params = equinox_model((module, state), {})
    output, seen = marked(model, params, x)
    assert list(seen) == [
        *(f"stem/layers/{i}" for i in "012"),
        "stem",
        *(f"blocks/{i}{part}" for i in "01" for part in ("/conv", "/norm", "/activation", "")),
        "dropout",
        "pooled",
        "head",
    ]
    assert type(module.stem) is eqx.nn.Sequential and not module.dropout.inference
    quiet = eqx.nn.inference_mode(module)
    for i, picture in enumerate(x):
        for layer, kind in zip(range(3), quiet.stem.layers):
            picture = kind(picture)
            same(seen[f"stem/layers/{layer}"][0][i], picture)
        for b, block in enumerate(quiet.blocks):
            same(seen[f"blocks/{b}/conv"][0][i], block.conv(picture))
            normed, _ = block.norm(block.conv(picture), state)
            same(seen[f"blocks/{b}/norm"][0][i], normed)
            picture = picture + block.activation(normed)
            same(seen[f"blocks/{b}"][0][i], picture)
        pooled = jnp.tanh(picture.mean((1, 2)))
        same(seen["pooled"][0][i], pooled)
        same(output[i], quiet.head(pooled))
    where = scopes(model, params, x)
    assert where["conv_general_dilated"] == {"stem/layers/0", "blocks/0/conv", "blocks/1/conv"}
    assert where["tanh"] == {""}
    again = equinox_model(eqx.nn.make_with_state(Net)(jax.random.key(1)), {})[0]
    assert model == again and hash(model) == hash(again)


def test_equinox_says_what_it_lacks():
    module, state = eqx.nn.make_with_state(Net)(jax.random.key(0))
    with pytest.raises(InputError, match=r"Net keeps a state; hand over \(module, state\)"):
        equinox_model(module, {})
    with pytest.raises(InputError, match=r"Conv2d is an Equinox module; .*from_equinox"):
        nnx_model(module.stem.layers[0], {})
    model, params = equinox_model((module, state), {})
    with pytest.raises(ValueError, match="conv_general_dilated") as raised:
        jax.eval_shape(model, params, X)
    assert str(failure(raised.value, model, params, InputConvention(size=(8, 8)))).endswith(
        'state InputConvention(layout="CHW")'
    )


def test_equinox_of_one_argument_in_a_dict():
    mlp = eqx.nn.MLP(3, 2, 4, 1, key=jax.random.key(0))

    class Heads(eqx.Module):
        heads: dict
        scale: float

        def __call__(self, x):
            return {name: self.scale * head(x.mean((1, 2))) for name, head in self.heads.items()}

    model, params = equinox_model(Heads({"first": mlp}, 2.0), {})
    output, seen = marked(model, params, jnp.moveaxis(X, -1, 1))
    assert list(seen) == ["heads/first/layers/0", "heads/first/layers/1", "heads/first"]
    same(output["first"], 2 * jax.vmap(mlp)(X.mean((1, 2))))
