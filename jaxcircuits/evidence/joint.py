"""Joint tuning: who in a family takes over when the examples of one of its units are turned.

The fourth of Zoom In's arguments (Olah et al., Distill 2020), as in Curve Detectors (Cammarata et al., Distill 2020).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jax.typing import ArrayLike

from jaxcircuits.brief import Brief
from jaxcircuits.errors import InputError
from jaxcircuits.evidence.centered import strongest_centered
from jaxcircuits.evidence.examples import Examples
from jaxcircuits.evidence.poses import ANGLES, turned
from jaxcircuits.evidence.stimulus import Stimulus
from jaxcircuits.evidence.tuning import tuning
from jaxcircuits.images import Pictures
from jaxcircuits.network import Network
from jaxcircuits.network.units import Unit, family

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class JointTuning(Brief):
    """Responses of a family to its units' examples, transformed.

    Attributes:
      layer: of the family.
      units: (n,), their numbers.
      values: (v, ...), of the transform, such as angles in radians.
      answers: float64 (n, n, count, v): of unit i, to the examples of unit j, example by example, transformed by each
        value; as a part of unit i's mean answer to its own examples as they are, so that strong and weak units compare.
    """

    layer: str
    units: Int[np.ndarray, " units"]
    values: Float[np.ndarray, "values ..."]
    answers: Float[np.ndarray, "units units count values"]

    @property
    def strongest(self) -> Int[np.ndarray, "units count values"]:
        """Who answers most: int (n, count, v), places in `units`, for the examples of each unit."""
        return self.answers.argmax(0)


def joint_tuning(
    network: Network,
    units: Sequence[str | Unit],
    examples: Examples,
    pictures: Pictures,
    transform: Stimulus = turned,
    parameter: str = "angle",
    values: ArrayLike = ANGLES,
    *,
    count: int = 4,
    size: int | None = None,
    progress: bool = True,
) -> JointTuning:
    """Transforms the strongest examples of a family's units and measures all of the family's responses, in one pass.

    Args:
      network: whose units.
      units: the family, of one layer.
      examples: of that layer.
      pictures: those that were shown.
      transform: of `evidence.poses` or one's own, a function of a picture and `parameter`.
      parameter: what is varied.
      values: of it, (v, ...); the first one leaves pictures as they are.
      count: examples of each unit.
      size: of the transformed pictures in pixels; by default the network's native size.
      progress: show a bar.

    Returns:
      The `JointTuning`.

    Raises:
      InputError: for unknown units, examples that are too few or of other pictures, and units that do not answer their
        own examples in the middle of a picture.
    """
    layer, numbers = family(network, units)
    values = np.asarray(values, np.float64)
    size = size if size is not None else min(network.convention.size)
    squares = strongest_centered(network, examples, pictures, layer, numbers, count, int(np.ceil(size * np.sqrt(2))))
    squares = squares.reshape(-1, *squares.shape[2:])
    options = {"pictures": squares, "place": "center", "size": size, "progress": progress}
    answers = tuning(network, transform, {parameter: values}, layer, **options)[layer][numbers]
    answers = np.maximum(answers, 0).reshape(len(numbers), len(numbers), count, len(values)).astype(np.float64)
    own = answers[np.arange(len(numbers)), np.arange(len(numbers)), :, 0].mean(1)
    if not (own > 0).all():
        silent = f"{layer}:{numbers[own.argmin()]}"
        raise InputError(f"{silent} answers none of its examples in the middle of a picture of {size} pixels")
    return JointTuning(layer, numbers, values, answers / own[:, None, None, None])
