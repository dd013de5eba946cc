"""Why a drawing is not finite: the first of the likely causes that is found."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.network import Network
from jaxcircuits.vis.objectives import Objective
from jaxcircuits.vis.recipe import Recipe


def likely_cause(network: Network, objective: Objective, recipe: Recipe, step: int) -> str:
    """What made a picture's score or gradient infinite or not a number, in a clause.

    Args:
      network: whose unit was drawn.
      objective: what for.
      recipe: how.
      step: from which on the score was not finite.
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(network.params):
        if jnp.issubdtype(leaf.dtype, jnp.inexact) and not bool(jnp.isfinite(leaf).all()):
            return f"the weights of {network.name} are not finite at {jax.tree_util.keystr(path)}"
    height, width = recipe.view_size
    shapes = network.shapes(recipe.view_size, objective.layers)
    for layer, shape in shapes.items():
        if 0 in shape:
            return f"{layer} has no positions left where the network sees {height}x{width} px: draw larger pictures"
    gray = np.full((1, height, width, network.convention.channels), 0.5, np.float32)
    for layer, answer in network.activations(gray, objective.layers).items():
        if not bool(jnp.isfinite(answer).all()):
            return f"{layer} of {network.name} is not finite for a plain gray picture: see its InputConvention"
    if step <= 1:
        return (
            "its value or gradient is not finite at the start, as the gradient of a norm of 0 is: "
            "add a small number under the root"
        )
    smaller = f"a learning_rate below {recipe.learning_rate:g}"
    return f"the steps may be too long: try {smaller}" + (" or float32" if recipe.dtype != "float32" else "")
