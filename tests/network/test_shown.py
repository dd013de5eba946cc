"""What objects print, in a line and in notebooks: names that come from models are shown as text."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

import jaxcircuits as jc
from jaxcircuits import circuits


@pytest.fixture(scope="module")
def network():
    class Odd(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.relu(nn.Conv(4, (3, 3), name="a<b>&c")(x))
            return nn.relu(nn.Conv(5, (3, 3), name="last")(x))

    variables = Odd().init(jax.random.key(0), jnp.ones((1, 8, 8, 3)))
    return jc.Network.from_linen(Odd(), variables, jc.InputConvention(size=(8, 8)), name="<script>alert(1)</script>")


def test_networks(network):
    assert repr(network) == "Network(<script>alert(1)</script>: 4 layers, native size 8x8 px)"
    edited = circuits.ablate(circuits.cut(network, "relu:1", "last:2"), ["relu:0", "relu:3"])
    assert repr(edited).endswith("edited: 1 unit of last, 2 units of relu)")
    for one in (network, edited):
        page = one._repr_html_()
        assert "<script>" not in page and "&lt;script&gt;" in page
        assert "<td>relu</td><td>4</td><td>8 x 8</td>" in page


def test_connections_and_circuits(network):
    strongest = circuits.strongest_inputs(network, "last:1", "relu", 2)
    connection = strongest.excitatory[0]
    assert repr(connection).startswith(f"Connection({connection.source} -> last:1: 3 x 3 weights, norm ")
    lines = repr(strongest).splitlines()
    assert lines[0] == "Strongest" and len(lines) == 1 + len(strongest.excitatory) + len(strongest.inhibitory)
    assert lines[1].startswith("excites") and f"{connection.excitation:.3g}" in lines[1]
    assert strongest._repr_html_().count("<tr>") == len(lines)
    circuit = circuits.extract_circuit(network, "last:1", depth=1, top=2)
    page = circuit._repr_html_()
    assert page.count("<tr>") == 3 and "&lt;script&gt;" in page and "<script>" not in page
    silent = circuits.strongest_inputs(circuits.ablate(network, "last:1"), "last:1", "relu")
    assert repr(silent) == "Strongest: none"
