"""The parts of a recipe by name: transforms and parametrizations, the package's and other people's.

A class is known from its definition on, so that whoever writes one has nothing to register. What a file names is only
looked up among what is known: nothing is imported for its sake.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable

from jaxcircuits.errors import InputError, shown, unknown


class Part:
    """Base of what a recipe is made of: a frozen dataclass of numbers, strings, tuples of them and other parts.

    Attributes:
      numbers: names of the fields that no shape and no branch depends on, so that another value of them recompiles
        nothing: where a program is traced they hold arrays. A number of 0 is taken to switch something off. None by
        default, so that a part of one's own may use its fields as it likes.
    """

    numbers: tuple[str, ...] = ()

    def __init_subclass__(cls, **kwargs: object):
        super().__init_subclass__(**kwargs)
        _CLASSES[part_name(cls)] = cls


_CLASSES: dict[str, type[Part]] = {}
"""`part_name` -> class; of two definitions of one name, as in a notebook, the newer."""


def part_name(cls: type) -> str:
    """What a recipe's JSON calls a class: `Jitter`, or `MODULE:CLASS` for one from outside the package."""
    own = cls.__module__.partition(".")[0] == __name__.partition(".")[0]
    return cls.__name__ if own else f"{cls.__module__}:{cls.__qualname__}"


def find_part(name: object) -> type[Part]:
    """The class of a name.

    Args:
      name: as `part_name` gave it.

    Returns:
      A dataclass that is known by now.

    Raises:
      InputError: where there is none; for one of a module that is not imported it says so.
    """
    # Bases such as Geometric are no dataclasses, and no parts by themselves.
    offered = {name: cls for name, cls in _CLASSES.items() if dataclasses.is_dataclass(cls)}
    if isinstance(name, str) and name in offered:
        return offered[name]
    name = name if isinstance(name, str) and len(name) < 200 else shown(name)
    module, colon, _ = name.partition(":")
    if colon and all(map(str.isidentifier, module.split("."))) and module not in sys.modules:
        raise InputError(f"type {name!r} of a module that is not imported; import {module} before the recipe is read")
    raise unknown("type", name, offered, "recipes")


def own_parts(base: type[Part]) -> tuple[type[Part], ...]:
    """The package's own parts of a kind, in the order of their definition."""
    known = (cls for name, cls in _CLASSES.items() if ":" not in name)
    return tuple(cls for cls in known if issubclass(cls, base) and dataclasses.is_dataclass(cls))


def check_parts(parts: Iterable[Part]) -> None:
    """Raises `InputError` for a part that a recipe cannot hold: one that is no frozen dataclass of hashable values."""
    for part in parts:
        cls = type(part).__name__
        if not dataclasses.is_dataclass(part):
            raise InputError(f"{cls} is no dataclass; write @dataclasses.dataclass(frozen=True) above it")
        try:
            hash(part)
        except TypeError as error:
            raise InputError(
                f"{cls} cannot be part of a recipe ({error}); expected a frozen dataclass of numbers, strings, tuples"
            ) from None
