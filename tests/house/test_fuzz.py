"""Thousands of damaged and hostile files of every kind; see `fuzzing`, which runs as many as one likes."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import fuzzing
from jaxcircuits import InputConvention, InputError, Recipe
from jaxcircuits.vis.numbers import divided
from support.fuzzed_kinds import KINDS
from support.fuzzed_records import RECORDS

SLOW = {"weights": 80, "conversion": 30} | dict.fromkeys(RECORDS, 20)
"""Kinds whose files are large, or are read by many -> cases; of the others `CASES`."""
CASES = 100
WRITTEN_AGAIN = {"sheet of drawings", "mark of a drawing", "note of a share", "index of drawings"}
"""Kinds of which any is read: damaged ones count as not there, or are a text that may say anything."""


@pytest.mark.parametrize("name", KINDS)
def test_sound_files_are_read(name, tmp_path):
    for data in KINDS[name].samples():
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        (folder / KINDS[name].name).write_bytes(KINDS[name].sign(data))
        try:
            KINDS[name].read(folder / KINDS[name].name)
        except InputError as error:
            # A node that no architecture has is all that the small graph lacks to be one.
            assert name == "graph" and "lacks node" in str(error), error


@pytest.mark.parametrize("name", KINDS)
def test_mutated_files_are_read_or_refused_in_a_line(name):
    before = fuzzing.memory()
    result = fuzzing.run(name, SLOW.get(name, CASES), seed=1)
    assert not result.failures, result.failures
    assert result.read + result.refused == SLOW.get(name, CASES) and (result.refused or name in WRITTEN_AGAIN)
    assert fuzzing.memory() - before < fuzzing.MOST_MEMORY


NUMBERS = st.one_of(st.integers(-3, 3), st.integers(), st.floats(), st.sampled_from([2**31, 10**18, 1e-300, 1e308]))
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=20), lambda inner: st.lists(inner, max_size=4), max_leaves=8
)
PARTS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["Pad", "Jitter", "Scale", "Rotate", "Affine", "Crop", "Blur", "Noise", "Elastic", "CPPN"]
        )
    },
    optional={
        name: VALUES for name in ("pixels", "times", "scales", "degrees", "shift", "zoom", "sd", "view", "layers")
    },
)
RECIPES = st.fixed_dictionaries(
    {},
    optional={name: VALUES for name in ("size", "views", "steps", "tolerance", "optimizer", "learning_rate", "betas")}
    | {"transforms": st.lists(PARTS, max_size=4) | VALUES, "parametrization": PARTS | VALUES},
)


@settings(max_examples=250, deadline=None, derandomize=True)
@given(RECIPES)
@example({"size": 10**9})
@example({"transforms": [{"type": "Affine", "degrees": [-1e18, 1e18]}]})
@example({"transforms": [{"type": "Affine", "degrees": [-1e5, 1e5]}]})
@example({"parametrization": {"type": "CPPN", "layers": 10**6}})
@example({"learning_rate": float("inf")})
@example({"transforms": [{"type": "Pad", "pixels": 1}] * 1000})
def test_recipes_of_any_values(fields):
    try:
        recipe = Recipe.from_json(json.dumps(fields))
    except InputError as error:
        assert len(str(error)) <= 2100
        return
    divided(recipe)
    assert Recipe.from_json(recipe.to_json()) == recipe


CONVENTION = InputConvention().to_dict()


@settings(max_examples=250, deadline=None, derandomize=True)
@given(st.sampled_from(list(CONVENTION)), VALUES)
@example("size", "xx")
@example("std", 0)
@example("mean", float("nan"))
@example("std", [1.0, 1.0, 1e-300])
@example("channels", 10**9)
@example("order", [])
def test_input_conventions_of_any_values(field, value):
    """What is taken is what JSON holds again, and does not make pictures of anything but numbers."""
    try:
        convention = InputConvention.from_dict(CONVENTION | {field: value})
    except InputError as error:
        assert len(str(error)) <= 2100
        return
    assert InputConvention.from_dict(json.loads(json.dumps(convention.to_dict()))) == convention
