"""What every part says when it is handed something it cannot use: one line, naming the nearest valid choice."""

from __future__ import annotations

import difflib
import math
import operator
from collections.abc import Callable, Iterable
from typing import Any


class InputError(ValueError):
    """Bad input, said in one line: the thing, what was expected, and the nearest valid choice.

    The command lines print it without a traceback and exit with code 2.
    """


def unknown(kind: str, name: object, choices: Iterable[object], where: object = "") -> InputError:
    """The error for a name that is not among `choices`.

    Args:
      kind: what the name stands for, such as "layer".
      name: what was asked for.
      choices: the valid names, in their natural order.
      where: what they belong to, such as "inceptionv1"; empty where it goes without saying.

    Returns:
      An `InputError`; it offers the three nearest names, or the first ones where none is near.
    """
    choices = [str(choice) for choice in choices]
    near = difflib.get_close_matches(str(name), choices, n=3, cutoff=0.5)
    offer = f"did you mean {' or '.join(near)}?" if near else f"there are {_abbreviated(choices)}"
    return InputError(f"unknown {kind} {str(name)!r}{f' of {where}' if where else ''}; {offer}")


def _abbreviated(names: list[str], most: int = 8) -> str:
    if not names:
        return "none"
    return ", ".join(names[:most]) + (f" ... ({len(names)} in all)" if len(names) > most else "")


def whole(value: Any, name: str, least: int, most: int | None = None) -> int:
    """A whole number, of Python, NumPy or JAX, as Python's own.

    Args:
      value: to be checked.
      name: what it is, for the message.
      least: the smallest that is valid.
      most: the largest; None for any.

    Raises:
      InputError: where it is something else, such as a fraction or a truth value.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least or (most is not None and number > most):
        range_ = f"from {least} on" if most is None else f"from {least} to {most}"
        raise InputError(f"{name} {value!r}; expected a whole number {range_}")
    return number


def real(value: Any, name: str, expected: str, valid: Callable[[float], bool]) -> float:
    """A finite number, of Python, NumPy or JAX, as Python's own.

    Args:
      value: to be checked.
      name: what it is, for the message.
      expected: what it has to be, for the message, such as "a positive number".
      valid: whether a finite number is that.

    Raises:
      InputError: where it is something else.
    """
    number = None
    if not isinstance(value, (bool, str, bytes)) and getattr(value, "shape", ()) == ():
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = None
    if number is None or not math.isfinite(number) or not valid(number):
        raise InputError(f"{name} {value!r}; expected {expected}")
    return number


def pixels(name: str, value: object, least: int = 1) -> tuple[int, int]:
    """A height and width in pixels; of one number a square.

    Args:
      name: what it is, for the message.
      value: a number, or (height, width).
      least: pixels a side.

    Raises:
      InputError: where it is something else.
    """
    try:
        sides = tuple(value) if isinstance(value, Iterable) and getattr(value, "ndim", 1) else (value, value)
        if len(sides) != 2:
            raise InputError("")
        return whole(sides[0], name, least), whole(sides[1], name, least)
    except InputError:
        raise InputError(f"{name} {value!r}; expected a number of pixels from {least} on, or (height, width)") from None
