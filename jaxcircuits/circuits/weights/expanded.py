"""Expanded weights: what a unit makes of a layer several layers before it.

Voss et al., Visualizing Weights (Distill 2021): the gradient of a unit's cell with respect to an earlier layer's
activation, in the linearized network or at a picture.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.network import Forward, Network
from jaxcircuits.network.graph import INPUT
from jaxcircuits.network.units import before_activation, channels, check_units, has_positions
from jaxcircuits.network.windows import Window, interior, windows

if TYPE_CHECKING:
    from jaxtyping import Float, Integer

CHUNK_BYTES = 2**30
"""Activations and their gradients that are held at once."""
LARGEST_RESULT = 2**33
"""Bytes of the largest array that is made."""


def expanded_weights(
    network: Network,
    source_layer: str,
    target_layer: str,
    units: Sequence[int] | Integer[np.ndarray, " units"] | None = None,
    *,
    at: Float[np.ndarray | jax.Array, "*pictures height width channels"] | None = None,
    position: tuple[int, int] | None = None,
) -> Float[np.ndarray, "units h w sources"]:
    """Gradients of units, before their ReLU, with respect to an earlier layer's activation.

    Without a picture they are those of the linearized network, the same at every cell away from the borders, and
    equal `direct_weights` between directly connected layers. At a picture they are those of the network as it is: of
    each unit's cell where it is most active, or of the cell at `position`.

    What one cell of the target reads is the window that is returned, its receptive field in the source layer; at a
    picture the part of it beyond the border is zero. Behind a transposed convolution or an interpolation neighboring
    cells read differently: the window is as large as the largest, begins where each cell's own does, and without a
    picture is that of the first such cell that feels no border. Where the window is everything (behind a mean or
    attention; targets without positions) the source's whole map is returned, in place; in the linearized network that
    of the middle cell of a picture of native size.

    Args:
      network: any.
      source_layer: a layer, or `input`, the network's input in its own value range.
      target_layer: a layer computed from it, before or after its ReLU.
      units: of the target; None for all.
      at: a picture (H, W, channels), or pictures (N, H, W, channels) over which the gradients are averaged.
      position: row and column in the target's map; by default where each unit is most active.

    Returns:
      float32 (units, h, w, source channels), in cells of the source layer.

    Raises:
      InputError: for unknown layers, units and positions, a target that is not computed from the source, one that is
        no linear map of it in the linearized network (attention and other products of activations: give a picture),
        and results beyond 8 GiB.
    """
    return gradients_to(network, source_layer, target_layer, units, at=at, position=position)


def gradients_to(
    network: Network,
    source_layer: str,
    target_layer: str,
    units: Sequence[int] | np.ndarray | None = None,
    *,
    at: np.ndarray | jax.Array | None = None,
    position: tuple[int, int] | None = None,
    fixed: tuple[str, ...] = (),
) -> np.ndarray:
    """As `expanded_weights`, by the ways that pass none of some layers.

    Args:
      network, source_layer, target_layer, units, at, position: see `expanded_weights`.
      fixed: layers whose activation is held as it is.

    Returns:
      As `expanded_weights`.

    Raises:
      InputError: as `expanded_weights`.
    """
    channels(network, source_layer)  # says so where the layer is unknown
    units = check_units(network, target_layer, units)
    # In a linearized network an activation function is none; behind it lies what ablation has put in its place.
    edited = at is None and network.forward.patches
    target = target_layer if edited else before_activation(network, target_layer)
    cell: tuple[int, ...] | None = position
    if at is None:
        network, at, cell = _linearized(network, source_layer, target, position)
    at = np.asarray(at)
    pictures = network.check_pictures(at[None] if at.ndim == 3 else at)
    shown_at = (pictures.shape[1], pictures.shape[2])
    read = _windows(network, source_layer, target, shown_at)
    shapes = _shapes(network, shown_at, source_layer, target)
    if len(pictures) > 1 and not read and cell is None and len(shapes[target]) > 1:
        raise InputError(f"{target} has no windows in {source_layer}; state the position at which pictures average")

    # A cell reads a rectangle; whole maps are read from their first cell.
    size = tuple(axis.size for axis in read) if read else None
    whole = shapes[source_layer]
    result = _empty((len(units), *size, whole[-1]) if size else (len(units), *whole))
    chunk = int(np.clip(CHUNK_BYTES // (4 * sum(map(np.prod, shapes.values()))), 1, len(units)))
    gradients = _gradients(network.forward, source_layer, target, size, fixed)
    for picture in pictures[:, None]:
        cells = _cells(network, target, shapes[target][:-1], units, picture, cell)
        corners = np.stack([axis.first(cells[:, i]) for i, axis in enumerate(read)], -1) if read else 0 * cells
        for start in range(0, len(units), chunk):
            # The last chunk is filled up, so that one program serves them all.
            rows = np.minimum(np.arange(start, start + chunk), len(units) - 1)
            values = gradients(network.params, picture, units[rows], cells[rows], corners[rows])
            part = result[start : start + chunk]
            part += np.asarray(values)[: len(part)] / len(pictures)
    return result


def _linearized(
    network: Network, source: str, target: str, position: tuple[int, ...] | None
) -> tuple[Network, np.ndarray, tuple[int, ...] | None]:
    """The linearized network, a picture whose size lets a cell feel no border, and that cell.

    The gradient depends on the picture's size alone.
    """
    if position is not None:
        raise InputError("position is for pictures, given with at=; without them weights are alike everywhere")
    bend = network.forward.not_linear(network.params, source, target)
    if bend is not None:
        advice = f"take the logits, {network.logits}, or give" if network.graph.is_softmax(target) else "give"
        where = f" through {bend}" if bend != target else ""
        raise InputError(f"{target} is not linear in {source}{where}; {advice} pictures with at=")
    network, size = network.linearized(), network.convention.size
    if has_positions(network, target):
        if _windows(network, source, target, size):
            size, position = interior(network, source, target)
        else:
            position = tuple(n // 2 for n in network.layers[target].shape[:-1])
    elif len(network.layers[target].shape) > 1:
        position = tuple(n // 2 for n in network.layers[target].shape[:-1])
    return network, np.zeros((1, *size, network.convention.channels), np.float32), position


def _windows(network: Network, source: str, target: str, size: tuple[int, int]) -> list[Window] | None:
    """What a cell of the target reads along either axis; None where that is not known or is the whole map."""
    linear = network.forward.linear
    return windows(network, source, target, size, linear=linear) if has_positions(network, source) else None


def _empty(shape: tuple[int, ...]) -> np.ndarray:
    size = 4 * math.prod(shape)
    if size > LARGEST_RESULT:
        raise InputError(f"weights of shape {shape} take {size / 2**30:.0f} GiB; ask for fewer units")
    return np.zeros(shape, np.float32)


@functools.lru_cache(maxsize=64)
def _gradients(forward: Forward, source: str, target: str, size: tuple[int, int] | None, fixed: tuple[str, ...]):
    """The compiled program: units, their cells and their windows' first cells -> gradients, cut to the windows."""

    @jax.jit
    def run(params, picture, units, cells, corners):
        x = forward.convention(picture)
        held = forward.run(params, x, [source, *fixed])
        activation = held.pop(source)
        answer, pull = jax.vjp(
            lambda value: forward.run(params, x, [target], {**held, source: value})[target][0], activation
        )

        def gradient(unit, cell, corner):
            at_cell = jnp.zeros_like(answer).at[(*cell, unit)].set(1)
            (whole,) = pull(at_cell)
            return whole[0] if size is None else _cut(whole[0], corner, size)

        return jax.vmap(gradient)(units, cells, corners)

    def precise(*arguments):
        with jax.default_matmul_precision("highest"):
            return run(*arguments)

    return precise


def _cut(values: jax.Array, corner: jax.Array, size: tuple[int, int]) -> jax.Array:
    """The rectangle of `size` cells that begins at `corner`; zero beyond the border."""
    for axis in (0, 1):
        index = corner[axis] + jnp.arange(size[axis])
        beyond = values.shape[axis]
        # A negative index would count from the end.
        index = jnp.where(index < 0, beyond, index)
        values = jnp.take(values, index, axis, mode="fill", fill_value=0)
    return values


def _cells(
    network: Network,
    target: str,
    positions: tuple[int, ...],
    units: np.ndarray,
    picture: jax.Array,
    position: tuple[int, ...] | None,
) -> np.ndarray:
    """Each unit's cell in the target's map, (units, 2), or (units, 0) for targets without positions."""
    if position is not None:
        if len(position) != len(positions) or not all(0 <= cell < n for cell, n in zip(position, positions)):
            raise InputError(f"position {tuple(position)} of {target}, whose map here is {positions}")
        return np.tile(position, (len(units), 1))
    if not positions:
        return np.zeros((len(units), 0), int)
    answers = np.asarray(network.activations(picture, target)[target][0])[..., units]
    return np.stack(np.unravel_index(answers.reshape(-1, len(units)).argmax(0), positions), -1)


def _shapes(network: Network, size: tuple[int, int], source: str, target: str) -> dict[str, tuple[int, ...]]:
    """Shapes of all activations from the source to the target, and of the input."""
    names = list(network.layers)
    first, last = 0 if source == INPUT else names.index(source), names.index(target)
    between = names[min(first, last) : max(first, last) + 1]
    return {INPUT: (*size, network.convention.channels), **network.shapes(size, between)}
