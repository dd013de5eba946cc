"""The published widths of SqueezeNet, as data."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from jaxcircuits.zoo.architecture import Architecture


class Fire(NamedTuple):
    """Channels of a fire module's convolutions: one of 1x1 that squeezes, two side by side that expand, 1x1 and 3x3."""

    squeeze: int
    expand: int


@dataclasses.dataclass(frozen=True)
class SqueezeNetArchitecture(Architecture):
    """SqueezeNet 1.1 at any widths.

    Attributes:
      stem: channels of conv1.
      fires: of fire2 to fire9.
    """

    stem: int
    fires: tuple[Fire, ...]


SQUEEZENET = SqueezeNetArchitecture(
    name="squeezenet",
    module="jaxcircuits.zoo.squeezenet.module:SqueezeNet",
    logits="pool10",
    output="prob",
    classes=1000,
    stem=64,
    fires=(
        Fire(16, 64),
        Fire(16, 64),
        Fire(32, 128),
        Fire(32, 128),
        Fire(48, 192),
        Fire(48, 192),
        Fire(64, 256),
        Fire(64, 256),
    ),
)
"""Version 1.1, with the names of its Caffe release."""
