"""The wiring of whole layers, against what is read for each unit; and damaged files of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcircuits as jc
from jaxcircuits import InputError, circuits
from jaxcircuits.circuits.wiring import neighbors
from jaxcircuits.circuits.wiring_file import wiring_bytes
from support.mutated import mutated


@pytest.mark.parametrize("layer", ["conv2d0", "mixed3b", "mixed5b"])
def test_a_layers_wiring_is_that_of_its_units(layer, small):
    """What is read at once for all units is what is read for each."""
    found = circuits.Wiring(small, 3)[layer]
    before, after = neighbors(small, layer)
    for side, other, strongest in (
        (found.inputs, before, circuits.strongest_inputs),
        (found.outputs, after, circuits.strongest_outputs),
    ):
        assert side.layer == other
        for unit in range(found.units):
            expected = strongest(small, f"{layer}:{unit}", other, 3)
            for kind in ("excitatory", "inhibitory"):
                own, theirs = getattr(side, kind), getattr(expected, kind)
                count = len(theirs)
                ends = [(c.source if side is found.inputs else c.target).index for c in theirs]
                assert own.units[unit, :count].tolist() == ends
                strengths = [getattr(c, "excitation" if kind == "excitatory" else "inhibition") for c in theirs]
                np.testing.assert_allclose(own.strengths[unit, :count], strengths, rtol=1e-6)
                assert (own.units[unit, count:] == -1).all() and not own.weights[unit, count:].any()
                for row, connection in enumerate(theirs):
                    np.testing.assert_allclose(own.weights[unit, row], connection.weights, rtol=1e-4, atol=1e-6)


def test_classes_are_those_of_expanded_weights(small):
    """What an activation of 1 everywhere does to the logits: of the last layer, and of one two blocks before it."""
    wiring, last = circuits.Wiring(small), "mixed5b"
    at_last = circuits.expanded_weights(small, last, small.logits)
    at_last = at_last.reshape(len(at_last), -1, small.layers[last].channels).sum(1)
    through = circuits.expanded_weights(small, "mixed4e", last).sum((1, 2))
    for layer, effects in (("mixed4e", at_last @ through), (last, at_last)):
        classes = wiring[layer].classes
        scale = np.abs(effects).max()
        for chosen, found, sign in ((classes.up, classes.up_effects, -1), (classes.down, classes.down_effects, 1)):
            np.testing.assert_allclose(found, np.take_along_axis(effects.T, chosen, 1), rtol=1e-4, atol=1e-5 * scale)
            best = sign * np.sort(sign * effects.T, axis=1)[:, : chosen.shape[1]]
            np.testing.assert_allclose(found, best, rtol=1e-4, atol=1e-5 * scale)


def test_what_has_no_wiring_says_why():
    """Attention, or any other product of activations, between a layer and the next."""

    def forward(params, x):
        first = jnp.maximum(x @ params["first"], 0)
        flat = first.reshape(len(x), -1, 6)
        mixed = jax.nn.softmax(flat @ flat.swapaxes(1, 2)) @ flat
        return {"first": first, "second": jnp.maximum(mixed.reshape(first.shape) @ params["second"], 0)}

    rng = np.random.default_rng(0)
    params = {"first": jnp.asarray(rng.normal(size=(3, 6))), "second": jnp.asarray(rng.normal(size=(6, 5)))}
    network = jc.Network.from_function(forward, params, jc.InputConvention(size=(4, 4)))
    found = circuits.Wiring(network)["first"]
    assert found.inputs.layer == "input" and found.outputs is None
    assert set(found.reasons) >= {"outputs"} and "\n" not in found.reasons["outputs"]


def test_mutated_wiring_is_wiring_or_one_line(tmp_path, tiny):
    whole = wiring_bytes(circuits.Wiring(tiny, 2)["relu"])
    path = tmp_path / "wiring.safetensors"
    refused = 0
    for seed in range(300):
        path.write_bytes(mutated(whole[: len(whole) // 2] if seed % 9 == 0 else whole, seed))
        try:
            assert circuits.read_wiring(path).layer
        except InputError as error:
            refused += 1
            assert "\n" not in str(error) and str(path) in str(error)
    assert refused > 50
