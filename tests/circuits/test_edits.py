"""Transplants, kept circuits, ablation and patches, against networks computed by hand in float64."""

import flax.linen as nn
import jax
import numpy as np
import pytest

from jaxcircuits import circuits, load
from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from support.by_hand import BRANCHES, PICTURES, answer, first_unit, foreign_network, onward, own_branch
from support.loops import slow_network
from support.small import SMALL, architecture_of, random_params

pytestmark = pytest.mark.usefixtures("compiled_quickly")


@pytest.fixture(scope="module")
def other(small):
    """A network of the same architecture with other weights."""
    params = jax.tree.map(lambda w: w, random_params(SMALL["google"], seed=1))  # as loaded: the bias before the kernel
    assert list(params["conv2d0"]) == ["bias", "kernel"] != list(small.params["conv2d0"])
    return Network.from_architecture(SMALL["google"], params, small.convention)


@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.parametrize("from_other", [False, True], ids=["own", "other"])
def test_transplanted_units_answer_as_their_sources(small, other, branch, from_other):
    first, donor = first_unit(small, branch), other if from_other else small
    source, target = f"mixed3b:{first + 1}", f"mixed3b:{first}"
    edited = circuits.transplant(small, source, target, other if from_other else None)
    after, before = (answer(n, "mixed3b_pre_relu")[0] for n in (edited, small))
    expected = own_branch(donor.params, answer(small, "mixed3a")[0], branch, 1)
    np.testing.assert_allclose(after[..., first], expected, rtol=1e-4, atol=1e-5)
    assert np.abs(after[..., first] - before[..., first]).max() > 1e-2
    rest = np.arange(after.shape[-1]) != first
    np.testing.assert_allclose(after[..., rest], before[..., rest], rtol=1e-5, atol=1e-5)
    again = answer(circuits.transplant(edited, source, target, donor), "mixed3b_pre_relu")[0]
    np.testing.assert_allclose(again, after, rtol=1e-4, atol=1e-5)


def test_a_transplant_undoes_edits(small):
    units = [f"mixed3b:{first_unit(small, branch)}" for branch in BRANCHES]
    edited = circuits.scale_weights(small, ["mixed3a:1", "mixed3a:7"], units, -3.0)
    assert np.abs(answer(edited, "mixed4a") - answer(small, "mixed4a")).max() > 0.05
    back = circuits.transplant(edited, units, units, small)
    np.testing.assert_allclose(answer(back, "mixed4a"), answer(small, "mixed4a"), rtol=1e-4, atol=1e-5)
    # From a donor that is edited itself, into one whose units are silent.
    pair = [f"mixed3b:{first_unit(small, '5x5') + i}" for i in range(2)]
    doubled = circuits.scale_weights(small, "mixed3a:1", pair[1], 4.0)
    doubled = circuits.scale_weights(doubled, "mixed3a:1", pair[1], 0.25)
    taken = circuits.transplant(circuits.ablate(small, pair), pair, pair, doubled)
    np.testing.assert_allclose(answer(taken, "mixed4a"), answer(small, "mixed4a"), rtol=1e-4, atol=1e-5)
    several = circuits.transplant(small, "mixed3b:1", ["mixed3b:0", "mixed3b:2"])
    after = answer(several, "mixed3b")
    np.testing.assert_array_equal(after[..., 0], after[..., 1])
    np.testing.assert_array_equal(after[..., 2], after[..., 1])


def test_a_circuit_that_is_kept(small):
    """Its units read each other alone; the first layer's read everything, and no other unit changes its ways."""
    kept = {
        "mixed3a": [1, 3, 8, 9],
        "mixed3b": [first_unit(small, branch) for branch in BRANCHES],
        "mixed4a": [0, 5, 17, 25],
    }
    edited = circuits.keep_only(small, kept)
    seen = edited.activations(PICTURES[:1], ["mixed3a", "mixed3b", "mixed3b_pre_relu", "mixed4a_pre_relu"])
    seen = {name: np.float64(value[0]) for name, value in seen.items()}
    np.testing.assert_allclose(seen["mixed3a"], answer(small, "mixed3a")[0], rtol=1e-5, atol=1e-6)
    for source, target in (("mixed3a", "mixed3b"), ("mixed3b", "mixed4a")):
        alone = np.zeros_like(seen[source])
        alone[..., kept[source]] = seen[source][..., kept[source]]
        rest = onward(architecture_of(small), source, f"{target}_pre_relu")
        before_relu = f"{target}_pre_relu"
        read, unread = (slow_network(rest, small.params, v)[before_relu] for v in (alone, seen[source]))
        result, others = seen[before_relu], np.setdiff1d(np.arange(read.shape[-1]), kept[target])
        np.testing.assert_allclose(result[..., kept[target]], read[..., kept[target]], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(result[..., others], unread[..., others], rtol=1e-4, atol=1e-5)
        assert np.abs((read - unread)[..., kept[target]]).max() > 0.1
    listed = [f"{layer}:{i}" for layer in ("mixed4a", "mixed3a", "mixed3b") for i in kept[layer]]
    np.testing.assert_array_equal(answer(circuits.keep_only(small, listed), "mixed4b"), answer(edited, "mixed4b"))


UNITS = [0, 5, 11, 29]


def replaced(small, values, picture=0):
    """mixed4a of a picture in float64 where mixed3b's UNITS answer `values`."""
    seen = answer(small, "mixed3b")[picture].copy()
    seen[..., UNITS] = values
    return slow_network(onward(architecture_of(small), "mixed3b", "mixed4a"), small.params, seen)["mixed4a"]


def named(units=UNITS):
    return [f"mixed3b:{i}" for i in units]


def test_units_fixed_at_their_mean(small):
    mean = answer(small, "mixed3b").mean((0, 1, 2))[UNITS]
    assert mean.max() > 0.05
    edited = circuits.ablate(small, named(), PICTURES)
    # To any picture, borders included.
    after = answer(edited, "mixed3b")[0]
    np.testing.assert_allclose(after[..., UNITS], np.broadcast_to(mean, after[..., UNITS].shape), rtol=1e-5)
    np.testing.assert_allclose(answer(edited, "mixed4a")[0], replaced(small, mean), rtol=1e-4, atol=1e-5)
    # Before the ReLU, and as a patch.
    edited = circuits.ablate(small, "mixed3b_pre_relu:3", PICTURES)
    mean_before = answer(small, "mixed3b_pre_relu")[..., 3].mean()
    np.testing.assert_allclose(answer(edited, "mixed3b_pre_relu")[..., 3], mean_before, rtol=1e-4)
    patched = circuits.patch(small, named(), np.tile(mean, (1, 1, 1, 1)))
    np.testing.assert_allclose(answer(patched, "mixed4a", PICTURES)[0], replaced(small, mean), rtol=1e-4, atol=1e-5)


def test_patched_activations(small):
    values = np.random.default_rng(0).uniform(size=(2, 6, 5, 4)).astype(np.float32)
    patched = circuits.patch(small, named(), values)
    assert list(patched.layers) == list(small.layers)
    np.testing.assert_array_equal(answer(patched, "mixed3b", PICTURES)[..., UNITS], values[[0, 1, 0]])
    for layer in ("mixed3a", "mixed3b_5x5"):  # what the layer is made of stays
        np.testing.assert_allclose(answer(patched, layer, PICTURES), answer(small, layer), rtol=1e-5, atol=1e-6)
    result = answer(patched, "mixed4a", PICTURES)
    for i in range(3):
        np.testing.assert_allclose(result[i], replaced(small, values[i % 2], i), rtol=1e-4, atol=1e-5)
    twice = circuits.patch(patched, "mixed4a:1", np.full((1, 1, 1, 1), 2.0))
    after = answer(twice, "mixed4a", PICTURES)
    np.testing.assert_allclose(np.delete(after, 1, -1), np.delete(result, 1, -1), rtol=1e-5, atol=1e-6)
    assert (after[..., 1] == 2).all()
    with pytest.raises(InputError, match=r"activations of shape \(6, 5\); mixed3b's map here is \(5, 5\)"):
        answer(patched, "mixed4a", PICTURES[:, :40])
    # An edit of a patched network: the patched units stay what they were given.
    cut = circuits.cut(patched, "mixed3a:0", [f"mixed3b:{UNITS[0]}", "mixed3b:1"])
    np.testing.assert_array_equal(answer(cut, "mixed3b", PICTURES)[..., UNITS], values[[0, 1, 0]])
    assert np.abs(answer(cut, "mixed3b", PICTURES)[..., 1] - answer(small, "mixed3b")[..., 1]).max() > 1e-4


def test_resampled_activations(small):
    before, key = answer(small, "mixed3b", PICTURES), jax.random.key(2)
    resampled = circuits.resample(small, named(), PICTURES, key)
    after = answer(resampled, "mixed3b", PICTURES)
    order = [next(j for j in range(3) if (row[..., UNITS] == before[j][..., UNITS]).all()) for row in after]
    assert sorted(order) == [0, 1, 2]
    assert order == jax.random.permutation(key, 3).tolist() != [0, 1, 2]
    np.testing.assert_array_equal(np.delete(after, UNITS, -1), np.delete(before, UNITS, -1))
    result = answer(resampled, "mixed4a", PICTURES)
    np.testing.assert_allclose(result[0], replaced(small, before[order[0]][..., UNITS]), rtol=1e-4, atol=1e-5)


def test_a_patched_network_from_outside_the_zoo():
    network, params = foreign_network()
    pictures = PICTURES[:2, :12, :10]
    values = np.random.default_rng(1).normal(size=(2, 12, 10, 2)).astype(np.float32)
    patched = circuits.patch(network, ["first:4", "first:0"], values)
    first = np.array(network.activations(pictures, "first")["first"])
    first[..., [4, 0]] = values

    second = nn.Conv(4, (3, 3), strides=2).apply({"params": params["second"]}, nn.gelu(first))
    expected = second.mean((1, 2)) @ params["head"]["kernel"] + params["head"]["bias"]
    np.testing.assert_allclose(answer(patched, "output", pictures), expected, rtol=1e-5, atol=1e-6)


ERRORS = {
    "as many": (lambda n: circuits.transplant(n, ["mixed3b:0", "mixed3b:1"], ["mixed3b:2"]), "2 sources and 1 targets"),
    "convolutions": (
        lambda n: circuits.transplant(n, "mixed3b:0", f"mixed3b:{first_unit(n, '5x5')}"),
        "units of different convolutions, such as mixed3b:0 and mixed3b:20, which is of mixed3b_5x5_pre_relu",
    ),
    "foreign donor": (
        lambda n: circuits.transplant(n, "first:0", "mixed3b:0", foreign_network()[0]),
        "units of different convolutions, such as first:0 and mixed3b:0",
    ),
    "another architecture": (
        lambda n: circuits.transplant(n, "mixed3b:0", "mixed3b:0", load("slide")),
        "mixed3b_1x1_pre_relu of slide reads other layers than that of small-google",
    ),
    "another architecture's bottleneck": (
        lambda n: circuits.transplant(n, "mixed3b:32", f"mixed3b:{first_unit(n, '3x3')}", load("slide")),
        "mixed3b_3x3_pre_relu of slide reads other layers than that of small-google",
    ),
    "one layer": (lambda n: circuits.keep_only(n, {"mixed3a": [1]}), "units of mixed3a; expected units of two layers"),
    "nothing": (lambda n: circuits.keep_only(n, []), "units of no layer"),
    "a gap": (
        lambda n: circuits.keep_only(n, {"mixed3a": [1], "mixed4a": [2]}),
        "mixed4a reads mixed3b, of which no unit is given",
    ),
    "kept unit": (lambda n: circuits.keep_only(n, {"mixed3a": [99], "mixed3b": [2]}), "unknown unit 99 of mixed3a"),
    "channels": (lambda n: circuits.patch(n, "mixed3b:1", np.ones((1, 1, 1, 2))), r"expected \(N, h, w, 1\)"),
    "finite": (lambda n: circuits.patch(n, "mixed3b:1", np.full((1, 1, 1, 1), np.inf)), "not finite"),
    "no pictures": (lambda n: circuits.ablate(n, "mixed3b:1", PICTURES[:0]), "no pictures; expected one or more"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_bad_edits(case, small):
    call, message = ERRORS[case]
    with pytest.raises(InputError, match=message) as error:
        call(small)
    assert "\n" not in str(error.value)
