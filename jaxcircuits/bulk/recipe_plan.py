"""Plans with a recipe, by which pictures are drawn."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from jaxcircuits.bulk.plan import Plan
from jaxcircuits.vis import Recipe


@dataclasses.dataclass(frozen=True)
class RecipePlan(Plan):
    """A plan of what is drawn.

    Attributes:
      recipe: how.
    """

    recipe: Recipe

    def described(self) -> dict[str, Any]:
        """See `Plan.described`."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "shards"}
        return fields | {"recipe": json.loads(self.recipe.to_json())}

    @classmethod
    def settings(cls, fields: dict[str, Any]) -> dict[str, Any]:
        """See `Plan.settings`."""
        return fields | {"recipe": Recipe.from_json(json.dumps(fields["recipe"]))}
