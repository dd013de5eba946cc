"""Crops as a product: what units saw in their examples and where they fired, cut out once, so that pages need neither
the network nor the pictures."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from jaxcircuits.bulk import place
from jaxcircuits.bulk.crops_file import HEAT, Crop, CropBand, crops_bytes
from jaxcircuits.bulk.crops_plan import CropsPlan
from jaxcircuits.bulk.examples_plan import ExamplesPlan
from jaxcircuits.bulk.hosts import ALONE, Hosts
from jaxcircuits.bulk.job import Job, opened
from jaxcircuits.bulk.records import Records
from jaxcircuits.bulk.unit_files import UnitFiles
from jaxcircuits.errors import InputError
from jaxcircuits.evidence.bands import Band, bands
from jaxcircuits.evidence.crops import View, view_at
from jaxcircuits.evidence.layer_examples import Chosen, LayerExamples
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
class Crops(UnitFiles):
    """Crops, see `Product`.

    Attributes:
      pictures: that were shown.
      examples: layer -> its examples.
      size: height and width at which the pictures were shown.
    """

    plan: CropsPlan
    pictures: Pictures
    examples: Mapping[str, LayerExamples]
    size: tuple[int, int]

    NAME, RECORDS, MADE, SUMMARY = "crops", "crops", "cut", "what {units} saw"

    def made(self, shard: int) -> Mapping[int, tuple[CropBand, ...]]:
        """See `ShardFiles`."""
        layer, units = self.plan.shards[shard].layer, self.plan.shards[shard].units
        examples = self.examples.get(layer)
        if examples is None:  # of a shard that an earlier command planned, of a layer not asked for now
            raise InputError(f"no examples of {layer}; ask for it too")
        chosen = {unit: bands(examples, unit, self.plan.strongest, self.plan.each) for unit in units}
        wanted = {(unit, b): band.chosen for unit, own in chosen.items() for b, band in enumerate(own)}
        found = cut(self.network, self.pictures, layer, wanted, self.size)
        return {unit: tuple(_band(band, found[unit, b]) for b, band in enumerate(own)) for unit, own in chosen.items()}

    def encoded(self, shard: int, made: Mapping[int, tuple[CropBand, ...]]) -> bytes:
        """See `ShardFiles`."""
        return crops_bytes(self.plan.shards[shard].layer, dict(made))


def cut(
    network: Network,
    pictures: Pictures,
    layer: str,
    wanted: Mapping[tuple[int, int], Chosen],
    size: tuple[int, int],
) -> dict[tuple[int, int], list[Crop]]:
    """What units saw in chosen pictures; every picture is read and seen once for all units that answer it.

    Args:
      network: whose units.
      pictures: that were shown.
      layer: theirs.
      wanted: (unit, a number of one's own) -> pictures, and where in them.
      size: height and width at which they were shown.

    Returns:
      For each of `wanted` its crops, in its order.

    Raises:
      InputError: for pictures that cannot be read any more.
    """
    places: dict[int, list[tuple[tuple[int, int], int]]] = {}
    for key, chosen in wanted.items():
        for k, number in enumerate(chosen.pictures.tolist()):
            places.setdefault(number, []).append((key, k))
    found: dict[tuple[tuple[int, int], int], Crop] = {}
    shown = pictures.at(network.convention.size, network.convention.channels)
    numbers = sorted(places)
    for start in range(0, len(numbers), AT_ONCE):
        part = numbers[start : start + AT_ONCE]
        read = [shown[number] for number in part]
        maps = np.concatenate(list(answers(network, layer, np.stack([one.image for one in read]))))
        for number, one, fires in zip(part, read, maps):
            label = shown.classes[one.label] if 0 <= one.label < len(shown.classes) else ""
            for key, k in places[number]:
                seen = view_at(network, shown, layer, number, wanted[key].places[k], fires[..., key[0]], size)
                found[key, k] = _crop(seen, one.name, label)
    return {key: [found[key, k] for k in range(len(chosen.pictures))] for key, chosen in wanted.items()}


def _crop(seen: View, name: str, label: str) -> Crop:
    heat = Image.fromarray(seen.heat * np.float32(seen.value)).resize((HEAT, HEAT), Image.Resampling.BILINEAR)
    image = np.round(255 * np.clip(seen.image, 0, 1)).astype(np.uint8)
    return Crop(image, np.asarray(heat), seen.value, name, label)


def _band(band: Band, cut: list[Crop]) -> CropBand:
    return CropBand(band.low, band.high, None if np.isnan(band.share) else band.share, tuple(cut))
