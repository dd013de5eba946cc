"""Every tool on every model: each cell of the table in docs/any_model.md is one test here."""

import re

import pytest

import jaxcircuits as jc
from support.capabilities import CAPABILITIES
from support.framework_models import MODELS

pytestmark = pytest.mark.usefixtures("compiled_quickly")

ATTENTION, SCAN = (f"not linear in .* through {what}; give pictures with at=$" for what in (r".*/dot_general", "scan"))
LIMITS = {
    **{
        (name, tool): ATTENTION
        for name in ("ViT, NNX", "ViT, PyTorch")
        for tool in ("direct weights", "expanded weights", "strongest connections", "circuit")
    },
    ("MLP, Linen", "draw a neuron"): "relu_1 has none: use channel or direction$",
    **{("scan, Linen", tool): SCAN for tool in ("expanded weights", "circuit")},
}
"""(model, capability) -> the line that says why it cannot be, as a regular expression."""

SLOW = ("InceptionV1", "MobileNetV2, Keras")


def cells():
    for name in MODELS:
        for tool in CAPABILITIES:
            yield pytest.param(name, tool, marks=[pytest.mark.slow] if name in SLOW else [], id=f"{name}-{tool}")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "tool"), [*cells()])
def test_every_tool_on_every_model(name, tool, record_property):
    limit = LIMITS.get((name, tool))
    if limit is None:
        CAPABILITIES[tool](MODELS[name]())
        return
    with pytest.raises(jc.InputError) as raised:
        CAPABILITIES[tool](MODELS[name]())
    line = str(raised.value)
    record_property("line", line)  # for the table
    assert re.search(limit, line) and "\n" not in line, line


def test_limits_are_of_the_table():
    assert all(name in MODELS and tool in CAPABILITIES for name, tool in LIMITS)
