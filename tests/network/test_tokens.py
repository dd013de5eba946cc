"""Tokens: which of them lie where in the picture, whatever stands beside them; and who knows it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcircuits as jc
from jaxcircuits import evidence
from jaxcircuits.evidence.crops import field, patch, sheet
from jaxcircuits.images import Pictures, open_pictures
from jaxcircuits.naming import named
from jaxcircuits.network.tokens import Grid, grid, grids
from jaxcircuits.vis.objectives import Seen

RNG = np.random.default_rng(0)
SIZE, PATCH, WIDTH = (12, 20), 4, 6
ROWS, COLUMNS = SIZE[0] // PATCH, SIZE[1] // PATCH


def weights(*shape):
    return jnp.asarray(RNG.normal(size=shape) / np.sqrt(np.prod(shape[:-1])), jnp.float32)


KERNEL, QUERY, KEY, VALUE = weights(PATCH, PATCH, 3, WIDTH), *(weights(WIDTH, WIDTH) for _ in range(3))
BESIDE, PLACES = weights(3, WIDTH), weights(40, WIDTH)


def by_convolution(x):
    x = jax.lax.conv_general_dilated(x, KERNEL, (PATCH, PATCH), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return x.reshape(len(x), -1, WIDTH)


def by_reshapes(x):
    n, h, w, c = x.shape
    x = x.reshape(n, h // PATCH, PATCH, w // PATCH, PATCH, c).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(n, h // PATCH * (w // PATCH), PATCH * PATCH * c) @ KERNEL.reshape(-1, WIDTH)


def channels_first(x):
    x = jax.lax.conv_general_dilated(x, KERNEL, (PATCH, PATCH), "VALID", dimension_numbers=("NHWC", "HWIO", "NCHW"))
    return x.reshape(len(x), WIDTH, -1).swapaxes(1, 2)


def attended(x):
    query, key, value = ((x @ w).reshape(*x.shape[:2], 2, WIDTH // 2).swapaxes(1, 2) for w in (QUERY, KEY, VALUE))
    pattern = jax.nn.softmax(query @ key.swapaxes(2, 3))
    return named("attention", (pattern @ value).swapaxes(1, 2).reshape(x.shape) @ QUERY)


def model(embed, before=0, behind=0):
    def run(params, x):
        x = named("embed", embed(x))
        beside = jnp.broadcast_to(BESIDE, (len(x), *BESIDE.shape))
        x = jnp.concatenate([beside[:, :before], x, beside[:, :behind]], 1)
        x = named("placed", x + PLACES[: x.shape[1]])
        mean = x.mean(-1, keepdims=True)
        normed = (x - mean) * jax.lax.rsqrt(jnp.square(x - mean).mean(-1, keepdims=True) + 1e-6)
        x = named("block", attended(normed) + x)
        return {"patches": jax.nn.gelu(x[:, before : x.shape[1] - behind]), "logits": x[:, 0] @ KEY}

    return run


NETWORKS = {
    "patches alone": (model(by_convolution), 0),
    "a class's token before": (model(by_reshapes, 1), 1),
    "registers around": (model(channels_first, 2, 1), 2),
    "as many as make a square": (model(by_convolution, 1, 0), 1),  # 15 + 1
}


def network(name):
    return jc.Network.from_function(NETWORKS[name][0], {}, jc.InputConvention(size=SIZE), name="vit")


def lit(row, column, size=SIZE):
    """A dark picture, and one with a light patch."""
    pictures = np.zeros((2, *size, 3), np.float32)
    pictures[1, PATCH * row : PATCH * (row + 1), PATCH * column : PATCH * (column + 1)] = 1
    return pictures


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [SIZE, (16, 8)], ids=str)
def test_the_grid_is_where_tokens_change(name, size):
    net, first = network(name), NETWORKS[name][1]
    rows, columns = size[0] // PATCH, size[1] // PATCH
    layers = ("embed", "placed", "block", "attention", "patches", "logits")
    found = grids(net.forward, net.params, layers, size)
    assert set(found) == set(layers) - {"logits"}
    for layer in layers[:-1]:
        of = found[layer]
        assert (of.rows, of.columns, of.first) == (rows, columns, first if layer in layers[1:4] else 0), layer
        assert (of.reach is not None) == (layer in ("embed", "placed"))
    for row, column in np.ndindex(rows, columns):
        seen = net.activations(lit(row, column, size), ["embed", "placed"])
        for layer, value in seen.items():
            (token,) = np.flatnonzero(np.abs(value[1] - value[0]).max(-1) > 1e-6)
            assert found[layer].token(row, column) == token and found[layer].place(token) == (row, column)
    tokens = rows * columns + first
    assert found["placed"].place(0) == ((-1, 0) if first else (0, 0)) and found["placed"].place(tokens) == (-1, tokens)


def test_tokens_of_no_map_have_no_grid():
    net = jc.Network.from_function(
        lambda params, x: x.reshape(len(x), -1, 12) @ weights(12, 5), {}, jc.InputConvention(size=(8, 8))
    )
    assert grid(net.forward, net.params, "output", (8, 8)) is None
    with pytest.raises(jc.InputError, match="whose 16 tokens are no map's: give a number"):
        jc.neuron("output", 1, (0, 1)).check(net, jc.Recipe(size=8, transforms=()))
    jc.neuron("output", 1).check(net, jc.Recipe(size=8, transforms=()))


@pytest.mark.parametrize("name", NETWORKS)
def test_objectives_know_rows_and_columns(name):
    net, first = network(name), NETWORKS[name][1]
    activations = net.activations(RNG.uniform(size=(2, *SIZE, 3)).astype(np.float32), ["block"])
    block = np.asarray(activations["block"])
    seen = Seen(activations, jnp.zeros((2, *SIZE, 3)), {}, grids=grids(net.forward, net.params, ["block"], SIZE))
    patches = block[:, first : first + ROWS * COLUMNS].reshape(2, ROWS, COLUMNS, WIDTH)
    scores = jc.neuron("block", [1, 2], [(1, 2), (2, 4)]).scores(seen)
    np.testing.assert_allclose(scores, [patches[0, 1, 2, 1], patches[1, 2, 4, 2]], rtol=1e-6)
    middle = jc.neuron("block", [1, 2]).scores(seen)
    np.testing.assert_allclose(middle, patches[[0, 1], ROWS // 2, COLUMNS // 2, [1, 2]], rtol=1e-6)
    mask = np.zeros((ROWS, COLUMNS))
    mask[1, 3] = mask[2, 3] = 1
    under = jc.masked(jc.channel("block", [1, 2]), mask).scores(seen)
    np.testing.assert_allclose(under, patches[[0, 1], 1:3, 3][:, :, [1, 2]].mean(1)[[0, 1], [0, 1]], rtol=1e-5)


def test_a_patch_is_drawn_for_under_a_mask_and_at_a_place():
    """Of the embedding, which reads each patch alone, nothing but the patch is drawn."""
    net = network("registers around")
    recipe = jc.Recipe(size=4, steps=3, transforms=(), parametrization=jc.vis.Pixels())
    with pytest.raises(jc.InputError, match=r"position \(1, 0\) of placed, which has 1 rows and 1 columns"):
        jc.render(net, jc.neuron("placed", 1, (1, 0)), recipe, progress=False)
    recipe = jc.Recipe(size=12, steps=3, transforms=(), parametrization=jc.vis.Pixels())
    mask = np.zeros((3, 3))
    mask[2, 1] = 1
    for objective in (jc.neuron("placed", 1, (2, 1)), jc.masked(jc.channel("placed", 1), mask)):
        rendering = jc.render(net, objective, recipe, progress=False)
        start = jc.render(
            net, objective, jc.Recipe(size=12, steps=0, transforms=(), parametrization=jc.vis.Pixels()), progress=False
        )
        moved = np.abs(rendering.images - start.images).max((0, 3)) > 1e-6
        rows, columns = np.nonzero(moved)
        assert set(rows // PATCH) == {2} and set(columns // PATCH) == {1} and moved.sum() > 8


def test_examples_and_sheets_know_the_grid():
    net = network("a class's token before")
    pictures = RNG.uniform(size=(7, *SIZE, 3)).astype(np.float32)
    opened = open_pictures(pictures)
    assert isinstance(opened, Pictures)
    examples = evidence.examples(net, opened, ["embed", "block"], 3, progress=False)
    for layer, first in (("embed", 0), ("block", 1)):
        answers = np.asarray(net.activations(pictures, layer)[layer])
        own = examples[layer].strongest
        for unit in range(WIDTH):
            for value, picture, (row, column) in zip(*(part[unit] for part in own)):
                token = column if row < 0 else first + row * COLUMNS + column
                np.testing.assert_allclose(answers[picture, token, unit], value, rtol=1e-6)
                assert answers[picture, :, unit].max() == pytest.approx(value)
        assert (own.places[..., 0] < ROWS).all() and (own.places[..., 1] < COLUMNS).all()
    assert field(net, "embed", (1, 3), SIZE) == (4, 12, 8, 16) and field(net, "block", (1, 3), SIZE) == (0, 0, *SIZE)
    assert patch(net, "block", (1, 3), SIZE) == pytest.approx((1 / 3, 3 / 5, 2 / 3, 4 / 5))
    assert patch(net, "block", (-1, 0), SIZE) is None and field(net, "placed", (-1, 0), SIZE) == (0, 0, *SIZE)
    drawn = np.asarray(sheet(net, examples, opened, "block", 2))
    assert (drawn == 0).all(-1).sum() > 50  # outlines
    assert Grid(2, 3, 1, None).token(1, 2) == 6


def test_percentiles_of_a_place_in_the_grid():
    net = network("registers around")
    drawn, photographs = (RNG.uniform(size=(n, *SIZE, 3)).astype(np.float32) for n in (1, 5))
    answers = [
        np.asarray(net.activations(pictures, "block")["block"])[:, 2 + 2 * COLUMNS + 1, 3]
        for pictures in (drawn, photographs)
    ]
    found = jc.percentiles(net, jc.neuron("block", 3, (2, 1)), drawn, photographs)
    np.testing.assert_allclose(found, [100 * (answers[1] < answers[0]).mean()])
