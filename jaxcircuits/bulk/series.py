"""What a bulk drawing is asked for: units of layers, or directions of a layer."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxcircuits.brief import Brief
from jaxcircuits.bulk.plan import MOST_UNITS
from jaxcircuits.errors import InputError
from jaxcircuits.files import file_name, npy, opened
from jaxcircuits.network import Network
from jaxcircuits.vis import Objective, channel, direction

MOST_BYTES = 4 * 2**30
"""Of such a file: a million directions of 1,024 channels."""


def folder(layer: str, directions: str = "", variant: str = "") -> str:
    """Where a layer's pictures go, below the network's folder.

    `LAYER`, or `LAYER.NAME` for directions called NAME; a variant has a folder of its own in that one.
    """
    called = file_name(directions).replace("/", "%2F")
    named = f"{file_name(layer)}.{called}" if directions else file_name(layer)
    return f"{named}/{variant}" if variant else named


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Directions(Brief):
    """Linear directions of a layer, such as the features of a sparse autoencoder.

    Attributes:
      name: names the folder of their pictures.
      vectors: float32 (N, channels).
    """

    name: str
    vectors: np.ndarray

    @functools.cached_property
    def sha256(self) -> str:
        """Of the numbers."""
        return hashlib.sha256(self.vectors.tobytes()).hexdigest()

    @classmethod
    def read(cls, path: str | Path) -> Directions:
        """Reads an `.npy` file (N, channels) of floats; nothing in it is ever unpickled.

        Raises:
          InputError: for a file that is not that, or numbers that are not finite.
        """
        path = Path(path)
        expected = f"expected an .npy file of floats (N, channels), at most {MOST_UNITS} rows"
        try:
            with opened(path, "an .npy file", MOST_BYTES) as file:
                header = npy.read_header(file, path.name)
                rows = header.shape[0] if len(header.shape) == 2 else 0
                if not header.dtype.hasobject and not (1 <= rows <= MOST_UNITS and header.dtype.kind == "f"):
                    raise InputError(f"{header.dtype} of shape {header.shape}")
                vectors = np.asarray(npy.read_data(file, header, path.name), np.float32)
        except InputError as error:
            raise InputError(f"{path}: cannot be read ({error}); {expected}") from None
        if not np.isfinite(vectors).all():
            raise InputError(f"{path}: row {int(np.argmin(np.isfinite(vectors).all(1)))} is not finite; {expected}")
        return cls(path.stem, vectors)


@dataclasses.dataclass(frozen=True)
class Series:
    """Pictures of one layer.

    Attributes:
      layer: its name.
      units: channels, or rows of the directions.
      directions: None for the layer's own channels.
      variant: of the drawing, where the layer's folder is another's; see `Plan.variant`.
    """

    layer: str
    units: tuple[int, ...]
    directions: Directions | None = None
    variant: str = ""

    @property
    def folder(self) -> str:
        """Where its pictures go, below the network's folder."""
        return folder(self.layer, self.directions.name if self.directions else "", self.variant)

    def objective(self, units: Sequence[int]) -> Objective:
        """What some of the units are drawn for, one row each."""
        if self.directions is None:
            return channel(self.layer, list(units))
        return direction(self.layer, self.directions.vectors[list(units)])


def feature_layers(network: Network) -> tuple[str, ...]:
    """The layers that people draw.

    Those that all of the picture passes through, after their activation function: conv2d0 to conv2d2 and mixed3a to
    mixed5b of InceptionV1, 5,804 channels in all, without a block's branches and bottlenecks. Where a network has none
    of that kind, every layer.
    """
    return network.graph.stages or tuple(network.layers)
