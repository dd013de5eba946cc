"""Weights between units against brute force in float64, and published ones."""

import json
import os
import time
from pathlib import Path

import flax.linen as nn
import jax
import numpy as np
import pytest

from jaxcircuits import circuits
from jaxcircuits.circuits.weights import expanded
from jaxcircuits.errors import InputError
from jaxcircuits.network import Network, load
from jaxcircuits.zoo import INPUT, InputConvention
from support.by_hand import BRANCHES, PICTURES, close, foreign_network, onward
from support.data import data
from support.loops import slow_network
from support.small import SMALL, architecture_of, small_network

pytestmark = pytest.mark.usefixtures("compiled_quickly")

CAFFE = dict(zip(SMALL["google"].by_name, SMALL["caffe"].by_name))
"""Names of the same layers in the two conventions; their widths are equal."""


def layer_name(convention: str, name: str) -> str:
    return name if convention == "google" else CAFFE.get(name, name)


def brute_force(network, source, target, cells, stride, channel):
    """(h, w, units): how one cell of the linearized network's target answers to each cell of a source's channel.

    One source cell after another is raised by one in the middle of a map of `cells` squared. That cell's offset
    from each target cell tells which weight the answer is; the array is cut to the offsets that answer.
    """
    architecture = onward(architecture_of(network), source, target)
    channels = 3 if source == INPUT else network.layers[source].channels

    def answer(x):
        return slow_network(architecture, network.params, x, linear=True)[target]

    silent = np.zeros((cells, cells, channels))
    base = answer(silent)
    table = np.zeros((4 * cells, 4 * cells, base.shape[-1]))
    for shift in np.ndindex(stride, stride):
        y, x = (cells // 2 + s for s in shift)
        raised = silent.copy()
        raised[y, x, channel] = 1
        change = answer(raised) - base
        for i, j in np.ndindex(base.shape[:2]):
            table[2 * cells + y - stride * i, 2 * cells + x - stride * j] = change[i, j]
    rows, columns = (np.flatnonzero(np.abs(table).max((axis, 2)) > 1e-12) for axis in (1, 0))
    return table[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


DIRECT = [
    # source, target, stride, size of the window
    (INPUT, "conv2d0", 2, 7),
    ("conv2d0", "conv2d1", 2, 3),
    ("conv2d0", "conv2d2", 2, 7),
    ("conv2d2", "mixed3a", 2, 11),
    ("mixed3a", "mixed3b", 1, 5),
    ("mixed3a", "mixed3b_3x3", 1, 3),
    ("mixed3b_pool", "mixed3b_pool_reduce", 1, 1),
    ("mixed3b", "mixed4a", 2, 11),
    ("maxpool4", "mixed4a_pre_relu", 1, 5),
    ("mixed3b", "maxpool4", 2, 3),
]


@pytest.mark.parametrize("odd", [0, 1], ids=["even", "odd"])
@pytest.mark.parametrize("convention", SMALL)
@pytest.mark.parametrize(("source", "target", "stride", "size"), DIRECT, ids=lambda value: str(value))
def test_weights_of_connected_layers(convention, odd, source, target, stride, size):
    network = small_network(convention)
    source, target = layer_name(convention, source), layer_name(convention, target)
    closed = np.moveaxis(circuits.direct_weights(network, source, target), 0, 3)
    assert closed.shape[:2] == (size, size)
    assert closed.dtype == np.float32
    channel = 1
    expected = brute_force(network, source, target, 2 * size + 6 + odd, stride, channel)
    close(closed[:, :, channel], expected)
    gradients = circuits.expanded_weights(network, source, target)
    close(gradients, np.moveaxis(closed, 3, 0))
    if source != INPUT:
        pair = circuits.weights_between(network, f"{source}:{channel}", f"{target}:1")
        close(pair, expected[:, :, 1])


FURTHER = [
    ("mixed3a", "mixed4a", 2, 15),
    ("mixed4a", "mixed4c", 1, 9),
    ("conv2d1", "mixed3a_3x3", 2, 9),
]


@pytest.mark.parametrize("odd", [0, 1], ids=["even", "odd"])
@pytest.mark.parametrize("convention", SMALL)
@pytest.mark.parametrize(("source", "target", "stride", "size"), FURTHER, ids=lambda value: str(value))
def test_expanded_weights_across_blocks(convention, odd, source, target, stride, size):
    network = small_network(convention)
    source, target = layer_name(convention, source), layer_name(convention, target)
    result = circuits.expanded_weights(network, source, target)
    expected = brute_force(network, source, target, 2 * size + 2 + odd, stride, channel=0)
    close(result[..., 0], np.moveaxis(expected, 2, 0))
    assert result.shape[1:3] == (size, size)
    some = circuits.expanded_weights(network, source, target, [2, 0])
    close(some, result[[2, 0]])


def test_expanded_weights_of_a_branch_alone(small):
    """A source that is not all that the target reads: the other branches come from the picture."""
    whole = circuits.expanded_weights(small, "mixed3a", "mixed4a_1x1")
    first, count = (small.layers[f"mixed3a_{branch}"].channels for branch in ("1x1", "3x3"))
    close(circuits.expanded_weights(small, "mixed3a_3x3", "mixed4a_1x1"), whole[..., first : first + count])


@pytest.mark.parametrize("branch", BRANCHES)
def test_every_branch_in_the_frame_of_the_largest(small, branch):
    multiplied = np.float64(small.params[f"mixed3b_{branch}"]["kernel"])
    if branch in ("3x3", "5x5"):
        bottleneck = np.float64(small.params[f"mixed3b_{branch}_bottleneck"]["kernel"])
        multiplied = np.einsum("sb,ijbt->ijst", bottleneck[0, 0], multiplied)
    if branch == "pool_reduce":
        multiplied = np.tile(multiplied / 9, (3, 3, 1, 1))
    first = 0
    for name in small.layers["mixed3b"].inputs:
        if name == f"mixed3b_{branch}":
            break
        first += small.layers[name].channels
    margin = (5 - BRANCHES[branch]) // 2
    expected = np.pad(multiplied, ((margin, margin), (margin, margin), (0, 0), (0, 0)))
    for target in range(multiplied.shape[3]):
        result = circuits.weights_between(small, "mixed3a:3", f"mixed3b:{first + target}")
        np.testing.assert_allclose(result, expected[:, :, 3, target], rtol=1e-4, atol=1e-6)


def test_the_old_name_keeps_its_order(small):
    with pytest.warns(FutureWarning, match="use direct_weights, .units, h, w, source."):
        old = circuits.layer_weights(small, "mixed3a", "mixed3b", [9, 2])
    np.testing.assert_array_equal(old, np.moveaxis(circuits.direct_weights(small, "mixed3a", "mixed3b", [9, 2]), 0, 3))


def test_raw_kernels(small):
    for layer in ("mixed3b_5x5", "mixed3b_5x5_pre_relu"):
        weights, source = circuits.kernel(small, layer)
        assert source == "mixed3b_5x5_bottleneck"
        np.testing.assert_array_equal(weights, small.params["mixed3b_5x5"]["kernel"])
    assert circuits.kernel(small, "conv2d0").input_layer == INPUT
    weights, source = circuits.kernel(small, "softmax2_pre_activation")
    assert source == "avgpool0"
    np.testing.assert_array_equal(weights[0, 0], small.params["softmax2"]["kernel"])


def test_classes(small):
    """Logits read the mean over positions; their expanded weights are over the whole map of a native picture."""
    dense = np.asarray(small.params["softmax2"]["kernel"])
    for source in ("avgpool0", "mixed5b"):
        np.testing.assert_allclose(
            circuits.direct_weights(small, source, "softmax2_pre_activation"), dense.T[:, None, None], rtol=1e-6
        )
    np.testing.assert_allclose(
        circuits.expanded_weights(small, "avgpool0", "softmax2_pre_activation", [7]), dense[None, :, 7], rtol=1e-6
    )
    whole = circuits.expanded_weights(small, "mixed5b", "softmax2_pre_activation", [7])
    assert whole.shape == (1, 2, 2, small.layers["mixed5b"].channels)
    pictured = circuits.expanded_weights(small, "mixed5b", "softmax2_pre_activation", [7], at=PICTURES)
    np.testing.assert_allclose(pictured, whole, rtol=1e-5)
    np.testing.assert_allclose(whole[0], np.broadcast_to(dense[:, 7] / 4, whole[0].shape), rtol=1e-5)


@pytest.mark.parametrize("convention", SMALL)
@pytest.mark.parametrize(
    ("source", "target", "stride", "interior"),
    [("mixed3a", "mixed3b", 1, (3, 2)), ("conv2d0", "conv2d2", 2, (5, 4))],
)
def test_at_a_picture_against_finite_differences(convention, source, target, stride, interior):
    network = small_network(convention)
    source, target = layer_name(convention, source), layer_name(convention, target)
    before = f"{target}_pre_relu"
    seen = slow_network(architecture_of(network), network.params, (np.float64(PICTURES[0]) - 0.5) / 0.25)
    base = seen[source]
    rest = onward(architecture_of(network), source, before)

    def answer(changed):
        return slow_network(rest, network.params, changed)[before]

    # What an interior cell reads, where a value that is no number spreads to; other windows lie stride by stride.
    reads = []
    for axis in (0, 1):
        reads.append([])
        for line in range(base.shape[axis]):
            spoiled = base.copy()
            spoiled[(slice(None),) * axis + (line,)] = np.nan
            if np.isnan(answer(spoiled)[interior]).any():
                reads[axis].append(line)
    unit, channel, step = 1, 2, 1e-6
    best = np.unravel_index(seen[before][..., unit].argmax(), seen[before].shape[:2])
    for position in (interior, (0, 0), best):
        result = circuits.expanded_weights(
            network, source, target, [unit], at=PICTURES[0], position=None if position is best else position
        )[0, :, :, channel]
        assert result.shape == (len(reads[0]), len(reads[1]))
        expected = np.zeros(result.shape)
        for i, j in np.ndindex(result.shape):
            cell = tuple(reads[a][0] + stride * (position[a] - interior[a]) + (i, j)[a] for a in (0, 1))
            if all(0 <= c < n for c, n in zip(cell, base.shape)):
                raised, lowered = base.copy(), base.copy()
                raised[(*cell, channel)] += step
                lowered[(*cell, channel)] -= step
                expected[i, j] = (answer(raised) - answer(lowered))[(*position, unit)] / (2 * step)
        close(result, expected)


def test_pictures_are_averaged_in_chunks(small, monkeypatch):
    units = [5, 0, 7, 11, 2]
    single = [circuits.expanded_weights(small, "mixed3b", "mixed4a", units, at=picture) for picture in PICTURES]
    monkeypatch.setattr(expanded, "CHUNK_BYTES", 2**16)
    together = circuits.expanded_weights(small, "mixed3b", "mixed4a", units, at=PICTURES)
    np.testing.assert_allclose(together, np.mean(single, 0), rtol=1e-4, atol=1e-6)
    assert np.linalg.norm(single[0] - single[1]) > 0.1 * np.linalg.norm(single[0])


def test_first_layer_at_a_picture_is_its_kernel(small):
    """It is linear before its ReLU, in the network's own value range; beyond the border there is nothing to read."""
    weights = np.moveaxis(circuits.kernel(small, "conv2d0").weights, 3, 0).copy()
    interior = circuits.expanded_weights(small, INPUT, "conv2d0", at=PICTURES[0], position=(5, 4))
    np.testing.assert_allclose(interior, weights, rtol=1e-5)
    corner = circuits.expanded_weights(small, INPUT, "conv2d0", at=PICTURES[0], position=(0, 0))
    # SAME pads three rows before 47 and two columns before 40.
    weights[:, :3] = weights[:, :, :2] = 0
    np.testing.assert_allclose(corner, weights, rtol=1e-5)


def test_networks_from_outside_the_zoo():
    network, params = foreign_network()
    pictures = PICTURES[:2, :12, :10]
    first = network.activations(pictures, "first")["first"]

    def second(values):
        order, kernel = ("NHWC", "HWIO", "NHWC"), params["second"]["kernel"]
        answer = jax.lax.conv_general_dilated(nn.gelu(values), kernel, (2, 2), "SAME", dimension_numbers=order)
        return answer + params["second"]["bias"]

    def head(values):
        return second(values).mean((1, 2)) @ params["head"]["kernel"] + params["head"]["bias"]

    # Of 12 x 10 cells, SAME pads none before: the window of cell (2, 3) begins at (4, 6).
    expected = jax.jacobian(lambda values: second(values)[0, 2, 3])(first[:1])[:, 0, 4:7, 6:9]
    close(circuits.expanded_weights(network, "first", "second", at=pictures[0], position=(2, 3)), expected)
    expected = np.mean([jax.jacobian(lambda v: head(v)[0])(first[i : i + 1])[:, 0] for i in range(2)], 0)
    close(circuits.expanded_weights(network, "first", "output", at=pictures), expected)
    averaged = circuits.expanded_weights(network, "first", "second", at=pictures, position=(2, 3))
    singles = [circuits.expanded_weights(network, "first", "second", at=p, position=(2, 3)) for p in pictures]
    close(averaged, np.mean(singles, 0))
    # Linearized, gelu is the identity: what is read is the kernel.
    kernel = np.moveaxis(np.asarray(params["second"]["kernel"]), 3, 0)
    close(circuits.expanded_weights(network, "first", "second"), kernel)
    close(circuits.weights_between(network, "gelu:1", "second:2"), kernel[2, :, :, 1])
    cut = circuits.cut(network, "first:1", "second:2")
    silent = np.array(first)
    silent[..., 1] = 0
    expected = np.array(second(first))
    expected[..., 2] = second(silent)[..., 2]
    close(np.asarray(cut.activations(pictures, "second")["second"]), expected)
    with pytest.raises(InputError, match="first is not computed from second"):
        circuits.expanded_weights(network, "second", "first", at=pictures[0])


def test_layers_inside_a_compiled_function():
    """What is computed within one compiled function is taken apart all the same."""

    @jax.jit
    def both(x):
        first = 2 * x
        return {"first": first, "second": 3 * first, "third": 6 * x}

    network = Network.from_function(lambda params, x: both(x), (), InputConvention(size=(12, 10)))
    picture = PICTURES[0, :12, :10]
    with pytest.raises(InputError, match="third is not computed from first; expected a layer before it"):
        circuits.expanded_weights(network, "first", "third", at=picture)
    for source, factor in ((INPUT, 6), ("first", 3)):
        result = circuits.expanded_weights(network, source, "second", [1], at=picture, position=(3, 4))
        assert result.tolist() == [[[[0, factor, 0]]]]


def test_strongest_connections(small):
    target = "mixed3b:9"
    weights = circuits.direct_weights(small, "mixed3a", "mixed3b", [9])[0]
    strongest = circuits.strongest_inputs(small, target, "mixed3a", 4)
    for found, sign in ((strongest.excitatory, 1), (strongest.inhibitory, -1)):
        norms = np.sqrt((np.maximum(sign * weights, 0) ** 2).sum((0, 1)))
        assert [c.source.index for c in found] == np.argsort(-norms)[:4].tolist()
        strengths = [c.excitation if sign > 0 else c.inhibition for c in found]
        np.testing.assert_allclose(strengths, np.sort(norms)[::-1][:4], rtol=1e-5)
        np.testing.assert_array_equal(found[0].weights, weights[..., found[0].source.index])
        assert str(found[0].target) == target

    column = circuits.expanded_weights(small, "mixed3a", "mixed4b")[..., 5]
    outputs = circuits.strongest_outputs(small, "mixed3a:5", "mixed4b", 3)
    norms = np.sqrt((np.minimum(column, 0) ** 2).sum((1, 2)))
    assert [c.target.index for c in outputs.inhibitory] == np.argsort(-norms)[:3].tolist()
    assert {c.source for c in outputs.inhibitory} == {circuits.Unit("mixed3a", 5)}
    # No connection is listed that is none.
    silenced = circuits.cut(small, [f"mixed3a:{i}" for i in range(16)], target)
    assert circuits.strongest_inputs(silenced, target, "mixed3a") == circuits.Strongest((), ())


ERRORS = {
    "no number": (lambda n: circuits.unit(n, "mixed3a"), "unit 'mixed3a'; expected LAYER:NUMBER, such as"),
    "no such layer": (lambda n: circuits.unit(n, "mixed3:4"), "unknown layer 'mixed3' .* did you mean mixed3"),
    "no such unit": (
        lambda n: circuits.weights_between(n, "mixed3a:16", "mixed3b:0"),
        r"unknown unit 16 of mixed3a; it has units 0 to 15 \(nearest: 15\)",
    ),
    "too far": (
        lambda n: circuits.weights_between(n, "conv2d2:0", "mixed3b:0"),
        "mixed3b is not directly connected to conv2d2; it reads mixed3a: expanded_weights spans",
    ),
    "backward": (
        lambda n: circuits.direct_weights(n, "mixed3b", "mixed3a"),
        "mixed3a is not directly connected to mixed3b; it reads conv2d2",
    ),
    "kernel of a block": (lambda n: circuits.kernel(n, "mixed3a"), "mixed3a has several kernels: .*mixed3a_5x5"),
    "kernel of a pool": (
        lambda n: circuits.kernel(n, "maxpool4"),
        "max_pool layer and has no weights; it reads mixed3b",
    ),
    "softmax": (
        lambda n: circuits.expanded_weights(n, "mixed5b", "softmax2"),
        "not linear in mixed5b; take the logits",
    ),
    "softmax, closed": (
        lambda n: circuits.direct_weights(n, "mixed5b", "softmax2"),
        "softmax2 is not linear in mixed5b; take the logits",
    ),
    "not computed from": (
        lambda n: circuits.expanded_weights(n, "mixed4a", "mixed3b"),
        "mixed3b_pre_relu is not computed from mixed4a",
    ),
    "position without picture": (
        lambda n: circuits.expanded_weights(n, "mixed3a", "mixed3b", position=(0, 0)),
        "position is for pictures",
    ),
    "position outside": (
        lambda n: circuits.expanded_weights(n, "mixed3a", "mixed3b", at=PICTURES, position=(6, 0)),
        r"position \(6, 0\) of mixed3b_pre_relu, whose map here is \(6, 5\)",
    ),
    "gray": (lambda n: circuits.expanded_weights(n, "mixed3a", "mixed3b", at=PICTURES[..., :1]), "1 channels"),
    "units": (lambda n: circuits.expanded_weights(n, "mixed3a", "mixed3b", 3), "expected a sequence of whole numbers"),
    "count": (lambda n: circuits.strongest_inputs(n, "mixed3b:0", "mixed3a", 0), "at least 1 connection"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_bad_input(case, small):
    call, message = ERRORS[case]
    with pytest.raises(InputError, match=message) as error:
        call(small)
    assert "\n" not in str(error.value)


def test_results_that_do_not_fit(full_size):
    with pytest.raises(InputError, match="GiB; ask for fewer units"):
        circuits.expanded_weights(full_size, "conv2d0", "mixed5b")


# Published weights


def test_a_whole_pair_of_a_published_network(zoo_network, capsys):
    network = zoo_network("inceptionv1-2015")
    start = time.perf_counter()
    gradients = circuits.expanded_weights(network, "mixed3a", "mixed3b")
    with capsys.disabled():
        print(f" (mixed3a -> mixed3b, 480 x 256, in {time.perf_counter() - start:.1f} s) ", end="")
    close(gradients, circuits.direct_weights(network, "mixed3a", "mixed3b"), 1e-5)


def test_published_weight_slices():
    """Slices read from the figures of Zoom In; their scale is not known, and one figure's colors are clipped."""
    slices = json.loads(data("reference", "zoomin_weight_slices.json").read_text())
    weights = Path(os.environ.get("JAXCIRCUITS_WEIGHTS", ".")) / "inceptionv1.safetensors"
    if not weights.exists():
        pytest.skip(f"needs the articles' weights, inceptionv1, as {weights} (folder: JAXCIRCUITS_WEIGHTS)")
    network = load(weights)
    for entry in slices:
        source, target = (f"{entry[f'{end}_layer']}:{entry[f'{end}_unit']}" for end in ("src", "dst"))
        result, published = circuits.weights_between(network, source, target), np.array(entry["weights"])
        assert result.shape == published.shape
        # The clipped slice keeps its signs and most of its shape.
        clipped = entry["max_colour_error"] > 10
        correlation = (result * published).sum() / np.linalg.norm(result) / np.linalg.norm(published)
        assert correlation > (0.9 if clipped else 0.99), (source, target, correlation)
        strong = np.abs(published) > 0.1 * np.abs(published).max()
        agree = np.sign(result[strong]) == np.sign(published[strong])
        assert agree.mean() > (0.8 if clipped else 0.97), (source, target)
