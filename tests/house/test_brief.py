"""Results print in a few lines, whatever they hold."""

import dataclasses
import importlib
import inspect

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcircuits.brief import Brief, brief

MODULES = ("jaxcircuits", *(f"jaxcircuits.{name}" for name in ("circuits", "evidence", "universality", "vis", "bulk")))
NUMBERS = ("ndarray", "Array", "Mapping")


@pytest.mark.parametrize(
    ("value", "said"),
    {
        "an array": (np.zeros((64, 7), np.float32), "float32 (64, 7)"),
        "a JAX array": (jnp.zeros((2, 3), jnp.int32), "int32 (2, 3)"),
        "a short one": (np.array([1.5, np.nan]), "[1.5, nan]"),
        "a number of one's own": (np.float32(1 / 3), "0.3333"),
        "a long list": (list(range(9)), "[0, 1, 2, 3, ... 9 in all]"),
        "a mapping": (
            {i: np.zeros(9) for i in range(5)},
            "{" + "".join(f"{i}: float64 (9,), " for i in range(4)) + "... 5 in all}",
        ),
        "a long text": ("x" * 99, f"'{'x' * 55} ..."),
    }.values(),
)
def test_values(value, said):
    assert brief(value) == said


def results():
    """Public dataclasses that hold arrays or mappings."""
    found = {}
    for module in map(importlib.import_module, MODULES):
        for name in module.__all__:
            of = getattr(module, name)
            if inspect.isclass(of) and dataclasses.is_dataclass(of):
                fields = [field for field in dataclasses.fields(of) if field.repr]
                if any(kind in str(field.type) for field in fields for kind in NUMBERS):
                    found[of.__name__] = of
    return found


def test_no_public_result_prints_its_numbers():
    """What dataclasses make by themselves prints whole arrays."""
    assert len(results()) > 15
    made = [name for name, of in results().items() if hasattr(of.__repr__, "__wrapped__")]
    assert not made


def test_a_result_of_thousands_of_numbers_is_a_line():
    @dataclasses.dataclass(repr=False)
    class Result(Brief):
        units: np.ndarray
        layers: dict

    printed = repr(Result(np.zeros((500, 500)), {"mixed4b": Result(np.zeros(900), {})}))
    assert printed.startswith("Result(units=float64 (500, 500), layers={'mixed4b': ")
    assert len(printed) < 200
