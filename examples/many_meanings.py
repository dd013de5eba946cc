"""The meanings of units: how many by what excites them, whether they are of different things, and how each is drawn.

Command:   python -m examples.many_meanings WEIGHTS.safetensors OTHER.safetensors PHOTOGRAPHS --out RESULT.json
           [--figures FOLDER]
           (WEIGHTS: of inceptionv1-2015; OTHER: of googlenet; PHOTOGRAPHS: a folder of one folder a synset)
Hardware:  two CPU cores
Cost:      5 minutes
Result:    examples/results/many_meanings.json

Two units of mixed4e: 440, chosen in docs/drawing.md since its strongest photographs are least alike, and one that is
chosen here. Candidates are the units whose 50 strongest photographs of even numbers fall furthest into two as another
network embeds them (`polysemanticity`); of these the one whose attributions part best (the largest dip), on the same
photographs. Then on the photographs of odd numbers: the p-value, and whether the clusters found there are those that
the even ones' centers tell (adjusted Rand index, 0 by chance). How many of evenly chosen units have several meanings is
told beside it, also with p-values corrected for their number (false discovery rate), and how many of as many single
meanings are taken for several: normal ones, drawn with the mean and the covariance of each unit's attributions.

The meanings themselves are of the 100 strongest of all photographs. Whether they are of different things is asked of
what attributions do not know: the other network's embeddings (mean cosine within meanings less that between them,
against 999 permutations of the labels) and the classes (animals or not, in a table of meanings, chi-squared).

Each meaning is drawn by its facet and compared with the unit drawn plainly: the unit's mean activation, and which
meaning is nearest to what the drawing owes to the layer below at its best place.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import stats
from sklearn.metrics import adjusted_rand_score

import jaxcircuits as jc
from benchmarks.measuring import arguments_of, report
from examples import families
from examples.figures import by_chance
from jaxcircuits import evidence
from jaxcircuits.bulk.meanings import FACET
from jaxcircuits.evidence.crops import outlined, views
from jaxcircuits.evidence.layer_examples import Chosen
from jaxcircuits.evidence.meanings_number import LEVEL, MEASURED, corrected, heaps
from jaxcircuits.evidence.responses import responses
from jaxcircuits.images.sheet import to_image

LAYER, GIVEN, EMBEDDING = "mixed4e", 440, "pool5/7x7_s1"
STRONGEST, OF_HALF, CANDIDATES, COMPARED = 100, 50, 6, 8
DRAWS = 1999
"""For the dip test: the least p-value is a hundredth of the level, as several units are looked at."""
LAST_ANIMAL = "n02655020"
"""The last synset of an animal among ImageNet's classes, which are in WordNet's order."""
SHOWN = 6
"""Photographs of each meaning in a figure."""
RECIPE = jc.Recipe.fast(size=112, steps=160)
PERMUTATIONS, SINGLE = 999, 20
"""Of labels; and single meanings made of each unit's attributions, to see how often they are taken for several."""


def of_half(seen: evidence.Examples, half: int, count: int = OF_HALF) -> evidence.Examples:
    """Examples without the photographs of the other half."""
    layer = seen[LAYER]
    theirs = (layer.pictures < 0) | (layer.pictures % 2 != half)
    order = np.argsort(theirs, axis=1, kind="stable")[:, :count]
    values, numbers = (np.take_along_axis(part, order, 1) for part in (layer.values, layer.pictures))
    places = np.take_along_axis(layer.places, order[..., None], 1)
    strongest = Chosen(values, numbers, places)
    return dataclasses.replace(seen, layers={LAYER: dataclasses.replace(layer, strongest=strongest)})


def peaks(seen: evidence.Examples) -> np.ndarray:
    """Each unit's largest activation on each picture, of examples that hold all pictures: (pictures, units)."""
    layer = seen[LAYER]
    found = np.zeros((seen.seen.stop, len(layer.pictures)))
    np.put_along_axis(found, np.maximum(layer.pictures, 0).T, np.nan_to_num(layer.values).T, axis=0)
    return found


def chosen_unit(network: jc.Network, seen: evidence.Examples, embedded: np.ndarray, pictures: jc.Pictures) -> dict:
    """The unit of one's choice, with how it was chosen and what the other half says."""
    even = of_half(seen, 0)
    apart = evidence.polysemanticity(even[LAYER].pictures, embedded)
    candidates = np.argsort(-np.nan_to_num(apart))[: CANDIDATES + 1]
    candidates = candidates[candidates != GIVEN][:CANDIDATES]
    tried = {}
    for unit in candidates.tolist():
        found = evidence.meanings(network, f"{LAYER}:{unit}", pictures, seen=even, count=OF_HALF, draws=DRAWS)
        tried[unit] = {"p_value": found.p_value, "meanings": found.count, "dip": round(float(found.dips.min()), 4)}
    unit = max(tried, key=lambda one: tried[one]["dip"])
    return {"unit": unit, "tried_on_even_photographs": tried, "photographs": OF_HALF}


def held_out(network: jc.Network, unit: int, seen: evidence.Examples, pictures: jc.Pictures) -> dict[str, Any]:
    """What the photographs of odd numbers say of a unit, and of what those of even numbers said."""
    even, odd = (
        evidence.meanings(network, f"{LAYER}:{unit}", pictures, seen=of_half(seen, half), count=OF_HALF)
        for half in (0, 1)
    )
    return {
        "photographs_in_each_half": OF_HALF,
        "even": {"p_value": even.p_value, "meanings": even.count},
        "odd": {"p_value": odd.p_value, "meanings": odd.count},
        "agreement": round(float(adjusted_rand_score(odd.labels, even.nearest(odd.attributions))), 2),
    }


def different(found: evidence.Meanings, embedded: np.ndarray, animal: np.ndarray, names: list[str]) -> dict[str, Any]:
    """Whether a unit's meanings are of different things."""
    numbers, labels = found.chosen.pictures, found.labels
    rows = embedded[numbers] / np.linalg.norm(embedded[numbers], axis=1, keepdims=True)
    cosines = rows @ rows.T
    upper = np.triu_indices(len(rows), 1)

    def gap(of: np.ndarray) -> float:
        same = (of[:, None] == of)[upper]
        return float(cosines[upper][same].mean() - cosines[upper][~same].mean()) if 0 < same.sum() < len(same) else 0.0

    rng = np.random.default_rng(0)
    chance = np.array([gap(rng.permutation(labels)) for _ in range(PERMUTATIONS)])
    meanings = []
    for k in range(found.count):
        of = numbers[labels == k]
        meanings.append(
            {
                "photographs": len(of),
                "animals": int(animal[of].sum()),
                "clarity": round(float(evidence.clarity(of[None], embedded)[0]), 3),
                "strongest_of": [names[number] for number in of[:8]],
            }
        )
    table = np.array([[m["animals"], m["photographs"] - m["animals"]] for m in meanings])
    testable = found.count > 1 and table.sum(0).all()
    return {
        "meanings": meanings,
        "clarity_of_all": round(float(evidence.clarity(numbers[None], embedded)[0]), 3),
        "closer_within_than_between": round(gap(labels), 3),
        "by_chance_95_percent": round(float(np.quantile(chance, 0.95)), 3),
        "p_value": by_chance(gap(labels), chance),
        "animals_or_not_p_value": float(f"{stats.chi2_contingency(table).pvalue:.2g}") if testable else None,
    }


def drawn(network: jc.Network, found: evidence.Meanings) -> tuple[dict[str, Any], np.ndarray]:
    """The unit drawn plainly and by each meaning: figures, and pictures, the plain one first."""
    layer, unit = found.unit
    plain = jc.channel(layer, [unit] * found.count)
    pictures = np.concatenate(
        [
            jc.render(network, jc.channel(layer, unit), RECIPE).images,
            jc.render(network, jc.facet(plain, found.layer, FACET * found.probes), RECIPE).images,
        ]
    )
    answers = np.asarray(network.activations(pictures, layer)[layer])[..., unit]
    places = np.array([np.unravel_index(one.argmax(), one.shape) for one in answers])
    owed = evidence.attributions(network, found.unit, found.layer, pictures, places)
    owed = owed / np.maximum(np.linalg.norm(owed, axis=1, keepdims=True), 1e-30)
    nearness = np.round((owed @ found.centers.T).astype(np.float64), 2)
    return {
        "mean_activation": {
            "plain": round(float(answers[0].mean()), 1),
            "facets": [round(float(one.mean()), 1) for one in answers[1:]],
        },
        "cosine_to_the_meanings": {
            "plain": nearness[0].tolist(),
            "facets": nearness[1:].tolist(),
        },
        "nearest_meaning_of_facets": found.nearest(owed[1:]).tolist(),
    }, pictures


def single_meanings(found: list[evidence.Meanings]) -> dict[str, int]:
    """How often single meanings are taken for several: normal ones of the same mean and covariance as a unit's."""
    rng, several = np.random.default_rng(0), 0
    for one in found:
        rows = one.attributions.astype(np.float64)
        weights = rng.normal(size=(SINGLE, len(rows), len(rows))) / np.sqrt(len(rows) - 1)
        for drawn in rows.mean(0) + weights @ (rows - rows.mean(0)):
            several += heaps(drawn, draws=DRAWS).labels.max() > 0
    return {"single_meanings": SINGLE * len(found), "single_meanings_taken_for_several": int(several)}


def of_layer(seen: evidence.Examples, embedded: np.ndarray) -> dict[str, Any]:
    """Clarity and the like of all units of the layer, and of as many photographs at random."""
    top = seen[LAYER].pictures[:, :STRONGEST]
    rng = np.random.default_rng(0)
    chance = np.stack([rng.permutation(len(embedded))[:STRONGEST] for _ in range(200)])

    def spread(values: np.ndarray) -> list[float]:
        return [round(float(q), 3) for q in np.nanquantile(values, (0.05, 0.5, 0.95))]

    scores = {
        "clarity": evidence.clarity(top, embedded),
        "polysemanticity": evidence.polysemanticity(top, embedded),
        "redundancy": evidence.redundancy(evidence.unit_embeddings(top, embedded)),
        "monosemanticity": evidence.monosemanticity(peaks(seen), embedded),
    }
    by_chance = {
        "clarity": evidence.clarity(chance, embedded),
        "polysemanticity": evidence.polysemanticity(chance, embedded),
        "redundancy": evidence.redundancy(evidence.unit_embeddings(chance, embedded)),
        "monosemanticity": evidence.monosemanticity(rng.permuted(peaks(seen)[:, ::8], axis=0), embedded),
    }
    return {
        "units": len(top),
        "photographs_of_each": STRONGEST,
        "quantiles_5_50_95_percent": {name: spread(values) for name, values in scores.items()},
        "by_chance": {name: spread(values) for name, values in by_chance.items()},
        f"of_{GIVEN}": {name: round(float(values[GIVEN]), 3) for name, values in scores.items()},
    }


def figure(network: jc.Network, pictures: jc.Pictures, found: evidence.Meanings, drawn: np.ndarray) -> Image.Image:
    """A row for the unit and one for each meaning: its drawing, and what the unit saw in its strongest photographs."""
    layer, unit = found.unit
    side = drawn.shape[1]
    cells, captions = [], []
    for k, drawing in enumerate(drawn, -1):
        own = np.flatnonzero(found.labels == k if k >= 0 else found.labels >= 0)[:SHOWN]
        chosen = Chosen(*(part[own] for part in found.chosen))
        seen = views(network, pictures, layer, unit, chosen.pictures, chosen.places, found.size)
        row = [np.asarray(to_image(outlined(view)).resize((side, side)), np.float32) / 255 for view in seen]
        cells += [drawing, *row, *[np.ones_like(drawing)] * (SHOWN - len(row))]
        captions += [f"meaning {k + 1}" if k >= 0 else f"{layer}:{unit}"]
        captions += [*(f"{value:.0f}" for value in chosen.values), *[""] * (SHOWN - len(row))]
    return jc.contact_sheet(np.stack(cells), captions, columns=1 + SHOWN)


def measure(network: jc.Network, other: jc.Network, folder: Path, figures: Path | None) -> dict[str, Any]:
    """All figures, as plain JSON types."""
    pictures = jc.open_pictures(folder)
    synsets = [Path(pictures.name(i)).parent.name for i in range(len(pictures))]
    animal = np.array([synset <= LAST_ANIMAL for synset in synsets])
    by_synset = {label.split()[0]: label.partition(" ")[2].split(",")[0] for label in network.labels}
    names = [by_synset.get(synset, synset) for synset in synsets]
    seen = evidence.examples(network, pictures, LAYER, len(pictures))
    shown = families.photographs(pictures.at(other.convention.size), np.arange(len(pictures)))
    embedded = responses(other, shown, [EMBEDDING])[EMBEDDING]
    choice = chosen_unit(network, seen, embedded, pictures)
    even = of_half(seen, 1)
    channels = len(seen[LAYER].pictures)
    compared = np.linspace(0, channels - 1, COMPARED).round().astype(int).tolist()
    evenly = [
        evidence.meanings(network, f"{LAYER}:{unit}", pictures, seen=even, count=OF_HALF, draws=DRAWS)
        for unit in compared
        if (even[LAYER].values[unit] > 0).sum() >= OF_HALF
    ]
    adjusted = corrected(np.array([found.p_value for found in evenly]))
    result: dict[str, Any] = {
        "network": network.name,
        "embeddings": f"{other.name} {EMBEDDING}",
        "photographs": len(pictures),
        "animals_percent": round(100 * float(animal.mean()), 1),
        "layer": LAYER,
        "of_the_layer": of_layer(seen, embedded),
        "choice": choice,
        "evenly_chosen_units": {
            "units": len(evenly),
            "with_several_meanings": sum(found.count > 1 for found in evenly),
            "with_several_after_correction": int((adjusted <= LEVEL).sum()),
            "photographs": OF_HALF,
            "p_values": [round(found.p_value, 4) for found in evenly],
            "corrected_p_values": adjusted.round(4).tolist(),
            **single_meanings(evenly),
        },
        "units": [],
    }
    for unit in (GIVEN, choice["unit"]):
        found = evidence.meanings(network, f"{LAYER}:{unit}", pictures, seen=seen, count=STRONGEST)
        row = {
            "unit": unit,
            "below": found.layer,
            "photographs": len(found.labels),
            "meanings": found.count,
            "p_value": found.p_value,
            "dips": dict(zip(MEASURED, found.dips.round(4).tolist())),
            "p_values": dict(zip(MEASURED, found.p_values.round(4).tolist())),
            "held_out": held_out(network, unit, seen, pictures),
            "different": different(found, embedded, animal, names),
        }
        row["drawings"], images = drawn(network, found)
        result["units"].append(row)
        if figures:
            figures.mkdir(parents=True, exist_ok=True)
            captions = [f"{LAYER}:{unit}", *(f"meaning {k + 1}" for k in range(found.count))]
            drawn_alone = jc.contact_sheet(images, captions, columns=len(images))
            drawn_alone.save(figures / f"meanings.{unit}.jpg", quality=85)
            figure(network, pictures, found, images).save(figures / f"meanings.{unit}.photographs.jpg", quality=85)
    return result


def main() -> None:
    parser = arguments_of(__doc__, size=False)
    parser.add_argument("other", help="the network that embeds photographs, as `jaxcircuits.load` takes it")
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--figures", type=Path, help="folder for pictures of each unit: drawings, with photographs too")
    arguments = parser.parse_args()
    networks = jc.load(arguments.network), jc.load(arguments.other)
    report(measure(*networks, arguments.photographs, arguments.figures), arguments.out)


if __name__ == "__main__":
    main()
