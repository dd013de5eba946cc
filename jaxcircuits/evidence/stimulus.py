"""A stimulus function and a grid of its parameters, checked, as one compiled drawing of many points of the grid."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import InputError, unknown

Stimulus = Callable[..., jax.Array]
"""Parameters -> a picture (H, W, channels) in [0, 1]; pure and traceable. One that transforms pictures takes a picture
(H, W, channels) first. Keywords fixed by `functools.partial` are data where they are floats or arrays: another value
compiles nothing again."""
PICTURE = "picture"
"""The axis of a grid that counts the pictures that are transformed."""


class Drawing(NamedTuple):
    """A stimulus that is ready to be drawn at many points.

    Attributes:
      name: of the function.
      fixed: the arguments that `functools.partial` fixes, and the size, by name.
      draw: (grid values by name, (N, ...) each, pictures (N, H, W, channels) or None) -> pictures (N, H, W, channels).
    """

    name: str
    fixed: Mapping[str, Any]
    draw: Callable[..., jax.Array]


def drawing(stimulus: Stimulus, names: Sequence[str], size: int | None, transforms: bool) -> Drawing:
    """Checks a stimulus.

    Args:
      stimulus: the function, or a `functools.partial` of it.
      names: of the parameters that a grid varies.
      size: of the pictures, handed to functions that have a parameter `size`, unless they fix it; None for their own.
      transforms: whether it takes a picture first.

    Raises:
      InputError: for something that cannot be called, for a parameter that it does not have, and for parameters that
        have neither a value nor a default.
    """
    function, positional, fixed = stimulus, (), {}
    while isinstance(function, functools.partial):
        positional, fixed = (*function.args, *positional), {**function.keywords, **fixed}
        function = function.func
    if not callable(function):
        raise InputError(f"stimulus {stimulus!r}; expected a function of numbers that returns a picture")
    name = getattr(function, "__name__", type(function).__name__)
    parameters = _parameters(function, name)
    takes = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
    if transforms and not takes:
        raise InputError(f"stimulus {name} takes no picture; expected a function of a picture and of numbers")
    first = takes[0] if transforms else None
    fixed = dict(zip(takes[transforms:], positional)) | fixed
    if size is not None and "size" in takes:
        fixed.setdefault("size", size)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for parameter in names:
        if parameter == first or (parameter not in takes and not open_ended):
            raise unknown("parameter", parameter, [one for one in takes if one != first], f"stimulus {name}")
        fixed.pop(parameter, None)
    given = {first, *fixed, *names}
    missing = [p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    missing = [parameter for parameter in missing if parameter not in given]
    if missing:
        raise InputError(
            f"stimulus {name} needs {' and '.join(missing)}; put it into the grid, or fix it with functools.partial"
        )
    data = {key: jnp.asarray(value, jnp.float32) for key, value in fixed.items() if _is_data(value)}
    static = {
        key: tuple(value) if isinstance(value, list) else value for key, value in fixed.items() if key not in data
    }
    for key, value in static.items():
        if not isinstance(static[key], Hashable):
            raise InputError(f"{key} of stimulus {name} is a {type(value).__name__}; expected numbers or text")
    return Drawing(name, fixed, functools.partial(_program(function, tuple(sorted(static.items()))), data))


def parameter_names(stimulus: Stimulus) -> list[str]:
    """What may be varied of a stimulus, a `functools.partial` of one or not; raises `InputError` as `drawing` does."""
    while isinstance(stimulus, functools.partial):
        stimulus = stimulus.func
    return [p.name for p in _parameters(stimulus, getattr(stimulus, "__name__", type(stimulus).__name__))]


def _parameters(function: Callable[..., Any], name: str) -> list[inspect.Parameter]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise InputError(f"stimulus {name} does not say which parameters it has; wrap it in a function") from None
    for parameter in parameters:
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
            raise InputError(f"stimulus {name} takes {parameter.name} without a name; wrap it in a function")
    return list(parameters)


def _is_data(value: Any) -> bool:
    """Whether a fixed argument is numbers that may be traced; whole numbers may decide shapes and are not."""
    if isinstance(value, (np.ndarray, jax.Array)):
        return True
    if isinstance(value, (tuple, list)):
        numbers = all(isinstance(one, (int, float)) or _is_data(one) for one in value)
        return numbers and any(_is_data(one) for one in value)
    return isinstance(value, (float, np.floating))


@functools.lru_cache(maxsize=64)
def _program(function: Stimulus, static: tuple[tuple[str, Any], ...]) -> Callable[..., jax.Array]:
    @jax.jit
    def draw(data: dict[str, jax.Array], values: dict[str, jax.Array], pictures: jax.Array | None) -> jax.Array:
        def one(values: dict[str, jax.Array], picture: jax.Array | None) -> jax.Array:
            first = () if picture is None else (picture,)
            return jnp.asarray(function(*first, **data, **dict(static), **values))

        return jax.vmap(one)(values, pictures)

    return draw
