"""The shapes of arrays on public signatures: they can be read, none is missing, and they are true.

Pixels are `height width`, the cells of a layer's map or of a kernel `h w`; `*positions` are those of a layer that may
have none. What is left without a shape has none that could be said: keys, and parameters of many sizes.
"""

import builtins
import collections.abc
import importlib
import inspect
import re
import sys
import types
import typing

import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxcircuits import circuits, evidence, universality, vis
from jaxcircuits.circuits import motifs
from jaxcircuits.evidence import stimuli
from support.small import small_network

ROOMS = (
    "circuits",
    "circuits.motifs",
    "evidence",
    "evidence.stimuli",
    "images",
    "network",
    "pages",
    "universality",
    "vis",
)
SHAPE = re.compile(r"(Bool|Float|Int|Integer|Num|Shaped|UInt8)\[[^'\"\[\]]*, (['\"])[^'\"]*\2\]")
WITHOUT = {
    "key",  # of a draw, of the new kind or the old
    "Network.check_pictures.images",  # may be anything, and is checked
    "Network.from_function.function",
    "Forward.constant.return",
    "Forward.located.x",
    "CPPN.init.return",
    "CPPN.values.parameters",
    "CPPN.picture.parameters",
    "Pyramid.init.return",
    "Pyramid.values.parameters",
    "Pyramid.from_values.return",
    "Shared.init.return",
    "Shared.values.parameters",
    "Shared.from_values.return",
}
RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(size=(4, 3, 3, 5)).astype(np.float32)
EMBEDDINGS, CHOSEN = RNG.normal(size=(9, 6)), RNG.integers(0, 9, (4, 3))
PICTURES = RNG.uniform(size=(2, 64, 64, 3)).astype(np.float32)


class Names(dict):
    """What annotations name; what only type checkers import is anything."""

    def __missing__(self, name):
        if hasattr(builtins, name) or name.startswith("__"):
            raise KeyError(name)
        return getattr(jaxtyping, name, typing.Any)


def hint_of(text, module):
    return eval(text, {}, Names(vars(sys.modules[module]))) if isinstance(text, str) else text


def signatures():
    """Of every public function, method and field: its name, the module it is written in, its annotations."""
    for room in ROOMS:
        module = importlib.import_module(f"jaxcircuits.{room}")
        for name in module.__all__:
            of = inspect.unwrap(getattr(module, name))
            if getattr(of, "__module__", "").startswith("jaxcircuits.vis.transforms"):
                continue
            if inspect.isfunction(of):
                yield name, of.__module__, of.__annotations__
            elif inspect.isclass(of):
                yield name, of.__module__, fields_of(of)
                for part, method in vars(of).items():
                    method = getattr(method, "fget", None) or getattr(method, "func", None) or method
                    method = getattr(method, "__func__", method)
                    if inspect.isfunction(method) and not part.startswith("_"):
                        yield f"{name}.{part}", of.__module__, method.__annotations__


def fields_of(of):
    """Its own, those of a named tuple as they are written."""
    written = inspect.get_annotations(of)
    return {name: getattr(text, "__forward_arg__", text) for name, text in written.items() if name[0] != "_"}


def holds(value, hint):
    """Whether a value is what an annotation says, its sizes the same as in all else that is checked with it."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(holds(value, part) for part in parts)
    if origin is tuple:
        parts = parts[:1] * len(value) if parts[1:] == (...,) else parts
        return len(value) == len(parts) and all(map(holds, value, parts))
    if isinstance(origin, type) and issubclass(origin, collections.abc.Mapping):
        return all(apart(one, parts[1]) for one in value.values())
    if origin is list:
        return all(apart(one, parts[0]) for one in value)
    if origin is not None or hint is typing.Any or not isinstance(hint, type):
        return True
    return isinstance(value, hint) and parts_hold(value)


def apart(value, hint):
    """As `holds`, with sizes of its own."""
    with jaxtyping.jaxtyped("context"):
        return holds(value, hint)


def parts_hold(value):
    """Of a result of ours: its fields together, and each of its properties."""
    of = type(value)
    if not of.__module__.startswith("jaxcircuits."):
        return True
    with jaxtyping.jaxtyped("context"):
        for kind in of.__mro__:
            for name, text in fields_of(kind).items() if kind.__module__.startswith("jaxcircuits.") else ():
                assert holds(getattr(value, name), hint_of(text, kind.__module__)), f"{of.__name__}.{name}: {text}"
    for name, part in vars(of).items():
        if isinstance(part, property) and "np.ndarray" in str(text := part.fget.__annotations__.get("return")):
            assert apart(getattr(value, name), hint_of(text, of.__module__)), f"{of.__name__}.{name}: {text}"
    return True


def test_none_is_missing_and_all_can_be_read():
    count, missing = 0, set()
    for name, module, annotations in signatures():
        for part, text in annotations.items():
            bare, shapes = SHAPE.subn("", str(text))
            count += shapes
            if shapes:
                hint_of(text, module)
            if re.search(r"np\.ndarray|jax\.Array", bare) and not {part, f"{name}.{part}"} & WITHOUT:
                missing.add(f"{name}.{part}: {text}")
    assert not missing
    assert count > 200


def layers_of_branches():
    return evidence.branches(small_network(), "mixed3a")


CALLS = {
    "boundaries": lambda: (motifs.boundaries, WEIGHTS, dict(shuffles=3)),
    "equivariance": lambda: (motifs.equivariance, WEIGHTS, motifs.rotation(90), dict(shuffles=2)),
    "orientations": lambda: (motifs.orientations, WEIGHTS, dict(shuffles=2, steps=4)),
    "superpositions": lambda: (motifs.superpositions, WEIGHTS, np.array([3, 1]), dict(shuffles=2)),
    "unions": lambda: (motifs.unions, WEIGHTS, RNG.normal(size=(6, 5, 5, 4)), dict(shuffles=2, strongest=3)),
    "cross_inhibition": lambda: (motifs.cross_inhibition, WEIGHTS),
    "factor_activations": lambda: (circuits.factor_activations, np.abs(WEIGHTS), 2),
    "factor_weights": lambda: (circuits.factor_weights, WEIGHTS, 2),
    "clarity": lambda: (evidence.clarity, CHOSEN, EMBEDDINGS),
    "unit_embeddings": lambda: (evidence.unit_embeddings, CHOSEN, EMBEDDINGS),
    "redundancy": lambda: (evidence.redundancy, EMBEDDINGS),
    "monosemanticity": lambda: (evidence.monosemanticity, RNG.uniform(size=(9, 4)), EMBEDDINGS),
    "branch_test": lambda: (evidence.branch_test, layers_of_branches(), np.array([0, 2, 3])),
    "like_excites_like": lambda: (
        universality.like_excites_like,
        RNG.normal(size=(8, 3, 3, 9)),
        *map(np.arange, (9, 8)),
    ),
    "depths": lambda: (universality.depths, small_network(), ["mixed3a", "mixed4a"]),
    "curve": lambda: (stimuli.curve, 0.0, dict(size=24)),
    "of_hue": lambda: (stimuli.of_hue, 0.5),
    "turned": lambda: (evidence.poses.turned, jnp.asarray(PICTURES[0]), 0.5, dict(size=20)),
    "transparent": lambda: (vis.transparent, PICTURES, PICTURES[..., 0]),
    "kernel": lambda: (circuits.kernel, small_network(), "conv2d0"),
    "direct_weights": lambda: (circuits.direct_weights, small_network(), "mixed3a", "mixed3b", np.array([1, 0])),
    "weights_between": lambda: (circuits.weights_between, small_network(), "mixed3a:0", "mixed3b:1"),
}


@pytest.mark.parametrize("name", CALLS)
def test_arguments_and_results_have_the_shapes_that_are_said(name):
    function, *given = CALLS[name]()
    options = given.pop() if isinstance(given[-1], dict) else {}
    hints, bound = inspect.unwrap(function).__annotations__, inspect.signature(function).bind(*given, **options)
    result = function(*given, **options)
    with jaxtyping.jaxtyped("context"):
        for part, value in (*bound.arguments.items(), ("return", result)):
            assert holds(value, hint_of(hints[part], inspect.unwrap(function).__module__)), f"{part}: {hints[part]}"


def test_a_wrong_shape_is_found():
    wrong = motifs.Orientations(score=1.0, null=np.zeros(3), adjusted_p_value=1.0, radians=np.zeros((3, 1)))
    with pytest.raises(AssertionError, match="radians"):
        parts_hold(wrong)
