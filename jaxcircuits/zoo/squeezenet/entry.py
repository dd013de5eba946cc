"""SqueezeNet 1.1 as it was trained for ImageNet."""

from __future__ import annotations

from jaxcircuits.zoo.convention import InputConvention
from jaxcircuits.zoo.entry import Entry
from jaxcircuits.zoo.squeezenet.names import SQUEEZENET

SQUEEZENET_V1_1 = Entry(
    "squeezenet",
    "SqueezeNet 1.1, small and without dense layers, with Caffe's layer names",
    SQUEEZENET,
    InputConvention(size=(227, 227), scale=255.0, mean=(104.0, 117.0, 123.0), order="BGR"),
    "BSD-2-Clause",
    first=("fire8/concat",),
    origin="squeezenet_v1.1.caffemodel, whose tensors chaosmail/caffejs has on its branch gh-pages",
    identities=("1c499d0a10cf53bcbc17bc09d83c7d3e5972b2d0aceb51de5c95062459d574d0",),
    statistics={
        "kernel": (-0.001734556274706628, 0.2500870377213474, -0.9198471903800964, 0.8848927617073059),
        "bias": (0.03127513008621463, 0.06849183911986001, -0.07925037294626236, 0.2634338438510895),
    },
)
