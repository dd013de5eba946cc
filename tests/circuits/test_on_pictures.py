"""Contributions, factors, attribution and predicted edits, against brute force in float64 and scikit-learn."""

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.decomposition import NMF

import jaxcircuits as jc
from jaxcircuits import circuits, load
from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.network import stream as batching
from jaxcircuits.zoo import INPUT
from support.by_hand import PICTURES, answer, by_hand, close, first_unit, foreign_network, onward
from support.loops import slow_network
from support.small import architecture_of

LOGITS = "softmax2_pre_activation"


def mean_read(values, start, stride, size, cells):
    """(size, size, channels): the mean of what a window of that many cells sees, one cell of one picture at a time."""
    total = np.zeros((size, size, values.shape[-1]))
    for n, i, j, row, column in np.ndindex(len(values), size, size, *cells):
        y, x = stride * row + start[0] + i, stride * column + start[1] + j
        if 0 <= y < values.shape[1] and 0 <= x < values.shape[2]:
            total[i, j] += values[n, y, x]
    return total / len(values) / np.prod(cells)


def pad_before(cells, kernel, stride):
    return max((-(-cells // stride) - 1) * stride + kernel - cells, 0) // 2


@pytest.mark.parametrize(
    ("source", "target", "size", "stride", "kernels"),
    [("mixed3a", "mixed3b", 5, 1, (5,)), ("mixed3b", "mixed4a", 11, 2, (3, 5)), (INPUT, "conv2d0", 7, 2, (7,))],
)
def test_contributions(small, source, target, size, stride, kernels):
    seen = (np.float64(PICTURES) - 0.5) / 0.25 if source == INPUT else answer(small, source)
    # The first kernel has the stride; behind it lie half the larger ones.
    start = [-pad_before(n, kernels[0], stride) - stride * sum(k // 2 for k in kernels[1:]) for n in seen.shape[1:3]]
    read = mean_read(seen, start, stride, size, answer(small, target).shape[1:3])
    weights = circuits.direct_weights(small, source, target)
    result = circuits.contributions(small, source, target, PICTURES)
    assert result.dtype == np.float32
    close(result, weights * read)
    close(circuits.contributions(small, source, target, PICTURES, [3, 1]), result[[3, 1]])
    if source == "mixed3a":  # units of the 1x1 branch: with the bias it is all that they get
        count = small.layers["mixed3b_1x1"].channels
        total = result.sum((1, 2, 3))[:count] + small.params["mixed3b_1x1"]["bias"]
        np.testing.assert_allclose(total, answer(small, "mixed3b_1x1_pre_relu").mean((0, 1, 2)), rtol=1e-4, atol=1e-5)


def test_contributions_to_classes(small):
    """A class reads the mean of the last block."""
    dense = np.float64(small.params["softmax2"]["kernel"])
    mean = answer(small, "mixed5b").mean((0, 1, 2))
    close(circuits.contributions(small, "mixed5b", LOGITS, PICTURES)[:, 0, 0], (dense * mean[:, None]).T)


@pytest.mark.slow
def test_contributions_across_the_whole_map(small):
    """From further back a class reads the whole map of a native picture."""
    native = np.random.default_rng(3).uniform(size=(2, 64, 64, 3)).astype(np.float32)
    weights = circuits.expanded_weights(small, "mixed5a", LOGITS, [2])
    expected = weights * answer(small, "mixed5a", native).mean(0)
    close(circuits.contributions(small, "mixed5a", LOGITS, native, [2]), expected)
    with pytest.raises(InputError, match="reads all of mixed5a: expected pictures of native size, 64 x 64"):
        circuits.contributions(small, "mixed5a", LOGITS, native[:, :32, :32], [2])


def test_strongest_connections_on_pictures(small):
    """They are ordered by what they contribute, which a silent source with large weights does not."""
    target = f"mixed3b:{first_unit(small, '5x5')}"
    loud = circuits.strongest_inputs(small, target, "mixed3a").excitatory[0].source
    silenced = circuits.ablate(small, loud)
    assert loud in {c.source for c in circuits.strongest_inputs(silenced, target, "mixed3a").excitatory}
    found = circuits.strongest_inputs(silenced, target, "mixed3a", 16, pictures=PICTURES)
    assert loud not in {c.source for c in found.excitatory + found.inhibitory}
    unit = first_unit(small, "5x5")
    brought = np.float64(circuits.contributions(silenced, "mixed3a", "mixed3b", PICTURES, [unit])[0])
    for connections, sign in ((found.excitatory, 1), (found.inhibitory, -1)):
        totals = np.maximum(sign * brought, 0).sum((0, 1))
        order = np.argsort(-totals)
        assert [c.source.index for c in connections] == order[totals[order] > 0].tolist()
        strengths = [c.excitation if sign > 0 else c.inhibition for c in connections]
        np.testing.assert_allclose(strengths, totals[order[: len(strengths)]], rtol=1e-5)
    source = int(answer(small, "mixed3a").mean((0, 1, 2)).argmax())
    outputs = circuits.strongest_outputs(small, f"mixed3a:{source}", "mixed3b", 3, pictures=PICTURES)
    totals = np.maximum(circuits.contributions(small, "mixed3a", "mixed3b", PICTURES)[..., source], 0).sum((1, 2))
    assert [c.target.index for c in outputs.excitatory] == np.argsort(-totals)[:3].tolist()


# Factors


def test_factors_of_activations(small):
    """Those of scikit-learn, with directions of length one; planted ones are found again."""
    values = answer(small, "mixed3b")
    factors = circuits.factor_activations(values, 3, seed=4)
    model = NMF(3, init="nndsvda", max_iter=1000, random_state=4)
    maps = model.fit_transform(values.reshape(-1, values.shape[-1]))
    close((factors.maps.reshape(maps.shape) @ factors.directions), maps @ model.components_, 1e-5)
    np.testing.assert_allclose(np.linalg.norm(factors.directions, axis=1), 1, rtol=1e-5)
    explained = 1 - ((maps @ model.components_ - values.reshape(len(maps), -1)) ** 2).sum() / (values**2).sum()
    assert factors.explained == pytest.approx(explained, abs=1e-6)
    assert f"{100 * explained:.1f} %" in repr(factors)
    assert (np.diff(np.square(factors.maps).sum((0, 1, 2))) <= 0).all()
    again = circuits.factor_activations(values, 3, seed=4)
    np.testing.assert_array_equal(factors.maps, again.maps)

    directions = np.array([[3.0, 0, 4, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0.6, 0.8]]) / [[5], [1], [1]]
    planted = np.random.default_rng(0).exponential(size=(2, 6, 5, 3)) * [9, 3, 1]
    planted *= np.random.default_rng(1).uniform(size=planted.shape) < 0.4
    found = circuits.factor_activations(planted @ directions, 3)
    np.testing.assert_allclose(found.directions, directions, atol=1e-2)
    np.testing.assert_allclose(found.maps, planted, atol=0.1)
    assert found.explained > 0.9999


def test_factors_of_weights(small):
    weights = circuits.expanded_weights(small, "mixed3a", "mixed3b", [25, 26, 27])
    factors = circuits.factor_weights(weights, 4)
    flat = np.float64(weights).reshape(-1, weights.shape[-1])
    model = NMF(4, init="nndsvda", max_iter=1000, random_state=0)
    maps = model.fit_transform(np.concatenate([np.maximum(flat, 0), np.maximum(-flat, 0)], 1))
    excitatory, inhibitory = np.split(model.components_, 2, axis=1)
    product = factors.maps.reshape(len(flat), -1) @ factors.directions
    close(product, maps @ (excitatory - inhibitory), 1e-5)
    assert factors.maps.shape == (3, 5, 5, 4) and factors.maps.min() >= 0
    assert factors.directions.min() < 0 < factors.directions.max()
    assert 0.2 < factors.explained == pytest.approx(1 - ((product - flat) ** 2).sum() / (flat**2).sum(), abs=1e-5)

    # Planted: one group excites above and another inhibits there; below it is the first that inhibits.
    above, below = np.array([1.0, 1, -2, 0]), np.array([-1.0, -1, 0, 0])
    planted = np.zeros((1, 2, 3, 4))
    planted[0, 0], planted[0, 1] = above, below
    found = circuits.factor_weights(planted, 2)
    np.testing.assert_allclose(found.directions, [above / 6**0.5, below / 2**0.5], atol=1e-4)
    np.testing.assert_allclose(found.maps[0, 0], [[6**0.5, 0]] * 3, atol=1e-3)


# Attribution


def slopes(small, source, target, values, at, scaled):
    """d f / d e of the target's answer at `at` when `scaled` (a mask over the source's values) grows by e * values."""
    rest, step = onward(architecture_of(small), source, target), 1e-6
    up, down = (slow_network(rest, small.params, at + sign * step * values * scaled)[target] for sign in (1, -1))
    return (up - down) / (2 * step)


SOURCE, TARGET = "mixed3b", "mixed4a"


@pytest.fixture(scope="module")
def loud(small):
    """The units of mixed4a by how active they are on all pictures, most active first."""
    return np.argsort(-answer(small, TARGET).mean((1, 2)).min(0)).tolist()


@pytest.fixture(scope="module")
def seen(small):
    """mixed3b's activations of all pictures, in float64."""
    return answer(small, SOURCE)


@pytest.fixture(scope="module")
def by_channel(small, seen):
    """What mixed4a's map answers to each channel of mixed3b growing, on the first picture: (channels, h, w, units)."""
    masks = np.eye(seen.shape[-1])[:, None, None]
    return np.stack([slopes(small, SOURCE, TARGET, seen[0], seen[0], mask) for mask in masks])


@pytest.fixture(scope="module")
def by_cell(small, seen):
    """What mixed4a's map answers to each cell of mixed3b growing, on the first picture: (h, w, h, w, units)."""
    cells = seen.shape[1:3]
    masks = np.eye(np.prod(cells)).reshape(-1, *cells, 1)
    rows = [slopes(small, SOURCE, TARGET, seen[0], seen[0], mask) for mask in masks]
    return np.stack(rows).reshape(*cells, *rows[0].shape)


def test_attribution_to_cells_and_channels(small, loud, by_channel, by_cell):
    unit = loud[0]
    found = circuits.attribute(small, f"{TARGET}:{unit}", SOURCE, PICTURES)
    answers = answer(small, TARGET)
    np.testing.assert_allclose(found.scores, answers[..., unit].mean((1, 2)), rtol=1e-5)
    close(found.channels[0], by_channel[..., unit].mean((1, 2)))
    close(found.spatial[0], by_cell[..., unit].mean((2, 3)))
    assert found.values.shape == (3, *by_cell.shape[:2], len(by_channel))
    vector = np.random.default_rng(0).normal(size=by_cell.shape[-1])
    at_cell = circuits.attribute(small, (TARGET, vector), SOURCE, PICTURES, position=(1, 2))
    np.testing.assert_allclose(at_cell.scores, answers[:, 1, 2] @ vector, rtol=1e-4)
    close(at_cell.channels[0], by_channel[:, 1, 2] @ vector)
    close(at_cell.spatial[0], by_cell[:, :, 1, 2] @ vector)


def test_attribution_along_a_path(small, loud, seen):
    unit, steps = loud[0], 4
    found = circuits.attribute(small, f"{TARGET}:{unit}", SOURCE, PICTURES[:1], steps=steps)
    points = [(k + 0.5) / steps * seen[0] for k in range(steps)]
    for channel in range(0, seen.shape[-1], 11):
        mask = np.eye(seen.shape[-1])[channel]
        expected = np.mean([slopes(small, SOURCE, TARGET, seen[0], at, mask)[..., unit].mean() for at in points])
        assert found.channels[0, channel] == pytest.approx(expected, rel=1e-4, abs=1e-6)
    # A finer path adds up to the difference that the layer makes.
    fine = circuits.attribute(small, f"{TARGET}:{unit}", SOURCE, PICTURES, steps=50)
    silent = circuits.ablate(small, [f"{SOURCE}:{i}" for i in range(seen.shape[-1])])
    difference = fine.scores - answer(silent, TARGET)[..., unit].mean((1, 2))
    np.testing.assert_allclose(fine.values.sum((1, 2, 3)), difference, rtol=5e-3)
    assert np.abs(found.values.sum() - difference[0]) < 0.2 * np.abs(difference[0])
    np.testing.assert_allclose(fine.remainder, difference - fine.values.sum((1, 2, 3)), atol=1e-5)
    assert found.steps.tolist() == [4]


def test_attribution_adds_up(small):
    """As many steps as each picture needs for a tolerance, also where the difference is small beside its parts."""
    target = "mixed4c"
    silent = circuits.ablate(small, [f"{SOURCE}:{i}" for i in range(small.layers[SOURCE].channels)])
    ends = [np.float64(answer(network, target).mean((1, 2))) for network in (small, silent)]
    change, vector = ends[0] - ends[1], np.random.default_rng(0).normal(size=small.layers[target].channels)
    # Along this direction the first picture's answer is hardly another than a silent layer's.
    vector -= 0.95 * (change[0] @ vector) / (change[0] @ change[0]) * change[0]
    rough = circuits.attribute(small, (target, vector), SOURCE, PICTURES, steps=4)
    found = circuits.attribute(small, (target, vector), SOURCE, PICTURES, steps=4, tolerance=2e-2)
    least = 1e-5 * np.max([*(np.abs(end @ vector) for end in ends), np.abs(found.values).sum((1, 2, 3))], axis=0)
    allowed = np.maximum(2e-2 * np.abs(change @ vector), least)
    assert (np.abs(rough.remainder) > allowed).any()
    missing = change @ vector - found.values.sum((1, 2, 3))
    np.testing.assert_array_less(np.abs(missing), 1.05 * allowed + 1e-6)
    np.testing.assert_allclose(found.remainder, missing, atol=1e-5)
    assert found.steps.max() > 4
    assert not (np.log2(found.steps / 4) % 1).any()  # doubled
    enough = circuits.attribute(small, (target, vector), SOURCE, PICTURES, tolerance=100)
    assert enough.steps.tolist() == [16] * 3


@pytest.mark.parametrize("offset", [0, 50, -1e3])
def test_attribution_adds_up_to_the_difference_whatever_is_beside_it(offset):
    """A bias behind the layer makes both answers large, and no difference between them."""
    rng = np.random.default_rng(0)
    shapes = {"into": (48, 64), "bias": (64,), "out": (64, 4)}
    own = {name: np.float32(rng.normal(size=shape)) for name, shape in shapes.items()}

    def layers(params, x):
        hidden = jnp.maximum(x.reshape(len(x), -1) @ params["into"] + 2 * params["bias"], 0)
        return {"hidden": hidden, "answer": hidden @ params["out"] + offset}

    network = jc.Network.from_function(layers, own, jc.InputConvention(size=(4, 4)), name="dense")
    pictures = np.float32(rng.uniform(size=(100, 4, 4, 3)))
    wide = {name: value.astype(np.float64) for name, value in own.items()}
    hidden = [np.maximum(x.reshape(len(x), -1) @ wide["into"] + 2 * wide["bias"], 0) for x in (pictures, 0 * pictures)]
    difference, answers = (hidden[0] - hidden[1]) @ wide["out"][:, 0], hidden[0] @ wide["out"][:, 0] + offset
    found = circuits.attribute(network, "answer:0", "input", pictures, tolerance=0.01)
    missing = np.abs(difference - found.values.sum((1, 2, 3), dtype=np.float64))
    assert (missing <= np.maximum(0.011 * np.abs(difference), 3e-5 * np.abs(answers))).all()
    assert found.steps.max() > 16


def test_attribution_that_cannot_add_up_says_so():
    """Steps have no slope: no number of points finds what they add."""

    def layers(params, x):
        return {"answer": jnp.floor(x.sum((1, 2)) + params)}

    network = jc.Network.from_function(layers, np.zeros(3, np.float32), jc.InputConvention(size=(4, 4)), name="steps")
    pictures = np.float32([0.5, 0, 0.9])[:, None, None, None] * np.ones((3, 4, 4, 3), np.float32)
    with pytest.warns(UserWarning, match=r"2 of 3 pictures do not add up .* 0\.01 with 4096 points"):
        found = circuits.attribute(network, "answer:0", "input", pictures, tolerance=0.01)
    np.testing.assert_allclose(found.remainder, [8, 0, 14])


def test_attribution_between_layers(small, loud, by_channel, by_cell):
    close(circuits.attribute_units(small, SOURCE, TARGET, PICTURES[0], loud), by_channel.sum((1, 2)).T[loud])
    cells = circuits.attribute_positions(small, SOURCE, TARGET, PICTURES[0])
    close(cells, np.moveaxis(by_cell.sum(-1), (0, 1), (2, 3)))


@pytest.mark.slow
def test_attribution_of_classes(small):
    found = circuits.attribute(small, f"{LOGITS}:3", "mixed5b", PICTURES)
    dense, bias = (np.float64(small.params["softmax2"][kind])[..., 3] for kind in ("kernel", "bias"))
    close(found.channels, answer(small, "mixed5b").mean((1, 2)) * dense)
    close(found.scores, found.channels.sum(1) + bias)


def test_attribution_to_the_input(small):
    pixels = circuits.attribute(small, "conv2d0_pre_relu:2", INPUT, PICTURES, position=(4, 3))
    kernel, bias = (np.float64(small.params["conv2d0"][kind])[..., 2] for kind in ("kernel", "bias"))
    seen = (np.float64(PICTURES) - 0.5) / 0.25
    expected = np.zeros_like(seen)
    expected[:, 5:12, 4:11] = kernel * seen[:, 5:12, 4:11]  # 3 rows and 2 columns lie beyond the border
    close(pixels.values, expected)
    close(pixels.scores, expected.sum((1, 2, 3)) + bias)


def test_attribution_in_a_trained_network():
    """Against the answer when a channel grows by a thousandth."""
    network = load("slide")
    found = circuits.attribute(network, "mixed3b_pre_relu:40", "mixed3a", PICTURES[:2])
    seen = answer(network, "mixed3a", PICTURES[:2])
    grown = np.float64([seen[0], seen[0]])
    for channel in np.argsort(-np.abs(found.channels[0]))[:2]:
        patched = circuits.patch(network, f"mixed3a:{channel}", grown[..., [channel]] * [[[[1.001]]], [[[0.999]]]])
        up, down = answer(patched, "mixed3b_pre_relu", PICTURES[[0, 0]])[..., 40].mean((1, 2))
        assert found.channels[0, channel] == pytest.approx((up - down) / 0.002, rel=2e-2)


def test_attribution_outside_the_zoo():
    network, params = foreign_network()
    pictures = PICTURES[:2, :12, :10]
    found = circuits.attribute(network, "output:1", "second", pictures)
    seen = np.float64(network.activations(pictures, "second")["second"])
    head = np.float64(params["head"]["kernel"])[:, 1]
    close(found.values, seen * head / np.prod(seen.shape[1:3]))


# Predicted edits


def named(layer, units):
    return [f"{layer}:{i}" for i in units]


def branch_units(network, block, branch):
    names = list(network.layers[block].inputs)
    first = sum(network.layers[name].channels for name in names[: names.index(f"{block}_{branch}")])
    return list(range(first, first + network.layers[f"{block}_{branch}"].channels))


def test_predictions_that_leave_nothing_out(small, monkeypatch):
    """Units of 1x1 branches, and 1x1 units of the next block: one ReLU lies between, and it is known."""
    monkeypatch.setattr(batching, "BATCH", 2)  # the second batch is filled up
    targets = branch_units(small, "mixed4b", "1x1")[:5]
    untouched = targets[-1] + 1
    edited = circuits.scale_weights(small, [f"mixed4a:{i}" for i in range(20)], named("mixed4b", targets), -1.0)
    for layer, units in (("mixed4b", [*targets, untouched]), ("mixed4c", branch_units(small, "mixed4c", "1x1"))):
        found = circuits.predict_edit(small, edited, layer, PICTURES, units)
        before, after = (answer(n, f"{layer}_pre_relu")[..., units] for n in (small, edited))
        np.testing.assert_allclose(found.before, before, atol=1e-5)
        np.testing.assert_allclose(found.outcome, after - before, atol=1e-4)
        np.testing.assert_allclose(found.predicted, after - before, atol=1e-4)
        changed = np.array(units) != untouched if layer == "mixed4b" else np.full(len(units), True)
        assert np.abs(after - before)[..., changed].max((0, 1, 2)).min() > 0.01
        for figure in (found.correlation, found.slope, found.explained):
            np.testing.assert_allclose(figure[changed], 1, atol=1e-3)
            assert np.isnan(figure[~changed]).all()
        if layer == "mixed4b":
            assert repr(found).startswith(
                "Prediction of 5 units of mixed4b on 3 pictures, 1 unchanged: correlation 1.0"
            )
            assert repr(found).endswith("000 (1.000 to 1.000), slope 1.00, explained 100 %")


@pytest.mark.parametrize("gated", [False, True], ids=["linearized", "gated"])
def test_predictions_through_expanded_weights(small, gated):
    """By hand in float64: the linearized network's change before the ReLU, then through it, then onward."""
    target = "mixed4b"
    if gated:  # no unit of mixed3b is silent: at a max-pool over zeros there is no derivative to compare with
        raised = {
            name: {**own, "bias": own["bias"] + 4 * (name.startswith("mixed3b") and "bottleneck" not in name)}
            for name, own in small.params.items()
        }
        small = Network.from_architecture(architecture_of(small), raised, small.convention)
    units = [f"mixed3b:{i}" for i in (0, first_unit(small, "5x5"), first_unit(small, "pool_reduce"))]
    edited = circuits.scale_weights(small, ["mixed3a:1", "mixed3a:6"], units, -2.0)
    found = circuits.predict_edit(small, edited, target, PICTURES[:1], gated=gated)
    seen = {name: values[0] for name, values in by_hand(small).items()}

    def read(source, layer, values):
        way = onward(architecture_of(small), source, layer)
        return slow_network(way, small.params, values, linear=not gated)[layer]

    before, scaled = seen["mixed3b_pre_relu"], seen["mixed3a"].copy()
    scaled[..., [1, 6]] *= -2
    difference = read("mixed3a", "mixed3b_pre_relu", scaled) - read("mixed3a", "mixed3b_pre_relu", seen["mixed3a"])
    edited_units = [int(name.split(":")[1]) for name in units]
    change = np.zeros_like(before)
    change[..., edited_units] = difference[..., edited_units]
    moved = np.maximum(before + change, 0) - np.maximum(before, 0)
    if gated:
        expected = slopes(small, "mixed3b", f"{target}_pre_relu", moved, seen["mixed3b"], 1)
    else:
        ends = (read("mixed3b", f"{target}_pre_relu", seen["mixed3b"] + d) for d in (moved, 0))
        expected = next(ends) - next(ends)
    close(found.predicted[0], expected)
    outcome = answer(edited, f"{target}_pre_relu")[0] - seen[f"{target}_pre_relu"]
    np.testing.assert_allclose(found.outcome[0], outcome, atol=1e-4)
    flat, predicted = outcome.reshape(-1, outcome.shape[-1]), expected.reshape(-1, outcome.shape[-1])
    for i in (0, 7):
        assert found.correlation[i] == pytest.approx(np.corrcoef(flat[:, i], predicted[:, i])[0, 1], abs=1e-3)
        best = np.linalg.lstsq(predicted[:, i : i + 1], flat[:, i])[0][0]
        assert found.slope[i] == pytest.approx(best, rel=1e-2)


@pytest.mark.slow
def test_predictions_of_edits_of_several_layers(small):
    """They are added up."""
    first = circuits.cut(small, ["conv2d2:0", "conv2d2:3"], "mixed3a:2")
    second = circuits.scale_weights(small, "mixed3a:1", named("mixed3b", range(6)), 3.0)
    both = circuits.scale_weights(first, "mixed3a:1", named("mixed3b", range(6)), 3.0)
    one, other, together = (circuits.predict_edit(small, n, "mixed3b", PICTURES) for n in (first, second, both))
    close(together.predicted, one.predicted + other.predicted)
    assert min(np.abs(one.predicted).max(), np.abs(other.predicted).max()) > 1e-3


@pytest.mark.slow
def test_predictions_for_a_class(small):
    """Whose own weights are edited."""
    edited = circuits.scale_weights(small, "mixed5b:2", f"{LOGITS}:7", 3.0)
    found = circuits.predict_edit(small, edited, LOGITS, PICTURES)
    dense = float(small.params["softmax2"]["kernel"][2, 7])
    expected = np.eye(10)[7] * 2 * dense * answer(small, "mixed5b")[..., 2].mean((1, 2))[:, None]
    np.testing.assert_allclose(found.predicted, expected, atol=1e-5)
    np.testing.assert_allclose(found.outcome, expected, atol=1e-5)


def predicted(network, layer="mixed3b", **options):
    edited = circuits.cut(network, "mixed3a:1", "mixed3b:0")
    return circuits.predict_edit(network, edited, layer, PICTURES, **options)


ERRORS = {
    "same": (lambda n: circuits.predict_edit(n, n, "mixed3b", PICTURES), "both networks have the same weights"),
    "before": (
        lambda n: predicted(n, "mixed3a"),
        "mixed3a_pre_relu is not computed from mixed3b_1x1_pre_relu, ",
    ),
    "softmax": (lambda n: predicted(n, "softmax2"), "softmax2 is not linear; take the logits"),
    "layer": (lambda n: predicted(n, "mixed3c"), "unknown layer 'mixed3c'"),
    "unit": (lambda n: predicted(n, units=[40]), "unknown unit 40 of mixed3b"),
    "other network": (
        lambda n: circuits.predict_edit(n, load("slide"), "mixed3b", PICTURES),
        "slide has other layers than small-google; expected an edit of it",
    ),
    "not computed": (lambda n: circuits.attribute(n, "mixed3a:1", "mixed3b", PICTURES), "mixed3a is not computed from"),
    "position": (
        lambda n: circuits.attribute(n, "mixed4a:1", "mixed3b", PICTURES, position=(3, 0)),
        r"position \(3, 0\) of mixed4a, whose map here is \(3, 3\)",
    ),
    "direction": (
        lambda n: circuits.attribute(n, ("mixed4a", np.ones(3)), "mixed3b", PICTURES),
        r"a direction of shape \(3,\); mixed4a has",
    ),
    "tolerance": (
        lambda n: circuits.attribute(n, "mixed4a:1", "mixed3b", PICTURES, tolerance=0),
        "tolerance 0; expected a positive part",
    ),
    "steps": (lambda n: circuits.attribute(n, "mixed4a:1", "mixed3b", PICTURES, steps=0), "steps 0; expected"),
    "half a step": (lambda n: circuits.attribute(n, "mixed4a:1", "mixed3b", PICTURES, steps=2.5), "steps 2.5; expec"),
    "truth": (lambda n: circuits.attribute(n, "mixed4a:1", "mixed3b", PICTURES, steps=True), "steps True; expected"),
    "no positions": (lambda n: circuits.attribute_positions(n, "mixed3b", LOGITS, PICTURES[0]), "has no positions"),
    "negative": (lambda n: circuits.factor_activations(-np.ones((1, 2, 2, 3)), 2), "down to -1; expected none below 0"),
    "components": (lambda n: circuits.factor_activations(np.ones((1, 2, 2, 3)), 4), "4 components .* expected 1 to 3"),
    "zeros": (lambda n: circuits.factor_weights(np.zeros((1, 2, 2, 3)), 1), "nothing but zeros"),
    "shape": (lambda n: circuits.factor_weights(np.zeros((2, 3)), 1), r"expected \(N, h, w, channels\)"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_bad_input(case, small):
    call, message = ERRORS[case]
    with pytest.raises(InputError, match=message) as error:
        call(small)
    assert "\n" not in str(error.value)
