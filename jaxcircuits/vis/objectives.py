"""What a picture is drawn for: units, directions, layers, classes.

>>> channel("mixed4b", range(16))                                    # 16 pictures
>>> channel("mixed4b", 3) + 0.5 * neuron("mixed4c", [7, 8, 9])       # 3 pictures
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.vis.objective import Activations, Objective, node, row_of


class _OfLayer(Objective):
    """Base of objectives that read one layer."""

    layer: str

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.layer,)


@node("layer")
class Channel(_OfLayer):
    """See `channel`."""

    layer: str
    units: np.ndarray

    def __call__(self, activations: Activations) -> jax.Array:
        return _mean_over_space(activations[self.layer])[self.units]

    def check(self, network: Network, view: tuple[int, int]) -> None:
        network.check_units(self.layer, self.units)

    def label(self, i: int) -> str:
        return f"{self.layer}:{row_of(self.units, i)}"


@node("layer")
class Neuron(_OfLayer):
    """See `neuron`."""

    layer: str
    units: np.ndarray
    position: np.ndarray | None

    def __call__(self, activations: Activations) -> jax.Array:
        activation = activations[self.layer]
        height, width = activation.shape[:2]
        row, column = (height // 2, width // 2) if self.position is None else self.position
        return activation[row, column, self.units].astype(jnp.float32)

    def check(self, network: Network, view: tuple[int, int]) -> None:
        network.check_units(self.layer, self.units)
        shape = network.shapes(view, (self.layer,))[self.layer]
        if len(shape) != 3:
            raise InputError(f"neuron wants a layer with positions; {self.layer} has none: use channel")
        for row, column in [] if self.position is None else self.position.tolist():
            if not (0 <= row < shape[0] and 0 <= column < shape[1]):
                raise InputError(
                    f"position ({row}, {column}) of {self.layer}, which has {shape[0]} rows and {shape[1]} columns "
                    f"where the network sees {view[0]}x{view[1]} px"
                )

    def label(self, i: int) -> str:
        where = "center" if self.position is None else "{},{}".format(*row_of(self.position, i))
        return f"{self.layer}:{row_of(self.units, i)}@{where}"


@node("layer")
class Direction(_OfLayer):
    """See `direction`."""

    layer: str
    vectors: np.ndarray

    def __call__(self, activations: Activations) -> jax.Array:
        return (_mean_over_space(activations[self.layer]) * self.vectors).sum()

    def check(self, network: Network, view: tuple[int, int]) -> None:
        channels = network.layer(self.layer).channels
        if self.vectors.shape[-1] != channels:
            raise InputError(f"a direction of {self.vectors.shape[-1]} numbers; {self.layer} has {channels} channels")
        if not np.isfinite(self.vectors).all():
            raise InputError(f"a direction of {self.layer} has values that are not finite")

    def label(self, i: int) -> str:
        return f"{self.layer}:direction-{zlib.crc32(np.ascontiguousarray(row_of(self.vectors, i)).tobytes()):08x}"


@node("layer")
class DeepDream(_OfLayer):
    """See `deepdream`."""

    layer: str

    def __call__(self, activations: Activations) -> jax.Array:
        return jnp.square(activations[self.layer].astype(jnp.float32)).mean()

    def check(self, network: Network, view: tuple[int, int]) -> None:
        network.layer(self.layer)

    def label(self, i: int) -> str:
        return f"{self.layer}:deepdream"


def channel(layer: str, units: int | Sequence[int]) -> Objective:
    """Mean over space of a channel's activation.

    Args:
      layer: a name of `network.layers`.
      units: the channel, or one for each picture.
    """
    return Channel(layer, _units(units))


def neuron(
    layer: str, units: int | Sequence[int], position: tuple[int, int] | Sequence[tuple[int, int]] | None = None
) -> Objective:
    """A channel's activation at one position.

    Args:
      layer: a name of `network.layers`, with positions.
      units: the channel, or one for each picture.
      position: row and column in the layer's map of the view, or one such pair for each picture; by default the
        centre, (height // 2, width // 2).
    """
    rows = None if position is None else _whole_numbers("position", position, 2)
    objective = Neuron(layer, _units(units), rows)
    return objective.rows(objective.count)


def direction(layer: str, vectors: Sequence[float] | np.ndarray) -> Objective:
    """Dot product of a direction with the mean over space of a layer's activation.

    Args:
      layer: a name of `network.layers`.
      vectors: (channels,), or (N, channels) for N pictures.
    """
    rows = np.atleast_2d(np.asarray(vectors, np.float32))
    if rows.ndim != 2 or not rows.size:
        raise InputError(f"directions of shape {np.shape(vectors)}; expected (channels,) or (N, channels)")
    return Direction(layer, rows)


def deepdream(layer: str) -> Objective:
    """Mean of a layer's squared activations: whatever excites it (Mordvintsev et al., Inceptionism, 2015)."""
    return DeepDream(layer)


def class_logit(layer: str, classes: int | Sequence[int]) -> Objective:
    """A class's logit.

    Args:
      layer: the network's logits, `network.logits`; Olah et al. (2017) explain why not the softmax behind them.
      classes: output number, see `network.class_index`, or one for each picture.
    """
    return Channel(layer, _units(classes))


def _units(units: int | Sequence[int]) -> np.ndarray:
    return _whole_numbers("unit", units, 0)


def _whole_numbers(kind: str, values, columns: int) -> np.ndarray:
    array = np.asarray(list(values) if isinstance(values, range) else values)
    array = np.atleast_1d(array) if columns == 0 else np.atleast_2d(array)
    expected_shape = array.ndim == 1 if columns == 0 else array.ndim == 2 and array.shape[1] == columns
    if not array.size or array.dtype.kind not in "iu" or not expected_shape:
        each = "a whole number" if columns == 0 else f"{columns} whole numbers"
        raise InputError(f"{kind} {values!r}; expected {each}, or a sequence with one for each picture")
    return array.astype(np.int32)


def _mean_over_space(activation: jax.Array) -> jax.Array:
    """(..., channels) -> float32 (channels,)."""
    return activation.mean(tuple(range(activation.ndim - 1)), dtype=jnp.float32)
