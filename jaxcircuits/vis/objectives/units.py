"""What a picture is drawn for, in the network: units, directions, layers, classes.

>>> channel("mixed4b", range(16))                                    # 16 pictures
>>> channel("mixed4b", 3) + 0.5 * neuron("mixed4c", [7, 8, 9])       # 3 pictures
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import InputError, shown
from jaxcircuits.network import Network
from jaxcircuits.platforms import by_platform
from jaxcircuits.vis.objectives.arguments import Units, layer_and_units, number_rows, row_of, vector_rows, whole_numbers
from jaxcircuits.vis.objectives.base import Objective, OfLayer, check_finite, node
from jaxcircuits.vis.objectives.positions import at_position, check_position, place_of, position_rows, seen_shape
from jaxcircuits.vis.objectives.seen import Rows, Seen
from jaxcircuits.vis.recipe import Recipe
from jaxcircuits.vis.selection import selected

if TYPE_CHECKING:
    from jaxtyping import Num


class _Named(OfLayer):
    """Base of objectives whose identity is short enough to be their caption."""

    def label(self, i: int) -> str:
        return self.identity(i)


@node("layer")
class Channel(_Named):
    """See `channel`."""

    layer: str
    units: np.ndarray

    def score(self, seen: Seen) -> jax.Array:
        return _of_unit(mean_over_space(seen.activations[self.layer]), self.units)

    def check(self, network: Network, recipe: Recipe) -> None:
        network.check_units(self.layer, self.units)

    def identity(self, i: int) -> str:
        return f"{self.layer}:{row_of(self.units, i)}"


@node("layer")
class Neuron(_Named):
    """See `neuron`."""

    layer: str
    units: np.ndarray
    position: np.ndarray | None

    def score(self, seen: Seen) -> jax.Array:
        return _of_unit(at_position(seen, self.layer, self.position), self.units)

    def check(self, network: Network, recipe: Recipe) -> None:
        network.check_units(self.layer, self.units)
        check_position(self.layer, self.position, network, recipe)

    def identity(self, i: int) -> str:
        return f"{self.layer}:{row_of(self.units, i)}@{place_of(self.position, i)}"


@node("layer")
class Direction(_Named):
    """See `direction`."""

    layer: str
    vectors: np.ndarray
    power: np.ndarray | None

    def score(self, seen: Seen) -> jax.Array:
        return _aligned(seen.activations[self.layer], self.vectors, self.power)

    def check(self, network: Network, recipe: Recipe) -> None:
        _check_vectors(self, network)

    def identity(self, i: int) -> str:
        return f"{self.layer}:{_name(self.vectors, self.power, i)}"


@node("layer")
class DirectionCosine(_Named):
    """See `direction_cossim`."""

    layer: str
    vectors: np.ndarray

    def score(self, seen: Seen) -> jax.Array:
        activation = seen.activations[self.layer].astype(jnp.float32)
        dot = (activation * self.vectors).sum(-1)
        return (dot / _lengths(activation, self.vectors)).mean() / activation.shape[-1]

    def check(self, network: Network, recipe: Recipe) -> None:
        _check_vectors(self, network)

    def identity(self, i: int) -> str:
        return f"{self.layer}:cosine-{_name(self.vectors, None, i)}"


@node("layer")
class DirectionNeuron(_Named):
    """See `direction_neuron`."""

    layer: str
    vectors: np.ndarray
    position: np.ndarray | None
    power: np.ndarray | None

    def score(self, seen: Seen) -> jax.Array:
        return _aligned(at_position(seen, self.layer, self.position), self.vectors, self.power)

    def check(self, network: Network, recipe: Recipe) -> None:
        _check_vectors(self, network)
        check_position(self.layer, self.position, network, recipe)

    def identity(self, i: int) -> str:
        return f"{self.layer}:{_name(self.vectors, self.power, i)}@{place_of(self.position, i)}"


@node("layer")
class TensorDirection(OfLayer):
    """See `tensor_direction`."""

    layer: str
    tensors: np.ndarray
    power: np.ndarray | None

    def score(self, seen: Seen) -> jax.Array:
        activation, (height, width, _) = seen.activations[self.layer], self.tensors.shape
        top, left = (activation.shape[0] - height) // 2, (activation.shape[1] - width) // 2
        return _aligned(activation[top : top + height, left : left + width], self.tensors, self.power)

    def check(self, network: Network, recipe: Recipe) -> None:
        shape, (_, height, width, channels) = seen_shape(self.layer, network, recipe), self.tensors.shape
        if len(shape) != 3 or channels != shape[2] or height > shape[0] or width > shape[1]:
            raise InputError(
                f"a tensor of shape {(height, width, channels)}; {self.layer} has activations of shape {shape} "
                "and the tensor has to fit into them"
            )
        check_finite(self)


@node("layer")
class DeepDream(OfLayer):
    """See `deepdream`."""

    layer: str

    def score(self, seen: Seen) -> jax.Array:
        return jnp.square(seen.activations[self.layer].astype(jnp.float32)).mean()


def channel(layer: str, units: Units | None = None) -> Objective:
    """Mean over space of a channel's activation.

    >>> channel("mixed4b", [0, 1, 2]), channel("mixed4b:0-2")  # the same

    Args:
      layer: a name of `network.layers`; or, without `units`, `LAYER:UNITS` such as `mixed4b:0-15`.
      units: the channel, or one for each picture.

    Raises:
      InputError: for units that are no numbers from 0 on, and for none.
    """
    layer, units = layer_and_units(layer, units)
    return Channel(layer, units)


def neuron(
    layer: str,
    units: Units | None = None,
    position: int | tuple[int, int] | Sequence[tuple[int, int]] | None = None,
) -> Objective:
    """A channel's activation at one position.

    Args:
      layer: a name of `network.layers`, with positions; or, without `units`, `LAYER:UNITS`, as for `channel`.
      units: the channel, or one for each picture.
      position: row and column in the layer's map of the view, or one such pair for each picture; by default the
        center, (height // 2, width // 2). Of tokens row and column in the grid that they make
        (`jaxcircuits.network.tokens`), or a token's number.

    Raises:
      InputError: for units that are no numbers from 0 on, for none, and for positions of another form.
    """
    layer, units = layer_and_units(layer, units)
    objective = Neuron(layer, units, position_rows(position))
    return objective.rows(objective.count)


def direction(
    layer: str,
    vectors: Sequence[float] | Num[np.ndarray, "*pictures channels"],
    power: float | Sequence[float] | None = None,
) -> Objective:
    """Dot product of a direction with a layer's activation, mean over positions.

    With a power, positions count more the better they point that way: `dot * max(0.1, cos) ** power`, Lucid's
    `direction(..., cossim_pow=power)`; see Carter et al., Activation Atlas, Distill, 2019.

    Args:
      layer: a name of `network.layers`.
      vectors: (channels,), or (N, channels) for N pictures.
      power: of the cosine, or one for each picture; None, or 0, is the plain dot product.
    """
    objective = Direction(layer, vector_rows(vectors, 1), None if power is None else number_rows(power))
    return objective.rows(objective.count)


def direction_cossim(
    layer: str,
    vectors: Sequence[float] | Num[np.ndarray, "*pictures channels"],
    power: float | Sequence[float] | None = None,
) -> Objective:
    """Cosine of a direction with a layer's activation, mean over positions and channels.

    Lucid's value, which a mean over channels makes a part of the cosine: it is at most 1 / channels. A silent position
    counts as 0, where Lucid's divides by zero.

    Args:
      layer: a name of `network.layers`.
      vectors: (channels,), or (N, channels) for N pictures.
      power: deprecated; what this name meant with a power is `direction(layer, vectors, power)`.
    """
    if power is not None:
        warnings.warn(
            "direction_cossim with a power is now direction(layer, vectors, power); direction_cossim is Lucid's, "
            "which has none",
            DeprecationWarning,
            stacklevel=2,
        )
        return direction(layer, vectors, power)
    return DirectionCosine(layer, vector_rows(vectors, 1))


def direction_neuron(
    layer: str,
    vectors: Sequence[float] | Num[np.ndarray, "*pictures channels"],
    position: tuple[int, int] | Sequence[tuple[int, int]] | None = None,
    power: float | Sequence[float] = 0,
) -> Objective:
    """Like `direction`, at one position.

    Args:
      layer: a name of `network.layers`, with positions.
      vectors: (channels,), or (N, channels) for N pictures.
      position: as for `neuron`; by default the center.
      power: of the cosine; 0 is the plain dot product.
    """
    objective = DirectionNeuron(layer, vector_rows(vectors, 1), position_rows(position), number_rows(power))
    return objective.rows(objective.count)


def tensor_direction(
    layer: str, tensors: Num[np.ndarray, "*pictures h w channels"], power: float | Sequence[float] = 0
) -> Objective:
    """Like `direction`, with a direction for each position: mean over the positions of the tensor.

    Args:
      layer: a name of `network.layers`, with positions.
      tensors: (h, w, channels), laid over the middle of the layer's map, or (N, h, w, channels) for N pictures.
      power: of the cosine; 0 is the plain dot product.
    """
    objective = TensorDirection(layer, vector_rows(tensors, 3), number_rows(power))
    return objective.rows(objective.count)


def deepdream(layer: str) -> Objective:
    """Mean of a layer's squared activations: whatever excites it (Mordvintsev et al., Inceptionism, 2015)."""
    return DeepDream(layer)


def class_logit(layer: str, classes: Units) -> Objective:
    """A class's logit.

    Args:
      layer: the network's logits, `network.logits`; Olah et al. (2017) explain why not the softmax behind them.
      classes: output number, see `network.class_index`, or one for each picture.

    Raises:
      InputError: for a class by its name, which the network alone knows.
    """
    if isinstance(classes, str):
        raise InputError(f"class {shown(classes)}; expected an output's number, network.class_index({shown(classes)})")
    return Channel(layer, whole_numbers("unit", classes, 0))


def mean_over_space(activation: jax.Array) -> jax.Array:
    """(..., channels) -> float32 (channels,)."""
    return activation.mean(tuple(range(activation.ndim - 1)), dtype=jnp.float32)


def aligned(activation: jax.Array, vectors: Rows, power: Rows | float) -> jax.Array:
    """Mean over positions of `dot * max(0.1, cos) ** power`, for (..., channels) both; vectors may lack positions."""
    activation = activation.astype(jnp.float32)
    dot = (activation * vectors).sum(-1)
    return (dot * jnp.maximum(0.1, dot / _lengths(activation, vectors)) ** power).mean()


def _lengths(activation: jax.Array, vectors: Rows) -> jax.Array:
    """Products of the lengths of vectors (..., channels); not 0 where either is, so that gradients stay finite."""
    return jnp.sqrt((activation**2).sum(-1) + 1e-8) * jnp.sqrt((vectors**2).sum(-1) + 1e-8)


def _aligned(activation: jax.Array, vectors: Rows, power: Rows | None) -> jax.Array:
    if power is not None:
        return aligned(activation, vectors, power)
    return (mean_over_space(activation) * vectors).sum()


def _check_vectors(objective: Direction | DirectionCosine | DirectionNeuron, network: Network) -> None:
    channels = network.layer(objective.layer).channels
    if objective.vectors.shape[-1] != channels:
        turned = len(objective.vectors) == channels and objective.vectors.ndim == 2
        hint = f", so directions are rows: transpose {objective.vectors.shape}" if turned else ""
        raise InputError(
            f"a direction of {objective.vectors.shape[-1]} numbers; {objective.layer} has {channels} channels{hint}"
        )
    check_finite(objective)


def _name(vectors: np.ndarray, power: np.ndarray | None, i: int) -> str:
    exponent = "" if power is None else f"^{row_of(power, i):g}"
    return f"direction-{zlib.crc32(np.ascontiguousarray(row_of(vectors, i)).tobytes()):08x}{exponent}"


def _of_unit(values: jax.Array, unit: Rows) -> jax.Array:
    """The value of one unit, of (channels,)."""
    return by_platform(values, unit, tpu=selected, default=lambda values, unit: values[unit])
