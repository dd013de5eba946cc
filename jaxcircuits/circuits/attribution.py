"""Attribution: what an answer on a picture owes to an earlier layer, as gradient times activation.

Olah et al., The Building Blocks of Interpretability, Distill 2018: hidden layers are what an answer is explained by,
their cells, their channels, or both. In a network of ReLUs and max-pools the attributions of a layer add up to the
answer, but for what the biases after that layer contribute. Works for any network.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import InputError, real, whole
from jaxcircuits.network import Forward, Network
from jaxcircuits.network.graph import INPUT
from jaxcircuits.network.units import Unit, channels, check_units, unit
from jaxcircuits.printing import warn

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Integer, Num

TOGETHER = 16
"""Pictures, units or cells whose gradients are taken at once."""
STEPS, MOST_STEPS = 16, 4096
"""Points of a path where only a tolerance is given, to begin with; and at most, however much is left over."""
ROUNDING = 1e-5
"""Of the larger of two answers, and of what a sum adds up: what float32 does not tell apart."""


@dataclasses.dataclass(frozen=True, eq=False)
class Attribution:
    """How much of a target's activation on N pictures is due to each value of a layer.

    Attributes:
      values: float32 (N, h, w, channels), or (N, channels) of layers without positions, in the target's units.
      scores: float32 (N,), the target's answers.
      remainder: float32 (N,), what the values do not account for: the answer, less the answer to a silent layer, less
        the sum of the values.
      steps: int32 (N,), points of the path; 0 for the gradient at the picture.
    """

    values: Float[np.ndarray, "pictures *positions sources"]
    scores: Float[np.ndarray, " pictures"]
    remainder: Float[np.ndarray, " pictures"]
    steps: Int[np.ndarray, " pictures"]

    def __repr__(self) -> str:
        return f"Attribution({len(self.scores)} pictures, each {' x '.join(map(str, self.values.shape[1:]))})"

    @property
    def spatial(self) -> Float[np.ndarray, " pictures *positions"]:
        """(N, h, w): what it owes to each cell, summed over channels."""
        return self.values.sum(-1)

    @property
    def channels(self) -> Float[np.ndarray, "pictures sources"]:
        """(N, channels): what it owes to each channel, summed over cells."""
        return self.values.sum(tuple(range(1, self.values.ndim - 1)))


def attribute(
    network: Network,
    target: str | Unit | tuple[str, Num[np.ndarray, " units"]],
    layer: str,
    pictures: Float[np.ndarray | jax.Array, "pictures height width channels"],
    *,
    position: tuple[int, int] | None = None,
    steps: int | None = None,
    tolerance: float | None = None,
) -> Attribution:
    """Attributes a target's activation f to a layer's activation a: `a * df/da`.

    Args:
      network: any.
      target: a unit, such as `mixed4d:3`; a class, such as `softmax2_pre_activation:281`; or a direction, as
        (layer, vector (channels,)).
      layer: one that the target is computed from, or `input`, the network's input in its own value range.
      pictures: (N, H, W, channels) in [0, 1].
      position: row and column in the target's map; by default the answer is the mean over its cells.
      steps: None for the gradient at the picture; a number n for the mean gradient at n points along the straight
        line from a silent layer to its activation (integrated gradients, Sundararajan et al., 2017), whose attributions
        add up to the difference between those two answers, but for a remainder that more points make smaller.
      tolerance: integrated gradients whose points, `steps` or 16 to begin with, are doubled for each picture until the
        remainder is at most this part of the difference between the two answers (or 1e-5 of the larger one or of the
        values' magnitudes added up, which float32 does not tell apart), or there are 4096; where that is not enough, a
        warning says so. None for so many
        points as `steps` says. How many are needed depends on how often the line crosses from one linear piece of the
        network to another, not on how large the difference is; so a fixed number fails where the difference is small.

    Returns:
      The `Attribution`.

    Raises:
      InputError: for unknown layers, units and positions, a layer that the target is not computed from, directions
        that do not fit, steps that are no whole number from 1 on, and a tolerance that is not positive.
    """
    channels(network, layer)  # says so where the layer is unknown
    target_layer, direction = _direction(network, target)
    _check_follows(network, layer, target_layer)
    pictures = network.check_pictures(pictures)
    shape = network.shapes(pictures.shape[1:3], [target_layer])[target_layer]
    cells = np.full(shape[:-1], 1 / np.prod(shape[:-1], dtype=int), np.float32)
    if position is not None:
        if len(position) != cells.ndim or not all(0 <= cell < n for cell, n in zip(position, cells.shape)):
            raise InputError(f"position {tuple(position)} of {target_layer}, whose map here is {cells.shape}")
        cells[:] = 0
        cells[tuple(position)] = 1
    if steps is not None:
        steps = whole(steps, "steps", 1)
    if tolerance is not None:
        expected = "a positive part of the difference, such as 0.01"
        tolerance = real(tolerance, "tolerance", expected, lambda number: number > 0)
    path = steps is not None or tolerance is not None
    run = _attributions(network.forward, layer, target_layer, path)
    first, allowed = np.int32(steps or STEPS), np.float32(np.inf if tolerance is None else tolerance)
    with jax.default_matmul_precision("highest"):
        *found, finished = run(network.params, pictures, cells[..., None] * direction, first, allowed)
    if unfinished := int(np.sum(~np.asarray(finished))):
        warn(
            f"integrated gradients of {unfinished} of {len(pictures)} pictures do not add up to within tolerance "
            f"{tolerance} with {MOST_STEPS} points; their remainder is what is missing"
        )
    return Attribution(*map(np.asarray, found))


def attribute_units(
    network: Network,
    source_layer: str,
    target_layer: str,
    picture: Float[np.ndarray | jax.Array, "height width channels"],
    units: Integer[np.ndarray, " units"] | list[int] | None = None,
) -> Float[np.ndarray, "units sources"]:
    """What each unit of a layer owes to each channel of an earlier one on a picture, summed over the cells of both.

    Args:
      network: any.
      source_layer: one that the target is computed from, or `input`.
      target_layer: a layer; before its ReLU (`mixed4d_pre_relu`) silent units are attributed too.
      picture: (H, W, channels) in [0, 1].
      units: of the target; None for all.

    Returns:
      float32 (units, source channels).

    Raises:
      InputError: as `attribute`.
    """
    units = check_units(network, target_layer, units)
    return _pulled_back(network, source_layer, target_layer, picture, units, by_unit=True)


def attribute_positions(
    network: Network,
    source_layer: str,
    target_layer: str,
    picture: Float[np.ndarray | jax.Array, "height width channels"],
) -> Float[np.ndarray, "h w source_h source_w"]:
    """What each cell of a layer owes to each cell of an earlier one on a picture, summed over the channels of both.

    Args:
      network: any.
      source_layer: one that the target is computed from, or `input`; with positions, as the target.
      target_layer: a layer.
      picture: (H, W, channels) in [0, 1].

    Returns:
      float32 (target's h, target's w, source's h, source's w).

    Raises:
      InputError: as `attribute`, and for layers without positions.
    """
    channels(network, source_layer)  # says so where the layer is unknown
    network.layer(target_layer)
    size = network.check_pictures(np.asarray(picture)[None]).shape[1:3]
    names = [target_layer] if source_layer == INPUT else [target_layer, source_layer]
    shapes = network.shapes(size, names)
    for layer, shape in shapes.items():
        if len(shape) != 3:
            raise InputError(f"{layer} has no positions; expected two layers that have, or attribute_units")
    rows, columns = shapes[target_layer][:2]
    values = _pulled_back(network, source_layer, target_layer, picture, np.arange(rows * columns), by_unit=False)
    return values.reshape(rows, columns, *values.shape[1:])


def _check_follows(network: Network, source: str, target: str) -> None:
    if source != target and not network.graph.follows(source, target):
        raise InputError(f"{target} is not computed from {source}; expected a layer before it")


def _direction(network: Network, target: str | Unit | tuple[str, np.ndarray]) -> tuple[str, np.ndarray]:
    """A target's layer, and its direction (channels,)."""
    if isinstance(target, (str, Unit)):
        layer, index = unit(network, target)
        return layer, np.eye(network.layers[layer].channels, dtype=np.float32)[index]
    layer, vector = target
    count, vector = network.layer(layer).channels, np.asarray(vector, np.float32)
    if vector.shape != (count,):
        raise InputError(f"a direction of shape {vector.shape}; {layer} has {count} channels")
    if not np.isfinite(vector).all():
        raise InputError(f"a direction of {layer} has values that are not finite")
    return layer, vector


@functools.lru_cache(maxsize=64)
def _attributions(forward: Forward, source: str, target: str, path: bool):
    """The compiled program: pictures, what the answer makes of the target's activation, steps and tolerance of a path
    -> values, scores, remainder, steps, and whether the remainder is within the tolerance."""

    @jax.jit
    def run(params, pictures, readout, first, tolerance):
        def one(picture):
            activation, answer = _from_source(forward, source, target, params, picture)

            def score(value):
                return (answer(value)[0] * readout).sum()

            end, start = score(activation), score(jnp.zeros_like(activation))

            def left_over(values):
                return end - start - values.sum()

            def along(state):
                steps = state[0]

                def add(k, total):
                    return total + jax.grad(score)((k + 0.5) / steps * activation)

                values = activation * jax.lax.fori_loop(0, steps, add, jnp.zeros_like(activation)) / steps
                return 2 * steps, steps, values, left_over(values)

            def enough(values, remainder):
                least = ROUNDING * jnp.maximum(jnp.maximum(jnp.abs(end), jnp.abs(start)), jnp.abs(values).sum())
                return ~(jnp.abs(remainder) > jnp.maximum(tolerance * jnp.abs(end - start), least))

            def unfinished(state):
                following, steps, values, remainder = state
                return (steps == 0) | ~enough(values, remainder) & (following <= MOST_STEPS)

            if path:
                begin = first, jnp.int32(0), jnp.zeros_like(activation), jnp.float32(0)
                _, steps, values, remainder = jax.lax.while_loop(unfinished, along, begin)
            else:
                steps, values = jnp.int32(0), activation * jax.grad(score)(activation)
                remainder = left_over(values)
            return values[0], end, remainder, steps, enough(values, remainder)

        return jax.lax.map(one, pictures, batch_size=TOGETHER)

    return run


def _pulled_back(
    network: Network,
    source: str,
    target: str,
    picture: np.ndarray | jax.Array,
    indices: np.ndarray,
    by_unit: bool,
) -> np.ndarray:
    """For each of the target's units, or cells, the attributions of the source's channels, or cells."""
    channels(network, source)  # says so where the layer is unknown
    _check_follows(network, source, target)
    picture = network.check_pictures(np.asarray(picture)[None])[0]
    with jax.default_matmul_precision("highest"):
        return np.asarray(_pullbacks(network.forward, source, target, by_unit)(network.params, picture, indices))


@functools.lru_cache(maxsize=64)
def _pullbacks(forward: Forward, source: str, target: str, by_unit: bool):
    """The compiled program of `_pulled_back`."""

    @jax.jit
    def run(params, picture, indices):
        activation, answer = _from_source(forward, source, target, params, picture)
        answered, pull = jax.vjp(answer, activation)
        silent = jnp.zeros((np.prod(answered.shape[:-1], dtype=int), answered.shape[-1]))

        def one(index):
            at_index = silent.at[:, index].set(1) if by_unit else silent.at[index].set(1)
            (slope,) = pull(at_index.reshape(answered.shape))
            values = (activation * slope)[0]
            return values.sum(tuple(range(values.ndim - 1)) if by_unit else -1)

        return jax.lax.map(one, indices, batch_size=TOGETHER)

    return run


def _from_source(forward: Forward, source: str, target: str, params, picture: jax.Array):
    """The source's activation on a picture, (1, ...), and the function from it to the target's."""
    x = forward.convention(picture[None])
    activation = forward.run(params, x, [source])[source]
    return activation, lambda value: forward.run(params, x, [target], {source: value})[target]
