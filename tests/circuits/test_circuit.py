"""Circuits as data: their extraction against brute force over all units and paths, JSON friendly and hostile."""

import copy
import itertools
import json
import math
import sys

import networkx
import numpy as np
import pytest

from jaxcircuits import circuits
from jaxcircuits.circuits import Circuit, Unit
from jaxcircuits.errors import InputError
from jaxcircuits.network import load

pytestmark = pytest.mark.usefixtures("compiled_quickly")


@pytest.fixture(scope="module")
def slide():
    return load("slide")


def norm(values, sign=0):
    """Of all weights, or of those of one sign, one after the other in float64."""
    return math.sqrt(sum(float(v) ** 2 for v in np.ravel(values) if not sign or v * sign > 0))


def brute_force(network, target, layers, top):
    """Kept units with their importance, a dict a row: norms and rankings by loops, weights by gradients."""
    layer, index = target.split(":")
    rows, layer = [{int(index): 1.0}], layer
    for source in layers:
        weights = circuits.expanded_weights(network, source, layer, list(rows[-1]))
        units = range(weights.shape[-1])
        strengths = {sign: dict.fromkeys(units, 0.0) for sign in (0, 1, -1)}
        for row, importance in zip(weights, rows[-1].values()):
            total = sum(norm(row[..., unit]) for unit in units)
            for sign, strength in strengths.items():
                for unit in units:
                    strength[unit] += importance * norm(row[..., unit], sign) / total
        ranked = [sorted(units, key=strengths[sign].get, reverse=True) for sign in (1, -1)]
        kept = list(dict.fromkeys(unit for pair in zip(*ranked) for unit in pair))[:top]
        rows.append({unit: strengths[0][unit] for unit in kept})
        layer = source
    return rows


@pytest.mark.parametrize(
    ("name", "target", "layers", "explicit", "top"),
    [
        ("small", "mixed3b:5", ["mixed3a", "conv2d2"], None, 4),
        ("small", "mixed4a:3", ["mixed3a"], ["mixed3a"], 5),
        pytest.param("slide", "mixed4b:18", ["mixed4a", "mixed3b"], None, 8, marks=pytest.mark.slow),
        ("slide", "mixed5b:9", ["mixed5a"], None, 7),
    ],
)
def test_extraction_against_brute_force(name, target, layers, explicit, top, request):
    network = request.getfixturevalue(name)
    circuit = circuits.extract_circuit(network, target, len(layers), top, layers=explicit)
    expected = brute_force(network, target, layers, top)
    assert circuit.network == network.name
    assert circuit.layers == (target.split(":")[0], *layers)
    for row, kept in zip(circuit.rows, expected, strict=True):
        assert {unit.index for unit in row} == set(kept)
        for unit in row:
            assert circuit.importance[unit] == pytest.approx(kept[unit.index], rel=1e-4)
    # Every connection between neighboring rows is there, with its weights, from what excites most downwards.
    above, below = circuit.rows[:2]
    weights = circuits.expanded_weights(network, layers[0], above[0].layer, [above[0].index])[0]
    for c in circuit.level(1):
        np.testing.assert_allclose(c.weights, weights[..., c.source.index], atol=1e-5)
    assert {c.source for c in circuit.level(1)} == {u for u in below if np.abs(weights[..., u.index]).max() > 1e-9}
    leaning = [norm(weights[..., u.index], -1) - norm(weights[..., u.index], 1) for u in below]
    assert leaning == sorted(leaning)


def test_importance_is_the_sum_over_paths(slide):
    circuit = circuits.extract_circuit(slide, "mixed4c:3", depth=3, top=5)
    share = {}
    for target in itertools.chain(*circuit.rows[:-1]):
        below = circuit.layers[circuit.layers.index(target.layer) + 1]
        weights = np.float64(circuits.direct_weights(slide, below, target.layer, [target.index])[0])
        norms = np.sqrt((weights**2).sum((0, 1)))
        share.update({(Unit(below, i), target): n / norms.sum() for i, n in enumerate(norms)})
    for deepest in circuit.rows[-1]:
        paths = itertools.product(*circuit.rows[:-1], [deepest])
        total = sum(math.prod(share[low, high] for high, low in itertools.pairwise(path)) for path in paths)
        assert circuit.importance[deepest] == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize(
    ("target", "below"),
    [
        ("mixed4c", ["mixed4b", "mixed4a", "mixed3b"]),
        ("mixed3a", ["conv2d2", "conv2d1", "conv2d0"]),
        ("conv2d2", ["conv2d1", "conv2d0"]),
        ("mixed4b_3x3", ["mixed4a", "mixed3b", "mixed3a"]),
        ("mixed4b_pre_relu", ["mixed4a", "mixed3b", "mixed3a"]),
        ("softmax2_pre_activation", ["mixed5b", "mixed5a", "mixed4e"]),
    ],
)
def test_layers_below_are_found(small, target, below):
    circuit = circuits.extract_circuit(small, f"{target}:1", depth=3, top=2)
    assert circuit.layers == (target, *below)


def test_caffe_names(slide):
    """What is below follows from the wiring, whatever the layers are called."""
    from support.small import small_network

    circuit = circuits.extract_circuit(small_network("caffe"), "inception_4a/output:2", depth=3, top=2)
    assert circuit.layers == ("inception_4a/output", "inception_3b/output", "inception_3a/output", "conv2/3x3")


def test_circuits_chosen_by_hand(slide):
    """Families in the order given; several targets share the importance."""
    targets, sources = ["mixed4b:33", "mixed4b:11"], ["mixed4a:121", "mixed4a:5", "mixed4a:49"]
    circuit = circuits.circuit_between(slide, [targets, sources])
    assert [[str(unit) for unit in row] for row in circuit.rows] == [targets, sources]
    assert [circuit.importance[unit] for unit in circuit.rows[0]] == [0.5, 0.5]
    for c in circuit.connections:
        np.testing.assert_array_equal(c.weights, circuits.weights_between(slide, c.source, c.target))
    assert len(circuit.connections) == 6
    both = circuits.extract_circuit(slide, targets, depth=1, top=128)
    assert sum(both.importance[unit] for unit in both.rows[1]) == pytest.approx(1)
    assert both.importance[Unit("mixed4a", 5)] == pytest.approx(circuit.importance[Unit("mixed4a", 5)])


def test_json_round_trip(slide):
    circuit = circuits.extract_circuit(slide, "mixed4a:3", top=3)
    back = Circuit.from_json(circuit.to_json())
    assert (back.network, back.rows, back.importance) == (circuit.network, circuit.rows, circuit.importance)
    assert len(back.connections) == len(circuit.connections) == 12
    for old, new in zip(circuit.connections, back.connections):
        assert (old.source, old.target) == (new.source, new.target)
        np.testing.assert_array_equal(old.weights, new.weights)
        assert new.weights.dtype == np.float32
    assert back.to_json() == circuit.to_json()
    assert repr(back) == "Circuit(mixed4a:3 of slide: 7 units, 12 connections)"


def test_networkx(slide, monkeypatch):
    circuit = circuits.extract_circuit(slide, "mixed4a:3", top=3)
    graph = circuit.to_networkx()
    assert nx_depth(graph, "mixed4a:3") == 2
    assert set(graph) == {str(unit) for unit in circuit.units}
    for c in circuit.connections:
        edge = graph.edges[str(c.source), str(c.target)]
        np.testing.assert_array_equal(edge["weights"], c.weights)
        assert edge["norm"] == pytest.approx(np.sqrt(np.square(np.float64(c.weights)).sum()), rel=1e-6)
        assert edge["sum"] == pytest.approx(np.float64(c.weights).sum())
    node = graph.nodes[str(circuit.rows[1][0])]
    assert (node["layer"], node["row"], node["importance"]) == ("mixed3b", 1, circuit.importance[circuit.rows[1][0]])
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(InputError, match=r"need networkx; pip install 'jaxcircuits\[circuits\]'"):
        circuit.to_networkx()


def nx_depth(graph, target):
    return max(networkx.single_source_shortest_path_length(graph.reverse(), target).values())


GOOD = {
    "format": "jaxcircuits circuit 1",
    "network": "n",
    "rows": [
        [{"unit": "b:0", "importance": 1.0}],
        [{"unit": "a:0", "importance": 0.5}, {"unit": "a:1", "importance": 0}],
    ],
    "connections": [{"source": "a:0", "target": "b:0", "weights": [[1, -2.5]]}],
}


def changed(*path, to):
    """The good circuit with one place changed, as JSON."""
    data = copy.deepcopy(GOOD)
    *way, last = path
    place = data
    for step in way:
        place = place[step]
    place[last] = to
    return json.dumps(data)


HOSTILE = {
    "nothing": ("", "no JSON"),
    "deep": ("[" * 100_000, "not a circuit"),
    "digits": ('{"format": ' + "9" * 5000 + "}", "no JSON"),
    "long": (" " * (33 * 2**20), "33 MiB of text; expected at most 32"),
    "list": ("[]", "the whole is .*expected an object"),
    "format": (changed("format", to="lucid"), "format 'lucid'; expected 'jaxcircuits circuit 1'"),
    "network": (changed("network", to=7), "network 7; expected a name"),
    "lines": (changed("network", to="a\nb"), "expected a name"),
    "surrogate": (changed("network", to="\ud800"), "expected a name"),
    "no rows": (changed("rows", to=[]), "rows; expected 1 or more"),
    "rows": (changed("rows", to={"0": []}), "rows: .* expected a list"),
    "empty row": (changed("rows", 1, to=[]), "row 1 with units of 0 layers"),
    "mixed row": (changed("rows", 1, 0, "unit", to="c:0"), "row 1 with units of 2 layers"),
    "same layer": (changed("rows", 0, 0, "unit", to="a:7"), "each of another layer"),
    "unit": (changed("rows", 0, 0, "unit", to="b"), "unit 'b'; expected LAYER:NUMBER"),
    "negative unit": (changed("rows", 0, 0, "unit", to="b:-1"), "expected LAYER:NUMBER"),
    "other digits": (changed("rows", 0, 0, "unit", to="b:\u0663"), "expected LAYER:NUMBER"),
    "twice": (changed("rows", 1, 1, "unit", to="a:0"), "unit a:0 twice"),
    "importance": (changed("rows", 0, 0, "importance", to=1.5), "importance 1.5 of b:0; expected a number from 0 to 1"),
    "true": (changed("rows", 0, 0, "importance", to=True), "importance True"),
    "nan": (changed("rows", 0, 0, "importance", to=math.nan), "importance nan"),
    "backward": (changed("connections", 0, "source", to="b:0"), "from a unit of a row to one of the row before"),
    "stranger": (changed("connections", 0, "source", to="z:0"), "connection z:0 -> b:0"),
    "two strangers": (changed("connections", 0, to={"source": "y:0", "target": "z:0"}), "connection y:0 -> z:0"),
    "again": (changed("connections", to=2 * GOOD["connections"]), "expected each pair once"),
    "no weights": (changed("connections", 0, "weights", to=None), "weights of connection a:0 -> b:0: None"),
    "ragged": (changed("connections", 0, "weights", to=[[1], [1, 2]]), "lines of finite float32 numbers, equally"),
    "empty": (changed("connections", 0, "weights", to=[[]]), "equally long"),
    "words": (changed("connections", 0, "weights", to=[["1"]]), "finite float32 numbers"),
    "infinite": (changed("connections", 0, "weights", to=[[math.inf]]), "finite float32 numbers"),
    "endless": (changed("connections", 0, "weights", to=[[10**400]]), "finite float32 numbers"),
    "beyond": (changed("connections", 0, "weights", to=[[1e39]]), "finite float32 numbers"),
    "zero": (changed("connections", 0, "weights", to=[[0, 1e-99]]), "all zero; such connections are left out"),
    "wide": (changed("connections", 0, "weights", to=[[0] * 256]), "a list of at most 255"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_json(case):
    assert len(Circuit.from_json(json.dumps(GOOD)).units) == 3
    text, message = HOSTILE[case]
    with pytest.raises(InputError, match=message) as error:
        Circuit.from_json(text)
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


BAD = {
    "unit": (lambda n: circuits.extract_circuit(n, "mixed3b:9999"), "unknown unit 9999 of mixed3b"),
    "layer": (lambda n: circuits.extract_circuit(n, "mixed9b:0"), "unknown layer 'mixed9b'"),
    "first": (lambda n: circuits.extract_circuit(n, "conv2d0:0"), "conv2d0 reads the input: there are no units below"),
    "depth": (lambda n: circuits.extract_circuit(n, "mixed3b:0", 0), "depth 0; expected a whole number from 1 on"),
    "top": (lambda n: circuits.extract_circuit(n, "mixed3b:0", top=1.5), "top 1.5; expected a whole number"),
    "upward": (lambda n: circuits.extract_circuit(n, "mixed3b:0", layers=["mixed4a"]), "is not computed from mixed4a"),
    "other layer": (lambda n: circuits.extract_circuit(n, "mixed3b:0", layers=["mix3a"]), "unknown layer 'mix3a'"),
    "again": (lambda n: circuits.circuit_between(n, ["mixed3b:0", "mixed3b:1"]), "mixed3b twice"),
    "no rows": (lambda n: circuits.circuit_between(n, []), "units of no layer"),
    "two layers": (lambda n: circuits.circuit_between(n, [["mixed3b:0", "mixed3a:0"]]), "expected units of one layer"),
    "silent": (lambda n: circuits.extract_circuit(circuits.ablate(n, "mixed3b:0"), "mixed3b:0"), "to mixed3a are zero"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case, small):
    call, message = BAD[case]
    with pytest.raises(InputError, match=message) as error:
        call(small)
    assert "\n" not in str(error.value)
