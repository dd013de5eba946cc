"""Pictures in another order: what two networks have in common that see different pictures."""

from __future__ import annotations

import dataclasses

import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.images import Pictures
from jaxcircuits.images.decode import Fit
from jaxcircuits.images.sources import Source, Unreadable


@dataclasses.dataclass(frozen=True, eq=False)
class Exchanged:
    """A source whose pictures have changed places two by two, at random; of an odd number one is left out.

    Two by two, so that it does not matter which of two networks sees them so.
    """

    source: Source
    order: np.ndarray

    @property
    def description(self) -> str:
        return f"{self.source.description}, two by two exchanged"

    @property
    def classes(self) -> tuple[str, ...]:
        return self.source.classes

    @property
    def resizes(self) -> bool:
        return self.source.resizes

    def __len__(self) -> int:
        return len(self.source)

    def name(self, index: int) -> str:
        return self.source.name(int(self.order[index]))

    def read(self, index: int, size: tuple[int, int] | None, fit: Fit, channels: int) -> tuple[np.ndarray, int]:
        if self.order[index] == index:
            raise Unreadable("the one picture without another to change places with")
        return self.source.read(int(self.order[index]), size, fit, channels)


def exchanged(pictures: Pictures, seed: int) -> Pictures:
    """The pictures, two by two exchanged.

    Args:
      pictures: two or more.
      seed: of the pairs.

    Raises:
      InputError: for fewer than two.
    """
    if len(pictures) < 2:
        raise InputError(
            f"{pictures.source.description}: {len(pictures)} picture; expected two or more, "
            "as matches are compared with those of shuffled pictures"
        )
    lots = np.random.default_rng(seed).permutation(len(pictures))
    order = np.arange(len(pictures))
    half = len(pictures) // 2
    one, other = lots[:half], lots[half : 2 * half]
    order[one], order[other] = other, one
    return dataclasses.replace(pictures, source=Exchanged(pictures.source, order))
