"""JSON from others: bounded as text, plain as data, and of a stated schema before anything is made of it."""

from __future__ import annotations

import functools
import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

from jaxcircuits.errors import InputError

if TYPE_CHECKING:
    from typing_extensions import TypeForm

Schema = TypeVar("Schema")

DEPTH = 32
"""Most lists and objects in each other."""

DIGITS = 64
"""Most characters of a whole number that is kept as one; of longer ones the nearest float counts."""

LONGEST_NUMBER = 1000
"""Most characters of a number; those of any float64 are 24."""

_TOKENS = re.compile(r'"(?:[^"\\]+|\\.)*"?|[\[\]{}]', re.DOTALL)
"""Strings, closed or not, and brackets outside of them; each character is looked at once."""


def parse_json(text: str, what: str, most: int, finite: bool = True) -> Any:
    """Plain data of JSON text: dicts, lists, strings, finite numbers, truth values, None.

    Args:
      text: the JSON.
      what: it is expected to be, for messages, such as "a recipe".
      most: characters of such a text.
      finite: refuse numbers that are not; else they are handed on, to be named by the place where they stand.

    Raises:
      InputError: for text that is longer or no JSON, for a name twice in an object, for numbers that are not finite or
        absurdly long, and for absurdly deep nesting.
    """
    if len(text) > most:
        raise InputError(f"{len(text):,} characters; expected {what} of at most {most:,}")
    if _depth(text) > DEPTH:
        raise InputError(f"more than {DEPTH} lists and objects in each other; expected {what}")

    def number(digits: str, whole: bool) -> int | float:
        if len(digits) > LONGEST_NUMBER:
            raise InputError(f"a number of {len(digits):,} characters; expected {what}")
        value = int(digits) if whole and len(digits) <= DIGITS else float(digits)
        if finite and not abs(value) < float("inf"):
            raise InputError(f"number {digits[:20]}... is out of all bounds; expected {what}")
        return value

    def constant(name: str) -> float:
        if finite:
            raise InputError(f"{name} is no number of JSON; expected {what}")
        return float(name)

    def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
            raise InputError(f"{twice[:60]!r} is there twice in one object; expected {what}")
        return made

    hooks = {
        "parse_int": functools.partial(number, whole=True),
        "parse_float": functools.partial(number, whole=False),
        "parse_constant": constant,
    }
    try:
        return json.loads(text, object_pairs_hook=object_of, **hooks)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {str(error).splitlines()[0]}; expected {what}") from None


def conforming(data: Any, schema: TypeForm[Schema], what: str) -> Schema:
    """Plain data as a dataclass, or another type that msgspec knows; its types and bounds are checked.

    Args:
      data: from `parse_json`.
      schema: a type whose annotations say what is allowed; `Annotated[int, msgspec.Meta(ge=1)]` bounds a number.
      what: it is, for messages.

    Raises:
      InputError: where the data is something else; it says where.
    """
    import msgspec

    try:
        return msgspec.convert(data, schema)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # the latter for names that are no text
        raise InputError(f"{what}: {error}") from None


def _depth(text: str) -> int:
    depth = deepest = 0
    for token in _TOKENS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        deepest = max(deepest, depth)
    return deepest
