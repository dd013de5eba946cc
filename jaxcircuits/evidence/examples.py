"""Dataset examples: which pictures of the world make units fire, how much, and how often, in one pass.

>>> pictures = jc.open_pictures("photographs")
>>> examples = evidence.examples(network, pictures, ["mixed3b", "mixed4c"])
>>> examples["mixed3b"].pictures[379]                # the 16 pictures that unit 379 answers most
>>> examples["mixed3b"].places[379]                  # and where in the layer's map
>>> examples.save("examples")                        # one file a layer

All that is kept is kept on the device, in a form that does not grow with the number of pictures and that merges exactly
(sums to their rounding): the result is the same whatever the size of a batch and the number of devices.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from jaxcircuits.brief import Brief
from jaxcircuits.errors import InputError, whole
from jaxcircuits.evidence.examples_file import layer_bytes, read_layer
from jaxcircuits.evidence.layer_examples import LayerExamples, from_tally
from jaxcircuits.evidence.tally import LATER, Tally, Tallying
from jaxcircuits.files import below, replacing
from jaxcircuits.images import Pictures, open_pictures
from jaxcircuits.lookup import Lookup
from jaxcircuits.network import Network, stream
from jaxcircuits.network.tokens import grids
from jaxcircuits.printing import warn


class UnreadablePictures(UserWarning):
    """Some pictures could not be read and are left out."""


@dataclasses.dataclass(frozen=True)
class Shown:
    """What was shown to which network.

    Attributes:
      network: its name.
      count: how many of the strongest and of the weakest pictures are kept.
      source: where the pictures come from.
      size: height and width in pixels at which they were shown.
      fit: how they came to that size; `as they are` for arrays and scenes.
      start, stop: their numbers, from `start` to before `stop`.
      skipped: how many of those could not be read.
      classes: what labels stand for.
    """

    network: str
    count: int
    source: str
    size: tuple[int, int]
    fit: str
    start: int
    stop: int
    skipped: int
    classes: tuple[str, ...]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Examples(Brief, Lookup[str, LayerExamples]):
    """Examples of layers, by name.

    Attributes:
      layers: name -> `LayerExamples`.
      seen: what was shown.
      unreadable: `NAME: why` of pictures that could not be read, the first ones; not in the file.
    """

    layers: Mapping[str, LayerExamples]
    seen: Shown
    unreadable: tuple[str, ...] = ()

    def _held(self) -> tuple[str, Mapping[str, LayerExamples], str]:
        return "layer", self.layers, f"examples of {self.seen.network}"

    def merged(self, later: Examples) -> Examples:
        """These and those of the pictures that follow them, as if they had been seen in one pass.

        Raises:
          InputError: where `later` does not go on where these end, with the same network, pictures and layers.
        """
        mine, theirs = self.seen, later.seen
        goes_on = dataclasses.replace(mine, start=mine.stop, stop=theirs.stop, skipped=theirs.skipped)
        if theirs != goes_on or list(self) != list(later):
            raise InputError(f"examples of {theirs} do not go on where those of {mine} end")
        layers = {name: self[name].merged(later[name]) for name in self}
        seen = dataclasses.replace(mine, stop=theirs.stop, skipped=mine.skipped + theirs.skipped)
        return Examples(layers, seen, (self.unreadable + later.unreadable)[: stream.NAMED])

    def check_units(self, network: Network, layer: str) -> None:
        """Raises `InputError` where a layer's examples are of other units than a network has there."""
        own, theirs = len(self[layer].mean), network.layer(layer).channels
        if own != theirs:
            raise InputError(f"examples of {own} units of {layer}; {network.name} has {theirs}")

    def save(self, folder: str | Path) -> list[Path]:
        """Writes `FOLDER/LAYER.safetensors` for each layer; returns the paths."""
        paths = {name: below(Path(folder), name, ending=".safetensors") for name in self}
        for name, path in paths.items():
            with replacing(path) as temporary:
                temporary.write_bytes(self.layer_bytes(name))
        return list(paths.values())

    def layer_bytes(self, layer: str) -> bytes:
        """The content of a layer's file, as `save` writes it."""
        return layer_bytes(self[layer], dataclasses.asdict(self.seen))

    @classmethod
    def read(cls, *paths: str | os.PathLike[str]) -> Examples:
        """Reads what `save` wrote, one file or several of one pass; nothing in a file is run.

        Raises:
          InputError: for a file that is damaged or is none of these, and for files of several passes.
        """
        if not paths:
            raise InputError("no files to read examples from; expected what Examples.save wrote")
        layers: dict[str, LayerExamples] = {}
        passes: list[Shown] = []
        for path in map(Path, paths):
            layer, fields = read_layer(path, {field.name: str(field.type) for field in dataclasses.fields(Shown)})
            height, width = fields.pop("size")
            seen = Shown(**fields | {"size": (height, width), "classes": tuple(fields["classes"])})
            if passes and seen != passes[0]:
                raise InputError(f"{path}: examples of {seen}, others of {passes[0]}; expected those of one pass")
            layers[layer.layer] = layer
            passes.append(seen)
        return cls(layers, passes[0])


def examples(
    network: Network,
    pictures: Pictures | Any,
    layers: str | Sequence[str],
    count: int = 16,
    *,
    start: int = 0,
    stop: int | None = None,
    batch_size: int | None = None,
    progress: bool | Callable[[int, int], None] = True,
) -> Examples:
    """Finds what makes units fire, for every unit of the given layers, in one pass over pictures.

    The strongest and the weakest pictures and where in them, pictures from every interval of activation, the mean and
    the variance, how often it fires, a histogram from noise to the maximum, and its answer to each class.

    Args:
      network: whose units.
      pictures: `Pictures`, or what `open_pictures` takes. Files are shown at the network's native size where no other
        is stated.
      layers: names, or one.
      count: of the strongest and the weakest.
      start: number of the first picture, for a share of the pass; `Examples.merged` puts shares together.
      stop: number of the picture before which to end; by default all the rest is shown.
      batch_size: pictures at once; by default what suits the device. It changes nothing but speed and memory.
      progress: show a bar; or a function that is told (pictures done, pictures in all).

    Returns:
      The `Examples`; `examples[layer].values`, `.pictures` and `.places` are the strongest.

    Raises:
      InputError: for an unknown layer, for pictures none of which can be read, and for activations that are not finite.

    Warns:
      UnreadablePictures: where pictures could not be read; it names the first and counts them.
    """
    pictures = pictures if isinstance(pictures, Pictures) else open_pictures(pictures)
    names = list(dict.fromkeys([layers] if isinstance(layers, str) else layers))
    if not names:
        raise InputError(f"no layers of {network.name}; expected one or more")
    count = whole(count, "count", 1)
    pictures = pictures.at(network.convention.size, network.convention.channels)
    start, stop = _share(start, stop, len(pictures))
    # Two by two on CPUs, whose caches hold few pictures' activations.
    tallying = Tallying(count, len(pictures.classes), together=2 if jax.default_backend() == "cpu" else None)
    options = {"batch_size": batch_size, "start": start, "stop": stop, "progress": progress}
    reduced = stream.reduce(network, pictures, names, tallying, **options)
    tallies: list[Tally] = [tally for tally in reduced.states if tally.pictures.value() > 0]
    for name in names:
        unsound = min(int(tally.layers[name].unsound) for tally in tallies)
        if unsound != LATER:
            raise InputError(
                f"{network.name}: {name} answers {pictures.name(unsound)} with numbers that are not finite"
            )
    shapes = network.shapes(reduced.size, names)
    of_tokens = grids(network.forward, network.params, names, reduced.size)
    parts = {name: [from_tally(name, shapes[name], of_tokens.get(name), tally) for tally in tallies] for name in names}
    merged = {name: functools.reduce(LayerExamples.merged, of_devices) for name, of_devices in parts.items()}
    if reduced.skipped:
        said = f"{reduced.skipped} of {stop - start} pictures could not be read: {reduced.unreadable[0]}"
        warn(said, UnreadablePictures)
    fit = pictures.fit if pictures.source.resizes else "as they are"
    source, classes = pictures.source.description, pictures.classes
    seen = Shown(network.name, count, source, reduced.size, fit, start, stop, reduced.skipped, classes)
    return Examples(merged, seen, reduced.unreadable)


def _share(start: int, stop: int | None, count: int) -> tuple[int, int]:
    stop = count if stop is None else stop
    if not 0 <= start < stop <= count:
        raise InputError(f"pictures {start} to {stop}; expected a part of 0 to {count}")
    return start, stop
