"""Networks with a name: their architectures, input conventions, and the Flax module that runs them.

The structure is data and imports no JAX; the module `jaxcircuits.zoo.module` does.
"""

from jaxcircuits.zoo.architecture import INPUT, LRN, Architecture, Layer
from jaxcircuits.zoo.convention import InputConvention
from jaxcircuits.zoo.inception import GOOGLENET, INCEPTIONV1
from jaxcircuits.zoo.registry import ARCHITECTURES, ZOO, Entry
from jaxcircuits.zoo.slide import SLIDE

__all__ = [
    "ARCHITECTURES",
    "GOOGLENET",
    "INCEPTIONV1",
    "INPUT",
    "LRN",
    "SLIDE",
    "ZOO",
    "Architecture",
    "Entry",
    "InputConvention",
    "Layer",
]
