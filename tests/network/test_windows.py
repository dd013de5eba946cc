"""Receptive fields: what a cell reads, by the graph, against gradients of dense random maps."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxcircuits as jc
from jaxcircuits import circuits
from jaxcircuits.evidence.crops import field
from jaxcircuits.network.graph import INPUT
from jaxcircuits.network.windows import interior, windows

pytestmark = pytest.mark.usefixtures("compiled_quickly")

SIZE = (23, 28)


def kernel(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).uniform(0.5, 1, shape), jnp.float32)


def conv(x, size=3, stride=1, padding="SAME", dilation=1, gaps=1):
    strides, dilations, gaps = ((n, n) if isinstance(n, int) else n for n in (stride, dilation, gaps))
    height, width = (size, size) if isinstance(size, int) else size
    numbers = ("NHWC", "HWIO", "NHWC")
    settings = {"lhs_dilation": gaps, "rhs_dilation": dilations, "dimension_numbers": numbers}
    return lax.conv_general_dilated(x, kernel(height, width, x.shape[-1], 3), strides, padding, **settings)


def resized(x, rows, columns, method="linear", **settings):
    shape = (len(x), round(x.shape[1] * rows), round(x.shape[2] * columns), x.shape[-1])
    return jax.image.resize(x, shape, method, **settings)


def transposed(x, size=3, stride=2, padding="SAME"):
    return lax.conv_transpose(x, kernel(size, size, x.shape[-1], 3), (stride, stride), padding)


def shuffled(x, times=2):
    n, h, w, c = x.shape
    x = x.reshape(n, h, w, times, times, c // times**2).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(n, h * times, w * times, c // times**2)


def unshuffled(x):
    n, h, w, c = x.shape
    x = x[:, : h // 2 * 2, : w // 2 * 2]
    return x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5).reshape(n, h // 2, w // 2, 4 * c)


def pool(x, size=3, stride=2):
    return nn.avg_pool(x, (size, size), (stride, stride), "SAME")


MAPS = {
    "a convolution": conv,
    "strides and dilation": lambda x: conv(conv(x, (5, 3), (2, 1), "VALID"), 3, 1, "SAME", (1, 2)),
    "pools": lambda x: conv(pool(conv(x, stride=2))),
    "a max pool": lambda x: nn.max_pool(conv(x), (3, 2), (2, 2)),
    "transposed": transposed,
    "transposed, no overlap": lambda x: transposed(x, 2),
    "transposed, gaps": lambda x: transposed(x, 2, 3, "VALID"),
    "transposed, large": lambda x: transposed(x, 5, 3),
    "transposed, padded": lambda x: conv(x, 4, 1, ((2, 3), (1, 2)), 1, (2, 3)),
    "down and up": lambda x: conv(transposed(conv(conv(x, stride=2), stride=2)), 3),
    "nearest": lambda x: resized(x, 2, 2, "nearest"),
    "nearest, odd": lambda x: conv(resized(x, 1.5, 0.6, "nearest")),
    "linear": lambda x: resized(x, 2, 3),
    "linear, then convolutions": lambda x: conv(conv(resized(x, 2, 2)), stride=2),
    "linear, odd": lambda x: resized(conv(x), 1.4, 0.7),
    "linear, without antialiasing": lambda x: resized(x, 0.5, 0.4, antialias=False),
    "cubic": lambda x: resized(conv(x, stride=2), 2, 1.5, "cubic"),
    "lanczos": lambda x: resized(x, 1.3, 1, "lanczos3"),
    "repeat": lambda x: conv(jnp.repeat(jnp.repeat(x, 2, 1), 3, 2)),
    "pixel shuffle": lambda x: conv(shuffled(jnp.repeat(conv(x), 4, -1))),
    "space to depth": lambda x: conv(unshuffled(x)),
    "a matrix along rows": lambda x: jnp.einsum("nhwc,hk->nkwc", x, kernel(x.shape[1], 5)),
    "patches": lambda x: conv(x, 4, 4, "VALID"),
    "padding inside": lambda x: conv(lax.pad(x, 0.0, ((0, 0, 0), (1, 0, 2), (-1, 2, 1), (0, 0, 0))), padding="VALID"),
    "taken": lambda x: conv(x[:, np.arange(0, 21, 3)][:, :, np.array([0, 1, 1, 5, 9, 12])]),
    "a gate": lambda x: conv(x) * jax.nn.sigmoid(conv(x)[..., :1] - 5),
    "a skip": lambda x: conv(x) + transposed(conv(x, stride=2))[:, : x.shape[1], : x.shape[2]],
    "a longer skip": lambda x: jnp.concatenate(
        [conv(x), resized(conv(conv(x, stride=2)), 2, 2)[:, : x.shape[1], : x.shape[2]]], -1
    ),
}
"""From pictures (N, H, W, 3) to maps, all weights positive where the map allows."""
OTHERWISE = {
    "a mean": lambda x: conv(x) * conv(x).mean((1, 2), keepdims=True),
    "turned": lambda x: jnp.swapaxes(x, 1, 2),
}


def network(function):
    def model(params, x):
        return function(x)

    return jc.Network.from_function(model, (), jc.InputConvention(size=SIZE))


def read(function, size):
    """Along either axis, bool (cells of the output, cells of the picture): what changes where one line changes."""
    picture = np.random.default_rng(1).uniform(size=(1, *size, 3)).astype(np.float32)
    found = []
    for axis, length in enumerate(size, 1):
        changed = np.repeat(picture, length + 1, 0)
        np.moveaxis(changed, axis, 1)[range(length), range(length)] += 100
        answers = np.asarray(function(jnp.asarray(changed)))
        found.append((np.abs(answers[:-1] - answers[-1:]) > 1e-3).any((3 - axis, 3)).T)
    return found


@pytest.mark.parametrize("size", [SIZE, (24, 24)], ids=str)
@pytest.mark.parametrize("name", MAPS)
def test_a_cell_reads_its_window_and_no_more(name, size):
    net = network(MAPS[name])
    found = windows(net, INPUT, "output", size, linear=True)
    for window, along, length in zip(found, read(MAPS[name], size), size):
        assert (window.target_cells, window.source_cells) == along.shape
        inside = 0
        for cell, cells in enumerate(along):
            (first, end), places = window.span(cell), np.flatnonzero(cells)
            assert end - first <= window.size
            if 0 <= first < end <= length:
                assert (first, end) == (places[0], places[-1] + 1)
                inside += 1
            else:  # some of its taps lie beyond the border
                assert not places.size or (first <= places[0] and places[-1] < end)
        assert inside > 1


def test_cells_that_became_channels_count_as_read_together():
    """Depth to space after space to depth changes nothing; a block of two by two is what is known of each cell."""
    found = windows(network(lambda x: shuffled(unshuffled(conv(x)))), INPUT, "output", (24, 24), linear=True)
    for window in found:
        assert [window.span(cell) for cell in (2, 3, 4, 5)] == [(1, 5), (1, 5), (3, 7), (3, 7)]


@pytest.mark.parametrize("name", OTHERWISE)
def test_what_is_no_window_is_none(name):
    assert windows(network(OTHERWISE[name]), INPUT, "output", SIZE, linear=True) is None


@pytest.mark.parametrize("name", ["transposed, large", "linear, then convolutions", "down and up", "pixel shuffle"])
def test_expanded_weights_behind_what_enlarges(name):
    """The window's weights are those of the cell that `interior` finds, whole and away from the borders."""
    net = network(MAPS[name])
    size, cell = interior(net, INPUT, "output")
    weights = circuits.expanded_weights(net, INPUT, "output", [0])
    x = jnp.zeros((1, *size, 3))
    whole = np.asarray(jax.grad(lambda x: MAPS[name](x)[0, cell[0], cell[1], 0])(x)[0])
    rows, columns = np.nonzero(whole.any(-1))
    cut = whole[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    np.testing.assert_allclose(weights[0], cut, rtol=1e-5, atol=1e-6)
    assert weights.shape[1:3] == tuple(w.size for w in windows(net, INPUT, "output", size, linear=True))


def test_contributions_are_of_the_cells_that_read_so():
    net = network(MAPS["transposed"])
    pictures = np.random.default_rng(2).uniform(size=(2, 12, 12, 3)).astype(np.float32)
    found = circuits.contributions(net, INPUT, "output", pictures, [1])
    answers = np.asarray(MAPS["transposed"](pictures - 0.0))[..., 1]
    cells = [w.alike() for w in windows(net, INPUT, "output", (12, 12), linear=True)]
    assert all(len(alike) == 12 for alike in cells)
    np.testing.assert_allclose(found.sum(), answers[:, cells[0]][:, :, cells[1]].mean(), rtol=1e-4)


def test_a_crop_behind_what_enlarges_is_a_part_of_the_picture():
    net = network(MAPS["down and up"])
    rows, columns = (np.flatnonzero(along[cell]) for along, cell in zip(read(MAPS["down and up"], (32, 32)), (8, 9)))
    part = field(net, "output", (8, 9), (32, 32))
    assert part == (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
