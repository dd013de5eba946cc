"""A block's output is also that of its last part: every tool takes either name, and does the same."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcircuits import InputConvention, Network, circuits


class Block(nnx.Module):
    def __init__(self, inputs, outputs, rngs):
        self.conv = nnx.Conv(inputs, outputs, (3, 3), rngs=rngs)

    def __call__(self, x):
        return nnx.relu(self.conv(x))


@pytest.fixture(scope="module")
def network():
    rngs = nnx.Rngs(0)
    module = nnx.Sequential(Block(3, 4, rngs), nnx.Sequential(Block(4, 5, rngs)), Block(5, 6, rngs))
    return Network.from_nnx(module, InputConvention(size=(12, 12)))


SOURCES, TARGET = ("layers/1", "layers/1/layers/0", "layers/1/layers/0/relu"), "layers/2"
PICTURES = np.random.default_rng(0).uniform(size=(2, 12, 12, 3)).astype(np.float32)

TOOLS = {
    "direct weights": lambda n, source: circuits.direct_weights(n, source, TARGET),
    "expanded weights": lambda n, source: circuits.expanded_weights(n, source, TARGET),
    "strongest inputs": lambda n, source: [
        c.norm for c in circuits.strongest_inputs(n, f"{TARGET}:1", source, 3).excitatory
    ],
    "attribution": lambda n, source: circuits.attribute(n, f"{TARGET}:1", source, PICTURES).values,
    "cut": lambda n, source: circuits.cut(n, f"{source}:2", f"{TARGET}:1").activations(PICTURES, TARGET)[TARGET],
    "ablate": lambda n, source: circuits.ablate(n, f"{source}:2").activations(PICTURES, TARGET)[TARGET],
    "kept": lambda n, source: circuits.keep_only(n, {source: [0, 2], TARGET: [1]}).activations(PICTURES, TARGET)[
        TARGET
    ],
    "predicted": lambda n, source: (
        circuits.predict_edit(n, circuits.cut(n, f"{source}:2", f"{TARGET}:1"), TARGET, PICTURES).predicted
    ),
    "circuit": lambda n, source: [
        c.norm for c in circuits.extract_circuit(n, f"{TARGET}:1", layers=[source]).connections
    ],
}


@pytest.mark.parametrize("tool", TOOLS)
def test_every_name_does(network, tool):
    values = [network.graph.value[name] for name in SOURCES if name in network.layers]
    assert len(values) >= 2 and len(set(values)) == 1
    first, *others = (np.asarray(TOOLS[tool](network, name)) for name in SOURCES if name in network.layers)
    assert np.abs(first).max() > 0
    for other in others:
        np.testing.assert_allclose(other, first, rtol=1e-6, atol=1e-7)


def test_edits_by_two_names_add_up(network):
    one, other, *_ = (name for name in SOURCES if name in network.layers)
    twice = circuits.ablate(circuits.ablate(network, f"{one}:1"), f"{other}:2")
    together = circuits.ablate(network, [f"{one}:1", f"{one}:2"])
    results = [n.activations(PICTURES, TARGET)[TARGET] for n in (twice, together)]
    np.testing.assert_array_equal(*results)
    assert float(jnp.abs(results[0] - network.activations(PICTURES, TARGET)[TARGET]).max()) > 0
