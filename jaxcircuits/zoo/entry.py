"""What the zoo knows of a trained network: its architecture, its input, and where its weights are published."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from jaxcircuits.zoo.architecture import Architecture
from jaxcircuits.zoo.convention import InputConvention


@dataclasses.dataclass(frozen=True)
class Remote:
    """A file on a server.

    Attributes:
      url: its last part is the file's name here.
      pin: `sha256:HEX` or `sha1:HEX` of the content.
      needed: whether there are no weights without it; labels can be done without.
    """

    url: str
    pin: str
    needed: bool = True

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.rpartition("/")[2]


@dataclasses.dataclass(frozen=True)
class Source:
    """What to download for one network, into one folder.

    Attributes:
      files: on servers.
      weights: the file of the folder that is converted; `.` is the folder itself.
      labels: the file with what the outputs stand for.
      members: name -> pin of what is taken out of the first file, a zip archive; empty where it is none.
    """

    files: tuple[Remote, ...]
    weights: str
    labels: str
    members: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Entry:
    """A network of the zoo.

    Attributes:
      name: what `jaxcircuits.load` calls it.
      summary: one line on what it is and how its units are numbered.
      architecture: its layers.
      convention: its input.
      license: of the weights.
      first: what to draw to begin with, LAYER or LAYER:UNITS, in this order.
      origin: in words, where its weights file is to be had; empty where it comes with the package.
      source: what to download; None where no file is pinned.
      identities: by which its weights are known: SHA-256 of a published file, or
        `weights_convert.weights_file.fingerprint` of the tensors.
      statistics: `kernel` and `bias` -> mean, standard deviation, minimum and maximum of the first layer's, in float64.
    """

    name: str
    summary: str
    architecture: Architecture
    convention: InputConvention
    license: str
    first: tuple[str, ...]
    origin: str = ""
    source: Source | None = None
    identities: tuple[str, ...] = ()
    statistics: Mapping[str, tuple[float, float, float, float]] = dataclasses.field(default_factory=dict)
