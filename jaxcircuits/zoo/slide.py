"""`slide`, the network in the box: InceptionV1 at a quarter of its widths, trained on the procedural world.

It comes with the package and its world is known, so every tool can be tried on it at once and checked against it.
`jaxcircuits.slide.train` trains it; `weights/slide.json` says what it does and which units are what.
"""

from __future__ import annotations

from jaxcircuits.zoo.convention import InputConvention
from jaxcircuits.zoo.entry import Entry
from jaxcircuits.zoo.inception import GOOGLE_NAMES, BlockWidths, Inception, inception

SLIDE_WIDTHS = {
    "3a": BlockWidths(16, 24, 32, 8, 8, 8),
    "3b": BlockWidths(32, 32, 48, 8, 24, 16),
    "4a": BlockWidths(48, 24, 48, 8, 16, 16),
    "4b": BlockWidths(40, 28, 56, 8, 16, 16),
    "4c": BlockWidths(32, 32, 64, 8, 16, 16),
    "4d": BlockWidths(28, 36, 72, 8, 16, 16),
    "4e": BlockWidths(64, 40, 80, 8, 32, 32),
    "5a": BlockWidths(64, 40, 80, 12, 32, 32),
    "5b": BlockWidths(96, 48, 96, 12, 32, 32),
}


def slide(classes: int) -> Inception:
    """The architecture of `slide` with so many outputs; training has some that are not kept."""
    return inception(
        "slide",
        names=GOOGLE_NAMES,
        stem=(16, 16, 48),
        blocks=SLIDE_WIDTHS,
        classes=classes,
        padding="SAME",
        lrn=None,
    )


SLIDE = slide(29)

SLIDE_INPUT = InputConvention(size=(96, 96), mean=0.5, std=0.25)

SLIDE_ENTRY = Entry(
    "slide",
    "a small network that comes along, trained on procedural pictures, whose circuits are known",
    SLIDE,
    SLIDE_INPUT,
    "Apache-2.0",
    first=("mixed4d:73,75,76,114", "mixed5b:24,142,216,227", "softmax2_pre_activation:0,9,21,27"),
)
