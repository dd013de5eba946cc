"""Networks with a name: their architectures, input conventions, and the Flax modules that run them.

What is said here of networks is data and imports no JAX; their modules do, when they are first built.
"""

from jaxcircuits.zoo.architecture import INPUT, LRN, Architecture, Layer
from jaxcircuits.zoo.convention import InputConvention
from jaxcircuits.zoo.entry import Entry
from jaxcircuits.zoo.inception import GOOGLENET, INCEPTIONV1
from jaxcircuits.zoo.registry import ARCHITECTURES, ZOO
from jaxcircuits.zoo.slide import SLIDE
from jaxcircuits.zoo.squeezenet import SQUEEZENET

__all__ = [
    "ARCHITECTURES",
    "GOOGLENET",
    "INCEPTIONV1",
    "INPUT",
    "LRN",
    "SLIDE",
    "SQUEEZENET",
    "ZOO",
    "Architecture",
    "Entry",
    "InputConvention",
    "Layer",
]
