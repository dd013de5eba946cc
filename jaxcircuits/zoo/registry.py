"""The networks that have a name. One more is a folder beside this file, and a line here."""

from __future__ import annotations

from jaxcircuits.zoo.inception.entries import GOOGLENET_BVLC, INCEPTIONV1_5H, INCEPTIONV1_2015
from jaxcircuits.zoo.slide import SLIDE_ENTRY
from jaxcircuits.zoo.squeezenet.entry import SQUEEZENET_V1_1

ZOO = {
    entry.name: entry
    for entry in (
        SLIDE_ENTRY,
        INCEPTIONV1_5H,
        INCEPTIONV1_2015,
        GOOGLENET_BVLC,
        SQUEEZENET_V1_1,
    )
}
"""Name -> `Entry`."""

ARCHITECTURES = {entry.architecture.name: entry.architecture for entry in ZOO.values()}
"""Name -> architecture, for reading a weights file's metadata."""
