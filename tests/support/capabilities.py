"""What every tool does with a model, each held against the model's own run or against what the words mean.

A cut source is a silent one for the target alone, a transplanted unit answers as its donor, and so on; all small enough
to be run on every model of the table.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcircuits as jc
from jaxcircuits import circuits
from jaxcircuits.network.graph import INPUT
from jaxcircuits.network.tokens import grids
from jaxcircuits.network.units import before_activation
from jaxcircuits.vis.objectives.seen import Seen

CAPABILITIES = {}
"""Name -> a function of a `Model` that fails where the model has it not."""


def capability(name):
    def add(check):
        CAPABILITIES[name] = check
        return check

    return add


@functools.cache
def pictures(network, count=2, seed=0):
    size = (*network.convention.size, network.convention.channels)
    return np.random.default_rng(seed).uniform(0, 1, (count, *size)).astype(np.float32)


def same(value, expected, tolerance=1e-4):
    expected = np.asarray(expected)
    scale = max(float(np.abs(expected).max()), 1e-3)
    np.testing.assert_allclose(value, expected, atol=tolerance * scale, rtol=tolerance)


@functools.lru_cache(maxsize=64)
def _compiled(forward, layers, given):
    return jax.jit(lambda params, x, arrays: forward.run(params, x, layers, dict(zip(given, arrays))))


def run(network, layers, given=None, images=None):
    """What layers answer where others' activations are given."""
    given = given or {}
    images = pictures(network) if images is None else images
    x = network.convention(jnp.asarray(images))
    answers = _compiled(network.forward, tuple(layers), tuple(given))(network.params, x, tuple(given.values()))
    return {name: np.asarray(value) for name, value in answers.items()}


def answer(network, layer, given=None, images=None):
    return run(network, [layer], given, images)[layer]


@capability("layers")
def layers(model):
    network = model.network
    assert {model.source, model.target, *model.own(_input(network))} <= set(network.layers)
    assert len(network.graph.output) == 1 and list(network.layers)[-1] == network.graph.output[0]
    for name, layer in network.layers.items():
        assert layer.name == name and layer.channels == layer.shape[-1]
        assert layer.inputs and all(before == INPUT or before in network.layers for before in layer.inputs)


def _input(network):
    return network.convention(jnp.asarray(pictures(network)))


@capability("activations")
def activations(model):
    network = model.network
    seen = network.activations(pictures(network))
    assert list(seen) == list(network.layers)
    for name, layer in network.layers.items():
        assert seen[name].shape == (2, *layer.shape) and seen[name].dtype == np.float32
    for name, expected in model.own(_input(network)).items():
        same(seen[name], expected)
    # One picture and three answer as each by itself.
    three = pictures(network, 3, seed=1)
    together = network.activations(three, [model.target])[model.target]
    same(network.activations(three[:1], model.target)[model.target], together[:1])


@capability("graph")
def graph(model):
    """A layer is of the trunk where its activation decides the output, whatever the picture."""
    network, output = model.network, model.network.graph.output[-1]
    kinds = ("activation", "add", "concatenate")
    names = [name for name, layer in network.layers.items() if name in network.graph.trunk or layer.kind in kinds]
    names.remove(output)
    seen, other = network.activations(pictures(network)), network.convention(jnp.asarray(pictures(network, seed=5)))

    @jax.jit
    def given_each(params, x, seen):
        return {name: network.forward.run(params, x, [output], {name: seen[name]})[output] for name in names}

    answers = given_each(network.params, other, seen)
    apart = np.abs(run(network, [output], images=pictures(network, seed=5))[output] - seen[output]).max()
    decides = {name for name in names if np.abs(answers[name] - seen[output]).max() < 1e-3 * apart}
    assert decides == set(network.graph.trunk) - {output}
    assert set(network.graph.stages) <= set(network.graph.trunk)
    assert network.graph.stages and network.graph.features
    assert all(network.layers[name].kind in ("activation", "concatenate") for name in network.graph.features)


@capability("draw a channel")
def channel(model):
    """By the default recipe, at the native size: the picture is better than the start, and finite."""
    network, recipe = model.network, jc.Recipe(size=model.network.convention.size, steps=64)
    seen = network.activations(pictures(network), model.target)[model.target]
    flat = np.asarray(seen).reshape(-1, seen.shape[-1])
    # Lively ones, and not those that a bounded function has saturated already.
    units = [unit for unit in np.argsort(-flat.std(0)) if flat[:, unit].mean() < 0.5 * flat.max()][:2]
    rendering = jc.render(network, jc.channel(model.target, units), recipe)
    assert rendering.images.shape == (2, *recipe.shape(network.convention.channels))
    assert np.isfinite(rendering.images).all() and rendering.images.std() > 0
    assert (rendering.scores > rendering.history[:, 0]).all()


@capability("draw a neuron")
def neuron(model):
    """A neuron is a cell of the map, a token, or a unit without positions."""
    network, shape = model.network, model.network.layers[model.target].shape
    recipe = jc.Recipe(size=network.convention.size, transforms=())
    seen = network.activations(pictures(network)[:1], [model.target])
    inside = tuple(min(place, n - 1) for place, n in zip((1, 2), shape[:-1]))
    # Of tokens the class's is the first; row and column count patches.
    places = {2: {3: (3,), (0, 2): (3,), (3, 3): (16,)}, 3: {inside: inside}}.get(len(shape), {None: ()})
    for position, cell in places.items():
        objective = jc.neuron(model.target, [0], position)
        objective.check(network, recipe)
        of_tokens = grids(network.forward, network.params, [model.target], network.convention.size)
        scores = objective.scores(Seen(seen, jnp.asarray(pictures(network)[:1]), {}, grids=of_tokens))
        same(scores, seen[model.target][(slice(None), *cell, 0)])
    for position in {2: [17, (4, 0)], 3: [3, (99, 0)]}[len(shape)]:
        with pytest.raises(jc.InputError, match="position"):
            jc.neuron(model.target, [0], position).check(network, recipe)


@capability("direct weights")
def direct_weights(model):
    """The target's pre-activation is linear in the source by these weights, in the linearized network."""
    network = model.network
    weights = np.moveaxis(circuits.direct_weights(network, model.source, model.target, [1]), 0, 3)
    assert np.abs(weights).max() > 0
    unit = circuits.weights_between(network, f"{model.source}:2", f"{model.target}:1")
    same(unit, weights[:, :, 2, 0])
    same(
        np.moveaxis(weights, 3, 0).ravel(), circuits.expanded_weights(network, model.source, model.target, [1]).ravel()
    )


@capability("expanded weights")
def expanded_weights(model):
    """Of the linearized network: what changes in the target's cell where a source changes, cell by cell."""
    network = model.network
    weights = circuits.expanded_weights(network, INPUT, model.target, [0])
    assert weights.shape[0] == 1 and weights.shape[-1] == 3 and np.abs(weights).max() > 0


@capability("expanded weights at a picture")
def expanded_at(model):
    """They add up to the slope of the target's cell along a change of the whole source."""
    network, target = model.network, before_activation(model.network, model.target)
    picture = pictures(network)[:1]
    position = tuple(n // 2 for n in network.layers[target].shape[:-1])
    weights = circuits.expanded_weights(network, INPUT, model.target, [0, 1], at=picture[0], position=position)
    # A step of the network's input that is alike everywhere, so that windows need not be placed.
    step = 1e-4
    up, down = (answer(network, target, images=picture + sign * step) for sign in (1, -1))
    change = (up - down)[(0, *position)][:2] / (2 * step)
    scale = float(jnp.ravel(jnp.asarray(1 / network.convention.std))[0])
    same(weights.sum((1, 2, 3)) * scale, change, 0.05)


@capability("strongest connections")
def strongest(model):
    network = model.network
    inputs = circuits.strongest_inputs(network, f"{model.target}:0", model.source, 3)
    found = [*inputs.excitatory, *inputs.inhibitory]
    assert found and all(c.source.layer == model.source and np.isfinite(c.norm) for c in found)
    outputs = circuits.strongest_outputs(network, f"{model.source}:0", model.target, 3, pictures=pictures(network))
    assert all(c.source == (model.source, 0) for c in outputs.excitatory)
    one = found[0]
    same(one.weights, circuits.weights_between(network, one.source, one.target))


@capability("circuit")
def circuit(model):
    found = circuits.extract_circuit(model.network, f"{model.target}:0", depth=1, top=3, layers=[model.source])
    assert len(found.rows) == 2 and found.connections
    by_itself = circuits.extract_circuit(model.network, f"{model.target}:0", depth=1, top=3)
    assert by_itself.layers[1] in model.network.graph.stages


@capability("attribution")
def attribution(model):
    """The attributions of a layer add up to the slope of the answer as the layer's activation grows."""
    network, output = model.network, model.network.logits
    seen = run(network, [model.source, output])
    found = circuits.attribute(network, f"{output}:1", model.source, pictures(network))
    assert found.values.shape == seen[model.source].shape
    step = 1e-4
    up, down = (answer(network, output, {model.source: (1 + s * step) * seen[model.source]}) for s in (1, -1))
    cells = tuple(range(1, up.ndim - 1))
    same(found.values.reshape(2, -1).sum(1), ((up - down) / (2 * step)).mean(cells)[..., 1], 0.05)
    same(found.scores, seen[output].mean(cells)[..., 1])


@capability("cut and scale")
def cut_and_scale(model):
    """The target answers as if the source were silent, or another multiple; all else is as it was."""
    network, target = model.network, before_activation(model.network, model.target)
    seen = run(network, [model.source, target, model.target])
    # Lively sources, and the target that minds them most.
    chosen = np.argsort(-seen[model.source].reshape(-1, seen[model.source].shape[-1]).std(0))[:2]
    sources = [f"{model.source}:{i}" for i in chosen]
    silent = seen[model.source].copy()
    silent[..., chosen] = 0
    moved = np.abs(answer(network, target, {model.source: silent}) - seen[target])
    unit = int(moved.reshape(-1, moved.shape[-1]).max(0).argmax())
    for factor, edited in (
        (0.0, circuits.cut(network, sources, f"{model.target}:{unit}")),
        (-1.5, circuits.scale_weights(network, sources, f"{model.target}:{unit}", factor=-1.5)),
    ):
        changed = seen[model.source].copy()
        changed[..., chosen] *= factor
        expected = seen[target].copy()
        expected[..., unit] = answer(network, target, {model.source: changed})[..., unit]
        assert np.abs(expected - seen[target]).max() > 1e-4
        same(answer(edited, target), expected)


@capability("set weights")
def set_weights(model):
    """No weights are a cut; its own weights are no change."""
    network, (source, target) = model.network, _by_kernel(model)
    edited = circuits.set_weights(network, f"{source}:1", f"{target}:1", np.zeros((1, 1)))
    same(answer(edited, target), answer(circuits.cut(network, f"{source}:1", f"{target}:1"), target))
    kernel = circuits.kernel(network, target)
    if kernel.input_layer == source and network.layers[target].groups == 1:
        own = circuits.set_weights(network, f"{source}:1", f"{target}:1", kernel.weights[:, :, 1, 1])
        same(answer(own, target), answer(network, target))


def _by_kernel(model):
    """A layer made by one kernel, and what that reads."""
    network, made = model.network, {}
    for name, layer in network.layers.items():
        if layer.kind in ("convolution", "dense") and layer.window != (1, 1) and layer.inputs[0] != INPUT:
            made.setdefault(layer.groups, (layer.inputs[0], name))
    for name, layer in network.layers.items():
        of_channels = layer.kind == "dense" and layer.inputs[0] != INPUT
        if of_channels and network.kernel(name).shape[2:] == (network.layers[layer.inputs[0]].channels, layer.channels):
            made.setdefault(1, (layer.inputs[0], name))
    return made[min(made)]


@capability("ablate")
def ablate(model):
    network, (source, target) = model.network, (model.source, model.target)
    seen = run(network, [source, target])
    units = [f"{source}:{i}" for i in (0, 1)]
    means = seen[source].reshape(-1, seen[source].shape[-1]).mean(0)
    other = pictures(network, 2, seed=9)
    order = np.asarray(jax.random.permutation(jax.random.key(3), 2))
    elsewhere = answer(network, source, images=other)[order]
    for edited, values in (
        (circuits.ablate(network, units), np.zeros(2)),
        (circuits.ablate(network, units, pictures(network)), means[:2]),
        (circuits.resample(network, units, other, jax.random.key(3)), elsewhere[..., :2]),
    ):
        changed = seen[source].copy()
        changed[..., :2] = values
        after = run(edited, [source, target])
        same(after[source], changed)
        same(after[target], answer(network, target, {source: changed}))


@capability("keep only")
def keep_only(model):
    network, target = model.network, before_activation(model.network, model.target)
    seen = run(network, [model.source, target])
    kept = circuits.keep_only(network, [f"{model.source}:1", f"{model.target}:0"])
    changed = np.zeros_like(seen[model.source])
    changed[..., 1] = seen[model.source][..., 1]
    expected = seen[target].copy()
    expected[..., 0] = answer(network, target, {model.source: changed})[..., 0]
    same(answer(kept, target), expected)


@capability("transplant")
def transplant(model):
    network, (_, target) = model.network, _by_kernel(model)
    seen = answer(network, target)
    edited = circuits.transplant(network, f"{target}:0", f"{target}:1")
    expected = seen.copy()
    expected[..., 1] = seen[..., 0]
    same(answer(edited, target), expected)
    donor = circuits.ablate(network, f"{_by_kernel(model)[0]}:0")
    given = circuits.transplant(network, f"{target}:0", f"{target}:1", donor)
    expected[..., 1] = answer(network, target)[..., 0]
    same(answer(given, target)[..., 2:], expected[..., 2:])


@capability("predict an edit")
def predict_edit(model):
    network = model.network
    source = answer(network, model.source).reshape(-1, network.layers[model.source].channels).std(0).argmax()
    edited = circuits.cut(network, f"{model.source}:{source}", f"{model.target}:1")
    predicted = circuits.predict_edit(network, edited, model.target, pictures(network), [1, 2])
    # Attention and layer normalization make of a change what no weights say.
    assert predicted.correlation[0] > (-1 if "ViT" in model.name else 0.3) and np.isnan(predicted.correlation[1])
    gated = circuits.predict_edit(network, edited, model.target, pictures(network), [1, 2], gated=True)
    assert gated.correlation[0] > 0.99 and np.isnan(gated.correlation[1])
    gated = circuits.predict_edit(network, edited, model.target, pictures(network), [1], gated=True)
    assert gated.correlation[0] > 0.99


@capability("linearized")
def linearized(model):
    """Between any two points the linearized target is in the middle; and it is another network."""
    network = model.network.linearized()
    assert network.name != model.network.name and list(network.layers) == list(model.network.layers)
    first, last = (pictures(network, 2, seed) for seed in (1, 2))
    ends = [answer(network, model.target, images=images) for images in (first, last)]
    middle = answer(network, model.target, images=(first + last) / 2)
    bend = model.network.forward.not_linear(model.network.params, INPUT, model.target)
    if bend is None:
        same(middle, (ends[0] + ends[1]) / 2)
    else:
        assert np.abs(middle - (ends[0] + ends[1]) / 2).max() > 1e-5
