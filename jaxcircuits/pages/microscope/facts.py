"""What pages say of a network beside its records: kept with them, so that pages are made without loading it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxcircuits.errors import InputError
from jaxcircuits.files import parse_json, read_text, replacing
from jaxcircuits.network import Network
from jaxcircuits.zoo import ZOO

FILE = "network.json"
LARGEST = 2**24
"""Bytes of the file."""
MOST_UNITS = 2**16
"""Of a layer: each may have a page."""


@dataclasses.dataclass(frozen=True)
class Facts:
    """A network, as its pages describe it.

    Attributes:
      name: of the network.
      load: the argument of `jaxcircuits.load` that loads it.
      summary: what it is, in a sentence; may be empty.
      size: height and width of its pictures, in pixels.
      stages: of the trunk, from the image.
      shapes: layer -> shape of one picture's activation.
      labels: of its outputs.
    """

    name: str
    load: str
    summary: str
    size: tuple[int, int]
    stages: tuple[str, ...]
    shapes: Mapping[str, tuple[int, ...]]
    labels: tuple[str, ...]

    @classmethod
    def of(cls, network: Network, load: str) -> Facts:
        """Those of a network that is loaded; `load` is what loaded it."""
        summary = ZOO[network.name].summary if network.name in ZOO else ""
        shapes = {name: tuple(layer.shape) for name, layer in network.layers.items()}
        size = network.convention.size
        return cls(network.name, load, summary, size, tuple(network.graph.stages), shapes, tuple(network.labels))

    def write(self, folder: Path) -> None:
        """Writes them into the folder of the network's records."""
        with replacing(folder / FILE) as temporary:
            temporary.write_text(json.dumps(dataclasses.asdict(self)) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Facts:
        """Reads what `write` wrote.

        Raises:
          InputError: for a file that is missing, damaged or something else.
        """
        path = folder / FILE
        text = read_text(path, "a description of a network", LARGEST)
        try:
            fields = parse_json(text, "a description of a network", LARGEST)
            shapes = {_text(name): _sides(shape) for name, shape in fields["shapes"].items()}
            stages = tuple(map(_text, fields["stages"]))
            size = _sides(fields["size"])
            widest = max((shape[-1] for shape in shapes.values()), default=0)
            if len(size) != 2 or not set(stages) <= set(shapes) or widest > MOST_UNITS:
                raise ValueError("sizes or stages make no sense")
            name, load, summary = (_text(fields[key]) for key in ("name", "load", "summary"))
            labels = tuple(map(_text, fields["labels"]))
            return cls(name, load, summary, (size[0], size[1]), stages, shapes, labels)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path}: damaged; expected a description of a network ({error})") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    return value


def _sides(value: Any) -> tuple[int, ...]:
    sides = tuple(value)
    if not sides or not all(type(side) is int and 0 < side < 2**24 for side in sides):
        raise ValueError(f"{value!r:.40} is no shape")
    return sides
