"""Scaled, set and cut weights, and ablated units, against networks computed by hand in float64."""

import numpy as np
import pytest

from jaxcircuits import circuits
from jaxcircuits.errors import InputError
from support.by_hand import BRANCHES, PICTURES, first_unit, onward, own_branch
from support.loops import slow_conv, slow_max_pool, slow_network
from support.small import SMALL, architecture_of, random_params

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.parametrize("factor", [0.0, -0.5])
def test_scaled_connections(small, branch, factor):
    """The targets read scaled sources; every other unit of the layer stays as it is."""
    first = first_unit(small, branch)
    targets = [first, first + 1]
    sources = [f"mixed3a:{i}" for i in (2, 9)]
    edited = circuits.scale_weights(small, sources, [f"mixed3b:{i}" for i in targets], factor)
    before = small.activations(PICTURES[:1], ["mixed3a", "mixed3b_pre_relu"])
    after = np.asarray(edited.activations(PICTURES[:1], "mixed3b_pre_relu")["mixed3b_pre_relu"][0])
    seen = np.float64(before["mixed3a"][0])
    scaled = seen.copy()
    scaled[..., [2, 9]] *= factor
    for i, target in enumerate(targets):
        expected = own_branch(small.params, scaled, branch, i)
        np.testing.assert_allclose(after[..., target], expected, rtol=1e-4, atol=1e-5)
        assert np.abs(after[..., target] - before["mixed3b_pre_relu"][0, ..., target]).max() > 1e-3
    others = [i for i in range(after.shape[-1]) if i not in targets]
    np.testing.assert_allclose(after[..., others], before["mixed3b_pre_relu"][0][..., others], rtol=1e-5, atol=1e-5)
    # The weights say the same.
    for source in sources:
        old = circuits.weights_between(small, source, f"mixed3b:{first}")
        new = circuits.weights_between(edited, source, f"mixed3b:{first}")
        np.testing.assert_allclose(new, factor * old, rtol=1e-4, atol=1e-6)


def test_edits_one_after_another(small):
    """Edits add up and undo each other, those of the same units at the cost of one."""
    target = f"mixed3b:{first_unit(small, '5x5')}"
    once = circuits.cut(small, "mixed3a:1", target)
    twice = circuits.cut(once, "mixed3a:2", target)
    together = circuits.cut(small, ["mixed3a:1", "mixed3a:2"], target)
    assert len(twice.forward.patches) == len(together.forward.patches) == 1
    result = [n.activations(PICTURES[:1], "mixed4a")["mixed4a"] for n in (twice, together)]
    np.testing.assert_allclose(*result, rtol=1e-5, atol=1e-6)
    back = circuits.scale_weights(circuits.scale_weights(small, "mixed3a:1", target, 4.0), "mixed3a:1", target, 0.25)
    result = [n.activations(PICTURES[:1], "softmax2")["softmax2"] for n in (back, small)]
    np.testing.assert_allclose(*result, rtol=1e-5)
    kernel = small.params["mixed3b_5x5"]["kernel"]
    np.testing.assert_array_equal(kernel, random_params(SMALL["google"])["mixed3b_5x5"]["kernel"])


@pytest.mark.parametrize("branch", BRANCHES)
def test_weights_that_are_set(small, branch):
    first, size = first_unit(small, branch), 1 if branch == "pool_reduce" else BRANCHES[branch]
    weights = RNG.normal(size=(size, size, 2, 2)).astype(np.float32)
    sources, targets = ["mixed3a:4", "mixed3a:0"], [f"mixed3b:{first + 1}", f"mixed3b:{first}"]
    margin = (5 - size) // 2
    framed = np.pad(weights, ((margin, margin), (margin, margin), (0, 0), (0, 0)))
    edited = circuits.set_weights(small, sources, targets, framed)
    if branch != "pool_reduce":
        for i, j in np.ndindex(2, 2):
            result = circuits.weights_between(edited, sources[i], targets[j])
            np.testing.assert_allclose(result, framed[:, :, i, j], rtol=1e-5, atol=1e-6)
    # Independently: the answer without the sources, plus the weights' own contribution, linear in the activation.
    seen = np.float64(small.activations(PICTURES[:1], "mixed3a")["mixed3a"][0])
    without = seen.copy()
    without[..., [4, 0]] = 0
    read = slow_max_pool(seen, 3, 1, "SAME") if branch == "pool_reduce" else seen
    added = slow_conv(read[..., [4, 0]], np.float64(weights), np.zeros(2), 1, "SAME")
    after = np.asarray(edited.activations(PICTURES[:1], "mixed3b_pre_relu")["mixed3b_pre_relu"][0])
    for j, unit in enumerate((1, 0)):
        expected = own_branch(small.params, without, branch, unit) + added[..., j]
        np.testing.assert_allclose(after[..., first + unit], expected, rtol=1e-4, atol=1e-5)
    single = circuits.set_weights(small, sources[0], targets[0], weights[:, :, 0, 0])
    if branch != "pool_reduce":
        result = circuits.weights_between(single, sources[0], targets[0])
        np.testing.assert_allclose(result, framed[:, :, 0, 0], rtol=1e-5, atol=1e-6)


def test_edits_through_the_stem_and_to_classes(small):
    """Behind a pool and a normalization; a class reads the mean of the last block."""
    edited = circuits.cut(small, "conv2d2:3", "mixed3a:0")
    silent = np.float64(small.activations(PICTURES[:1], "conv2d2")["conv2d2"][0])
    silent[..., 3] = 0
    stem = onward(architecture_of(small), "conv2d2", "maxpool1")
    normed = slow_network(stem, small.params, silent)["maxpool1"]
    weights = small.params["mixed3a_1x1"]
    expected = normed @ np.float64(weights["kernel"][0, 0, :, 0]) + float(weights["bias"][0])
    after = edited.activations(PICTURES[:1], "mixed3a_pre_relu")["mixed3a_pre_relu"][0, ..., 0]
    np.testing.assert_allclose(after, expected, rtol=1e-4, atol=1e-5)

    logits = "softmax2_pre_activation"
    for edited, factor in (
        (circuits.scale_weights(small, "mixed5b:2", f"{logits}:7", 3.0), 3.0),
        (circuits.set_weights(small, "mixed5b:2", f"{logits}:7", [[0.5]]), None),
    ):
        mean = np.float64(small.activations(PICTURES[:1], "mixed5b")["mixed5b"][0, ..., 2]).mean()
        old = float(small.params["softmax2"]["kernel"][2, 7])
        change = (old * factor if factor else 0.5) - old
        before, after = (n.activations(PICTURES[:1], logits)[logits][0] for n in (small, edited))
        np.testing.assert_allclose(after - before, np.eye(10)[7] * change * mean, atol=1e-5)


def test_ablated_units(small):
    units = [0, 5, first_unit(small, "5x5"), small.layers["mixed3b"].channels - 1]
    edited = circuits.ablate(small, [f"mixed3b:{i}" for i in units])
    before, after = (n.activations(PICTURES, ["mixed3b", "mixed4a"]) for n in (small, edited))
    expected = np.array(before["mixed3b"])
    expected[..., units] = 0
    np.testing.assert_array_equal(after["mixed3b"], expected)
    rest = onward(architecture_of(small), "mixed3b", "mixed4a")
    slow = slow_network(rest, small.params, np.float64(expected[0]))["mixed4a"]
    np.testing.assert_allclose(after["mixed4a"][0], slow, rtol=1e-4, atol=1e-5)


def test_cuts_across_blocks(small):
    """A target reads the source by way of the blocks between, which stay as they are for all others."""
    edited = circuits.cut(small, "mixed3a:3", "mixed4a:2")
    before, after = (n.activations(PICTURES[:1], ["mixed3a", "mixed3b", "mixed4a_pre_relu"]) for n in (small, edited))
    silent = np.float64(before["mixed3a"][0])
    silent[..., 3] = 0
    expected = np.array(before["mixed4a_pre_relu"][0])
    way = onward(architecture_of(small), "mixed3a", "mixed4a_pre_relu")
    expected[..., 2] = slow_network(way, small.params, silent)["mixed4a_pre_relu"][..., 2]
    assert np.abs(expected[..., 2] - before["mixed4a_pre_relu"][0, ..., 2]).max() > 1e-3
    np.testing.assert_array_equal(after["mixed3b"], before["mixed3b"])
    np.testing.assert_allclose(after["mixed4a_pre_relu"][0], expected, rtol=1e-4, atol=1e-5)


ERRORS = {
    "two layers": (lambda n: circuits.ablate(n, ["mixed3a:0", "mixed3b:0"]), "units of mixed3a and mixed3b; expected"),
    "a unit twice": (lambda n: circuits.ablate(n, ["mixed3a:0", "mixed3a:0"]), "mixed3a:0, mixed3a:0; expected each"),
    "factor": (lambda n: circuits.scale_weights(n, "mixed3a:0", "mixed3b:0", float("nan")), "factor nan"),
    "no units": (lambda n: circuits.ablate(n, []), "units of no layer"),
    "cut backward": (
        lambda n: circuits.cut(n, "mixed3b:0", "mixed3a:0"),
        "mixed3a_1x1_pre_relu is not computed from mixed3b",
    ),
    "set too far": (
        lambda n: circuits.set_weights(n, "conv2d2:0", "mixed3b:0", [[1.0]]),
        "mixed3b_1x1_pre_relu is not directly connected to conv2d2; it reads mixed3a",
    ),
    "shape of weights": (lambda n: circuits.set_weights(n, "mixed3a:0", "mixed3b:0", np.ones((2, 2))), "h and w odd"),
    "weights that do not fit": (
        lambda n: circuits.set_weights(n, "mixed3a:0", "mixed3b:0", np.ones((3, 3))),
        "beyond the 1x1 kernel of mixed3b_1x1_pre_relu; expected zeros",
    ),
    "weights that are not finite": (
        lambda n: circuits.set_weights(n, "mixed3a:0", "mixed3b:0", [[np.nan]]),
        "not finite",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_bad_input(case, small):
    call, message = ERRORS[case]
    with pytest.raises(InputError, match=message) as error:
        call(small)
    assert "\n" not in str(error.value)
