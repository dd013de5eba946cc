"""What every part says when it is handed something it cannot use: one line, naming the nearest valid choice."""

from __future__ import annotations

import difflib
import math
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, overload

MOST = 2**31 - 1
"""The largest whole number where no other bound is named: that of an int32."""

LARGEST = 1e30
"""Of other numbers: within the range of float32, with room for sums."""

MOST_PIXELS = 2**14
"""A side of a picture: no device draws more at once."""

LONGEST = 2000
"""Characters of a message."""


class InputError(ValueError):
    """Bad input, said in one line: the thing, what was expected, and the nearest valid choice.

    The command lines print it without a traceback and exit with code 2. Of a message that repeats something endless
    the middle is left out.
    """

    def __init__(self, message: str):
        super().__init__(
            message if len(message) <= LONGEST else f"{message[: LONGEST // 2]} ... {message[-LONGEST // 2 :]}"
        )


def shown(value: object, longest: int = 80) -> str:
    """A bad value for a message: its `repr`, of a long one the beginning."""
    try:
        text = repr(value[: 2 * longest] if isinstance(value, (str, bytes)) else value)
    except ValueError:  # Python does not write out integers of thousands of digits
        text = f"a {type(value).__name__} of thousands of digits"
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def unknown(
    kind: str, name: object, choices: Iterable[object], where: object = "", listed: Iterable[object] | None = None
) -> InputError:
    """The error for a name that is not among `choices`.

    Args:
      kind: what the name stands for, such as "layer".
      name: what was asked for.
      choices: the valid names, in their natural order.
      where: what they belong to, such as "inceptionv1"; empty where it goes without saying.
      listed: what to list where no name is near, if some things have several names; by default the choices.

    Returns:
      An `InputError`; it offers the three nearest names, or the first ones where none is near.
    """
    choices = [str(choice) for choice in choices]
    # Of a name, not of a book: finding near ones takes time.
    name = str(name)
    near = difflib.get_close_matches(name, choices, n=3, cutoff=0.5) if len(name) <= LONGEST // 4 else []
    there = choices if listed is None else [str(choice) for choice in listed]
    offer = f"did you mean {' or '.join(near)}?" if near else f"there are {_abbreviated(there)}"
    return InputError(f"unknown {kind} {shown(name, 200)}{f' of {where}' if where else ''}; {offer}")


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
      most: the largest; None for any that an int32 holds.

    Raises:
      InputError: where it is something else, such as a fraction or a truth value.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is not None and most is None and number > MOST:
        raise InputError(f"{name} {shown(value)}; expected at most {MOST:,}")
    if number is None or number < least or (most is not None and number > most):
        range_ = f"from {least} on" if most is None else f"from {least} to {most}"
        raise InputError(f"{name} {shown(value)}; expected a whole number {range_}")
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
        except (TypeError, ValueError, OverflowError):
            number = None
    if number is not None and abs(number) > LARGEST and math.isfinite(number):
        raise InputError(f"{name} {shown(value)}; expected {expected}, at most {LARGEST:g}")
    if number is None or not math.isfinite(number) or not valid(number):
        raise InputError(f"{name} {shown(value)}; expected {expected}")
    return number


def pixels(name: str, value: object, least: int = 1, most: int = MOST_PIXELS) -> tuple[int, int]:
    """A height and width in pixels; of one number a square.

    Args:
      name: what it is, for the message.
      value: a number, or (height, width).
      least: pixels a side.
      most: pixels a side.

    Raises:
      InputError: where it is something else.
    """
    try:
        if isinstance(value, (str, bytes, dict)):
            raise InputError("")
        sides = tuple(value) if isinstance(value, Iterable) and getattr(value, "ndim", 1) else (value, value)
        if len(sides) != 2:
            raise InputError("")
        return whole(sides[0], name, least, most), whole(sides[1], name, least, most)
    except InputError:
        range_ = f"from {least} to {most}" if _exceeds(value, most) else f"from {least} on"
        expected = f"expected a number of pixels {range_}, or (height, width)"
        raise InputError(f"{name} {shown(value)}; {expected}") from None


class Sides:
    """A field of a dataclass that is a height and a width in pixels: set to one number for a square, read as both.

    Args:
      name: what it is, for messages; what it is set to is checked, see `pixels`.
      default: of the field.
      least: pixels a side.
    """

    def __init__(self, name: str, default: int, least: int = 1):
        self._name, self._default, self._least = name, default, least

    def __set_name__(self, owner: type, field: str) -> None:
        self._field = field

    @overload
    def __get__(self, instance: None, owner: type) -> int: ...
    @overload
    def __get__(self, instance: object, owner: type) -> tuple[int, int]: ...
    def __get__(self, instance: object | None, owner: type) -> int | tuple[int, int]:
        return self._default if instance is None else vars(instance)[self._field]

    def __set__(self, instance: object, value: int | Sequence[int]) -> None:
        vars(instance)[self._field] = pixels(self._name, value, self._least)


def _exceeds(value: object, most: int) -> bool:
    """Whether one of two sides, or one for both, is a number above `most`."""
    sides = value if isinstance(value, (tuple, list)) else (value,)
    return any(isinstance(side, int) and side > most for side in sides)
