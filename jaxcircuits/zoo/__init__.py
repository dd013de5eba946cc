"""Networks with a name: their architectures, input conventions, and the Flax module that runs them.

The structure is data and imports no JAX; the module `jaxcircuits.zoo.module` does.
"""

from jaxcircuits.zoo.architecture import INPUT, LRN, Architecture, Layer
from jaxcircuits.zoo.convention import InputConvention
from jaxcircuits.zoo.inception import ARCHITECTURES, GOOGLENET, INCEPTIONV1
from jaxcircuits.zoo.registry import ZOO, Entry

__all__ = [
    "ARCHITECTURES",
    "GOOGLENET",
    "INCEPTIONV1",
    "INPUT",
    "LRN",
    "ZOO",
    "Architecture",
    "Entry",
    "InputConvention",
    "Layer",
]
