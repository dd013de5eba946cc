"""InceptionV1: one family of architectures, told apart by widths, padding, normalization and names.

Szegedy et al., Going Deeper with Convolutions (2014). `inceptionv1` is the structure of Google's two releases, with
the node names of `tensorflow_inception_graph.pb`; `googlenet` is that of BVLC GoogLeNet, with Caffe's names.
"""

from jaxcircuits.zoo.inception.names import (
    CAFFE_NAMES,
    GOOGLE_NAMES,
    GOOGLE_WIDTHS,
    GOOGLENET,
    INCEPTIONV1,
    BlockWidths,
    Inception,
    Names,
    inception,
)

__all__ = [
    "CAFFE_NAMES",
    "GOOGLENET",
    "GOOGLE_NAMES",
    "GOOGLE_WIDTHS",
    "INCEPTIONV1",
    "BlockWidths",
    "Inception",
    "Names",
    "inception",
]
