"""What is optimized in place of pixels.

Every parametrization is a frozen dataclass of numbers, so a recipe can hold it and write it as JSON; `base.py` says
what it gives the renderer. Learning rates: Adam 0.05 for all but `FourierPhase`, which is made for Nadam 1.0.
"""

from jaxcircuits.vis.parametrization.base import Parametrization, Shape
from jaxcircuits.vis.parametrization.cppn import CPPN
from jaxcircuits.vis.parametrization.fourier import Fourier
from jaxcircuits.vis.parametrization.phase import FourierPhase
from jaxcircuits.vis.parametrization.pixels import Pixels
from jaxcircuits.vis.parametrization.pyramid import Pyramid, Shared
from jaxcircuits.vis.parametrization.rgba import RGBA
from jaxcircuits.vis.parts import own_parts

PARAMETRIZATIONS = own_parts(Parametrization)
"""All of them."""

__all__ = [
    "CPPN",
    "PARAMETRIZATIONS",
    "RGBA",
    "Fourier",
    "FourierPhase",
    "Parametrization",
    "Pixels",
    "Pyramid",
    "Shape",
    "Shared",
]
