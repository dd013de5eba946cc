"""The plan of a bulk drawing, as data: who the pictures are of, how they are drawn, and in which shards.

A shard's units are drawn together and written together. Which units share a shard is decided once and kept with the
pictures, so that a drawing that is taken up again draws the same batches, and the same bytes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

from jaxcircuits.bulk.series import Series
from jaxcircuits.errors import InputError, unknown, whole
from jaxcircuits.vis import Recipe
from jaxcircuits.vis.batching import batch_width

FORMATS = ("png", "webp", "tfds")
"""What pictures are kept as: a file each, or a TensorFlow data set."""

LONGEST_NAME = 32
"""Characters of a variant's name; what would be longer is a hash."""

BATCHES = 4
"""Batches in a shard whose pictures may be finished early: their places go to the shard's other pictures."""


@dataclasses.dataclass(frozen=True)
class Shard:
    """Pictures that are drawn and written together.

    Attributes:
      folder: of the `Series` that they belong to.
      layer: its layer.
      units: channels, or rows of the directions.
      batch_size: pictures drawn at once; short batches are filled up with the last unit.
      directions: SHA-256 of the directions; empty for units.
    """

    folder: str
    layer: str
    units: tuple[int, ...]
    batch_size: int
    directions: str = ""

    @property
    def drawn(self) -> tuple[int, ...]:
        """The units of its batches, those included that fill up the last one."""
        return self.units + self.units[-1:] * (-len(self.units) % self.batch_size)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to draw and how.

    Attributes:
      network: its name.
      weights: its identity, see `Network.identity`.
      recipe: how.
      seed: of the random starts and views.
      format: `png`, `webp` or `tfds`.
      shards: in the order in which they are drawn.
    """

    network: str
    weights: str
    recipe: Recipe
    seed: int
    format: str
    shards: tuple[Shard, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "seed", whole(self.seed, "seed", 0, 2**32 - 1))
        if self.format not in FORMATS:
            raise unknown("format", self.format, FORMATS)

    def extended(self, series: Series, most: int) -> Plan:
        """The plan with the units of a series that it lacks, in further shards of one size.

        Args:
          series: what to add.
          most: pictures drawn at once.

        Raises:
          InputError: where the plan has other directions of that name.
        """
        digest = series.directions.sha256 if series.directions else ""
        known = [shard for shard in self.shards if shard.folder == series.folder]
        for shard in known:
            if shard.directions != digest:
                raise InputError(
                    f"other directions were drawn as {series.folder} (theirs {shard.directions[:12] or 'units'}, "
                    f"ours {digest[:12] or 'units'}); give the file another name, or draw into another folder"
                )
        planned = {unit for shard in known for unit in shard.units}
        lacking = [unit for unit in series.units if unit not in planned]
        if not lacking:
            return self
        width = batch_width(len(lacking), most)
        size = width * BATCHES if self.recipe.tolerance else width
        parts = [tuple(lacking[i : i + size]) for i in range(0, len(lacking), size)]
        added = tuple(Shard(series.folder, series.layer, part, width, digest) for part in parts)
        return dataclasses.replace(self, shards=self.shards + added)

    def having(self, series: Iterable[Series]) -> tuple[int, ...]:
        """Which of its shards hold units of the series."""
        wanted = {(one.folder, unit) for one in series for unit in one.units}
        return tuple(
            i for i, shard in enumerate(self.shards) if any((shard.folder, unit) in wanted for unit in shard.units)
        )

    def differences(self, ours: Plan) -> list[str]:
        """Where two plans disagree on how to draw: `field: theirs THIS, ours OTHER`."""
        theirs, mine = _flat(_described(self)), _flat(_described(ours))
        return [
            f"{name}: theirs {_short(theirs.get(name))}, ours {_short(mine.get(name))}"
            for name in theirs | mine
            if theirs.get(name) != mine.get(name)
        ]

    def variant(self, ours: Plan) -> str:
        """A short name for how another plan draws, where it differs from this one in recipe or seed alone.

        Returns:
          Such as `steps-64`, or a hash where that would be long; empty where the plans draw alike, or differ in what
          no name makes up for, such as the weights.
        """
        theirs, mine = _flat(_described(self)), _flat(_described(ours))
        differing = [name for name in theirs | mine if theirs.get(name) != mine.get(name)]
        if not differing or not all(name == "seed" or name.startswith("recipe.") for name in differing):
            return ""
        name = ".".join(f"{name.removeprefix('recipe.')}-{mine.get(name)}" for name in differing)
        if len(name) <= LONGEST_NAME and re.fullmatch(r"[\w.-]+", name):
            return name
        return hashlib.sha256(f"{ours.recipe.to_json()} {ours.seed}".encode()).hexdigest()[:8]

    def to_json(self) -> str:
        """The plan as JSON, one shard a line; `from_json` gives an equal one."""
        fields = [f'"{name}": {json.dumps(value)}' for name, value in _described(self).items()]
        shards = ",\n".join(json.dumps(dataclasses.asdict(shard)) for shard in self.shards)
        return "{" + ",\n".join([*fields, f'"shards": [\n{shards}\n]']) + "}\n"

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The plan that JSON describes.

        Raises:
          InputError: for text that is not a plan.
        """
        try:
            fields = json.loads(text)
            shards = tuple(Shard(**{**shard, "units": tuple(shard["units"])}) for shard in fields.pop("shards"))
            recipe = Recipe.from_json(json.dumps(fields.pop("recipe")))
            return cls(recipe=recipe, shards=shards, **fields)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"this is no plan of a drawing ({error})") from None


def recipe_hash(recipe: Recipe) -> str:
    """SHA-256 of a recipe's JSON."""
    return hashlib.sha256(recipe.to_json().encode()).hexdigest()


def _described(plan: Plan) -> dict[str, Any]:
    """All of a plan but its shards, as data."""
    fields = {field.name: getattr(plan, field.name) for field in dataclasses.fields(plan) if field.name != "shards"}
    return fields | {"recipe": json.loads(plan.recipe.to_json())}


def _flat(data: Any, name: str = "") -> dict[str, Any]:
    """Nested dicts and lists as `outer.inner` -> value."""
    if not isinstance(data, (dict, list)):
        return {name: data}
    items = data.items() if isinstance(data, dict) else enumerate(data)
    flat = {}
    for key, value in items:
        flat |= _flat(value, f"{name}.{key}" if name else str(key))
    return flat


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 24 else text[:12] + "..."
