"""How an objective prints: by what its pictures are drawn for, whatever arrays it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax

if TYPE_CHECKING:
    from jaxcircuits.vis.objectives.base import Objective

MOST = 3
"""Labels that are shown."""


def printed(objective: Objective) -> str:
    """An objective in a line, such as `Objective(16 pictures: mixed4b:0, mixed4b:1, mixed4b:2 ...)`."""
    try:
        labels = [objective.label(i) for i in range(min(objective.count, MOST))]
    except (TypeError, ValueError, jax.errors.JAXTypeError):  # of shapes, or while it is traced
        return f"{type(objective).__name__}(...)"
    several = f"{objective.count} pictures: " if objective.count > 1 else ""
    return f"Objective({several}{', '.join(labels)}{' ...' if objective.count > MOST else ''})"
