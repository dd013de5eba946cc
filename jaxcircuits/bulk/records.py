"""What is on record of units: read by pages, which compute nothing.

On the disk, below the folder that commands call OUT (a layer's name may have `/`, then its folder lies deeper):

    NETWORK/plan.json                       the plan of drawings; plan.VARIANT.json of another recipe or seed
    NETWORK/plan.examples.json              the plan of a pass over pictures
    NETWORK/plan.wiring.json                the plan of wiring
    NETWORK/.records/PRODUCT/00012.json     the index: a finished shard's files, their sizes and hashes
    NETWORK/LAYER/0011.png                  a drawing (or .webp), its score and recipe in its metadata
    NETWORK/LAYER/0011.failed.txt           why a drawing is not finite, in its place
    NETWORK/LAYER/VARIANT/0011.png          a drawing of a variant
    NETWORK/LAYER/recipe.json, sheet.png    how the drawings were made; all of them together
    NETWORK/LAYER/examples.safetensors      examples of all units of the layer, `evidence.Examples.read`
    NETWORK/LAYER/crops/0000-....safetensors what some units saw in their examples, `read_crops`
    NETWORK/LAYER/meanings/0000-....safetensors what some units stand for, `read_meanings`
    NETWORK/LAYER/wiring.safetensors        strongest inputs and outputs of all units, `circuits.read_wiring`

What the index does not name is not there, whatever lies in the folders: it may be half of a shard. Reading it:

>>> records = Records("pictures")
>>> records.networks                                   # ("inceptionv1-2015", ...)
>>> network = records["inceptionv1-2015"]
>>> network.identity, network.layers, network.variants
>>> layer = network["mixed4b"]
>>> layer.units                                        # numbers of which anything is on record
>>> layer.drawings[11].path, layer.drawings[11].score  # also .facts and .failure; layer.drawn(VARIANT)
>>> layer.examples.strongest.pictures[11]              # a LayerExamples, or None
>>> layer.seen.source, layer.seen.classes              # what was shown, or None
>>> layer.wiring.inputs.excitatory.units[11]           # a LayerWiring, or None
>>> layer.crops(11)[0].crops[0].image                  # of its strongest example, or None
>>> layer.meanings(11).meanings[0].drawing             # what a unit stands for, or None
>>> layer.missing(11)                                  # of ("drawings", "examples", "wiring") those that lack
>>> network.problems                                   # a line for each damaged file; its record counts as missing

It is a snapshot: a new `Records` sees what was made meanwhile. Files are compared with the index by their sizes; a job
of `jaxcircuits.bulk` compares hashes, and makes again what is damaged.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from etils import epath

from jaxcircuits.bulk import place
from jaxcircuits.bulk.crops_file import CropBand, read_crops
from jaxcircuits.bulk.crops_plan import CropsPlan
from jaxcircuits.bulk.drawing import Drawing
from jaxcircuits.bulk.drawing_plan import DrawingPlan, DrawingShard
from jaxcircuits.bulk.examples_plan import ExamplesPlan
from jaxcircuits.bulk.index import Index
from jaxcircuits.bulk.meanings_file import KeptMeanings, read_meanings
from jaxcircuits.bulk.meanings_plan import MeaningsPlan
from jaxcircuits.bulk.pictures import LARGEST_MARK
from jaxcircuits.bulk.plan import LARGEST_PLAN, Plan
from jaxcircuits.bulk.product import PLAN, entry_name
from jaxcircuits.bulk.units_plan import UnitsPlan, UnitsShard
from jaxcircuits.bulk.wiring_plan import WiringPlan
from jaxcircuits.circuits import LayerWiring, read_wiring
from jaxcircuits.errors import InputError, shown
from jaxcircuits.evidence import Examples
from jaxcircuits.evidence.examples import Shown
from jaxcircuits.evidence.layer_examples import LayerExamples
from jaxcircuits.lookup import Lookup

PRODUCTS = ("drawings", "examples", "wiring")
"""What may be on record of a unit."""

Kind = TypeVar("Kind", bound=Plan)
Content = TypeVar("Content")


@dataclasses.dataclass(frozen=True, eq=False)
class LayerRecords:
    """What is on record of a layer's units.

    Attributes:
      layer: its name.
      network: whose.
    """

    layer: str
    network: NetworkRecords

    @property
    def drawings(self) -> Mapping[int, Drawing]:
        """Unit -> its drawing, of those that there are."""
        return self.drawn()

    def drawn(self, variant: str = "") -> Mapping[int, Drawing]:
        """The drawings of a variant, see `NetworkRecords.variants`; those without a name are the first ones."""
        return self.network._drawings(variant).get(self.layer, {})

    @functools.cached_property
    def examples(self) -> LayerExamples | None:
        """Its units' examples."""
        return self._examples[self.layer] if self._examples else None

    @property
    def seen(self) -> Shown | None:
        """What was shown for them."""
        return self._examples.seen if self._examples else None

    @functools.cached_property
    def wiring(self) -> LayerWiring | None:
        """How its units are wired."""

        def read(path: Path) -> LayerWiring:
            found = read_wiring(path)
            if found.layer != self.layer:
                raise InputError(f"{path}: wiring of {shown(found.layer)}; expected that of {self.layer}")
            return found

        return self.network._read("wiring", self.network._entry("wiring", self.layer), read)

    def directed(self, directions: str) -> Mapping[int, Drawing]:
        """The drawings of directions of that name, by row."""
        return self.network._drawings("", f"{self.layer}.{directions}").get(self.layer, {})

    def crops(self, unit: int) -> tuple[CropBand, ...] | None:
        """What a unit saw in its examples; None where nothing has been cut out."""
        return self.network._read("crops", self._entry_with("crops", unit), lambda path: read_crops(path, unit))

    def meanings(self, unit: int) -> KeptMeanings | None:
        """What a unit stands for; None where nobody looked."""
        entry = self._entry_with("meanings", unit)
        return self.network._read("meanings", entry, lambda path: read_meanings(path, unit))

    def _entry_with(self, product: str, unit: int) -> str | None:
        """The name in a product's index of the shard that has a unit."""
        plan = self.network.plan(product)
        found = plan.entry_with(self.layer, unit) if isinstance(plan, UnitsPlan) else None
        return None if found is None else entry_name(found)

    @functools.cached_property
    def units(self) -> tuple[int, ...]:
        """The units of which anything is on record, by number."""
        return tuple(sorted({*self.drawings, *range(max(self._counts))}))

    def missing(self, unit: int) -> tuple[str, ...]:
        """Which of `PRODUCTS` are not on record of a unit."""
        there = (unit in self.drawings, *(unit < count for count in self._counts))
        return tuple(name for name, is_there in zip(PRODUCTS, there) if not is_there)

    @functools.cached_property
    def _counts(self) -> tuple[int, int]:
        """How many units the files of all units have."""
        return len(self.examples.mean) if self.examples else 0, self.wiring.units if self.wiring else 0

    @functools.cached_property
    def _examples(self) -> Examples | None:
        def read(path: Path) -> Examples:
            found = Examples.read(path)
            if self.layer not in found:
                raise InputError(f"{path}: examples of {shown(next(iter(found)))}; expected those of {self.layer}")
            return found

        return self.network._read("examples", self.network._entry("examples", self.layer), read)


class NetworkRecords(Lookup[str, LayerRecords]):
    """What is on record of a network, by layer.

    Args:
      folder: OUT/NETWORK.

    Attributes:
      name: the network's; of plans that cannot be read the folder's.
      identity: see `Network.identity`; empty where no plan can be read.
      problems: one line for each file that is damaged.
    """

    def __init__(self, folder: epath.Path):
        self.folder = folder
        self.problems: list[str] = []
        self._listed = functools.cache(place.names)
        there = place.names(folder)
        others = {"examples": ExamplesPlan, "wiring": WiringPlan, "crops": CropsPlan, "meanings": MeaningsPlan}
        self._drawn: dict[tuple[str, str], Mapping[str, Mapping[int, Drawing]]] = {}
        self._plans: dict[str, Plan] = {}
        if PLAN in there:
            self._plan("drawings", PLAN, DrawingPlan)
        for name in sorted(there):
            called = name.removeprefix("plan.").removesuffix(".json")
            if name == f"plan.{called}.json":
                self._plan(called if called in others else f"drawings.{called}", name, others.get(called, DrawingPlan))
        first = next(iter(self._plans.values()), None)
        self.name = first.network if first else folder.name
        self.identity = first.weights if first else ""
        for product, plan in list(self._plans.items()):
            if (plan.network, plan.weights) != (self.name, self.identity):
                del self._plans[product]
                self.problems.append(f"{folder}: {product} of {plan.network} with other weights; left out")

    @functools.cached_property
    def layers(self) -> tuple[str, ...]:
        """Those that any plan names, in the order of the plans."""
        return tuple(dict.fromkeys(name for plan in self._plans.values() for name in _layers_of(plan)))

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of further drawings, with another recipe or seed."""
        return tuple(name.removeprefix("drawings.") for name in self._plans if name.startswith("drawings."))

    def units_planned(self, layer: str) -> tuple[int, ...]:
        """The units of a layer that are drawn or cut out, or of which meanings are told, or are to be."""
        drawn, shards = self._plans.get("drawings"), list[DrawingShard | UnitsShard]()
        if isinstance(drawn, DrawingPlan):
            shards += [shard for shard in drawn.shards if not shard.directions]
        for plan in self._plans.values():
            if isinstance(plan, UnitsPlan):
                shards += plan.shards
        return tuple(sorted({unit for shard in shards if shard.layer == layer for unit in shard.units}))

    def plan(self, product: str) -> Plan | None:
        """The plan of one of `PRODUCTS`, or of `drawings.VARIANT`; it has the recipe, or what was shown."""
        return self._plans.get(product)

    def _held(self) -> tuple[str, Mapping[str, LayerRecords], str]:
        # New ones every time: each keeps what it has read.
        return "layer", {layer: LayerRecords(layer, self) for layer in self.layers}, f"the records of {self.name}"

    def _plan(self, product: str, name: str, kind: type[Kind]) -> None:
        try:
            text = place.read(self.folder / name, "a plan", LARGEST_PLAN)
            self._plans[product] = kind.from_json(text)
        except InputError as error:
            said = str(error)
            self.problems.append(said if said.startswith(str(self.folder)) else f"{self.folder / name}: {said}")

    @functools.cached_property
    def _files(self) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
        """Product -> name in its index -> the files that are there, of entries that belong to the plan."""
        found = {}
        for product, plan in self._plans.items():
            shards = {**{entry_name(i): plan.of(i) for i in range(len(plan.shards))}, **plan.others}
            entries = Index(self.folder, product).entries()
            known = {name: entry for name, entry in entries.items() if shards.get(name) == entry.of}
            found[product] = {name: self._sound(entry.files) for name, entry in known.items()}
        return found

    def _sound(self, files: Mapping[str, place.Stamp]) -> tuple[str, ...]:
        sound = []
        for path, stamp in files.items():
            found = place.is_sound(self.folder / path, stamp, self._listed, hashed=False)
            if found:
                sound.append(path)
            elif found is False:
                self.problems.append(f"{self.folder / path}: damaged; the same command makes it again")
        return tuple(sound)

    def _drawings(self, variant: str, folder: str = "") -> Mapping[str, Mapping[int, Drawing]]:
        """Layer -> unit -> its drawing; of the directions in a folder, or of units for none."""
        product = f"drawings.{variant}" if variant else "drawings"
        if (product, folder) not in self._drawn:
            self._drawn[product, folder] = self._drawings_of(product, folder)
        return self._drawn[product, folder]

    def _drawings_of(self, product: str, folder: str) -> Mapping[str, Mapping[int, Drawing]]:
        plan = self._plans.get(product)
        found: dict[str, dict[int, Drawing]] = {}
        if not isinstance(plan, DrawingPlan):
            return found
        for i, shard in enumerate(plan.shards):
            files = set(self._files[product].get(entry_name(i), ()))
            for unit in shard.units if (shard.folder == folder if folder else not shard.directions) else ():
                base = f"{shard.folder}/{unit:04d}"
                own = found.setdefault(shard.layer, {})
                if (name := f"{base}.{plan.format}") in files:
                    own[unit] = Drawing(shard.layer, unit, self.folder / name, plan.seed, plan.recipe.size)
                elif (name := f"{base}.failed.txt") in files:
                    own[unit] = Drawing(
                        shard.layer, unit, self.folder / name, plan.seed, plan.recipe.size, self._why(name)
                    )
        return {layer: dict(sorted(own.items())) for layer, own in found.items()}

    def _why(self, name: str) -> str:
        try:
            return (
                place.read(self.folder / name, "why there is no picture", LARGEST_MARK).decode(errors="replace").strip()
            )
        except InputError as error:
            return str(error)

    def _entry(self, product: str, layer: str) -> str | None:
        plan = self._plans.get(product)
        return plan.entry_of(layer) if isinstance(plan, (ExamplesPlan, WiringPlan)) else None

    def _read(self, product: str, entry: str | None, read: Callable[[Path], Content]) -> Content | None:
        """The file of an entry of a product; None where there is none, or it is damaged."""
        files = self._files[product].get(entry, ()) if entry and product in self._plans else ()
        if not files:
            return None
        try:
            with place.on_disk(self.folder / files[0]) as path:
                return read(path)
        except InputError as error:
            self.problems.append(str(error))
            return None


class Records(Lookup[str, NetworkRecords]):
    """What is on record below a folder, by network.

    Args:
      folder: that commands call OUT.

    Raises:
      InputError: where there is no such folder.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = place.root(folder)
        if not place.is_remote(self.folder) and not os.path.isdir(self.folder):
            raise InputError(f"{self.folder}: no such folder; expected one that jaxcircuits wrote records into")
        self._networks: dict[str, NetworkRecords] = {}
        for name in sorted(place.names(self.folder)):
            if any(part.startswith("plan.") and part.endswith(".json") for part in place.names(self.folder / name)):
                network = NetworkRecords(self.folder / name)
                self._networks[network.name] = network

    @property
    def networks(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self._networks)

    def _held(self) -> tuple[str, Mapping[str, NetworkRecords], str]:
        return "network", self._networks, f"the records in {self.folder}"


def _layers_of(plan: Plan) -> Iterator[str]:
    for shard in plan.shards:
        yield from shard.layers
