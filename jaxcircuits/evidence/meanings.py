"""The meanings of a unit: its strongest pictures, by what in the layer below they excite it through.

Dreyer et al., PURE: Turning polysemantic neurons into pure features by identifying relevant circuits, 2024. Two
pictures may excite a unit by the same parts or by others; what it owes to each unit of the layer below, as gradient
times activation, says which, and where those fall into several clusters the unit has several meanings.

>>> found = evidence.meanings(network, "mixed4e:440", pictures)
>>> found.count, found.p_value                               # how many, and how often one would look like several
>>> found.sheet(network, pictures, 0).save("first.png")      # the pictures of the first meaning
>>> objective = jc.facet(jc.channel("mixed4e", [440] * found.count), found.layer, 3 * found.probes)
>>> jc.render(network, objective)                            # one drawing a meaning
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from jaxcircuits.brief import Brief
from jaxcircuits.errors import InputError, whole
from jaxcircuits.evidence.crops import sheet_of
from jaxcircuits.evidence.examples import Examples, examples
from jaxcircuits.evidence.layer_examples import Chosen
from jaxcircuits.evidence.meanings_number import directions, heaps
from jaxcircuits.images import Pictures, open_pictures
from jaxcircuits.network import Forward, Network
from jaxcircuits.network.graph import INPUT
from jaxcircuits.network.units import Unit, unit

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Integer, Num

TOGETHER = 16
"""Pictures whose gradients are taken at once."""
FEWEST = 8
"""Pictures that a unit must answer for its meanings to be told."""


class TooFewPictures(InputError):
    """A unit answers too few pictures for its meanings to be told."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Meanings(Brief):
    """What a unit stands for, one or several.

    Attributes:
      unit: whose.
      layer: the layer below.
      chosen: (n,) of the pictures that it answers most, strongest first, and where in them.
      attributions: float32 (n, channels), what its answer there owes to each channel of the layer below, summed over
        positions.
      labels: int (n,), the meaning of each picture; 0 is that of most pictures.
      dips: float64 (2,), how deep the valley between the two clusters of the attributions is, in directions and in the
        attributions themselves; see `jaxcircuits.evidence.meanings_number`.
      p_values: float64 (2,), how often a single meaning that does not bend has such valleys, at most.
      size: height and width at which pictures were shown.
    """

    unit: Unit
    layer: str
    chosen: Chosen
    attributions: Float[np.ndarray, "pictures sources"]
    labels: Int[np.ndarray, " pictures"]
    dips: Float[np.ndarray, " 2"]
    p_values: Float[np.ndarray, " 2"]
    size: tuple[int, int]

    @property
    def p_value(self) -> float:
        """Of there being several meanings: the larger of the two; where many units are looked at, see `corrected`."""
        return float(self.p_values.max())

    @property
    def count(self) -> int:
        """How many meanings: one where the p-value is above 0.05."""
        return int(self.labels.max()) + 1

    @property
    def centers(self) -> Float[np.ndarray, "meanings sources"]:
        """float32 (meanings, channels): the mean direction of each meaning's attributions, of length 1."""
        rows = directions(self.attributions)
        return directions(np.stack([rows[self.labels == k].mean(0) for k in range(self.count)]))

    @property
    def probes(self) -> Float[np.ndarray, "meanings sources"]:
        """float32 (meanings, channels), of length 1: what tells each meaning from the others, for `facet`.

        The difference between a meaning's mean direction and the mean of the others'; of one meaning its own.
        """
        if self.count == 1:
            return self.centers
        rows = directions(self.attributions)
        return directions(
            np.stack([rows[self.labels == k].mean(0) - rows[self.labels != k].mean(0) for k in range(self.count)])
        )

    def nearest(self, attributions: Num[np.ndarray, "m sources"]) -> Int[np.ndarray, " m"]:
        """int (m,): the meaning whose center is nearest to each of other attributions (m, channels), by the cosine."""
        return (directions(np.asarray(attributions, np.float32)) @ self.centers.T).argmax(1)

    def sheet(self, network: Network, pictures: Pictures, meaning: int, count: int = 16) -> Image.Image:
        """What the unit saw in the strongest pictures of one meaning.

        Args:
          network: whose unit.
          pictures: those that were shown.
          meaning: which, from 0 on.
          count: of pictures, at most.

        Returns:
          An RGB image.

        Raises:
          InputError: for a meaning that the unit does not have, and pictures that cannot be read any more.
        """
        whole(meaning, f"meaning of {self.unit}", 0, self.count - 1)
        chosen = np.flatnonzero(self.labels == meaning)[:count]
        strongest = Chosen(*(part[chosen] for part in self.chosen))
        return sheet_of(network, self.unit.layer, self.unit.index, pictures, strongest, self.size)


def meanings(
    network: Network,
    of: str | Unit,
    pictures: Pictures | object,
    *,
    seen: Examples | None = None,
    layer: str | None = None,
    count: int = 100,
    most: int = 4,
    draws: int = 999,
    seed: int = 0,
) -> Meanings:
    """Finds the meanings of a unit.

    Args:
      network: any.
      of: the unit, such as `mixed4e:440`.
      pictures: `Pictures`, or what `open_pictures` takes.
      seen: what `examples` kept of the unit's layer, with `count` pictures or more; by default they are looked for now.
      layer: the layer below; by default the last of `network.graph.stages` that the unit's layer is computed from.
      count: of its strongest pictures.
      most: meanings, at most.
      draws: samples with a single peak that the valleys are compared with; no p-value is below 1 / (1 + draws).
      seed: of the clusters and the draws.

    Returns:
      The `Meanings`. Pictures to which the unit does not answer, or not by the layer below, are left out.

    Raises:
      InputError: for an unknown unit or layer, a layer that the unit is not computed from, and examples of other
        pictures.
      TooFewPictures: for a unit that answers fewer than eight of them.
    """
    of = unit(network, of)
    layer = layer or below(network, of.layer)
    whole(count, "count of pictures", FEWEST)
    pictures = pictures if isinstance(pictures, Pictures) else open_pictures(pictures)
    if seen is None:
        seen = examples(network, pictures, of.layer, count)
    if seen.seen.stop > len(pictures):
        raise InputError(f"{pictures!r}: not those that were shown, of which there are {seen.seen.stop} or more")
    strongest = Chosen(*(part[of.index][:count] for part in seen[of.layer].strongest))
    there = strongest.pictures >= 0
    shown = pictures.at(seen.seen.size, network.convention.channels)
    images = [shown[int(number)].image for number in strongest.pictures[there]]
    owed = np.zeros((len(there), network.layer(layer).channels), np.float32)
    owed[there] = attributions(network, of, layer, np.stack(images), strongest.places[there])
    kept = np.linalg.norm(owed, axis=1) > 0
    if kept.sum() < FEWEST:
        raise TooFewPictures(f"{of} answers {kept.sum()} pictures by {layer}; expected {FEWEST} or more")
    found = heaps(owed[kept], most=most, draws=draws, seed=seed)
    chosen = Chosen(*(part[kept] for part in strongest))
    return Meanings(of, layer, chosen, owed[kept], **found._asdict(), size=seen.seen.size)


def attributions(
    network: Network,
    of: str | Unit,
    layer: str,
    images: Float[np.ndarray | jax.Array, "pictures height width channels"],
    places: Integer[np.ndarray, "pictures 2"],
) -> Float[np.ndarray, "pictures sources"]:
    """How much of a unit's activation at given places each channel of a layer below causes: gradient times activation.

    Args:
      network: any.
      of: the unit.
      layer: one that it is computed from.
      images: (N, H, W, channels), in [0, 1].
      places: int (N, 2), row and column of the answer in the unit's map, as `examples` gives them.

    Returns:
      float32 (N, channels), summed over the layer's positions; zero where the unit is silent.

    Raises:
      InputError: for an unknown unit or layer, and a layer that the unit is not computed from.
    """
    of = unit(network, of)
    if layer == INPUT or network.layer(layer).name == of.layer or not network.graph.follows(layer, of.layer):
        raise InputError(f"{of.layer} is not computed from {layer}; expected a layer before it")
    images = network.check_pictures(images)
    shape = network.shapes(images.shape[1:3], [of.layer])[of.layer]
    width = shape[-2] if len(shape) > 1 else 1
    cells = np.asarray(places, np.int32) @ np.array([width, 1], np.int32)
    run = _compiled(network.forward, layer, of.layer)
    with jax.default_matmul_precision("highest"):
        return np.asarray(run(network.params, images, cells, np.int32(of.index)))


def below(network: Network, layer: str) -> str:
    """The last of the network's stages that a layer is computed from; raises `InputError` where there is none."""
    before = [name for name in network.graph.stages if network.graph.follows(name, layer)]
    if not before:
        raise InputError(f"{layer} of {network.name} has no layer below it; expected a unit of a later one")
    return before[-1]


@functools.lru_cache(maxsize=64)
def _compiled(forward: Forward, source: str, target: str):
    """The compiled program: pictures, cells and a unit -> attributions."""

    @jax.jit
    def run(params, images, cells, index):
        def one(picture_and_cell):
            picture, cell = picture_and_cell
            x = forward.convention(picture[None])
            activation = forward.run(params, x, [source])[source]

            def answer(value):
                answers = forward.run(params, x, [target], {source: value})[target]
                return answers.reshape(-1, answers.shape[-1])[cell, index].astype(jnp.float32)

            owed = (activation * jax.grad(answer)(activation))[0]
            return owed.sum(tuple(range(owed.ndim - 1)), dtype=jnp.float32)

        return jax.lax.map(one, (images, cells), batch_size=TOGETHER)

    return run
