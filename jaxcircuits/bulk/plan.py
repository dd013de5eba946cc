"""A plan, as data: what the records of a product are of, how they are made, and in which shards.

What belongs to a shard is made together and written together. What shares a shard is decided once and kept beside the
records, so that work that is taken up again makes the same shards, and the same bytes. Shards are only ever added.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self

from jaxcircuits.errors import InputError
from jaxcircuits.files import parse_json

LARGEST_PLAN = 2**28
"""Bytes of a plan."""

MOST_UNITS = 1_000_000
"""Units of a layer, or rows of a file of directions."""


def numbers(values: Any, name: str, most: int) -> tuple[int, ...]:
    """Whole numbers from 0 to before `most`, each once.

    Raises:
      InputError: for anything else, and for none.
    """
    sound = isinstance(values, (list, tuple)) and all(type(value) is int for value in values)
    if not sound or not values or not all(0 <= value < most for value in values) or len(set(values)) < len(values):
        raise InputError(f"{name} {shortened(values)}; expected whole numbers from 0 to {most - 1}, each once")
    return tuple(values)


def text(value: Any, name: str) -> str:
    """A text; raises `InputError` for anything else."""
    if not isinstance(value, str):
        raise InputError(f"{name} {shortened(value)}; expected a text")
    return value


class Shard(Protocol):
    """What is made and written together: a frozen dataclass that checks its fields."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    records: ClassVar[str]
    """What they are called in messages."""

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of those that it is of."""
        ...


@dataclasses.dataclass(frozen=True)
class Plan:
    """What the plans of all products have. Theirs add how the records are made.

    Attributes:
      network: its name.
      weights: its identity, see `Network.identity`.
      shards: what belongs to each.
    """

    network: str
    weights: str
    shards: tuple[Shard, ...] = dataclasses.field(default=(), kw_only=True)

    SHARD: ClassVar[type]
    """The class of the shards."""

    def __post_init__(self):
        text(self.network, "network")
        text(self.weights, "weights")

    @property
    def others(self) -> Mapping[str, str]:
        """Names in the index of what is made of several shards -> what the entry says it is of; by default none."""
        return {}

    def of(self, shard: int) -> str:
        """What says in an index that an entry is that shard's: a hash of its description."""
        return hashlib.sha256(json.dumps(dataclasses.asdict(self.shards[shard])).encode()).hexdigest()[:16]

    def described(self) -> dict[str, Any]:
        """All of a plan but its shards, as data of JSON; where two plans agree in it, they make the same records."""
        fields = (field.name for field in dataclasses.fields(self) if field.name != "shards")
        # Through JSON, so that a plan that was read and one that is to be written are described alike.
        return {name: json.loads(json.dumps(getattr(self, name))) for name in fields}

    def differences(self, ours: Plan) -> list[str]:
        """Where two plans disagree on how records are made: `field: theirs THIS, ours OTHER`."""
        theirs, mine = flat(self.described()), flat(ours.described())
        return [
            f"{name}: theirs {_said(theirs.get(name))}, ours {_said(mine.get(name))}"
            for name in theirs | mine
            if theirs.get(name) != mine.get(name)
        ]

    def to_json(self) -> str:
        """The plan as JSON, one shard a line; `from_json` gives an equal one."""
        fields = [f'"{name}": {json.dumps(value)}' for name, value in self.described().items()]
        shards = ",\n".join(json.dumps(dataclasses.asdict(shard)) for shard in self.shards)
        return "{" + ",\n".join([*fields, f'"shards": [\n{shards}\n]']) + "}\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The plan that JSON describes.

        Raises:
          InputError: for text that is not a plan.
        """
        try:
            text = text if isinstance(text, str) else text.decode()
            fields = parse_json(text, "a plan", LARGEST_PLAN)
            shards = tuple(cls.SHARD(**shard) for shard in fields.pop("shards"))
            return cls(**cls.settings(fields), shards=shards)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"this is no plan of {cls.SHARD.records} ({shortened(error)})") from None

    @classmethod
    def settings(cls, fields: dict[str, Any]) -> dict[str, Any]:
        """Fields of JSON as those of the class."""
        return fields


def flat(data: Any, name: str = "") -> dict[str, Any]:
    """Nested dicts and lists as `outer.inner` -> value."""
    if not isinstance(data, (dict, list)):
        return {name: data}
    items = data.items() if isinstance(data, dict) else enumerate(data)
    found = {}
    for key, value in items:
        found |= flat(value, f"{name}.{key}" if name else str(key))
    return found


def shortened(value: Any, most: int = 120) -> str:
    """A value as one line of bounded length, for a message; of what is longer the first part."""
    said = " ".join(str(value).split())
    return said if len(said) <= most else said[:most] + "..."


def _said(value: Any) -> str:
    said = "nothing" if value is None else str(value)
    return said if len(said) <= 24 else said[:12] + "..."
