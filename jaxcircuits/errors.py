"""What every part says when it is handed something it cannot use: one line, naming the nearest valid choice."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input, said in one line: the thing, what was expected, and the nearest valid choice.

    The command lines print it without a traceback and exit with code 2.
    """


def unknown(kind: str, name: object, choices: Iterable[object], where: str = "") -> InputError:
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
