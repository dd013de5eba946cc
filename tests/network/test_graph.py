"""What the graph has to find in any model: axes, activation functions, names, and what cannot be entered."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxcircuits as jc
from jaxcircuits import circuits
from jaxcircuits.network.pointwise import functions
from jaxcircuits.vis import Crop, Recipe
from jaxcircuits.vis.arguments import as_recipe
from support.more_models import MODELS

RNG = np.random.default_rng(0)
KERNEL = jnp.asarray(RNG.normal(size=(3, 4)), jnp.float32)
HEAD = jnp.asarray(RNG.normal(size=(4, 5)), jnp.float32)
PICTURES = RNG.uniform(0, 1, (3, 4, 4, 3)).astype(np.float32)


def network(function, size=4, **convention):
    convention = jc.InputConvention(size=(size, size), mean=0.5, **convention)
    return jc.Network.from_function(lambda params, x: function(x), {}, convention)


def same(value, expected):
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-5)


# The same ReLU of the same product, with pictures in other places.


def plain(x):
    return jax.nn.relu(x @ KERNEL).mean((1, 2))


def merged(x):
    n, h, w, c = x.shape
    return jax.nn.relu(x.reshape(n * h * w, c) @ KERNEL).reshape(n, h, w, -1).mean((1, 2))


def windowed(x):
    n, h, w, c = x.shape
    x = x.reshape(n, 2, h // 2, 2, w // 2, c).transpose(0, 1, 3, 2, 4, 5).reshape(n * 4, h // 2, w // 2, c)
    x = jax.nn.relu(x @ KERNEL)
    return x.reshape(n, 4 * h // 2 * w // 2, -1).mean(1)


def behind(x):
    """Channels first, pictures last."""
    x = jnp.einsum("nhwc,cd->dhwn", x, KERNEL)
    return jax.nn.relu(x).mean((1, 2)).T


def at_once(x):
    """All pictures in one row of a batch, as some attention layers have it."""
    return jax.nn.relu((x @ KERNEL)[None])[0].mean((1, 2))


PLACES = {function.__name__: function for function in (merged, windowed, behind, at_once)}


@pytest.mark.parametrize("name", PLACES)
def test_the_axis_of_pictures_is_found_wherever_it_is(name):
    net, usual = network(PLACES[name]), network(plain)
    answers = net.activations(PICTURES)
    same(answers["output"], usual.activations(PICTURES)["output"])
    relu = next(layer for layer in net.layers.values() if layer.op == "relu")
    assert answers[relu.name].shape[0] == 3 and relu.channels == 4
    same(np.sort(answers[relu.name].reshape(3, -1, 4), 1),
         np.sort(usual.activations(PICTURES)["relu"].reshape(3, -1, 4), 1))  # fmt: skip


def gradients(net, pictures, redirect, layer="output", weights=1.0):
    def score(pictures):
        answers = net.forward(net.params, pictures, [layer], redirect=redirect)[layer]
        return -(answers * weights).sum()

    return np.asarray(jax.grad(score)(jnp.asarray(pictures)))


@pytest.mark.parametrize("name", PLACES)
def test_redirected_gradients_are_each_pictures_own(name):
    """One picture is silent, one is not, one is silent and not redirected."""
    pictures = PICTURES.copy()
    direction = np.linalg.lstsq(np.asarray(KERNEL).T, -np.ones(4), rcond=None)[0]
    pictures[[0, 2]] = np.clip(0.5 + 0.2 * direction, 0, 1)
    redirect = jnp.array([True, True, False])
    expected = gradients(network(plain), pictures, redirect)
    assert (np.abs(expected).max((1, 2, 3)) > 0).tolist() == [True, True, bool(np.abs(expected[2]).max() > 0)]
    same(gradients(network(PLACES[name]), pictures, redirect), expected)


# Activation functions as people write them.


@jax.custom_vjp
def own_gradient(x):
    return jnp.maximum(x, 0)


own_gradient.defvjp(lambda x: (own_gradient(x), None), lambda _, g: (g,))


class Remat(nnx.Module):
    @nnx.remat
    def __call__(self, x):
        return nnx.relu(x)


FLAT = {
    "relu": jax.nn.relu,
    "relu6": jax.nn.relu6,
    "maximum, the number first": lambda x: jnp.maximum(0, x),
    "clip below": lambda x: jnp.clip(x, 0),
    "clip": lambda x: jnp.clip(x, 0, 6),
    "where": lambda x: jnp.where(x > 0, x, 0),
    "times its sign": lambda x: x * (x > 0),
    "in jit": jax.jit(lambda x: jnp.maximum(x, 0)),
    "in remat": jax.checkpoint(jax.nn.relu),
    "in remat of a module": Remat(),
    "custom_vjp": own_gradient,
    "hard_sigmoid": jax.nn.hard_sigmoid,
}
NOT_FLAT = {
    "leaky_relu": jax.nn.leaky_relu,
    "softplus": jax.nn.softplus,
    "maximum with an activation": lambda x: jnp.maximum(x, x[..., ::-1]),
}


@pytest.mark.parametrize("name", [*FLAT, *NOT_FLAT])
def test_redirected_gradients_reach_every_flat_side_however_it_is_written(name):
    act = FLAT.get(name) or NOT_FLAT[name]

    def net(x):
        return act(x @ KERNEL - 50.0)  # silent for every picture

    made = network(net)
    usual, redirected = (gradients(made, PICTURES, jnp.full(3, redirect)) for redirect in (False, True))
    if name in FLAT:
        assert name == "custom_vjp" or not usual.any()
        assert (np.abs(redirected).max((1, 2, 3)) > 0).all()
        slope = 1 / 6 if name == "hard_sigmoid" else 1  # ReLU6, then a sixth of it
        same(redirected, -slope * np.broadcast_to(np.asarray(KERNEL).sum(1), PICTURES.shape))
    else:
        same(redirected, usual)


def branching(x):
    return jax.lax.cond(x.sum() > 0, jax.nn.relu, jax.nn.relu, x @ KERNEL) @ HEAD


def looping(x):
    return jax.lax.scan(lambda x, _: (jax.nn.relu(x - 50.0), None), x @ KERNEL, None, length=2)[0] @ HEAD


@pytest.mark.parametrize(("function", "name"), [(branching, "cond"), (looping, "scan")])
def test_loops_and_branches_are_one_layer(function, name):
    net = network(function)
    assert list(net.layers) == ["dense", name, "output"] and not functions(net.graph.program)
    with pytest.raises(jc.InputError, match=f"not linear in dense( through {name})?; give pictures with at="):
        circuits.expanded_weights(net, "dense", "output", [0])
    assert circuits.expanded_weights(net, "dense", "output", [0], at=PICTURES[0]).shape == (1, 4, 4, 4)


def test_layers_inside_a_scan_are_not_offered_and_equal_pictures_answer_alike():
    net = MODELS["scan, Linen"]().network
    assert list(net.layers) == ["stem", "relu", "layers", "last", "relu_1", "mean", "head", "output"]
    four = np.repeat(np.float32(RNG.uniform(size=(1, 16, 16, 3))), 4, 0)
    for value in net.activations(four).values():
        same(value, np.repeat(value[:1], 4, 0))


class ScanOfModules(nnx.Module):
    def __init__(self, rngs):
        @nnx.split_rngs(splits=3)
        @nnx.vmap(in_axes=0)
        def stack(rngs):
            return nnx.Linear(4, 4, rngs=rngs)

        self.first, self.layers = nnx.Linear(3, 4, rngs=rngs), stack(rngs)

    def __call__(self, x):
        @nnx.scan(in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
        def forward(x, layer):
            return nnx.relu(layer(x))

        return forward(self.first(x), self.layers).mean((1, 2))


def test_a_scan_over_nnx_modules():
    module = ScanOfModules(nnx.Rngs(0))
    net = jc.Network.from_nnx(module, jc.InputConvention(size=(4, 4)))
    seen = net.activations(PICTURES)
    same(seen["output"], module(jnp.asarray(PICTURES)))
    assert all(value.shape[0] == 3 for value in seen.values())
    x = module.first(jnp.asarray(PICTURES))
    same(seen["first"], x)
    assert [name for name, layer in net.layers.items() if layer.kind == "opaque"] == ["scan"]


def test_a_squeeze_before_the_head_hides_nothing():
    def squeezed(x):
        return jax.nn.relu((x @ KERNEL).mean((1, 2), keepdims=True).squeeze()) @ HEAD

    net = network(squeezed)
    assert net.layers["relu"].shape == (4,) and net.layers["output"].shape == (5,)
    for count in (1, 2, 3):
        expected = jax.nn.relu(((PICTURES[:count] - 0.5) @ KERNEL).mean((1, 2)))
        seen = net.activations(PICTURES[:count])
        same(seen["relu"], expected)
        same(seen["output"], expected @ HEAD)


def test_outputs_may_be_nested_and_inner_layers_stay():
    def net(x):
        first = jax.nn.relu(x @ KERNEL)
        return {"maps": {"first": first, "sum": first.sum(-1)}, "logits": (first.mean((1, 2)) @ HEAD, None, 3)}

    made = network(net)
    assert set(made.layers) == {"dense", "maps/first", "maps/sum", "mean", "logits/0"}
    assert set(made.graph.output) == {"logits/0", "maps/first", "maps/sum"}
    seen = made.activations(PICTURES)
    same(seen["maps/sum"], seen["maps/first"].sum(-1))


class Output(nnx.Module):
    """A submodule called `output` that is not the last one, and a parameter of the call named `layers`."""

    def __init__(self, rngs):
        self.output = nnx.Conv(3, 4, (1, 1), rngs=rngs)

    def __call__(self, x, layers=()):
        return nnx.relu(self.output(x))


def test_a_submodule_called_output_keeps_its_name():
    module = Output(nnx.Rngs(0))
    net = jc.Network.from_nnx(module, jc.InputConvention(size=(4, 4)))
    assert list(net.layers) == ["output", "output_1"] and net.logits == "output_1"
    same(net.activations(PICTURES)["output"], module.output(jnp.asarray(PICTURES)))


def test_the_linearized_network_has_an_identity_of_its_own():
    net = MODELS["function"]().network
    assert net.linearized().name != net.name and net.linearized().identity != net.identity
    edits = [circuits.ablate(net, f"{layer}:0") for layer in ("conv", "relu")]
    assert len({edited.identity for edited in (net, *edits)}) == 3


# Normalizations, softmaxes, heads.


class Normed(nn.Module):
    norm: nn.Module

    @nn.compact
    def __call__(self, x):
        return nn.relu(self.norm(nn.Dense(4)(x)))


NORMS = {
    "LayerNorm": nn.LayerNorm(),
    "LayerNorm in two passes": nn.LayerNorm(use_fast_variance=False),
    "GroupNorm": nn.GroupNorm(2),
    "RMSNorm": nn.RMSNorm(),
    "InstanceNorm": nn.InstanceNorm(),
}


@pytest.mark.parametrize("name", NORMS)
def test_a_normalization_is_one_node_and_left_out_where_linearized(name):
    module = Normed(NORMS[name])
    variables = module.init(jax.random.key(0), jnp.zeros((1, 4, 4, 3)))
    net = jc.Network.from_linen(module, variables, jc.InputConvention(size=(4, 4)))
    assert list(net.layers) == ["Dense_0", "norm", "output"]
    assert net.layers["norm"].kind == "normalization" and net.layers["norm"].inputs == ("Dense_0",)
    linear = net.linearized().activations(PICTURES)
    same(linear["norm"], linear["Dense_0"])
    weights = circuits.expanded_weights(net, "Dense_0", "output")
    same(weights, np.eye(4)[:, None, None])


def test_attention_is_read_as_attention():
    net = MODELS["ViT, NNX"]().network
    inside = {name.removeprefix("blocks/0/attention/"): layer for name, layer in net.layers.items()
              if name.startswith("blocks/0/attention/")}  # fmt: skip
    assert list(inside) == ["query", "key", "value", "dot", "softmax", "dot_1", "out"]
    assert inside["softmax"].channels == 17 and inside["dot_1"].channels == inside["value"].channels == 4
    images = np.float32(RNG.uniform(size=(2, 16, 16, 3)))
    pattern = net.activations(images, "blocks/0/attention/softmax")["blocks/0/attention/softmax"]
    same(pattern.sum(-1), np.ones(pattern.shape[:-1]))
    assert all(np.isfinite(value).all() for value in net.linearized().activations(images).values())
    zeros = np.zeros((1, 1))
    with pytest.raises(jc.InputError, match="query reads or answers with several axes at once"):
        circuits.set_weights(net, "blocks/0/norm1:0", "blocks/0/attention/query:0", zeros)


# Networks of one size.


@pytest.mark.parametrize("name", ["VGG, Linen", "ViT, NNX", "MLP, Linen"])
def test_networks_of_one_size_are_looked_at_in_it(name):
    net = MODELS[name]().network
    native = net.convention.size
    assert net.takes(native) and not net.takes((40, 40))
    for recipe in (
        None,
        "fast",
        "maco",
        Recipe(size=64),
        Recipe(size=7, transforms=()),
        Recipe(transforms=(Crop(20),)),
    ):
        fitted = as_recipe(net, recipe)
        assert fitted.view_size == native
        assert Recipe.from_json(fitted.to_json()) == fitted


def test_networks_of_any_size_keep_their_recipe():
    net = MODELS["ResNet, NNX"]().network
    recipe = Recipe(size=24)
    assert net.takes((40, 52)) and as_recipe(net, recipe) is recipe


@functools.cache
def ramp(size):
    rows, columns = np.mgrid[:size, :size] / size
    return np.stack([rows, columns, 0 * rows], -1).astype(np.float32)


@pytest.mark.parametrize(("size", "native", "border"), [(16, 16, 6), (32, 16, 0), (8, 16, 0), (16, 16, 0)])
def test_the_native_view_is_the_whole_picture(size, native, border):
    """What padding added is taken back; larger and smaller pictures are resized."""
    from jaxcircuits.vis import Native, Pad, random_view

    transforms = (Pad(border), Native(native, size)) if border else (Native(native, size),)
    view = random_view(transforms, jax.random.key(0), jnp.asarray(ramp(size)))
    inside = slice(2, -2)  # bilinear at the edge
    expected = ramp(native) + (0.5 / native - 0.5 / size) * np.array([1, 1, 0])
    np.testing.assert_allclose(view[inside, inside], expected[inside, inside], atol=2e-2 if size < native else 5e-3)


# Resizes.


@pytest.mark.parametrize("method", ["nearest", "linear", "cubic"])
def test_a_resize_leaves_channels_where_they_are_and_has_no_weights(method):
    def enlarged(x):
        first = jax.nn.relu(x @ KERNEL)
        n, h, w, c = first.shape
        return jax.image.resize(first, (n, 2 * h, 3 * w, c), method).mean((1, 2)) @ HEAD + 0 * first.mean()

    def up(x):
        return jax.nn.relu(jax.image.resize(x @ KERNEL, (len(x), 8, 12, 4), method))

    net = network(up)
    assert net.layers["output"].shape == (8, 12, 4) and "dense_1" not in net.layers
    same(net.activations(PICTURES)["output"], up(jnp.asarray(PICTURES - 0.5)))
    assert network(enlarged).graph.stages == ("relu",)


class Mixer(nn.Module):
    """Dense layers over tokens and over channels in turn; the sum has what was mixed first."""

    @nn.compact
    def __call__(self, x):
        x = x.reshape(len(x), -1, x.shape[-1])
        y = nn.gelu(nn.Dense(7, name="tokens")(jnp.swapaxes(x, 1, 2)))
        y = jnp.swapaxes(nn.Dense(16, name="back")(y), 1, 2)
        return nn.gelu(nn.Dense(5, name="channels")(y + x))


def test_mixing_tokens_leaves_channels_where_they_are():
    module = Mixer()
    variables = module.init(jax.random.key(0), jnp.zeros((1, 4, 4, 3)))
    net = jc.Network.from_linen(module, variables, jc.InputConvention(size=(4, 4)))
    assert net.layers["add"].shape == (16, 3) and net.layers["channels"].shape == (16, 5)
    assert net.layers["back"].shape == (16, 3) and net.layers["tokens"].shape == (7, 3)
    same(net.activations(PICTURES)["output"], module.apply(variables, jnp.asarray(PICTURES)))
