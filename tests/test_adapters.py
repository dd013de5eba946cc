"""What adapters name in a model, against what the frameworks themselves compute there."""

import itertools
import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import flax.linen as nn
import jax
import jax.extend.core
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import data, photographs
from flax import nnx

from jaxcircuits import InputError
from jaxcircuits.naming import innermost, read_mark
from jaxcircuits.network.adapters import failure
from jaxcircuits.network.adapters.function import function_model
from jaxcircuits.network.adapters.linen import linen_model
from jaxcircuits.network.adapters.nnx import nnx_model

os.environ.setdefault("KERAS_BACKEND", "jax")  # read where Keras is first imported

X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 8, 8, 3)), jnp.float32)
ENTERED = ("jit", "pjit", "closed_call", "remat2", "checkpoint")


def marked(model, params, x=X):
    """What the model returns, and name -> values of what is marked in its trace, in the order of computation."""
    closed, shape = jax.make_jaxpr(model, return_shape=True)(params, x)
    seen = {}

    def run(jaxpr, consts, args):
        values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *args)))
        read = lambda var: var.val if hasattr(var, "val") else values[var]  # noqa: E731
        for eqn in jaxpr.eqns:
            operands = [read(var) for var in eqn.invars]
            if eqn.primitive.name in ENTERED:
                inner = eqn.params["jaxpr"]
                results = run(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), operands)
            else:
                results = eqn.primitive.bind(*operands, **eqn.primitive.get_bind_params(eqn.params))
                results = results if eqn.primitive.multiple_results else [results]
            if mark := read_mark(eqn):
                seen.setdefault(mark[1], []).append(results[0])
            values.update(zip(eqn.outvars, results))
        return [read(var) for var in jaxpr.outvars]

    leaves = run(closed.jaxpr, closed.consts, jax.tree.leaves((params, x)))
    return jax.tree.unflatten(jax.tree.structure(shape), leaves), seen


def scopes(model, params, x=X):
    """Name of the operation -> the modules whose own equations have it, over the whole trace."""
    found = {}

    def walk(jaxpr, outer):
        for eqn in jaxpr.eqns:
            path = innermost(eqn.source_info.name_stack)
            path = outer if path is None else path
            found.setdefault(eqn.primitive.name, set()).add(path)
            for inner in jax.extend.core.jaxprs_in_params(eqn.params):
                walk(inner, path)

    walk(jax.make_jaxpr(model)(params, x).jaxpr, None)
    return found


def same(value, expected):
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-5)


class NNXBlock(nnx.Module):
    def __init__(self, width, rngs):
        self.conv = nnx.Conv(width, width, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(width, rngs=rngs)

    def __call__(self, x):
        return x + nnx.relu(self.norm(self.conv(x)))


class NNXNet(nnx.Module):
    """In the style of Bonsai: ReLUs in line, nothing sown, one method of a part called by its name."""

    def __init__(self, rngs, block=NNXBlock):
        self.stem = nnx.Conv(3, 4, (3, 3), rngs=rngs)
        self.blocks = nnx.List([block(4, rngs) for _ in range(2)])
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.head = nnx.Linear(4, 5, rngs=rngs)

    def features(self, x):
        x = nnx.relu(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return x

    def __call__(self, x, layers=()):
        return self.head(self.dropout(self.features(x)).mean((1, 2)))


class JittedBlock(NNXBlock):
    @nnx.jit
    def __call__(self, x):
        return super().__call__(x)


class RematBlock(NNXBlock):
    @nnx.remat
    def __call__(self, x):
        return super().__call__(x)


@pytest.mark.parametrize("block", [NNXBlock, JittedBlock, RematBlock])
def test_nnx_layers_are_what_its_modules_return(block):
    module = NNXNet(nnx.Rngs(0), block)
    model, params = nnx_model(module, {})
    output, seen = marked(model, params)
    assert list(seen) == [
        "stem",
        *(f"blocks/{i}{part}" for i in "01" for part in ("/conv", "/norm", "")),
        "features",
        "dropout",
        "head",
    ]
    assert not module.dropout.deterministic and type(module.stem) is nnx.Conv
    module.eval()
    same(output, module(X))
    x = nnx.relu(module.stem(X))
    same(seen["stem"][0], module.stem(X))
    for i, part in enumerate(module.blocks):
        same(seen[f"blocks/{i}/conv"][0], part.conv(x))
        same(seen[f"blocks/{i}/norm"][0], part.norm(part.conv(x)))
        x = part(x)
        same(seen[f"blocks/{i}"][0], x)
    same(seen["features"][0], x)
    where = scopes(model, params)
    assert where["max"] == {"", "blocks/0", "blocks/1"}
    assert where["rsqrt"] == {"blocks/0/norm", "blocks/1/norm"}


def test_nnx_models_of_one_architecture_are_equal_whatever_their_mode():
    module = NNXNet(nnx.Rngs(0))
    first = nnx_model(module, {})[0]
    module.eval()
    assert first == nnx_model(module, {})[0] and hash(first) == hash(nnx_model(module, {})[0])
    assert first == nnx_model(NNXNet(nnx.Rngs(1)), {})[0]


def test_nnx_values_sown_are_layers_in_the_order_of_computation():
    registry = []

    class Base(nnx.Module):
        def __init_subclass__(cls, **kwargs):
            super().__init_subclass__(**kwargs)
            registry.append(cls)

    class Sowing(Base):
        def __init__(self, rngs):
            self.conv = nnx.Conv(3, 4, (1, 1), rngs=rngs)

        def __call__(self, x):
            x = nnx.relu(self.conv(x))
            self.sow(nnx.Intermediate, "rectified", x)
            x = self.perturb("shifted", x + 1)
            return x.sum((1, 2))

    class Outer(nnx.Module):
        def __init__(self, rngs):
            self.inner = Sowing(rngs)

        def __call__(self, x):
            self.sow(nnx.Intermediate, "first", x)
            return self.inner(x)

    module = Outer(nnx.Rngs(0))
    output, seen = marked(*nnx_model(module, {}))
    assert list(seen) == ["first", "inner/conv", "inner/rectified", "inner/shifted", "inner"]
    rectified = nnx.relu(module.inner.conv(X))
    same(seen["inner/rectified"][0], rectified)
    same(output, (rectified + 1).sum((1, 2)))
    assert registry == [Sowing]


class LinenBlock(nn.Module):
    def setup(self):
        self.conv = nn.Conv(4, (3, 3))
        self.norm = nn.BatchNorm(use_running_average=True)

    def __call__(self, x):
        x = x + nn.relu(self.norm(self.conv(x)))
        self.sow("intermediates", "half", x / 2)
        return x


class Halved(nn.Module):
    def __call__(self, x):
        return nn.avg_pool(x, (2, 2), (2, 2))


HALVED = Halved()


class LinenNet(nn.Module):
    lift: str = ""

    @nn.compact
    def __call__(self, x, train: bool = True):
        block = {"": LinenBlock, "jit": nn.jit(LinenBlock), "remat": nn.remat(LinenBlock)}[self.lift]
        x = HALVED(nn.Conv(4, (3, 3), name="stem")(x))
        x = block(name="first")(x)
        x = block(name="second")(x)
        x = nn.Dropout(0.5, deterministic=not train)(x)
        return nn.Dense(5, name="head")(x.mean((1, 2)))


@pytest.mark.parametrize("lift", ["", "jit", "remat"])
def test_linen_layers_are_what_its_modules_return(lift):
    """Also where a module without parameters is made outside of any other, which Linen's own capture refuses."""
    module = LinenNet(lift)
    variables = module.init(jax.random.key(0), X, train=False)
    model, params = linen_model(module, variables, {"train": False})
    output, seen = marked(model, params)
    parts = [f"{block}{part}" for block in ("first", "second") for part in ("/conv", "/norm", "")]
    assert set(seen) == {"stem", *parts, "Dropout_0", "head", "first/half", "second/half"}
    assert all(len(values) == 1 for values in seen.values())
    same(output, module.apply(variables, X, train=False))
    for block, x in (("first", HALVED(seen["stem"][0])), ("second", seen["first"][0])):
        inside = {kind: tree[block] for kind, tree in variables.items()}
        conv = nn.Conv(4, (3, 3)).apply({"params": inside["params"]["conv"]}, x)
        same(seen[f"{block}/conv"][0], conv)
        same(seen[block][0], LinenBlock().apply(inside, x))
        same(seen[f"{block}/half"][0], seen[block][0] / 2)
    where = scopes(model, params)
    assert where["max"] == {"first", "second"}
    assert where["reduce_window_sum"] == {""}


def test_linen_methods_by_name_and_inherited_calls_are_layers_once():
    class Encoder(nn.Module):
        def setup(self):
            self.conv = nn.Conv(4, (3, 3))

        def encode(self, x):
            return jnp.tanh(self.conv(x))

        def __call__(self, x):
            return self.conv(x)

    class Doubled(Encoder):
        def __call__(self, x):
            return 2 * super().__call__(x)

    class Net(nn.Module):
        def setup(self):
            self.encoder, self.doubled = Encoder(), Doubled()

        def __call__(self, x):
            return self.doubled(self.encoder.encode(x))

    module = Net()
    variables = module.init(jax.random.key(0), X)
    output, seen = marked(*linen_model(module, variables, {}))
    assert {name: len(values) for name, values in seen.items()} == {
        "encoder/conv": 1,
        "encoder/encode": 1,
        "doubled/conv": 1,
        "doubled": 1,
    }
    same(output, seen["doubled"][0])
    same(seen["doubled"][0], 2 * seen["doubled/conv"][0])


def nested(x):
    return {"maps": {"edges": x[:, 1:] - x[:, :-1]}, "tuple": (x.mean((1, 2)), None)}


def squeezed(x):
    return x.mean((1, 2)).squeeze() @ jnp.ones((3, 2))


class NNXOutput(nnx.Module):
    """A submodule called `output` that is not the last one."""

    def __init__(self, rngs):
        self.output = nnx.Conv(3, 4, (1, 1), rngs=rngs)

    def __call__(self, x):
        return 2 * self.output(x)


class Returning(nnx.Module):
    def __init__(self, function):
        self.function = function

    def __call__(self, x):
        return self.function(x)


class LinenReturning(nn.Module):
    function: callable

    def __call__(self, x):
        return self.function(x)


@pytest.mark.parametrize("function", [nested, squeezed])
@pytest.mark.parametrize("adapt", ["nnx", "linen", "function"])
def test_models_return_whatever_they_return(function, adapt):
    model, params = {
        "nnx": lambda: nnx_model(Returning(function), {}),
        "linen": lambda: linen_model(LinenReturning(function), {}, {}),
        "function": lambda: function_model(lambda params, x: function(x), {}),
    }[adapt]()
    output, seen = marked(model, params)
    assert not seen
    jax.tree.map(same, output, function(X))
    assert set().union(*scopes(model, params).values()) <= {""}


def test_a_submodule_may_be_called_output():
    output, seen = marked(*nnx_model(NNXOutput(nnx.Rngs(0)), {}))
    same(output, 2 * seen["output"][0])


WRONG_WAYS = {
    "linen to nnx": (lambda: nnx_model(LinenBlock(), {}), "LinenBlock is a Flax Linen module; .*from_linen"),
    "nnx to linen": (lambda: linen_model(NNXNet(nnx.Rngs(0)), {}, {}), "NNXNet is a Flax NNX module; .*from_nnx"),
    "module to function": (lambda: function_model(NNXNet(nnx.Rngs(0)), {}), "NNXNet is a Flax NNX module; .*from_nnx"),
    "class": (lambda: nnx_model(NNXNet, {}), r"NNXNet is a class; .*NNXNet\(\.\.\.\)"),
    "function to nnx": (lambda: nnx_model(nested, {}), "nested is a function; .*from_function"),
    "number": (lambda: linen_model(3, {}, {}), "3 is no model; expected a Flax Linen module"),
}


@pytest.mark.parametrize("case", WRONG_WAYS)
def test_a_model_by_the_wrong_way_in_names_the_right_one(case):
    give, message = WRONG_WAYS[case]
    with pytest.raises(InputError, match=message):
        give()


class LinenFlat(nn.Module):
    """Of a fixed size, with layers that behave otherwise in training."""

    @nn.compact
    def __call__(self, x, train: bool = True):
        x = nn.Conv(4, (3, 3), name="conv")(x)
        x = nn.BatchNorm(use_running_average=not train, name="norm")(x)
        x = nn.Dropout(0.5, deterministic=not train, name="dropout")(x)
        return nn.Dense(5, name="head")(x.reshape(len(x), -1))


class NNXFlat(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(3, 4, (3, 3), rngs=rngs)
        self.head = nnx.Linear(256, 5, rngs=rngs)

    def __call__(self, x, scale):
        return scale * self.head(self.conv(x).reshape(len(x), -1))


class Branching(nnx.Module):
    def __call__(self, x):
        return x if x.mean() > 0 else -x


def linen_flat(drop=(), bare=False, **call_kwargs):
    variables = LinenFlat().init(jax.random.key(0), X, train=False)
    kept = {name: tree for name, tree in variables.items() if name not in drop}
    return linen_model(LinenFlat(), variables["params"] if bare else kept, call_kwargs)


FAILURES = {
    "training": (linen_flat, (8, 8, 3), "in norm .*immutable.*training mode; hand over train=False$"),
    "rngs": (
        lambda: linen_model(nn.Sequential([nn.Dropout(0.5, deterministic=False)]), {}, {}),
        (8, 8, 3),
        r"needs PRNG for \"dropout\"\); hand over rngs=\{\"dropout\": jax.random.key\(0\)\}$",
    ),
    "collection": (lambda: linen_flat(["batch_stats"], train=False), (8, 8, 3), 'the variables lack "batch_stats"'),
    "bare": (lambda: linen_flat(bare=True, train=False), (8, 8, 3), r'bare parameters; hand over \{"params": ...\}$'),
    "channels": (lambda: linen_flat(train=False), (8, 8, 1), r"in conv .*takes 3 channels: .*\(channels=3\)$"),
    "size": (lambda: linen_flat(train=False), (10, 10, 3), r"in head .*takes 8 x 8 pixels: .*size=\(8, 8\)"),
    "unknown argument": (lambda: linen_flat(training=False), (8, 8, 3), "'training'\\); its call takes x, train$"),
    "missing argument": (lambda: nnx_model(NNXFlat(nnx.Rngs(0)), {}), (8, 8, 3), "by name, such as scale="),
    "channels of nnx": (lambda: nnx_model(NNXFlat(nnx.Rngs(0)), {"scale": 2}), (8, 8, 4), "in conv .*3 channels"),
    "size of nnx": (lambda: nnx_model(NNXFlat(nnx.Rngs(0)), {"scale": 2}), (20, 20, 3), "in head .*8 x 8 pixels"),
    "neither": (
        lambda: function_model(lambda p, x: x @ p, jnp.ones((17, 2))),
        (8, 8, 3),
        "common sizes and 1, 3 or 4 channels fail too",
    ),
    "no trace": (lambda: nnx_model(Branching(), {}), (8, 8, 3), "branches on values; it has to run under jax.jit"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_model_that_fails_says_what_its_framework_said_and_the_likely_cause(case):
    make, picture, message = FAILURES[case]
    model, params = make()
    shape = (1, *picture)
    with pytest.raises(Exception) as raised:
        jax.eval_shape(model, params, jax.ShapeDtypeStruct(shape, jnp.float32))
    line = str(failure(raised.value, model, params, shape))
    assert line.startswith(f"the model fails on a picture of shape {picture}") and "\n" not in line
    assert re.search(message, line), line


def test_bare_arrays_for_variables():
    with pytest.raises(InputError, match="no collections of variables"):
        linen_model(nn.Dense(3), {"kernel": jnp.ones((3, 3))}, {})


def equinox_net():
    """Equinox, its network's class, and the function that adapts it."""
    eqx = pytest.importorskip("equinox", reason="needs Equinox")
    from jaxcircuits.network.adapters.equinox import equinox_model

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

    return eqx, Net, equinox_model


def test_equinox_layers_are_what_its_modules_return():
    eqx, Net, equinox_model = equinox_net()
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
    eqx, Net, equinox_model = equinox_net()
    module, state = eqx.nn.make_with_state(Net)(jax.random.key(0))
    with pytest.raises(InputError, match=r"Net keeps a state; hand over \(module, state\)"):
        equinox_model(module, {})
    with pytest.raises(InputError, match=r"Conv2d is an Equinox module; .*from_equinox"):
        nnx_model(module.stem.layers[0], {})
    model, params = equinox_model((module, state), {})
    with pytest.raises(ValueError, match="conv_general_dilated") as raised:
        jax.eval_shape(model, params, X)
    assert str(failure(raised.value, model, params, X.shape)).endswith('state InputConvention(layout="CHW")')


def test_equinox_of_one_argument_in_a_dict():
    eqx, _, equinox_model = equinox_net()
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


def keras_and_adapter():
    keras = pytest.importorskip("keras", reason="needs Keras")
    from jaxcircuits.network.adapters.keras import keras_model

    return keras, keras_model


def keras_net(keras, dropout=0.5):
    """Functional, with a sequential model in it that is called twice."""
    layers = keras.layers
    inner = keras.Sequential(
        [
            layers.Input((8, 8, 4)),
            layers.Conv2D(4, 3, padding="same", activation="relu", name="conv"),
            layers.BatchNormalization(name="norm"),
        ],
        name="inner",
    )
    picture = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="stem")(picture)
    x = inner(x)
    x = layers.Add(name="sum")([x, inner(x)])
    x = layers.MaxPooling2D(name="pool")(keras.ops.relu(x))
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    model = keras.Model(picture, {"logits": layers.Dense(5, name="head")(x), "mean": x})
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 0.5, weight.shape) for weight in model.get_weights()])
    return model


def test_keras_layers_are_what_its_own_submodels_return():
    keras, keras_model = keras_and_adapter()
    module = keras_net(keras)
    model, params = keras_model(module, {})
    output, seen = marked(model, params)
    names = ["stem", "sum", "pool", "depthwise", "dropout", "mean", "head"]
    for name in names:
        submodel = keras.Model(module.input, module.get_layer(name).output)
        assert len(seen[name]) == 1
        same(seen[name][0], submodel(X, training=False))
    inner = module.get_layer("inner")
    assert len(seen["inner"]) == len(seen["inner/conv"]) == 2
    same(seen["inner/conv"][1], inner.get_layer("conv")(inner(seen["stem"][0], training=False)))
    same(seen["inner"][1], inner(seen["inner"][0], training=False))
    assert set(seen) == {*names, "inner", "inner/conv", "inner/norm"}
    jax.tree.map(same, output, module(X, training=False))
    where = scopes(model, params)
    assert where["max"] == {"", "inner/conv"} and where["reduce_window_max"] == {"pool"}
    weights = {"stem/kernel", "inner/conv/bias", "inner/norm/moving_variance", "depthwise/kernel", "head/kernel"}
    assert weights <= set(params) and len(params) == len(module.weights)
    assert all("call" not in vars(layer) for layer in (*module.layers, *inner.layers))


def test_keras_models_of_ones_own_class_are_named_by_attributes():
    keras, keras_model = keras_and_adapter()
    layers = keras.layers

    class Block(layers.Layer):
        def __init__(self):
            super().__init__()
            self.conv = layers.Conv2D(4, 3, padding="same")
            self.norm = layers.BatchNormalization()

        def call(self, x):
            return x + keras.ops.relu(self.norm(self.conv(x)))

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.stem = layers.Conv2D(4, 3)
            self.blocks = [Block() for _ in range(2)]
            self.dropout = layers.Dropout(0.5)
            self.heads = {"first": layers.Dense(5)}

        def call(self, x, layers=()):
            x = self.stem(x)
            for block in self.blocks:
                x = block(x)
            return {"heads": {"first": self.heads["first"](keras.ops.mean(self.dropout(x), (1, 2)))}, "none": None}

    module = Net()
    with pytest.raises(InputError, match="has no weights yet; call it once on a picture"):
        keras_model(module, {})
    module(X)
    model, params = keras_model(module, {})
    output, seen = marked(model, params)
    assert list(seen) == [
        "stem",
        *(f"blocks/{i}{part}" for i in "01" for part in ("/conv", "/norm", "")),
        "dropout",
        "heads/first",
    ]
    x = module.stem(X)
    for i, block in enumerate(module.blocks):
        same(seen[f"blocks/{i}/norm"][0], block.norm(block.conv(x), training=False))
        x = block(x, training=False)
        same(seen[f"blocks/{i}"][0], x)
    assert set(output) == {"heads", "none"} and output["none"] is None
    same(output["heads"]["first"], seen["heads/first"][0])
    assert scopes(model, params)["max"] == {"blocks/0", "blocks/1"}
    assert {"blocks/1/norm/gamma", "heads/first/kernel"} <= set(params)
    # What its training does later changes nothing, and nothing is given away.
    before = np.asarray(params["stem/kernel"])
    module.stem.kernel.assign(before + 1)
    np.testing.assert_array_equal(params["stem/kernel"], before)


def test_keras_models_may_be_traced_by_several_threads():
    keras, keras_model = keras_and_adapter()
    module = keras_net(keras)
    model, params = keras_model(module, {})
    expected = list(marked(model, params)[1])
    together = threading.Barrier(4)

    def look(i):
        together.wait()
        if i == 3:  # as a user's own thread
            return [module(X, training=False)["logits"].shape for _ in range(4)]
        # A function of its own each time, so that JAX traces it anew.
        return [list(marked(lambda p, x: model(p, x), params)[1]) for _ in range(2)]

    with ThreadPoolExecutor(4) as pool:
        *seen, shapes = pool.map(look, range(4))
    assert all(names == expected for each in seen for names in each) and shapes == [(2, 5)] * 4
    assert all("call" not in vars(layer) for layer in module.layers)


def test_keras_failures_and_wrong_ways_in():
    keras, keras_model = keras_and_adapter()
    flat = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(4, name="head")])
    model, params = keras_model(flat, {})
    with pytest.raises(ValueError, match="incompatible") as raised:
        model(params, jnp.ones((1, 8, 8, 1)))
    line = str(failure(raised.value, model, params, (1, 8, 8, 1)))
    assert "of layer 'head' is incompatible" in line and line.endswith("state InputConvention(channels=3)")
    for adapt in (nnx_model, lambda module, kwargs: linen_model(module, {}, kwargs)):
        with pytest.raises(InputError, match=r"Sequential is a Keras model; .*use Network.from_keras\(model\)"):
            adapt(flat, {})


@pytest.mark.slow
def test_keras_on_another_backend_says_how_to_set_it():
    keras_and_adapter()
    program = """
import keras
from jaxcircuits.network.adapters.keras import keras_model
model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten()])
try:
    keras_model(model, {})
except ValueError as error:
    print(error)
"""
    environment = os.environ | {"KERAS_BACKEND": "numpy"}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert "Keras runs on numpy; set the environment variable KERAS_BACKEND=jax before Keras is imported" in run.stdout


def test_keras_applications_expect_what_keras_says():
    """Every family's preprocessing, against its own `preprocess_input`."""
    keras, _ = keras_and_adapter()
    from jaxcircuits.network.adapters.keras_applications import _convention, keras_application

    applications = [getattr(keras.applications, name) for name in dir(keras.applications) if name[0].isupper()]
    pictures = np.random.default_rng(0).uniform(size=(2, 5, 4, 3)).astype(np.float32)
    for application in applications:
        convention = _convention(application, (None, 32, 48, 3))
        expected = sys.modules[application.__module__].preprocess_input(255 * pictures)
        np.testing.assert_allclose(convention(jnp.asarray(pictures)), expected, rtol=1e-4, atol=1e-4)
        assert convention.size == (32, 48) and convention.layout == "HWC"
    with pytest.raises(InputError, match="unknown Keras application 'VGG18'; did you mean VGG19 or VGG16"):
        keras_application("VGG18")
    with pytest.raises(InputError, match=r"no weights for keras:MobileNet \(.*load_weights\(FILE\), .*from_keras"):
        keras_application("MobileNet", "no/such.weights.h5")


@pytest.mark.slow
def test_keras_mobilenet_v2_names_photographs():
    keras_and_adapter()
    from jaxcircuits.network.adapters.keras_applications import keras_application

    model, params, convention, _ = keras_application("MobileNetV2", data("weights", "mobilenet_v2.weights.h5"))
    lines = data("weights", "inceptionv1_google2015.labels.txt").read_text().splitlines()
    synsets = sorted(line.split()[0] for line in lines[1:1001])
    answer = jax.jit(lambda params, pictures: model(params, convention(pictures)).argmax(1))
    right = [
        synsets[i] == synset
        for names, pictures in itertools.islice(photographs(), 8)
        for i, synset in zip(answer(params, pictures), names)
    ]
    assert len(right) == 400 and np.mean(right) == 0.8475
