"""Weights, edits and ablations against the same networks written again in NumPy, in float64, cell by cell.

Three kinds: a ResNet with batch normalization and shortcuts, a MobileNet with depthwise convolutions and linear
bottlenecks, a U-Net that joins levels by a transposed convolution and by a resize.
"""

import numpy as np
import pytest

from jaxcircuits import circuits
from jaxcircuits.network.graph import INPUT
from jaxcircuits.network.windows import windows as windows_of
from support.models import MODELS

pytestmark = pytest.mark.usefixtures("compiled_quickly")


def windows(x, size, stride, fill=0.0):
    """The windows of a map (h, w, c), padded as SAME, as (rows, columns, size, size, c)."""
    out = [-(-n // stride) for n in x.shape[:2]]
    pads = [max((o - 1) * stride + size - n, 0) for o, n in zip(out, x.shape[:2])]
    x = np.pad(x, [*((pad // 2, pad - pad // 2) for pad in pads), (0, 0)], constant_values=fill)
    cells = [[x[i * stride : i * stride + size, j * stride : j * stride + size] for j in range(out[1])]
             for i in range(out[0])]  # fmt: skip
    return np.array(cells)


class Net:
    """One run: `linear` leaves activation functions out and takes means for max-pools; `change` alters named maps."""

    def __init__(self, params, linear=False, change=None):
        self.params, self.linear, self.change, self.seen = params, linear, change or {}, {}

    def at(self, *path):
        tree = self.params
        for key in path:
            tree = tree[key]
        return np.float64(tree)

    def name(self, name, x):
        self.seen[name] = x = self.change[name](x) if name in self.change else x
        return x

    def conv(self, x, kernel, bias=0.0, stride=1):
        patches = windows(x, kernel.shape[0], stride)
        if kernel.shape[2] == x.shape[-1]:
            return np.einsum("ijhwc,hwcd->ijd", patches, kernel) + bias
        return np.einsum("ijhwc,hwc->ijc", patches, kernel[:, :, 0]) + bias  # depthwise

    def norm(self, x, *path, stats=None):
        mean, var = (self.at(*(stats or path), name) for name in ("mean", "var"))
        return (x - mean) / np.sqrt(var + 1e-5) * self.at(*path, "scale") + self.at(*path, "bias")

    def relu(self, x, most=np.inf):
        return x if self.linear else np.clip(x, 0, most)

    def max_pool(self, x, size, stride):
        if not self.linear:
            return windows(x, size, stride, -np.inf).max((2, 3))
        return windows(x, size, stride).sum((2, 3)) / windows(np.ones_like(x), size, stride).sum((2, 3))


def resnet(net, x):
    x = net.conv(x, net.at("stem", "kernel"))
    x = net.name("relu", net.relu(net.norm(x, "bn")))
    x = net.max_pool(x, 3, 2)
    for i, stride in enumerate((1, 2)):
        block = ("blocks", i)
        y = net.name(
            f"blocks/{i}/bn1", net.norm(net.conv(x, net.at(*block, "conv1", "kernel"), 0, stride), *block, "bn1")
        )
        y = net.name(f"blocks/{i}/relu", net.relu(y))
        y = net.norm(net.conv(y, net.at(*block, "conv2", "kernel")), *block, "bn2")
        if stride > 1:
            x = net.norm(net.conv(x, net.at(*block, "shortcut", "kernel"), 0, stride), *block, "bn3")
        x = net.name(f"blocks/{i}/add", x + y)
        x = net.name(f"blocks/{i}", net.relu(x))
    return x.mean((0, 1)) @ net.at("head", "kernel") + net.at("head", "bias")


def mobilenet(net, x):
    x = net.conv(x, net.at("stem", "kernel"), net.at("stem", "bias"), 2)
    x = net.name("relu6", net.relu(net.norm(x, "norm"), 6))
    for i, stride in enumerate((1, 2)):
        block = ("blocks", i)
        y = net.norm(net.conv(x, net.at(*block, "expand", "kernel")), *block, "norm1")
        y = net.name(f"blocks/{i}/relu6", net.relu(net.name(f"blocks/{i}/norm1", y), 6))
        y = net.norm(net.conv(y, net.at(*block, "depthwise", "kernel"), 0, stride), *block, "norm2")
        y = net.name(f"blocks/{i}/relu6_1", net.relu(net.name(f"blocks/{i}/norm2", y), 6))
        y = net.norm(net.conv(y, net.at(*block, "project", "kernel")), *block, "norm3")
        x = net.name(f"blocks/{i}", x + y if stride == 1 else y)
    x = net.name("last", net.conv(x, net.at("last", "kernel"), net.at("last", "bias")))
    x = net.name("relu6_1", net.relu(x, 6))
    return x.mean((0, 1)) @ net.at("head", "kernel") + net.at("head", "bias")


def unet(net, x):
    def conv(x, name):
        return net.conv(x, net.at("params", name, "kernel"), net.at("params", name, "bias"))

    fine = net.name("relu", net.relu(net.name("enc1", conv(x, "enc1"))))
    middle = net.name("relu_1", net.relu(net.name("enc2", conv(net.max_pool(fine, 2, 2), "enc2"))))
    coarse = net.name("relu_2", net.relu(net.name("enc3", conv(net.max_pool(middle, 2, 2), "enc3"))))
    kernel, (h, w, _) = net.at("params", "up2", "kernel"), coarse.shape
    up = np.zeros((2 * h, 2 * w, kernel.shape[3]))
    for i, j in np.ndindex(h, w):  # every cell writes a window of its own
        up[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = np.einsum("c,hwcd->hwd", coarse[i, j], kernel[::-1, ::-1])
    up = net.name("up2", up + net.at("params", "up2", "bias"))
    both = net.name("concatenate", np.concatenate([middle, up], -1))
    middle = net.name("relu_3", net.relu(net.name("dec2", conv(both, "dec2"))))
    up = middle.repeat(2, 0).repeat(2, 1)
    both = net.name("concatenate_1", np.concatenate([fine, up], -1))
    fine = net.name("relu_4", net.relu(net.name("dec1", conv(both, "dec1"))))
    return conv(fine, "out")


NETS = {"ResNet, NNX": resnet, "MobileNet, NNX": mobilenet, "U-Net, Linen": unet}
X = np.random.default_rng(4).uniform(0, 1, (16, 16, 3)).astype(np.float32)


def again(name, change=None, linear=False, picture=X):
    """(what the network returns, its named maps) by NumPy; a picture in [0, 1]."""
    net = Net(MODELS[name]().network.params, linear, change)
    x = (np.float64(picture) - 0.5) / 0.25
    return NETS[name](net, net.name(INPUT, x)), net.seen


def close(value, expected):
    np.testing.assert_allclose(value, expected, atol=1e-4 * max(np.abs(expected).max(), 1e-6), rtol=1e-4)


@pytest.mark.parametrize("name", NETS)
def test_the_networks_are_the_same(name):
    network = MODELS[name]().network
    output, seen = again(name)
    seen.pop(INPUT)
    own = network.activations(X[None])
    close(own[network.graph.output[0]][0], output)
    for layer, value in seen.items():
        close(own[layer][0], value)


WEIGHTS = [
    ("ResNet, NNX", "relu", "blocks/0/bn1", "blocks/0/relu"),  # through a max-pool
    ("ResNet, NNX", "blocks/0", "blocks/1/add", "blocks/1"),  # along a strided shortcut and beside it
    ("ResNet, NNX", INPUT, "blocks/0/add", "blocks/0"),
    ("MobileNet, NNX", "relu6", "blocks/0/norm2", "blocks/0/relu6_1"),  # a bottleneck, then one window a channel
    ("MobileNet, NNX", "blocks/0/relu6_1", "blocks/1/norm1", "blocks/1/relu6"),  # a linear bottleneck and a shortcut
    ("MobileNet, NNX", "blocks/0", "last", "relu6_1"),
    ("U-Net, Linen", "relu_1", "dec2", "relu_3"),  # beside the lower level and through it
    ("U-Net, Linen", "relu_2", "dec2", "relu_3"),  # a transposed convolution
    ("U-Net, Linen", "relu_3", "dec1", "relu_4"),  # a resize
]
"""Network, source, the target before its activation function, the target."""


def middle(name, source, target):
    """The cell nearest the middle of those that read the source alike: behind what enlarges a map, every other one."""
    network = MODELS[name]().network
    found = windows_of(network, source, target, network.convention.size, linear=True)
    shape = network.layers[target].shape[:-1]
    alike = [window.alike() for window in found] if found else [np.arange(n) for n in shape]
    return tuple(int(cells[np.abs(cells - n // 2).argmin()]) for cells, n in zip(alike, shape))


def slopes(name, source, target, unit, linear=True, hold=()):
    """By differences: what changes in a target's cell where each value of the source changes, (h, w, channels).

    Linear but for kinks, so the step may be long where there are none, and has to be short where there are.
    """
    _, seen = again(name, linear=linear)
    cell = middle(name, source, target) if linear else tuple(n // 2 for n in seen[target].shape[:2])
    fixed = {layer: lambda value, layer=layer: seen[layer] for layer in hold}
    found, step = np.zeros(seen[source].shape), 1.0 if linear else 1e-6
    for place in np.ndindex(found.shape):
        ends = []
        for sign in (1, -1):

            def moved(value, place=place, sign=sign):
                value = value.copy()
                value[place] += sign * step
                return value

            ends.append(again(name, {source: moved, **fixed}, linear)[1][target][(*cell, unit)])
        found[place] = (ends[0] - ends[1]) / (2 * step)
    return found


def compare(weights, whole):
    """Weights beside the whole map of slopes; of a window, where it fits best: it may reach beyond the border."""
    if weights.shape == whole.shape:
        close(weights, whole)
        return
    height, width = weights.shape[:2]
    edges = [(height, height), (width, width), (0, 0)]
    padded, inside = np.pad(whole, edges), np.pad(np.ones_like(whole), edges)
    errors = {}
    for i, j in np.ndindex(padded.shape[0] - height, padded.shape[1] - width):
        cells = (slice(i, i + height), slice(j, j + width))
        if inside[cells].mean() > 0.5:
            errors[i, j] = np.abs(padded[cells] - weights * inside[cells]).max()
    i, j = min(errors, key=errors.get)
    assert errors[i, j] < 1e-4 * np.abs(whole).max()
    padded[i : i + height, j : j + width] = 0
    assert np.abs(padded).max() < 1e-6 * np.abs(whole).max()  # the cell reads nothing else


@pytest.mark.parametrize(("name", "source", "before", "target"), WEIGHTS)
def test_expanded_weights_of_the_linearized_network(name, source, before, target):
    """Behind what enlarges a map, those of a cell that reads as much as any."""
    weights = circuits.expanded_weights(MODELS[name]().network, source, target, [1])[0]
    compare(weights, slopes(name, source, before, 1))


@pytest.mark.parametrize(("name", "source", "before", "target"), WEIGHTS[1::3])
def test_expanded_weights_at_a_picture(name, source, before, target):
    network = MODELS[name]().network
    cell = tuple(n // 2 for n in network.layers[target].shape[:2])
    weights = circuits.expanded_weights(network, source, target, [2], at=X, position=cell)[0]
    compare(weights, slopes(name, source, before, 2, linear=False))


DIRECT = [
    ("ResNet, NNX", "relu", "blocks/0/bn1", "blocks/0/relu", ()),
    ("ResNet, NNX", "blocks/0", "blocks/1/add", "blocks/1", ["blocks/1/relu"]),  # the shortcut alone
    ("MobileNet, NNX", "relu6", "blocks/0/norm2", "blocks/0/relu6_1", ()),
    ("MobileNet, NNX", "relu6", "blocks/1/norm1", "blocks/1/relu6", ["blocks/0/relu6_1"]),
    ("U-Net, Linen", "concatenate", "dec2", "relu_3", ()),
    ("U-Net, Linen", "relu_3", "concatenate_1", "concatenate_1", ()),  # a resize
]


@pytest.mark.parametrize(("name", "source", "before", "target", "hold"), DIRECT)
def test_direct_weights(name, source, before, target, hold):
    """Ways through other features are no direct ones: those are held."""
    weights = circuits.direct_weights(MODELS[name]().network, source, target, [5])[0]
    compare(weights, slopes(name, source, before, 5, hold=hold))


def test_direct_weights_by_gradients_pass_no_other_features():
    """An edit is not in the kernels, so that there is no closed form."""
    network = MODELS["ResNet, NNX"]().network
    edited = circuits.scale_weights(network, "blocks/0:0", "blocks/1:5", factor=2)
    weights = circuits.direct_weights(edited, "blocks/0", "blocks/1", [5])[0]
    whole = slopes("ResNet, NNX", "blocks/0", "blocks/1/add", 5, hold=["blocks/1/relu"])
    whole[..., 0] *= 2
    rows, columns = np.argwhere(np.abs(weights).max(-1) > 0).T
    assert len(rows) == 1
    compare(weights[rows[0] : rows[0] + 1, columns[0] : columns[0] + 1], whole)


EDITS = [
    ("ResNet, NNX", "relu", "blocks/0/add", "blocks/0"),  # along the shortcut and through the block
    ("ResNet, NNX", "blocks/0", "blocks/1/add", "blocks/1"),
    ("MobileNet, NNX", "relu6", "blocks/0/norm2", "blocks/0/relu6_1"),
    ("MobileNet, NNX", "relu6", "blocks/1/norm1", "blocks/1/relu6"),  # through a shared linear bottleneck
    ("U-Net, Linen", "relu_1", "dec2", "relu_3"),  # by the skip and by the level below
    ("U-Net, Linen", "relu", "dec1", "relu_4"),  # all levels
]


@pytest.mark.parametrize("factor", [0.0, 2.5])
@pytest.mark.parametrize(("name", "source", "before", "target"), EDITS)
def test_an_edit_is_the_target_computed_from_another_source(name, source, before, target, factor):
    """And all of the network behind it follows, while other units read the source as it is."""
    network = MODELS[name]().network
    edited = circuits.scale_weights(network, [f"{source}:1", f"{source}:2"], f"{target}:0", factor=factor)

    def scaled(value):
        value = value.copy()
        value[..., 1:3] *= factor
        return value

    alone = again(name, {source: scaled})[1][before][..., 0]

    def given(value):
        value = value.copy()
        value[..., 0] = alone
        return value

    output, seen = again(name, {before: given})
    after = edited.activations(X[None])
    for layer, value in seen.items():
        if layer != INPUT:
            close(after[layer][0], value)
    close(after[network.graph.output[0]][0], output)


@pytest.mark.parametrize(("name", "source", "before", "target"), EDITS[::2])
def test_ablations(name, source, before, target):
    network = MODELS[name]().network
    mean = again(name)[1][source][..., 1].mean()
    for edited, value in (
        (circuits.ablate(network, f"{source}:1"), 0),
        (circuits.ablate(network, f"{source}:1", X[None]), mean),
    ):

        def fixed(activation, value=value):
            activation = activation.copy()
            activation[..., 1] = value
            return activation

        output, seen = again(name, {source: fixed})
        after = edited.activations(X[None])
        close(after[target][0], seen[target])
        close(after[network.graph.output[0]][0], output)
