"""What several pictures should be together: unlike each other, like their neighbors, a way from one unit to another.

A group is `group` consecutive pictures; they share their random views, so that they can be compared cell by cell. Each
picture has its share of a score. What the shares are to Lucid's value for a whole batch is chosen so that its weights
carry over: Lucid's `channel` is a mean over the batch and goes with `diversity`, of which the shares' mean is Lucid's
value; its `channel_interpolate` is a sum over the batch and goes with `alignment`, of which their sum is.

>>> channel("mixed4e", [55] * 4) - 100 * diversity("mixed4a", group=4)                     # one group of four
>>> channel_interpolate("mixed4a", 476, "mixed4a", 460, 6) + alignment("mixed3b", group=6)
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import InputError, whole
from jaxcircuits.network import Network
from jaxcircuits.vis.objectives.base import Objective, OfLayer, node
from jaxcircuits.vis.objectives.positions import seen_shape
from jaxcircuits.vis.objectives.seen import Seen
from jaxcircuits.vis.objectives.units import channel
from jaxcircuits.vis.recipe import Recipe

REACH = 4
"""How far apart in a group two pictures still are neighbors, for `alignment`."""


class _OfGroup(OfLayer):
    """Base of objectives that read one layer of a whole group."""

    def together(self, activations: jax.Array) -> jax.Array:
        """Each picture's share (group,) for a group's activations (group, ...)."""
        raise NotImplementedError

    def scores(self, seen: Seen) -> jax.Array:
        activation = seen[self.layer].astype(jnp.float32)
        groups = activation.reshape(-1, self.group, *activation.shape[1:])
        return jax.vmap(self.together)(groups).reshape(-1)

    def check(self, network: Network, recipe: Recipe) -> None:
        super().check(network, recipe)
        if not isinstance(self.group, int) or self.group < 2:
            raise InputError(f"group {self.group!r}; expected a number of pictures from 2 on")


@node("layer", "group")
class Diversity(_OfGroup):
    """See `diversity`."""

    layer: str
    group: int

    def together(self, activations: jax.Array) -> jax.Array:
        flat = activations.reshape(self.group, -1, activations.shape[-1])
        grams = jnp.einsum("gpc,gpd->gcd", flat, flat).reshape(self.group, -1)
        grams = grams / jnp.sqrt(jnp.maximum((grams**2).sum(-1, keepdims=True), 1e-10))
        return (grams @ grams.T * (1 - np.eye(self.group, dtype=np.float32))).sum(-1)

    def check(self, network: Network, recipe: Recipe) -> None:
        super().check(network, recipe)
        if len(seen_shape(self.layer, network, recipe)) != 3:
            raise InputError(f"diversity wants a layer with positions; {self.layer} has none")


@node("layer", "group", "decay")
class Alignment(_OfGroup):
    """See `alignment`."""

    layer: str
    decay: float
    group: int

    def together(self, activations: jax.Array) -> jax.Array:
        place = np.arange(self.group)
        apart = np.abs(place[:, None] - place[None, :])
        weights = np.where((apart >= 1) & (apart <= REACH), float(self.decay) ** -apart, 0).astype(np.float32)
        flat = activations.reshape(self.group, -1)
        squares = jnp.square(flat[:, None] - flat[None, :]).mean(-1)
        return -(squares * weights).sum(-1) / 2


def diversity(layer: str, group: int = 4) -> Objective:
    """How similar the pictures of a group are; subtracted, it shows the different things that one unit looks for.

    Sum over the others of the group of the cosine between Gram matrices of activations (channels x channels, summed
    over positions). Olah et al., Feature Visualization, 2017, with weight 100. Lucid's value is the mean of this over
    the group, as its `channel` is the mean of ours.

    Args:
      layer: whose activations, with positions; an early one compares textures, a late one things.
      group: pictures in a group.
    """
    return Diversity(layer, group)


def alignment(layer: str, group: int, decay_ratio: float = 2.0) -> Objective:
    """How well the pictures of a group line up, to be added: minus the mean squared difference between neighbors.

    Neighbors d pictures apart, up to four, count `decay_ratio ** -d`. Lucid's value is the sum of this over the group,
    as its `channel_interpolate` is the sum of ours.

    Args:
      layer: whose activations, or `INPUT`.
      group: pictures in a group.
      decay_ratio: how much less the next neighbor counts.
    """
    return Alignment(layer, decay_ratio, group)


def channel_interpolate(
    layer1: str, units1: int | Sequence[int], layer2: str, units2: int | Sequence[int], steps: int = 6
) -> Objective:
    """A way from one channel to another: pictures for `(1 - t) * channel1 + t * channel2`, t from 0 to 1.

    Args:
      layer1: of the channel at the beginning.
      units1: the channel, or one for each of several ways.
      layer2: of the channel at the end.
      units2: likewise.
      steps: pictures a way, both ends included.

    Returns:
      An objective with `steps` rows a way; `group=steps` lines them up by `alignment` or shared parameters.
    """
    steps = whole(steps, "steps", 2)
    first, second = np.broadcast_arrays(np.atleast_1d(units1), np.atleast_1d(units2))
    t = np.tile(np.linspace(0, 1, steps, dtype=np.float32), len(first))
    return channel(layer1, np.repeat(first, steps)) * (1 - t) + channel(layer2, np.repeat(second, steps)) * t
