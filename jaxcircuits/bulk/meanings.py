"""Meanings as a product: how many things each unit stands for, what it saw of each, and a drawing of each."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxcircuits.bulk import place
from jaxcircuits.bulk.crops import cut
from jaxcircuits.bulk.hosts import ALONE, Hosts
from jaxcircuits.bulk.job import Job, opened
from jaxcircuits.bulk.meanings_file import KeptMeaning, KeptMeanings, meanings_bytes
from jaxcircuits.bulk.meanings_plan import MeaningsPlan
from jaxcircuits.bulk.passes import names_of
from jaxcircuits.bulk.unit_files import UnitFiles
from jaxcircuits.evidence import Examples, Meanings
from jaxcircuits.evidence import examples as examples_of
from jaxcircuits.evidence import meanings as meanings_of
from jaxcircuits.evidence.layer_examples import Chosen
from jaxcircuits.evidence.meanings import TooFewPictures
from jaxcircuits.evidence.meanings import below as layer_below
from jaxcircuits.files import below
from jaxcircuits.images import Pictures
from jaxcircuits.images.sheet import to_image
from jaxcircuits.network import Network
from jaxcircuits.network.units import Unit
from jaxcircuits.vis import Recipe, channel, facet, render
from jaxcircuits.vis.arguments import as_recipe

FACET = 4.0
"""How much a meaning counts beside the unit in its drawing: the length of its vector, see `facet`."""
AT_ONCE = 4
"""Drawings at once, whatever their number: other numbers would be other programs."""
INPUTS = 4
"""Units of the layer below that are named of each meaning."""


@contextlib.contextmanager
def meanings(
    network: Network,
    pictures: Pictures,
    units: Mapping[str, Sequence[int]],
    out: str | Path,
    *,
    recipe: Recipe | None = None,
    count: int = 64,
    draws: int = 999,
    examples: int = 4,
    hosts: Hosts = ALONE,
) -> Iterator[Job[UnitMeanings]]:
    """Opens the meanings of units in a folder, see `evidence.meanings`.

    >>> with meanings(network, open_pictures("photographs"), {"mixed4e": [440, 135]}, "records") as job:
    ...     job.run()

    A layer costs one pass over the pictures, and each unit a few seconds: gradients of its strongest pictures, clusters
    of them, and a drawing for each of several meanings. p-values are kept as they are, of each unit alone;
    `bulk.meanings_corrected` corrects them for all units of a layer that are on record.

    Args:
      network: whose units.
      pictures: that are shown.
      units: layer -> which of its units.
      out: a folder, or the URL of one that `etils.epath` knows; files go to
        OUT/NETWORK/LAYER/meanings/FIRST_UNIT-HASH.safetensors.
      recipe: of drawings; by default the network's own, or Lucid's.
      count: of each unit's strongest pictures, that are told apart.
      draws: samples with a single peak; no p-value is below 1 / (1 + draws).
      examples: crops of each meaning.
      hosts: which of several processes this one is, see `meet`.

    Yields:
      The `Job`; other commands are kept from the folder's meanings meanwhile.

    Raises:
      InputError: for bad input, and where the folder holds meanings that were found otherwise.
    """
    for layer, own in units.items():
        network.check_units(layer, list(own))
        layer_below(network, layer)
    recipe = as_recipe(network, recipe)
    pictures = pictures.at(network.convention.size, network.convention.channels)
    about = pictures.source.description, names_of(pictures)
    plan = MeaningsPlan(network.name, network.identity, recipe, *about, count, draws, examples)
    folder = below(place.root(out), network.name)
    with opened(
        UnitMeanings(network=network, folder=folder, plan=plan, pictures=pictures, wanted=dict(units)), hosts
    ) as job:
        yield job


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class UnitMeanings(UnitFiles):
    """Meanings, see `Product`.

    Attributes:
      pictures: that are shown.
    """

    plan: MeaningsPlan
    pictures: Pictures

    NAME, RECORDS, MADE, SUMMARY = "meanings", "meanings", "found", "what {units} stand for"

    @functools.cached_property
    def _passes(self) -> dict[str, Examples]:
        """The last layer's pass: shards of one layer follow one another."""
        return {}

    def _seen(self, layer: str) -> Examples:
        if layer not in self._passes:
            self._passes.clear()
            self._passes[layer] = examples_of(self.network, self.pictures, layer, self.plan.count)
        return self._passes[layer]

    def made(self, shard: int) -> Mapping[int, KeptMeanings]:
        """See `ShardFiles`."""
        layer, units = self.plan.shards[shard].layer, self.plan.shards[shard].units
        seen, found, unknown = self._seen(layer), {}, {}
        for unit in units:
            try:
                found[unit] = meanings_of(
                    self.network,
                    Unit(layer, unit),
                    self.pictures,
                    seen=seen,
                    count=self.plan.count,
                    draws=self.plan.draws,
                )
            except TooFewPictures as error:
                unknown[unit] = KeptMeanings(layer_below(self.network, layer), None, (), str(error))
        drawings = self._drawn(layer, {unit: one for unit, one in found.items() if one.count > 1})
        wanted = {
            (unit, k): Chosen(*(part[one.labels == k][: self.plan.examples] for part in one.chosen))
            for unit, one in found.items()
            for k in range(one.count)
        }
        crops = cut(self.network, self.pictures, layer, wanted, seen.seen.size)
        kept = {
            unit: KeptMeanings(
                one.layer,
                round(one.p_value, 6),
                tuple(
                    KeptMeaning(
                        round(float((one.labels == k).mean()), 6),
                        tuple(np.argsort(-one.probes[k], kind="stable")[:INPUTS].tolist()),
                        tuple(crops[unit, k]),
                        drawings.get((unit, k)),
                    )
                    for k in range(one.count)
                ),
            )
            for unit, one in found.items()
        }
        return {unit: kept.get(unit) or unknown[unit] for unit in units}

    def encoded(self, shard: int, made: Mapping[int, KeptMeanings]) -> bytes:
        """See `ShardFiles`."""
        return meanings_bytes(self.plan.shards[shard].layer, made)

    def _drawn(self, layer: str, several: Mapping[int, Meanings]) -> dict[tuple[int, int], np.ndarray]:
        """A drawing for each meaning of the units that have several, all in one call."""
        if not several:
            return {}
        names = [(unit, k) for unit, one in several.items() for k in range(one.count)]
        vectors = np.concatenate([FACET * one.probes for one in several.values()])
        source = next(iter(several.values())).layer
        objective = facet(channel(layer, [unit for unit, _ in names]), source, vectors)
        images = render(self.network, objective, self.plan.recipe, batch_size=AT_ONCE, progress=False).images
        failed = {unit for (unit, _), image in zip(names, images) if not np.isfinite(image).all()}
        return {
            name: np.asarray(to_image(image).convert("RGB"))
            for name, image in zip(names, images)
            if name[0] not in failed
        }
