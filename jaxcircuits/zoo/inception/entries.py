"""The trained networks of the Inception family, and where their weights are published."""

from __future__ import annotations

import json
from importlib import resources

from jaxcircuits.zoo.convention import InputConvention
from jaxcircuits.zoo.entry import Entry, Remote, Source
from jaxcircuits.zoo.inception.names import GOOGLENET, INCEPTIONV1

_GOOGLE_INPUT = InputConvention(size=(224, 224), scale=255.0, mean=117.0)

_5H = "a39b08b826c9d5a5532ff424c03a3a11a202967544e389aca4b06c2bd8aef63f"
_DUMP = json.loads(resources.files("jaxcircuits.zoo.inception").joinpath("inceptionv1-2015.json").read_text())
_TORCH = f"https://raw.githubusercontent.com/{_DUMP['repository']}/{_DUMP['commit']}"
_SYNSETS = Remote(
    f"{_TORCH}/synsets.txt",
    "sha256:a0287b9dd71dd9331f2a5793eca79223f4b349b6e4f5af05bf794c55acee25b6",
    needed=False,
)

INCEPTIONV1_5H = Entry(
    "inceptionv1",
    "Google's inception5h, the network of the Circuits articles: their unit numbers apply",
    INCEPTIONV1,
    _GOOGLE_INPUT,
    "Apache-2.0",
    first=("mixed4b",),
    origin="inception5h.zip of Google's TensorFlow models",
    source=Source(
        files=(
            Remote(
                "https://storage.googleapis.com/download.tensorflow.org/models/inception5h.zip",
                "sha256:d13569f6a98159de37e92e9c8ec4dae8f674fbf475f69fe6199b514f756d4364",
            ),
        ),
        members={
            "tensorflow_inception_graph.pb": f"sha256:{_5H}",
            "imagenet_comp_graph_label_strings.txt": (
                "sha256:da2a31ecfe9f212ae8dd07379b11a74cb2d7a110eba12c5fc8c862a65b8e6606"
            ),
        },
        weights="tensorflow_inception_graph.pb",
        labels="imagenet_comp_graph_label_strings.txt",
    ),
    identities=(_5H,),
)

INCEPTIONV1_2015 = Entry(
    "inceptionv1-2015",
    "Google's 2015 release, another training run: unit numbers are its own",
    INCEPTIONV1,
    _GOOGLE_INPUT,
    "Apache-2.0",
    first=("mixed4b",),
    origin=f"the folder dump of {_DUMP['repository']}",
    source=Source(
        files=(*(Remote(f"{_TORCH}/dump/{name}", f"sha256:{pin}") for name, pin in _DUMP["sha256"].items()), _SYNSETS),
        weights=".",
        labels="synsets.txt",
    ),
    identities=("d5911fd72d96cc8cabe32b94c686722d17236bdc2512e0294352e3297b3f9a49",),
    statistics={
        "kernel": (-8.136695534977618e-05, 1.137233273288269, -8.472362518310547, 8.352631568908691),
        "bias": (-0.054239805627730675, 0.5626011010797827, -1.5647259950637817, 0.8827468752861023),
    },
)

GOOGLENET_BVLC = Entry(
    "googlenet",
    "BVLC GoogLeNet, trained with Caffe, with Caffe's layer names",
    GOOGLENET,
    InputConvention(size=(224, 224), scale=255.0, mean=(104.0, 117.0, 123.0), order="BGR"),
    "unrestricted use",
    first=("inception_4b/output",),
    origin="bvlc_googlenet.caffemodel of Caffe's model zoo",
    source=Source(
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
    identities=("bda2c1ac3c75ba6291bd8a96866c4cd705d01fad0d2a84e09fddcc7c9d58d508",),
    statistics={
        "kernel": (3.42221490020241e-05, 0.19619534177367934, -1.039477825164795, 1.2037519216537476),
        "bias": (-1.1809668526984751, 2.8207635369486557, -7.981038570404053, 5.11253547668457),
    },
)
