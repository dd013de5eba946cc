"""The comparison of two networks as a folder: the page, and all its numbers as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from jaxcircuits import evidence, universality
from jaxcircuits.errors import InputError
from jaxcircuits.evidence.crops import crop, field
from jaxcircuits.files import below, replacing
from jaxcircuits.images import Pictures
from jaxcircuits.network import Network
from jaxcircuits.network.units import Unit
from jaxcircuits.pages.compare import Shown, compare_page, spread
from jaxcircuits.universality import DepthMap, Families, Matching, Related
from jaxcircuits.vis import channel, render
from jaxcircuits.vis.arguments import as_recipe

SIZE, STEPS = 96, 96
"""Of the drawings, unless said otherwise: small and short, as there are many of them."""
DEPTHS = (0.2, 0.4, 0.6, 0.8)
"""Where in the first network pairs are shown."""
PAIRS, EXAMPLES = 6, 4


def report_comparison(
    first: Network,
    second: Network,
    pictures: Pictures,
    out: Path,
    *,
    steps: int = STEPS,
    size: int | None = None,
    seed: int = 0,
    batch_size: int | None = None,
) -> list[Path]:
    """Compares two networks and writes OUT/FIRST-and-SECOND.

    Args:
      first: one network.
      second: the other.
      pictures: over which units are correlated, and of which examples are shown.
      out: folder.
      steps: of gradient ascent, a drawing; 0 for none.
      size: of the drawings in pixels; by default 96, or a smaller network's own.
      seed: of the drawings and the shuffled pictures.
      batch_size: pictures at once; by default what suits the device.

    Returns:
      `compare.html`, the page, and `compare.json`, the numbers.

    Raises:
      InputError: for networks of one name, and as `universality.depth_map`, `universality.families` and `render`.
    """
    if first.name == second.name:
        raise InputError(f"both networks are called {first.name}; expected two names, by which to tell them apart")
    layers = universality.depth_map(first, second, pictures, seed=seed, batch_size=batch_size)
    families = universality.families([first, second], pictures, batch_size=batch_size)
    matched = chosen_pairs(layers)
    units: dict[tuple[str, Unit], Shown] = {}
    for side, network in enumerate((first, second)):
        paired = {Unit(matching.layers[side], int(n)) for matching, pairs in matched for n in pairs[:, side]}
        members = {
            Unit(found.layer, int(unit))
            for (_, name), found in families.items()
            if name == network.name and found.there
            for unit in spread(found.units[found.in_order])
        }
        drawn = _drawn(network, paired | members, steps, size, seed) if steps else {}
        seen = _examples(network, pictures, paired, batch_size)
        for unit in paired | members:
            units[network.name, unit] = Shown(drawn.get(unit), seen.get(unit, ()))
    about = f"{pictures.source.description}. Drawings of {steps} steps, seed {seed}." if steps else ""
    folder = below(out, f"{first.name}-and-{second.name}")
    return [
        _written(folder / "compare.html", compare_page(layers, matched, families, units, about)),
        _written(folder / "compare.json", json.dumps(numbers(layers, families), indent=1) + "\n"),
    ]


def chosen_pairs(layers: DepthMap) -> list[tuple[Matching, np.ndarray]]:
    """At several depths of the first network, the layer, the layer of the second that fits it best, and their pairs."""
    rows = {int(np.abs(layers.depths[0] - depth).argmin()) for depth in DEPTHS}
    table = layers.table("hard")
    found = [layers[layers.layers[0][row], layers.layers[1][table[row].argmax()]] for row in sorted(rows)]
    return [(matching, matching.strongest[:PAIRS]) for matching in found]


def numbers(layers: DepthMap, families: Families) -> dict:
    """What the page says, as plain JSON types."""
    return {
        "networks": list(layers.networks),
        "layers": [
            {"names": list(names), "depths": depths.round(4).tolist()}
            for names, depths in zip(layers.layers, layers.depths)
        ],
        "scores": {
            score: {
                "value": layers.table(score).round(4).tolist(),
                "shuffled": layers.table(score, shuffled=True).round(4).tolist(),
            }
            for score in universality.Scores._fields
        },
        "families": families.rows(),
        "related": [
            related_row(family, (one, other), related) for (family, one, other), related in families.related.items()
        ],
    }


def related_row(family: str, networks: tuple[str, str], related: Related) -> dict:
    """How a family of two networks goes together, as plain JSON types."""
    return {
        "family": family,
        "networks": list(networks),
        "share": round(related.share, 3),
        "chance": round(related.chance, 3),
        "shuffled": round(related.shuffled, 3),
        "correlation": round(related.correlation, 3),
        "turned_degrees": None if np.isnan(related.turned) else round(float(np.degrees(related.turned)), 1),
        "turned_by_chance": (
            None if np.isnan(related.turned_by_chance) else round(float(np.degrees(related.turned_by_chance)), 1)
        ),
        "pairs": related.pairs.tolist(),
    }


def by_layer(units: Iterable[Unit]) -> dict[str, list[int]]:
    """Layer -> numbers of its units, in order."""
    found: dict[str, list[int]] = {}
    for unit in sorted(units):
        found.setdefault(unit.layer, []).append(unit.index)
    return found


def _drawn(network: Network, units: Iterable[Unit], steps: int, size: int | None, seed: int) -> dict[Unit, np.ndarray]:
    side = size if size is not None else min(SIZE, *network.convention.size)
    side = side if network.takes((side, side)) else min(network.convention.size)
    pictures, recipe = {}, as_recipe(network, None, size=side, steps=steps)
    for layer, numbers_of in by_layer(units).items():
        images = render(network, channel(layer, numbers_of), recipe, seed=seed).images
        pictures |= {Unit(layer, number): image for number, image in zip(numbers_of, images)}
    return pictures


def _examples(
    network: Network, pictures: Pictures, units: Iterable[Unit], batch_size: int | None
) -> dict[Unit, list[np.ndarray]]:
    """Parts of the pictures that units answer most."""
    layers = by_layer(units)
    found = evidence.examples(network, pictures, list(layers), EXAMPLES, batch_size=batch_size)
    shown = pictures.at(network.convention.size, network.convention.channels)
    parts: dict[Unit, list[np.ndarray]] = {}
    for layer, numbers_of in layers.items():
        for number in numbers_of:
            chosen = zip(found[layer].pictures[number], found[layer].places[number])
            parts[Unit(layer, number)] = [
                crop(shown, int(index), field(network, layer, tuple(place.tolist()), found.seen.size), found.seen.size)
                for index, place in chosen
                if index >= 0
            ]
    return parts


def _written(path: Path, text: str) -> Path:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path
