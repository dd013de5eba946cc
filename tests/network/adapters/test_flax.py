"""What adapters name in Flax modules and functions, against what these compute; and what is said where one fails."""

import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from jaxcircuits import InputConvention, InputError
from jaxcircuits.network.adapters import failure
from jaxcircuits.network.adapters.function import function_model
from jaxcircuits.network.adapters.linen import linen_model
from jaxcircuits.network.adapters.nnx import nnx_model
from support.marked import X, marked, same, scopes


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
    with pytest.raises(Exception) as raised:
        jax.eval_shape(model, params, jax.ShapeDtypeStruct((1, *picture), jnp.float32))
    line = str(failure(raised.value, model, params, InputConvention(size=picture[:2], channels=picture[2])))
    assert line.startswith(f"the model fails on a picture of shape {picture}") and "\n" not in line
    assert re.search(message, line), line


def test_bare_arrays_for_variables():
    with pytest.raises(InputError, match="no collections of variables"):
        linen_model(nn.Dense(3), {"kernel": jnp.ones((3, 3))}, {})
