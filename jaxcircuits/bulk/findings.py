"""Findings about whole layers, kept beside a network's records: families of units, tuning, counterparts elsewhere.

    NETWORK/findings.json                     families by stimuli, matches with other networks
    NETWORK/tuning/STIMULUS.safetensors       `evidence.Tuning`, of the layers that were asked for

Each is one pass over stimuli or pictures and one file, so none is planned in shards: what was interrupted is found
again. A finding is looked for once; layers that are asked for later are added to it.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxcircuits.errors import LARGEST as LARGEST_NUMBER
from jaxcircuits.errors import InputError
from jaxcircuits.evidence import stimuli
from jaxcircuits.evidence.clarity import monosemanticity
from jaxcircuits.evidence.tuning import tuning
from jaxcircuits.evidence.tuning_result import Tuning
from jaxcircuits.files import below, parse_json, read_as, replacing
from jaxcircuits.images import Pictures
from jaxcircuits.images.pictures import floats
from jaxcircuits.images.progress import LookingProgress
from jaxcircuits.network import Network
from jaxcircuits.universality.bank import answers
from jaxcircuits.universality.family import FAMILIES, members
from jaxcircuits.universality.matching import depth_map

FILE = "findings.json"
LARGEST = 2**28
"""Bytes of the file."""
MOST = 2**20
"""Numbers of units and names of other networks that it may have."""
LEAST = 0.05
"""Correlation below which a unit has no counterpart in another network."""

TOGETHER = 32
"""Pictures that two networks look at together."""

TURN = 2 * np.pi
TUNED: Mapping[str, tuple[Any, Mapping[str, np.ndarray]]] = {
    "curve": (stimuli.curve, {"orientation": np.arange(24) * TURN / 24, "radius": np.array([10.0, 16.0, 24.0, 36.0])}),
    "line": (stimuli.line, {"orientation": np.arange(12) * np.pi / 12}),
    "grating": (
        stimuli.grating,
        {"orientation": np.arange(8) * np.pi / 8, "wavelength": np.array([4.0, 6.0, 9.0, 14.0, 20.0])},
    ),
    "hue": (stimuli.hue, {"hue": np.arange(12) * TURN / 12}),
}
"""Stimuli that every unit's tuning is measured with."""


@dataclasses.dataclass(frozen=True)
class Match:
    """A layer's counterparts in another network.

    Attributes:
      layers: of the other network, those that were compared.
      hard: mean correlation of the one-to-one assignment with each of these.
      best: unit -> (layer, unit, correlation) of the most correlated unit of any of them.
    """

    layers: tuple[str, ...]
    hard: tuple[float, ...]
    best: Mapping[int, tuple[str, int, float]]


@dataclasses.dataclass(frozen=True)
class Findings:
    """What has been found about a network.

    Attributes:
      weights: its identity, see `Network.identity`.
      families: layer -> name -> units; a layer that has been looked at is there with no families too.
      matches: other network's name -> layer -> `Match`.
      measures: layer -> name -> a number of each unit; None where it has none.
    """

    weights: str
    families: Mapping[str, Mapping[str, tuple[int, ...]]] = dataclasses.field(default_factory=dict)
    matches: Mapping[str, Mapping[str, Match]] = dataclasses.field(default_factory=dict)
    measures: Mapping[str, Mapping[str, tuple[float | None, ...]]] = dataclasses.field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Writes them into the folder of the network's records."""
        with replacing(folder / FILE) as temporary:
            temporary.write_text(json.dumps(dataclasses.asdict(self)) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Findings | None:
        """Reads what `write` wrote; None where nothing has been found yet.

        Raises:
          InputError: for a file that is damaged or something else.
        """
        path = folder / FILE
        if not path.exists():
            return None
        parse = functools.partial(parse_json, what="a file of findings", most=LARGEST)
        said = read_as(path, "a file of findings", LARGEST, parse)
        try:
            families = {
                str(layer): {str(name): tuple(map(_number, units)) for name, units in own.items()}
                for layer, own in said["families"].items()
            }
            matches = {
                str(other): {str(layer): _match(one) for layer, one in own.items()}
                for other, own in said["matches"].items()
            }
            measures = {
                str(layer): {
                    str(name): tuple(None if value is None else _real(value) for value in values)
                    for name, values in own.items()
                }
                for layer, own in said["measures"].items()
            }
            return cls(_text(said["weights"]), families, matches, measures)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise InputError(f"{path}: damaged; expected a file of findings ({error})") from None


def find_families(network: Network, layers: Sequence[str], folder: Path) -> None:
    """Looks for the families of `jaxcircuits.universality` among the units of layers, and keeps what it finds.

    Args:
      network: whose units.
      layers: names; those without positions are left out, and those that were looked at before.
      folder: of the network's records.

    Raises:
      InputError: for an unknown layer, and findings of other weights in the folder.
    """
    kept = _kept(network, folder)
    wanted = [name for name in layers if name not in kept.families and len(network.layer(name).shape) == 3]
    if not wanted:
        return
    seen = answers(network, wanted)
    found = {
        layer: {family.name: tuple(members(family, seen[layer]).units.tolist()) for family in FAMILIES}
        for layer in wanted
    }
    found = {layer: {name: units for name, units in own.items() if units} for layer, own in found.items()}
    dataclasses.replace(kept, families={**kept.families, **found}).write(folder)


def find_matches(network: Network, other: Network, layers: Sequence[str], pictures: Pictures, folder: Path) -> None:
    """Looks for the counterparts of units among the units of another network's stages, and keeps them.

    Args:
      network: whose units.
      other: the other network, of another name.
      layers: of the first.
      pictures: over which units are correlated.
      folder: of the first network's records.

    Raises:
      InputError: as `universality.depth_map`, and for findings of other weights in the folder.
    """
    kept = _kept(network, folder)
    before = kept.matches.get(other.name, {})
    wanted = [name for name in layers if name not in before]
    if not wanted:
        return
    found = depth_map(network, other, pictures, first_layers=wanted)
    theirs, own = found.layers[1], {}
    for layer in wanted:
        together = np.concatenate([found[layer, name].correlation for name in theirs], axis=1)
        starts = np.cumsum([0, *(found[layer, name].correlation.shape[1] for name in theirs)])
        best: dict[int, tuple[str, int, float]] = {}
        for unit, row in enumerate(np.nan_to_num(together, nan=-1)):
            place = int(row.argmax())
            at = int(np.searchsorted(starts, place, side="right")) - 1
            if row[place] >= LEAST:
                best[unit] = theirs[at], place - int(starts[at]), round(float(row[place]), 4)
        hard = tuple(round(float(found[layer, name].scores.hard), 4) for name in theirs)
        own[layer] = Match(tuple(theirs), hard, best)
    matches = {**kept.matches, other.name: {**before, **own}}
    dataclasses.replace(kept, matches=matches).write(folder)


def find_monosemanticity(
    network: Network, other: Network, layers: Sequence[str], pictures: Pictures, folder: Path
) -> None:
    """Measures how much alike the pictures are that units answer, by the last stage of another network, and keeps it.

    See `evidence.clarity.monosemanticity`. Pictures that cannot be read are left out.

    Args:
      network: whose units.
      other: the network whose means over positions of its last stage say how alike pictures are.
      layers: of the first.
      pictures: that are looked at.
      folder: of the first network's records.

    Raises:
      InputError: for unknown layers, a network without stages, and findings of other weights in the folder.
    """
    kept, name = _kept(network, folder), f"monosemanticity by {other.name}"
    wanted = [layer for layer in layers if name not in kept.measures.get(layer, {})]
    if not wanted:
        return
    if not other.graph.stages:
        raise InputError(f"{other.name} has no stages, by the last of which pictures could be compared")
    last = other.graph.stages[-1]
    seen: dict[str, list[np.ndarray]] = {layer: [] for layer in (*wanted, last)}
    beside = [pictures.at(one.convention.size, one.convention.channels) for one in (network, other)]
    with LookingProgress(f"{network.name} monosemanticity", len(pictures), True) as bar:
        for own, theirs in zip(*(one.batches(TOGETHER) for one in beside)):
            there = own.read & theirs.read
            for batch, model, names, mean in ((own, network, wanted, False), (theirs, other, [last], True)):
                for layer, values in model.activations(floats(batch.images), names).items():
                    flat = np.asarray(values).reshape(len(values), -1, values.shape[-1])
                    seen[layer].append((flat.mean(1) if mean else flat.max(1))[there])
            bar.update(min(int(own.numbers[-1]) + 1, len(pictures)))
    embeddings = np.concatenate(seen.pop(last))
    alive = np.linalg.norm(embeddings, axis=1) > 0
    measures = {layer: dict(own) for layer, own in kept.measures.items()}
    for layer in wanted:
        scores = monosemanticity(np.concatenate(seen[layer])[alive], embeddings[alive])
        values = tuple(None if np.isnan(score) else round(float(score), 5) for score in scores)
        measures.setdefault(layer, {})[name] = values
    dataclasses.replace(kept, measures=measures).write(folder)


def find_tuning(network: Network, layers: Sequence[str], folder: Path) -> None:
    """Measures what units answer to the stimuli of `TUNED`, and keeps it.

    Args:
      network: whose units.
      layers: names.
      folder: of the network's records.

    Raises:
      InputError: for an unknown layer.
    """
    for name, (stimulus, grid) in TUNED.items():
        path = _tuning_path(folder, name)
        before = Tuning.read(path) if path.exists() else {}
        wanted = [layer for layer in layers if layer not in before]
        if wanted:
            found = tuning(network, stimulus, grid, wanted)
            answers_ = {**{layer: before[layer] for layer in before}, **found.answers}
            dataclasses.replace(found, answers=answers_).save(path)


def read_tunings(folder: Path) -> dict[str, Tuning]:
    """Stimulus -> what `find_tuning` kept, of those that there are; raises `InputError` for a damaged file."""
    paths = {name: _tuning_path(folder, name) for name in TUNED}
    return {name: Tuning.read(path) for name, path in paths.items() if path.exists()}


def _tuning_path(folder: Path, name: str) -> Path:
    return below(folder / "tuning", name, ending=".safetensors")


def _kept(network: Network, folder: Path) -> Findings:
    kept = Findings.read(folder) or Findings(network.identity)
    if kept.weights != network.identity:
        raise InputError(f"{folder / FILE}: of other weights than those of {network.name}; choose another --out")
    return kept


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < MOST:
        raise ValueError(f"{value!r:.40} is no unit")
    return value


def _real(value: Any) -> float:
    if type(value) not in (int, float) or not abs(value) <= LARGEST_NUMBER:
        raise ValueError(f"{value!r:.40} is no number")
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.40} is no text")
    return value


def _match(one: Any) -> Match:
    best = {_number(int(unit)): (_text(a), _number(b), _real(c)) for unit, (a, b, c) in one["best"].items()}
    layers, hard = tuple(map(_text, one["layers"])), tuple(map(_real, one["hard"]))
    if len(layers) != len(hard):
        raise ValueError("as many scores as layers are expected")
    return Match(layers, hard, best)
