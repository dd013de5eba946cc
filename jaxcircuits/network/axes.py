"""Which axis of a value counts pictures, which its channels, and which are positions.

The pictures' axis is found, not assumed: the model is traced with two and with three pictures, and the axis that grows
with them counts them, alone or merged with positions (N * tokens). The channels' axis follows from the input's through
the operations: a convolution and a dense layer say where they put theirs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jaxcircuits.network.trace import Operation, Program

PICTURES = (2, 3)
"""Numbers of pictures with which models are traced to find the axis that counts them."""


@dataclasses.dataclass(frozen=True)
class Axes:
    """The axes of a value.

    Attributes:
      pictures: the axis that counts them.
      cells: how many positions are merged into it; 1 for none.
      channels: the channels' axis; None where each picture has one number at each position.
    """

    pictures: int
    cells: int
    channels: int | None

    def canonical(self, value: jax.Array) -> jax.Array:
        """The value as (N, positions ..., channels)."""
        order = [axis for axis in range(value.ndim) if axis not in (self.pictures, self.channels)]
        last = [] if self.channels is None else [self.channels]
        value = jnp.transpose(value, [self.pictures, *order, *last])
        if self.cells > 1:
            value = value.reshape(-1, self.cells, *value.shape[1:])
        return value if last else value[..., None]

    def restored(self, value: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """A canonical value in the model's own layout, of the given shape."""
        if self.channels is None:
            value = value[..., 0]
        if self.cells > 1:
            value = value.reshape(-1, *value.shape[2:])
        order = [axis for axis in range(len(shape)) if axis not in (self.pictures, self.channels)]
        where = [self.pictures, *order, *([] if self.channels is None else [self.channels])]
        back = [where.index(axis) for axis in range(len(shape))]
        return jnp.transpose(value, back).reshape(shape)

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The canonical shape of a value of that shape, without the axis of pictures."""
        return tuple(jax.eval_shape(self.canonical, jax.ShapeDtypeStruct(shape, jnp.float32)).shape[1:])

    def positions(self, rank: int) -> tuple[int, ...]:
        """The axes of positions, in their order; empty where they are merged with the pictures'."""
        return tuple(axis for axis in range(rank) if axis not in (self.pictures, self.channels))


def find_axes(two: Program, three: Program, channels: int) -> dict[int, Axes]:
    """The axes of every value that depends on the picture and has an axis of pictures.

    Args:
      two, three: the model traced with two and with three pictures.
      channels: the input's axis of channels.
    """
    if len(two.avals) != len(three.avals):
        return {}
    at = _channel_axes(two, channels)
    axes = {}
    for value in two.of_image:
        shape = two.avals[value].shape
        pictures = _pictures_axis(shape, three.avals[value].shape)
        if pictures is not None:
            channel = at.get(value, len(shape) - 1)
            axes[value] = Axes(*pictures, None if len(shape) == 1 or channel == pictures[0] else channel)
    return axes


def _pictures_axis(two: tuple[int, ...], three: tuple[int, ...]) -> tuple[int, int] | None:
    """The axis that counts pictures, and how many cells are merged into it; None where there is no such axis."""
    if len(two) != len(three):
        return None
    grown = [axis for axis, (a, b) in enumerate(zip(two, three)) if a != b]
    if len(grown) != 1:
        return None
    a, b = two[grown[0]], three[grown[0]]
    first, second = PICTURES
    return (grown[0], a // first) if a % first == 0 and a * second == b * first else None


def _channel_axes(program: Program, channels: int) -> dict[int, int]:
    at = {value: len(program.avals[value].shape) - 1 for value in program.pictured} | {program.image: channels}
    for operation in program.flat:
        pictured = [value for value in operation.reads if value in program.of_image]
        if pictured:
            for output in operation.outputs:
                at[output] = _channel_axis(program, operation, output, pictured, at)
    return at


def _channel_axis(program: Program, operation: Operation, output: int, pictured: list[int], at: dict[int, int]) -> int:
    shape, rank = program.avals[output].shape, len(program.avals[output].shape)
    source = max(pictured, key=lambda value: len(program.avals[value].shape))
    before, channel = program.avals[source].shape, at[source]
    params, last = operation.params, rank - 1
    match operation.name:
        case "conv_general_dilated":
            return params["dimension_numbers"].out_spec[1]
        case "dot_general" if len(pictured) > 1:
            return _of_product(program, operation, at)
        case "dot_general":
            stays = _beside_product(program, operation, source, channel)
            if stays is not None:
                return stays
            return last if operation.inputs[0] in pictured else _of_weights_first(program, operation)
        case "transpose":
            return params["permutation"].index(channel)
        case "broadcast_in_dim":
            places = params["broadcast_dimensions"]
            return int(places[channel]) if channel < len(places) else last
        case "reshape":
            return _reshaped(before, channel, shape)
        case "squeeze" | "reduce_sum" | "reduce_max" | "reduce_min" | "reduce_prod" | "argmax":
            gone = params["dimensions"] if operation.name == "squeeze" else params["axes"]
            return last if channel in gone else channel - sum(axis < channel for axis in gone)
    return channel if len(before) == rank else last


def _beside_product(program: Program, operation: Operation, source: int, channel: int) -> int | None:
    """Where the channels' axis is after a product that sums over positions alone, as a resize; None for any other."""
    contracted, batch = operation.params["dimension_numbers"]
    side = 0 if operation.inputs[0] == source else 1
    if channel in contracted[side]:
        return None
    if channel in batch[side]:
        return batch[side].index(channel)
    rank = len(program.avals[source].shape)
    free = [axis for axis in range(rank) if axis not in (*contracted[side], *batch[side])]
    own = len(program.avals[operation.outputs[0]].shape) - len(batch[0]) - len(free)
    return len(batch[0]) + (own if side else 0) + free.index(channel)


def _of_weights_first(program: Program, operation: Operation) -> int:
    """The channels' axis of weights times activation: the weights' last own axis."""
    (contracted, _), (batch, _) = operation.params["dimension_numbers"]
    weights = operation.inputs[0]
    rank = len(weights.aval.shape if not isinstance(weights, int) else program.avals[weights].shape)
    return max(rank - len(contracted) - 1, len(batch))


def _of_product(program: Program, operation: Operation, at: Mapping[int, int]) -> int:
    """The channels' axis of a product of activations: that of the factor whose channels are not summed over.

    Where attention weighs values it is the values' own; its pattern has the last axis, the tokens looked at.
    """
    contracted, batch = operation.params["dimension_numbers"]
    ranks = [len(program.avals[value].shape) for value in operation.inputs]
    free = [
        [axis for axis in range(rank) if axis not in contracted[side] and axis not in batch[side]]
        for side, rank in enumerate(ranks)
    ]
    for side, value in enumerate(operation.inputs):
        other = operation.inputs[1 - side]
        if at[value] in free[side] and at[other] in contracted[1 - side]:
            ahead = len(batch[0]) + (len(free[0]) if side else 0)
            return ahead + free[side].index(at[value])
    return len(program.avals[operation.outputs[0]].shape) - 1


def _reshaped(before: tuple[int, ...], channel: int, after: tuple[int, ...]) -> int:
    """Where the channels' axis goes: to the axis with the same cells before and behind it, or into the one it joins."""
    ahead, behind = math.prod(before[:channel]), math.prod(before[channel + 1 :])
    for axis, size in enumerate(after):
        if size == before[channel] and math.prod(after[:axis]) == ahead:
            return axis
    for axis in range(len(after)):  # merged with axes around it, or split: its innermost part
        if math.prod(after[axis + 1 :]) <= behind:
            return axis
    return len(after) - 1
