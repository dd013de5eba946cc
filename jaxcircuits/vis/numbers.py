"""A recipe's numbers as data: what a program is compiled for, and what it is told each time it runs.

Steps, learning rate, betas and the strengths that transforms and parametrizations name in their `numbers` are arrays,
so that another value of them finds its program. The rest of a recipe is structure: sizes, which transforms there are
and how many choices each has, the type of the network's arithmetic. A strength of 0 is structure as well: what is
switched off is not computed.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np

from jaxcircuits.vis.parts import Part
from jaxcircuits.vis.recipe import Recipe
from jaxcircuits.vis.transforms.view import RunBounds, bounds

Numbers = Any
"""A pytree of float32 and int32 arrays."""

WHOLE = ("steps", "redirect_steps")
"""Fields that count steps; all other numbers are float32."""

ON_THE_HOST = ("tolerance",)
"""Fields that no program reads."""


@dataclasses.dataclass(frozen=True)
class Structure:
    """What of a recipe programs are compiled for: equal for recipes that differ in their numbers alone.

    Attributes:
      form: the recipe, with placeholders for its numbers.
      bounds: of its runs of geometric transforms, see `jaxcircuits.vis.transforms.view.bounds`.
    """

    form: Recipe
    bounds: tuple[RunBounds, ...]

    def recipe(self, numbers: Numbers) -> Recipe:
        """The recipe with these numbers, which may be traced."""
        return _filled(self.form, numbers)


def divided(recipe: Recipe) -> tuple[Structure, Numbers]:
    """A recipe as its structure and its numbers."""
    return Structure(_emptied(recipe), bounds(recipe.transforms, recipe.size)), _numbers(recipe)


def _free(part: Any) -> tuple[str, ...]:
    """Names of the fields that are data."""
    if isinstance(part, Recipe):
        always, others = ("steps", "learning_rate", "betas"), ("redirect_steps",)
    else:
        always, others = (), part.numbers
    return (*always, *(name for name in others if isinstance(getattr(part, name), tuple) or getattr(part, name)))


def _inner(part: Any) -> dict[str, Any]:
    """Fields that hold parts with numbers of their own: `Transform`s, `Parametrization`s, tuples of them."""
    fields = {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
    return {name: value for name, value in fields.items() if _is_part(value)}


def _is_part(value: Any) -> bool:
    values = value if isinstance(value, tuple) else (value,)
    return bool(values) and all(isinstance(one, Part) for one in values)


def _numbers(part: Any) -> Numbers:
    if isinstance(part, tuple):
        return tuple(_numbers(one) for one in part)
    own = {name: np.asarray(getattr(part, name), np.int32 if name in WHOLE else np.float32) for name in _free(part)}
    return own | {name: _numbers(value) for name, value in _inner(part).items()}


def _emptied(part: Any) -> Any:
    if isinstance(part, tuple):
        return tuple(_emptied(one) for one in part)
    values = {name: getattr(part, name) for name in _free(part)}
    places = {name: (None,) * len(value) if isinstance(value, tuple) else None for name, value in values.items()}
    unread = dict.fromkeys(ON_THE_HOST) if isinstance(part, Recipe) else {}
    return _with(part, places | unread | {name: _emptied(value) for name, value in _inner(part).items()})


def _filled(part: Any, numbers: Numbers) -> Any:
    if isinstance(part, tuple):
        return tuple(_filled(one, own) for one, own in zip(part, numbers))
    inner = _inner(part)
    return _with(part, {name: _filled(inner[name], own) if name in inner else own for name, own in numbers.items()})


def _with(part: Any, fields: dict[str, Any]) -> Any:
    """A copy with other fields, unchecked: what a part checks of its numbers cannot be checked of traced ones."""
    changed = copy.copy(part)
    for name, value in fields.items():
        object.__setattr__(changed, name, value)
    return changed
