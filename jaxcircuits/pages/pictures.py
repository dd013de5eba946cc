"""The pictures of a circuit's units: what each looks for, one batch a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jaxcircuits.circuits import Circuit, Unit
from jaxcircuits.network import Network
from jaxcircuits.vis import Recipe, channel, render

if TYPE_CHECKING:
    from jaxtyping import Float


def draw_units(
    network: Network, circuit: Circuit, recipe: Recipe | str | None = None, *, seed: int = 0, progress: bool = True
) -> dict[Unit, Float[np.ndarray, "height width channels"]]:
    """Draws what every unit of a circuit looks for.

    Cost: one compiled program and one batch a row of the circuit; the rows nearest to the image are the cheapest.

    Args:
      network: the circuit's.
      circuit: whose units.
      recipe: of the pictures, as `render` takes it.
      seed: of the random starts and views.
      progress: show a bar, where there is a terminal or notebook to show it.

    Returns:
      Unit -> float32 (H, W, channels) in [0, 1].

    Raises:
      InputError: for a unit that the network does not have.
    """
    pictures: dict[Unit, np.ndarray] = {}
    for row in circuit.rows:
        objective = channel(row[0].layer, [unit.index for unit in row])
        pictures.update(zip(row, render(network, objective, recipe, seed=seed, progress=progress).images))
    return pictures
