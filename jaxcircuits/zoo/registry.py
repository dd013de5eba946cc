"""The networks that have a name: which architecture each is, and what it expects of a picture."""

from __future__ import annotations

import dataclasses

from jaxcircuits.zoo.architecture import Architecture
from jaxcircuits.zoo.convention import InputConvention
from jaxcircuits.zoo.inception import GOOGLENET, INCEPTIONV1
from jaxcircuits.zoo.slide import SLIDE, SLIDE_INPUT


@dataclasses.dataclass(frozen=True)
class Entry:
    """A network of the zoo.

    Attributes:
      name: what `jaxcircuits.load` calls it.
      summary: one line on what it is and how its units are numbered.
      architecture: its layers.
      convention: its input.
      licence: of the weights.
      first_layer: a layer to begin with.
    """

    name: str
    summary: str
    architecture: Architecture
    convention: InputConvention
    licence: str
    first_layer: str = "mixed4b"


GOOGLE_INPUT = InputConvention(size=(224, 224), scale=255.0, mean=117.0)
CAFFE_INPUT = InputConvention(size=(224, 224), scale=255.0, mean=(104.0, 117.0, 123.0), order="BGR")

ZOO = {
    entry.name: entry
    for entry in (
        Entry(
            "slide",
            "a small network in the box, trained on procedural pictures, whose circuits are known",
            SLIDE,
            SLIDE_INPUT,
            "Apache-2.0",
            first_layer="mixed3a",
        ),
        Entry(
            "inceptionv1",
            "Google's inception5h, the network of the Circuits articles: their unit numbers apply",
            INCEPTIONV1,
            GOOGLE_INPUT,
            "Apache-2.0",
        ),
        Entry(
            "inceptionv1-2015",
            "Google's 2015 release, another training run: unit numbers are its own",
            INCEPTIONV1,
            GOOGLE_INPUT,
            "Apache-2.0",
        ),
        Entry(
            "googlenet",
            "BVLC GoogLeNet, trained with Caffe, with Caffe's layer names",
            GOOGLENET,
            CAFFE_INPUT,
            "unrestricted use",
            first_layer="inception_4b/output",
        ),
    )
}
"""Name -> `Entry`."""

ARCHITECTURES = {entry.architecture.name: entry.architecture for entry in ZOO.values()}
"""Name -> architecture, for reading a weights file's metadata."""
