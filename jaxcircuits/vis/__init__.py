"""Feature visualization: pictures of what units look for.

Olah, Mordvintsev, Schubert, Feature Visualization, Distill, 2017.
"""

from jaxcircuits.vis.objective import Objective
from jaxcircuits.vis.objectives import (
    channel,
    class_logit,
    deepdream,
    direction,
    neuron,
)
from jaxcircuits.vis.parametrization import Fourier
from jaxcircuits.vis.recipe import Recipe
from jaxcircuits.vis.render import Rendering, render, render_batches
from jaxcircuits.vis.sheet import contact_sheet, to_image
from jaxcircuits.vis.transforms import LUCID, Jitter, Pad, Rotate, Scale

__all__ = [
    "LUCID",
    "Fourier",
    "Jitter",
    "Objective",
    "Pad",
    "Recipe",
    "Rendering",
    "Rotate",
    "Scale",
    "channel",
    "class_logit",
    "contact_sheet",
    "deepdream",
    "direction",
    "neuron",
    "render",
    "render_batches",
    "to_image",
]
