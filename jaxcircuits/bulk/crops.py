"""Crops as a product: what units saw in their examples and where they fired, cut out once, so that pages need neither
the network nor the pictures."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from etils import epath
from PIL import Image

from jaxcircuits.bulk import place
from jaxcircuits.bulk.crops_file import HEAT, Crop, CropBand, crops_bytes
from jaxcircuits.bulk.crops_plan import CropsPlan, CropsShard
from jaxcircuits.bulk.examples_plan import ExamplesPlan
from jaxcircuits.bulk.hosts import ALONE, Hosts
from jaxcircuits.bulk.job import Job, opened
from jaxcircuits.bulk.records import Records
from jaxcircuits.bulk.shard_files import ShardFiles
from jaxcircuits.errors import InputError
from jaxcircuits.evidence.bands import Band, bands
from jaxcircuits.evidence.crops import View, view_at
from jaxcircuits.evidence.layer_examples import LayerExamples
from jaxcircuits.files import below
from jaxcircuits.images import Pictures
from jaxcircuits.network import Network
from jaxcircuits.network.stream import answers

AT_ONCE = 64
"""Pictures whose activations are held at once."""


@contextlib.contextmanager
def crops(
    network: Network,
    pictures: Pictures,
    units: Mapping[str, Sequence[int]],
    out: str | Path,
    *,
    strongest: int = 6,
    each: int = 3,
    hosts: Hosts = ALONE,
) -> Iterator[Job[Crops]]:
    """Opens crops in a folder that has examples of the same pictures, see `bulk.examples`.

    Args:
      network: whose units.
      pictures: that were shown.
      units: layer -> which of its units.
      out: the folder with the examples; files go to OUT/NETWORK/LAYER/crops/FIRST_UNIT.safetensors.
      strongest: examples of each unit.
      each: of each octave below.
      hosts: which of several processes this one is, see `meet`.

    Yields:
      The `Job`; other commands are kept from the folder's crops meanwhile.

    Raises:
      InputError: for bad input, for layers without examples, and where the folder holds other crops.
    """
    for layer, own in units.items():
        network.check_units(layer, list(own))
    records = Records(out)
    shown = records[network.name].plan("examples") if network.name in records else None
    if not isinstance(shown, ExamplesPlan) or shown.source != pictures.source.description:
        raise InputError(f"{out}: no examples of {network.name} in {pictures.source.description}; look for them first")
    found = {}
    for layer in units:
        examples = records[network.name][layer].examples
        if examples is None:
            raise InputError(f"{out}: no examples of {layer} of {network.name}; look for them first")
        if len(examples.mean) != network.layer(layer).channels:
            raise InputError(f"{out}: examples of {layer} of another number of units than {network.name} has")
        found[layer] = examples
    plan = CropsPlan(network.name, network.identity, shown.source, shown.named, strongest, each)
    size = shown.size or pictures[0].image.shape[:2]
    folder = below(place.root(out), network.name)
    ours = Crops(
        network=network, folder=folder, plan=plan, pictures=pictures, wanted=dict(units), examples=found, size=size
    )
    with opened(ours, hosts) as job:
        yield job


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Crops(ShardFiles):
    """Crops, see `Product`.

    Attributes:
      pictures: that were shown.
      wanted: layer -> units that are asked for.
      examples: layer -> its examples.
      size: height and width at which the pictures were shown.
    """

    plan: CropsPlan
    pictures: Pictures
    wanted: Mapping[str, Sequence[int]]
    examples: Mapping[str, LayerExamples]
    size: tuple[int, int]

    NAME, RECORDS, MADE, SUMMARY = "crops", "crops", "cut", "what {units} saw"

    def check(self) -> None:
        """See `Product`."""
        seen: set[tuple[str, int]] = set()
        for shard in self.plan.shards:
            self.network.check_units(shard.layer, list(shard.units))
            units = {(shard.layer, unit) for unit in shard.units}
            if units & seen:
                raise InputError(f"units of {shard.layer} are in several shards; expected each in one")
            seen |= units

    def extended(self) -> CropsPlan:
        """See `Product`."""
        return self.plan.extended(self.wanted)

    def asked(self) -> tuple[int, ...]:
        """See `Product`."""
        shards = enumerate(self.plan.shards)
        return tuple(i for i, shard in shards if set(shard.units) & set(self.wanted.get(shard.layer, ())))

    def path(self, shard: int) -> epath.Path:
        """See `ShardFiles`."""
        one = self.plan.shards[shard]
        name = f"{min(one.units):04d}-{self.plan.of(shard)[:6]}.safetensors"
        return below(self.root, one.layer) / "crops" / name

    def owns(self, name: str) -> bool:
        """See `ShardFiles`: the folder of crops has no others."""
        return True

    def made(self, shard: int) -> Mapping[int, tuple[CropBand, ...]]:
        """See `ShardFiles`."""
        return self._cut(self.plan.shards[shard])

    def encoded(self, shard: int, made: Mapping[int, tuple[CropBand, ...]]) -> bytes:
        """See `ShardFiles`."""
        return crops_bytes(self.plan.shards[shard].layer, dict(made))

    def count(self, shards: Sequence[int]) -> int:
        """See `Product`: units."""
        return sum(len(self.plan.shards[i].units) for i in shards)

    def _cut(self, shard: CropsShard) -> dict[int, tuple[CropBand, ...]]:
        """Every picture is read and seen once for all units of the shard that answer it."""
        examples = self.examples.get(shard.layer)
        if examples is None:  # of a shard that an earlier command planned, of a layer not asked for now
            raise InputError(f"no examples of {shard.layer}; ask for it too")
        chosen = {unit: bands(examples, unit, self.plan.strongest, self.plan.each) for unit in shard.units}
        wanted: dict[int, list[tuple[int, int, int]]] = {}
        for unit, own in chosen.items():
            for b, band in enumerate(own):
                for k, picture in enumerate(band.chosen.pictures.tolist()):
                    wanted.setdefault(picture, []).append((unit, b, k))
        found: dict[tuple[int, int, int], Crop] = {}
        pictures = self.pictures.at(self.network.convention.size, self.network.convention.channels)
        numbers = sorted(wanted)
        for start in range(0, len(numbers), AT_ONCE):
            part = numbers[start : start + AT_ONCE]
            read = [pictures[number] for number in part]
            maps = np.concatenate(list(answers(self.network, shard.layer, np.stack([one.image for one in read]))))
            for number, one, fires in zip(part, read, maps):
                label = pictures.classes[one.label] if 0 <= one.label < len(pictures.classes) else ""
                for unit, b, k in wanted[number]:
                    at = chosen[unit][b].chosen.places[k]
                    seen = view_at(self.network, pictures, shard.layer, number, at, fires[..., unit], self.size)
                    found[unit, b, k] = _crop(seen, one.name, label)
        return {
            unit: tuple(
                _band(band, [found[unit, b, k] for k in range(len(band.chosen.values))]) for b, band in enumerate(own)
            )
            for unit, own in chosen.items()
        }


def _crop(seen: View, name: str, label: str) -> Crop:
    heat = Image.fromarray(seen.heat * np.float32(seen.value)).resize((HEAT, HEAT), Image.Resampling.BILINEAR)
    image = np.round(255 * np.clip(seen.image, 0, 1)).astype(np.uint8)
    return Crop(image, np.asarray(heat), seen.value, name, label)


def _band(band: Band, cut: list[Crop]) -> CropBand:
    return CropBand(band.low, band.high, None if np.isnan(band.share) else band.share, tuple(cut))
