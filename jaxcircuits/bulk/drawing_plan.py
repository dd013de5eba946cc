"""The plan of drawings: who the pictures are of, how they are drawn, and which are drawn together."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterable
from typing import ClassVar

from jaxcircuits.bulk.plan import MOST_UNITS, flat, numbers, text
from jaxcircuits.bulk.recipe_plan import RecipePlan
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

LARGEST_BATCH = 2**16
"""Pictures that are drawn at once, at most."""


@dataclasses.dataclass(frozen=True)
class DrawingShard:
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

    records: ClassVar[str] = "a drawing"

    def __post_init__(self):
        object.__setattr__(self, "units", numbers(self.units, "units", MOST_UNITS))
        whole(self.batch_size, "batch_size", 1, LARGEST_BATCH)
        for name in ("folder", "layer", "directions"):
            text(getattr(self, name), name)

    @property
    def layers(self) -> tuple[str, ...]:
        """Its layer."""
        return (self.layer,)

    @property
    def drawn(self) -> tuple[int, ...]:
        """The units of its batches, those included that fill up the last one."""
        return self.units + self.units[-1:] * (-len(self.units) % self.batch_size)


@dataclasses.dataclass(frozen=True)
class DrawingPlan(RecipePlan):
    """What to draw and how.

    Attributes:
      seed: of the random starts and views.
      format: `png`, `webp` or `tfds`.
      shards: in the order in which they are drawn.
    """

    seed: int
    format: str
    shards: tuple[DrawingShard, ...] = dataclasses.field(default=(), kw_only=True)

    SHARD = DrawingShard

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "seed", whole(self.seed, "seed", 0, 2**32 - 1))
        if self.format not in FORMATS:
            raise unknown("format", self.format, FORMATS)

    def extended(self, series: Series, most: int) -> DrawingPlan:
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
        added = tuple(DrawingShard(series.folder, series.layer, part, width, digest) for part in parts)
        return dataclasses.replace(self, shards=self.shards + added)

    def having(self, series: Iterable[Series]) -> tuple[int, ...]:
        """Which of its shards hold units of the series."""
        wanted = {(one.folder, unit) for one in series for unit in one.units}
        return tuple(
            i for i, shard in enumerate(self.shards) if any((shard.folder, unit) in wanted for unit in shard.units)
        )

    def variant(self, ours: DrawingPlan) -> str:
        """A short name for how another plan draws, where it differs from this one in recipe or seed alone.

        Returns:
          Such as `steps-64`, or a hash where that would be long; empty where the plans draw alike, or differ in what
          no name makes up for, such as the weights.
        """
        theirs, mine = flat(self.described()), flat(ours.described())
        differing = [name for name in theirs | mine if theirs.get(name) != mine.get(name)]
        if not differing or not all(name == "seed" or name.startswith("recipe.") for name in differing):
            return ""
        name = ".".join(f"{name.removeprefix('recipe.')}-{mine.get(name)}" for name in differing)
        if len(name) <= LONGEST_NAME and re.fullmatch(r"[\w.-]+", name):
            return name
        return hashlib.sha256(f"{ours.recipe.to_json()} {ours.seed}".encode()).hexdigest()[:8]


def recipe_hash(recipe: Recipe) -> str:
    """SHA-256 of a recipe's JSON."""
    return hashlib.sha256(recipe.to_json().encode()).hexdigest()
