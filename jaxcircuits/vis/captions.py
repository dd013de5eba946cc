"""What is written below pictures: for people; nothing is computed from it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from jaxcircuits.network import Network
from jaxcircuits.vis.objectives import Objective

SYNSET = re.compile(r"n\d{8}\s+")
"""WordNet's number, which stands before ImageNet's labels."""


def captions(network: Network, objective: Objective, seeds: Sequence[int]) -> tuple[str, ...]:
    """What each picture is drawn for, in a few words: units by their names, classes by their labels.

    Args:
      network: whose labels.
      objective: of N pictures.
      seeds: of each; they are named where they differ.
    """
    several = len(set(seeds)) > 1
    labels = (_with_classes(network, objective.label(i)) for i in range(len(seeds)))
    return tuple(f"{label} seed {seed}" if several else label for label, seed in zip(labels, seeds))


def unit_caption(network: Network, layer: str, unit: int) -> str:
    """What one unit's picture is called among those of its layer: the number, of a class with its label."""
    label = _class(network, unit) if layer == network.logits else ""
    return f"{unit} {label}" if label else str(unit)


def _class(network: Network, unit: int) -> str:
    """The first name of a class; empty where there is none."""
    if unit >= len(network.labels):
        return ""
    return SYNSET.sub("", network.labels[unit]).split(",")[0].strip()


def _with_classes(network: Network, label: str) -> str:
    if not network.labels or not network.logits:
        return label

    def named(match: re.Match) -> str:
        return _class(network, int(match[1])) or match[0]

    return re.sub(rf"(?<![\w/]){re.escape(network.logits)}:(\d+)(?!\w)", named, label)
