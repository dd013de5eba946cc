"""Where in a layer an objective looks: rows and columns of maps, and of the grids that tokens make."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.network.tokens import Grid
from jaxcircuits.network.tokens import grid as token_grid
from jaxcircuits.vis.objectives.arguments import row_of, whole_numbers
from jaxcircuits.vis.objectives.seen import Rows, Seen
from jaxcircuits.vis.recipe import Recipe


def seen_shape(layer: str, network: Network, recipe: Recipe) -> tuple[int, ...]:
    """Shape of a layer's activation under the recipe's views."""
    network.layer(layer)
    return network.shapes(recipe.view_size, (layer,))[layer]


def at_position(seen: Seen, layer: str, position: Rows | None) -> jax.Array:
    """float32 (channels,) at a position, or at the center: of even sizes the lower right of the middle four."""
    activation, grid = seen.activations[layer], seen.grids.get(layer)
    if activation.ndim == 2:
        return activation[_token(len(activation), grid, position)].astype(jnp.float32)
    height, width = activation.shape[:2]
    row, column = (height // 2, width // 2) if position is None else position
    return activation[row, column].astype(jnp.float32)


def _token(tokens: int, grid: Grid | None, position: Rows | None) -> jax.Array | int:
    """The token at a position: its number, or row and column of the grid of patches."""
    if position is not None and len(position) == 1:
        return position[0]
    if grid is not None:
        return grid.token(*((grid.rows // 2, grid.columns // 2) if position is None else position))
    if position is not None:
        raise InputError(f"row and column of {tokens} tokens whose grid is not known; expected `Seen` with grids")
    return tokens // 2


def check_position(layer: str, position: np.ndarray | None, network: Network, recipe: Recipe) -> None:
    """Raises `InputError` where a layer has no such positions under the recipe's views."""
    view = recipe.view_size
    shape = seen_shape(layer, network, recipe)
    if len(shape) not in (2, 3):
        raise InputError(f"neuron wants a layer with positions; {layer} has none: use channel or direction")
    positions = np.zeros((0, 2)) if position is None else position
    if positions.shape[1] == 1:
        if len(shape) == 3:
            raise InputError(
                f"position {positions[0, 0]} of {layer}, whose map is {shape[:2]}; expected row and column"
            )
        if not (positions.min() >= 0 and positions.max() < shape[0]):
            raise InputError(f"position {positions.max()} of {layer}, which has {shape[0]} tokens")
        return
    rows, columns = shape[:2]
    if len(shape) == 2 and len(positions):
        grid = token_grid(network.forward, network.params, layer, view)
        if grid is None:
            raise InputError(
                f"position {tuple(positions[0])} of {layer}, whose {rows} tokens are no map's: give a number"
            )
        rows, columns = grid.rows, grid.columns
    for row, column in positions.tolist():
        if not (0 <= row < rows and 0 <= column < columns):
            raise InputError(
                f"position ({row}, {column}) of {layer}, which has {rows} rows and {columns} columns "
                f"where the network sees {view[0]}x{view[1]} px"
            )


def place_of(position: np.ndarray | None, i: int) -> str:
    """A picture's position as text."""
    return "center" if position is None else ",".join(map(str, np.ravel(row_of(position, i))))


def position_rows(position) -> np.ndarray | None:
    """Positions as int32 rows, (N, 2), or (N, 1) of tokens by number; None for the center."""
    if position is None:
        return None
    tokens = np.ndim(position) == 0 or (np.ndim(position) == 2 and np.shape(position)[1] == 1)
    return whole_numbers("position", position, 1 if tokens else 2)
