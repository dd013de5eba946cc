"""Claim 3 of Zoom In as a measurement: the same features and circuits in several networks, or not.

Command:   python -m examples.universality PHOTOGRAPHS NETWORK NETWORK ... --out RESULT.json [--figures FOLDER]
           (NETWORK as `jaxcircuits.load` takes it; examples.universality:mobilenet_v2 reads $MOBILENET_V2, a weights
           file of Keras; PHOTOGRAPHS: a folder of one folder a synset, such as 800 ImageNet pictures)
Hardware:  two CPU cores
Cost:      an hour for five networks and their ten pairs, 10 minutes for figures
Result:    examples/results/universality.json

What is finished is in the result; the same command does the rest. The families of all networks are measured together,
since their p-values are corrected for all of them.

Depths: all stages of every pair of networks, and the layers where families were found, by `universality.depth_map`,
over every eighth photograph. Each number is given beside what it is where the second network sees other photographs
than the first. Two networks agree on depth by the rank correlation of a layer's depth with that of its best match.

Families: as `universality.FAMILIES` define them, by drawn stimuli alone. By chance: in the same network with every
unit's weights in random arrangement, see `jaxcircuits.universality.rearranged`; p-values are corrected for all layers,
and adjusted ones for all families in all networks (Holm, 1979). Of the layers that pass, the first is told of that
has at least half of the largest share of members beyond chance.

Circuits: curves (`universality.family_circuit`), and from photographs of dogs and of vehicles, for `slide` its own
scenes of heads and of cars, `universality.head_circuit` and `car_circuit`.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np
from scipy.stats import spearmanr

import jaxcircuits as jc
from benchmarks.measuring import machine
from jaxcircuits import universality
from jaxcircuits.pages.compare_report import related_row
from jaxcircuits.slide import scenes

DOGS = ("n02085620", "n02113978")
"""The first and the last synset of dogs."""
VEHICLES = (
    "n02701002", "n02814533", "n02930766", "n03100240", "n03345487", "n03417042", "n03444034", "n03445924", "n03594945",
    "n03670208", "n03770679", "n03777568", "n03796401", "n03930630", "n03977966", "n04037443", "n04146614", "n04285008",
    "n04461696", "n04487081",
)  # fmt: skip
"""Ambulance, beach wagon, cab, convertible, fire engine, garbage truck, go-kart, golf cart, jeep, limousine, minivan,
Model T, moving van, pickup, police van, racer, school bus, sports car, tow truck, trolleybus."""
EVERY = 8
"""Of the photographs, for correlations; all of dogs and vehicles serve for circuits."""
OTHERS, SCENES = 120, 64
"""Photographs or scenes that others are held against, and scenes of a kind."""


def mobilenet_v2() -> jc.Network:
    """Keras' MobileNetV2 with the weights of the file `$MOBILENET_V2`."""
    from jaxcircuits.network.adapters.keras_applications import keras_application

    model, params, convention, labels = keras_application("MobileNetV2", os.environ["MOBILENET_V2"])
    return jc.Network.from_model("MobileNetV2", model, params, convention, labels)


def depth_row(found: universality.DepthMap) -> dict[str, Any]:
    """The depth map of a pair, as plain JSON types."""
    hard = found.table("hard")
    at = np.arange(len(hard)), hard.argmax(1)
    best = found.depths[1][at[1]]
    scores = {
        score: {
            "value": found.table(score).round(3).tolist(),
            "shuffled": found.table(score, shuffled=True).round(3).tolist(),
        }
        for score in universality.Scores._fields
    }
    return {
        "networks": list(found.networks),
        "layers": [list(names) for names in found.layers],
        "depths": [depths.round(3).tolist() for depths in found.depths],
        "pictures": next(iter(found.matchings.values())).pictures,
        "best": {
            "hard": round(float(hard.max(1).mean()), 3),
            "shuffled": round(float(found.table("hard", shuffled=True)[at].mean()), 3),
        },
        "rank_correlation_of_depths": round(float(spearmanr(found.depths[0], best).statistic), 3),
        "scores": scores,
    }


def photographed(network: jc.Network, pictures: jc.Pictures, numbers: np.ndarray) -> np.ndarray:
    """Photographs at a network's size, float32 (N, H, W, 3)."""
    sized = pictures.at(network.convention.size, network.convention.channels)
    return np.stack([sized[int(number)].image for number in numbers])


def drawn_scenes(*names: str) -> np.ndarray:
    """Scenes of classes of `slide`'s world, (N, H, W, 3)."""
    kinds = np.resize([scenes.CLASSES.index(name) for name in names], SCENES)
    keys = jax.random.split(jax.random.key(7), SCENES)
    return np.asarray(jax.jit(jax.vmap(scenes.scene_of))(keys, kinds))


def circuits(network: jc.Network, found: universality.Families, pictures: jc.Pictures) -> list[dict[str, Any]]:
    """The curve circuit, heads and cars of a network."""
    if network.name == "slide":
        kinds = drawn_scenes("head left", "head right"), drawn_scenes("car"), drawn_scenes(*scenes.CLASSES)
    else:
        synsets = np.array([Path(pictures.name(i)).parent.name for i in range(len(pictures))])
        dogs = np.flatnonzero((synsets >= DOGS[0]) & (synsets <= DOGS[1]))
        vehicles = np.flatnonzero(np.isin(synsets, VEHICLES))
        others = np.linspace(0, len(pictures) - 1, OTHERS).astype(int)
        kinds = tuple(photographed(network, pictures, chosen) for chosen in (dogs, vehicles, others))
    heads, cars, others = kinds
    layers = universality.apart(network, universality.layers_of(network))
    # From a third of the way on: what is before is too small for an object.
    late = [layer for layer, depth in zip(layers, universality.depths(network, layers)) if depth > 0.3]
    return [
        universality.family_circuit(network, found, "curves"),
        universality.head_circuit(network, late, heads, others),
        universality.car_circuit(network, late, cars, others),
    ]


def lines(parts: dict[str, Any]) -> str:
    """JSON with a line for each row: with one for each number it would be twice as long, and no easier to read."""
    texts = []
    for kind, value in parts.items():
        rows = ",\n  ".join(map(json.dumps, value)) if isinstance(value, list) and value else ""
        texts.append(f" {json.dumps(kind)}: " + (f"[\n  {rows}\n ]" if rows else json.dumps(value)))
    return "{\n" + ",\n".join(texts) + "\n}\n"


class Result:
    """A result that is written after every part, and begun again where it was."""

    def __init__(self, path: Path):
        self._path = path
        self.parts: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"related": [], "depths": []}

    def keep(self, kind: str, rows: list[dict[str, Any]]) -> None:
        self.parts.setdefault(kind, []).extend(rows)
        self._path.write_text(lines(self.parts))

    def has(self, kind: str, **facts: Any) -> bool:
        return any(all(row.get(key) == value for key, value in facts.items()) for row in self.parts.get(kind, []))


def measure(networks: list[jc.Network], folder: Path, result: Result) -> None:
    """Measures what is missing in a result."""
    pictures = jc.open_pictures(folder)
    fewer = jc.open_pictures([str(folder / pictures.name(i)) for i in range(0, len(pictures), EVERY)])
    result.parts.setdefault("machine", machine())
    result.parts.setdefault("photographs", {"all": len(pictures), "for_correlations": len(fewer)})
    if not all(result.has("circuits", network=network.name) for network in networks):
        result.parts |= {"families": [], "circuits": [], "related": [], "depths": []}
        for own in _together(networks, fewer):
            network = next(one for one in networks if one.name == own.networks[0])
            result.keep("families", own.rows())
            result.keep("circuits", circuits(network, own, pictures))
            print(network.name, "families and circuits", flush=True)
    for first, second in itertools.combinations(networks, 2):
        pair = [first.name, second.name]
        if not result.has("depths", networks=pair):
            found = [_found(network, result.parts["families"]) for network in (first, second)]
            layers = [_layers(network, own) for network, own in zip((first, second), found)]
            matched = universality.depth_map(first, second, fewer, first_layers=layers[0], second_layers=layers[1])
            result.keep("related", _related(*found, matched))
            result.keep("depths", [depth_row(matched)])
            print(*pair, flush=True)


def _together(networks: list[jc.Network], pictures: jc.Pictures) -> list[universality.Families]:
    """Families of each network, corrected for all networks; not compared, which `measure` does over more layers."""
    each = [universality.families([network], pictures) for network in networks]
    found = universality.corrected({key: one for own in each for key, one in own.found.items()})
    return [dataclasses.replace(own, found={key: found[key] for key in own.found}) for own in each]


def _found(network: jc.Network, rows: list[dict[str, Any]]) -> dict[str, universality.Found]:
    """The families that are in a network, as their rows tell."""
    found = {}
    for row in rows:
        if row["network"] == network.name and row["found"]:
            degrees = np.array([np.nan if one is None else one for one in row["degrees"]])
            units, nothing = np.array(row["units"]), np.zeros(len(row["units"]))
            own = universality.Members(units, np.radians(degrees), nothing, row["units_of_layer"], ())
            family = next(one for one in universality.FAMILIES if one.name == row["family"])
            layer, at = row["layer"], {row["layer"]: row["depth_percent"] / 100}
            p_values = row["p_value"], row["adjusted_p_value"]
            found[row["family"]] = universality.Found(family, network.name, {layer: own}, at, layer, *p_values)
    return found


def _layers(network: jc.Network, found: dict[str, universality.Found]) -> list[str]:
    """Stages and the layers of families, in order from the image."""
    wanted = {*network.graph.stages, *(one.layer for one in found.values())}
    return [name for name in network.layers if name in wanted]


def _related(
    first: dict[str, universality.Found], second: dict[str, universality.Found], matched: universality.DepthMap
) -> list[dict[str, Any]]:
    """How the families of a pair go together."""
    rows = []
    for family in first:
        if family in second:
            one, other = first[family], second[family]
            related = universality.relate(one, other, matched[one.layer, other.layer])
            rows.append(related_row(family, matched.networks, related))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("networks", nargs="+", help="names or files as `jaxcircuits.load` takes them")
    parser.add_argument("--out", type=Path, required=True, help="file for the result")
    parser.add_argument("--figures", type=Path, help="folder for pictures of the result")
    arguments = parser.parse_args()
    networks, result = [jc.load(name) for name in arguments.networks], Result(arguments.out)
    measure(networks, arguments.photographs, result)
    if arguments.figures:
        from examples.universality_figures import draw

        draw(networks, result.parts, arguments.figures)


if __name__ == "__main__":
    main()
