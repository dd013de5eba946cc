"""What a picture is drawn for, in the network: units, directions, layers, classes.

>>> channel("mixed4b", range(16))                                    # 16 pictures
>>> channel("mixed4b", 3) + 0.5 * neuron("mixed4c", [7, 8, 9])       # 3 pictures
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.network.tokens import Grid
from jaxcircuits.network.tokens import grid as token_grid
from jaxcircuits.vis.objectives.arguments import number_rows, vector_rows, whole_numbers
from jaxcircuits.vis.objectives.base import Objective, OfLayer, check_finite, node, row_of
from jaxcircuits.vis.objectives.seen import Seen
from jaxcircuits.vis.recipe import Recipe


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
        return mean_over_space(seen.activations[self.layer])[self.units]

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
        return _at(seen, self.layer, self.position)[self.units]

    def check(self, network: Network, recipe: Recipe) -> None:
        network.check_units(self.layer, self.units)
        _check_position(self, network, recipe)

    def identity(self, i: int) -> str:
        return f"{self.layer}:{row_of(self.units, i)}@{_place(self.position, i)}"


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
        return _aligned(_at(seen, self.layer, self.position), self.vectors, self.power)

    def check(self, network: Network, recipe: Recipe) -> None:
        _check_vectors(self, network)
        _check_position(self, network, recipe)

    def identity(self, i: int) -> str:
        return f"{self.layer}:{_name(self.vectors, self.power, i)}@{_place(self.position, i)}"


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


def channel(layer: str, units: int | Sequence[int]) -> Objective:
    """Mean over space of a channel's activation.

    Args:
      layer: a name of `network.layers`.
      units: the channel, or one for each picture.
    """
    return Channel(layer, _units(units))


def neuron(
    layer: str, units: int | Sequence[int], position: int | tuple[int, int] | Sequence[tuple[int, int]] | None = None
) -> Objective:
    """A channel's activation at one position.

    Args:
      layer: a name of `network.layers`, with positions.
      units: the channel, or one for each picture.
      position: row and column in the layer's map of the view, or one such pair for each picture; by default the
        centre, (height // 2, width // 2). Of tokens row and column in the grid that they make
        (`jaxcircuits.network.tokens`), or a token's number.
    """
    objective = Neuron(layer, _units(units), _positions(position))
    return objective.rows(objective.count)


def direction(
    layer: str, vectors: Sequence[float] | np.ndarray, power: float | Sequence[float] | None = None
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
    layer: str, vectors: Sequence[float] | np.ndarray, power: float | Sequence[float] | None = None
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
    vectors: Sequence[float] | np.ndarray,
    position: tuple[int, int] | Sequence[tuple[int, int]] | None = None,
    power: float | Sequence[float] = 0,
) -> Objective:
    """Like `direction`, at one position.

    Args:
      layer: a name of `network.layers`, with positions.
      vectors: (channels,), or (N, channels) for N pictures.
      position: as for `neuron`; by default the centre.
      power: of the cosine; 0 is the plain dot product.
    """
    objective = DirectionNeuron(layer, vector_rows(vectors, 1), _positions(position), number_rows(power))
    return objective.rows(objective.count)


def tensor_direction(layer: str, tensors: np.ndarray, power: float | Sequence[float] = 0) -> Objective:
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


def class_logit(layer: str, classes: int | Sequence[int]) -> Objective:
    """A class's logit.

    Args:
      layer: the network's logits, `network.logits`; Olah et al. (2017) explain why not the softmax behind them.
      classes: output number, see `network.class_index`, or one for each picture.
    """
    return Channel(layer, _units(classes))


def mean_over_space(activation: jax.Array) -> jax.Array:
    """(..., channels) -> float32 (channels,)."""
    return activation.mean(tuple(range(activation.ndim - 1)), dtype=jnp.float32)


def aligned(activation: jax.Array, vectors: jax.Array, power: jax.Array | float) -> jax.Array:
    """Mean over positions of `dot * max(0.1, cos) ** power`, for (..., channels) both; vectors may lack positions."""
    activation = activation.astype(jnp.float32)
    dot = (activation * vectors).sum(-1)
    return (dot * jnp.maximum(0.1, dot / _lengths(activation, vectors)) ** power).mean()


def seen_shape(layer: str, network: Network, recipe: Recipe) -> tuple[int, ...]:
    """Shape of a layer's activation under the recipe's views."""
    network.layer(layer)
    return network.shapes(recipe.view_size, (layer,))[layer]


def _lengths(activation: jax.Array, vectors: jax.Array) -> jax.Array:
    """Products of the lengths of vectors (..., channels); not 0 where either is, so that gradients stay finite."""
    return jnp.sqrt((activation**2).sum(-1) + 1e-8) * jnp.sqrt((vectors**2).sum(-1) + 1e-8)


def _aligned(activation: jax.Array, vectors: jax.Array, power: jax.Array | None) -> jax.Array:
    if power is not None:
        return aligned(activation, vectors, power)
    return (mean_over_space(activation) * vectors).sum()


def _at(seen: Seen, layer: str, position: jax.Array | None) -> jax.Array:
    """float32 (channels,) at a position, or at the centre: of even sizes the lower right of the middle four."""
    activation, grid = seen.activations[layer], seen.grids.get(layer)
    if activation.ndim == 2:
        return activation[_token(len(activation), grid, position)].astype(jnp.float32)
    height, width = activation.shape[:2]
    row, column = (height // 2, width // 2) if position is None else position
    return activation[row, column].astype(jnp.float32)


def _token(tokens: int, grid: Grid | None, position: jax.Array | None) -> jax.Array | int:
    """The token at a position: its number, or row and column of the grid of patches."""
    if position is not None and len(position) == 1:
        return position[0]
    if grid is not None:
        return grid.token(*((grid.rows // 2, grid.columns // 2) if position is None else position))
    if position is not None:
        raise InputError(f"row and column of {tokens} tokens whose grid is not known; expected `Seen` with grids")
    return tokens // 2


def _check_position(objective: Neuron | DirectionNeuron, network: Network, recipe: Recipe) -> None:
    layer, view = objective.layer, recipe.view_size
    shape = seen_shape(layer, network, recipe)
    if len(shape) not in (2, 3):
        raise InputError(f"neuron wants a layer with positions; {layer} has none: use channel or direction")
    positions = np.zeros((0, 2)) if objective.position is None else objective.position
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


def _check_vectors(objective: Direction | DirectionCosine | DirectionNeuron, network: Network) -> None:
    channels = network.layer(objective.layer).channels
    if objective.vectors.shape[-1] != channels:
        raise InputError(
            f"a direction of {objective.vectors.shape[-1]} numbers; {objective.layer} has {channels} channels"
        )
    check_finite(objective)


def _place(position: np.ndarray | None, i: int) -> str:
    return "center" if position is None else ",".join(map(str, row_of(position, i)))


def _name(vectors: np.ndarray, power: np.ndarray | None, i: int) -> str:
    exponent = "" if power is None else f"^{row_of(power, i):g}"
    return f"direction-{zlib.crc32(np.ascontiguousarray(row_of(vectors, i)).tobytes()):08x}{exponent}"


def _units(units: int | Sequence[int]) -> np.ndarray:
    return whole_numbers("unit", units, 0)


def _positions(position) -> np.ndarray | None:
    if position is None:
        return None
    tokens = np.ndim(position) == 0 or (np.ndim(position) == 2 and np.shape(position)[1] == 1)
    return whole_numbers("position", position, 1 if tokens else 2)
