"""Whatever takes pictures refuses in one line what are none: bytes, numbers beyond [0, 1] or none, other shapes."""

import jax
import numpy as np
import pytest

import jaxcircuits as jc
from jaxcircuits import circuits, evidence
from support.small import convolved

RNG = np.random.default_rng(0)
GOOD = RNG.uniform(size=(4, 16, 16, 3)).astype(np.float32)
QUICK = jc.Recipe(size=16, steps=1, transforms=(), redirect_steps=0)
BAD = {
    "bytes": (np.uint8(255 * GOOD), "uint8.*divide bytes by 255"),
    "not a number": (np.where(GOOD > 0.9, np.nan, GOOD), "values from nan to nan"),
    "of 255": (255 * GOOD, r"values from 0\..* to 25.*; .*(in \[0, 1\]|expected (0 to 1|\[0, 1\]))"),
    "gray": (GOOD[..., :1], r"1 channels?|shape \(16, 16, 1\)"),
    "flat": (GOOD[0, 0], r"shape \(16, 3\)"),
}


def two_layers(params, x):
    first = convolved(params["first"], x)["relu"]
    return {"first": first, "second": jax.nn.relu(first @ params["second"])}


@pytest.fixture(scope="module")
def network():
    params = {"first": RNG.normal(size=(3, 3, 3, 12)), "second": RNG.normal(size=(12, 5))}
    params = {name: np.float32(value) for name, value in params.items()}
    return jc.Network.from_function(two_layers, params, jc.InputConvention(size=(16, 16), mean=0.5, std=0.25))


ENTRIES = {
    "activations": lambda n, p: n.activations(p),
    "relevance": lambda n, p: jc.relevance(n, "first:1", p, QUICK),
    "percentiles, drawn": lambda n, p: jc.percentiles(n, jc.channel("first", [1] * len(p)), p, GOOD),
    "percentiles, photographs": lambda n, p: jc.percentiles(n, jc.channel("first", [1] * 4), GOOD, p),
    "start": lambda n, p: jc.render(n, "first:1", QUICK, start=p),
    "activation_difference": lambda n, p: jc.render(n, -jc.activation_difference("first", p), QUICK),
    "caricature": lambda n, p: jc.render(n, jc.caricature("first", p), QUICK),
    "attribute": lambda n, p: circuits.attribute(n, "second:1", "first", p),
    "contributions": lambda n, p: circuits.contributions(n, "first", "second", p),
    "strongest_inputs": lambda n, p: circuits.strongest_inputs(n, "second:1", "first", pictures=p),
    "expanded_weights": lambda n, p: circuits.expanded_weights(n, "first", "second", [0], at=p),
    "ablate": lambda n, p: circuits.ablate(n, "first:1", p),
    "resampled": lambda n, p: circuits.resample(n, "first:1", p, jax.random.key(0)),
    "predict_edit": lambda n, p: circuits.predict_edit(n, circuits.cut(n, "first:1", "second:2"), "second", p),
    "examples": lambda n, p: evidence.examples(n, p, "first", 2, progress=False),
}
TAKEN = {("examples", "bytes")}
"""Pictures of the world are bytes as often as not."""


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("entry", ENTRIES)
def test_what_are_no_pictures(entry, kind, network):
    pictures, message = BAD[kind]
    if (entry, kind) in TAKEN:
        ENTRIES[entry](network, pictures)
        return
    with pytest.raises(jc.InputError, match=message) as error:
        ENTRIES[entry](network, pictures)
    assert "\n" not in str(error.value)
