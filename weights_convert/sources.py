"""Where the zoo's weights are published, and the hashes by which they are known."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from importlib import resources


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


_INCEPTION5H = "a39b08b826c9d5a5532ff424c03a3a11a202967544e389aca4b06c2bd8aef63f"
_DUMP = json.loads(resources.files("weights_convert").joinpath("inceptionv1-2015.json").read_text())
_TORCH = f"https://raw.githubusercontent.com/{_DUMP['repository']}/{_DUMP['commit']}"
_SYNSETS = Remote(
    f"{_TORCH}/synsets.txt",
    "sha256:a0287b9dd71dd9331f2a5793eca79223f4b349b6e4f5af05bf794c55acee25b6",
    needed=False,
)

SOURCES = {
    "inceptionv1": Source(
        files=(
            Remote(
                "https://storage.googleapis.com/download.tensorflow.org/models/inception5h.zip",
                "sha256:d13569f6a98159de37e92e9c8ec4dae8f674fbf475f69fe6199b514f756d4364",
            ),
        ),
        members={
            "tensorflow_inception_graph.pb": f"sha256:{_INCEPTION5H}",
            "imagenet_comp_graph_label_strings.txt": (
                "sha256:da2a31ecfe9f212ae8dd07379b11a74cb2d7a110eba12c5fc8c862a65b8e6606"
            ),
        },
        weights="tensorflow_inception_graph.pb",
        labels="imagenet_comp_graph_label_strings.txt",
    ),
    "inceptionv1-2015": Source(
        files=(*(Remote(f"{_TORCH}/dump/{name}", f"sha256:{pin}") for name, pin in _DUMP["sha256"].items()), _SYNSETS),
        weights=".",
        labels="synsets.txt",
    ),
    "googlenet": Source(
        # The pin is the one in Caffe's own readme of the model.
        files=(
            Remote(
                "http://dl.caffe.berkeleyvision.org/bvlc_googlenet.caffemodel",
                "sha1:405fc5acd08a3bb12de8ee5e23a96bec22f08204",
            ),
            _SYNSETS,
        ),
        weights="bvlc_googlenet.caffemodel",
        labels="synsets.txt",
    ),
}
"""Zoo name -> `Source`."""

IDENTITIES = {
    _INCEPTION5H: "inceptionv1",
    "d5911fd72d96cc8cabe32b94c686722d17236bdc2512e0294352e3297b3f9a49": "inceptionv1-2015",
    "bda2c1ac3c75ba6291bd8a96866c4cd705d01fad0d2a84e09fddcc7c9d58d508": "googlenet",
}
"""SHA-256 of a published file, or `weights_file.fingerprint` of its tensors -> zoo name."""


def identity(source_sha256: str, weights_sha256: str) -> str | None:
    """The zoo name of weights, known by the file that they come from or by their values; None for others."""
    return IDENTITIES.get(source_sha256) or IDENTITIES.get(weights_sha256)
