"""Feature visualization: pictures of what units look for.

Olah, Mordvintsev, Schubert, Feature Visualization, Distill, 2017.
"""

from jaxcircuits.images.sheet import contact_sheet, to_image
from jaxcircuits.images.video import save_video
from jaxcircuits.vis import objectives, parametrization, transforms
from jaxcircuits.vis.objectives import *  # noqa: F403
from jaxcircuits.vis.parametrization import *  # noqa: F403
from jaxcircuits.vis.recipe import Recipe
from jaxcircuits.vis.relevance import relevance, transparent
from jaxcircuits.vis.reliability import percentiles
from jaxcircuits.vis.render import compile_ahead, render, render_batches
from jaxcircuits.vis.rendering import Interrupted, NotFinite, Rendering
from jaxcircuits.vis.transforms import *  # noqa: F403

__all__ = [
    "Interrupted",
    "NotFinite",
    "Recipe",
    "Rendering",
    "compile_ahead",
    "contact_sheet",
    "percentiles",
    "relevance",
    "render",
    "render_batches",
    "save_video",
    "to_image",
    "transparent",
]
__all__ += objectives.__all__
__all__ += parametrization.__all__
__all__ += transforms.__all__
