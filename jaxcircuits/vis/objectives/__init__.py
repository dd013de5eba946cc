"""Objectives: what a picture is drawn for."""

from jaxcircuits.vis.objectives.base import Objective, node
from jaxcircuits.vis.objectives.comparison import activation_difference, caricature
from jaxcircuits.vis.objectives.facets import facet
from jaxcircuits.vis.objectives.groups import alignment, channel_interpolate, diversity
from jaxcircuits.vis.objectives.masks import masked
from jaxcircuits.vis.objectives.pictures import (
    L1,
    L2,
    blur_alpha_each_step,
    blur_input_each_step,
    boundary_complexity,
    input_diff,
    mean_alpha,
    total_variation,
)
from jaxcircuits.vis.objectives.seen import INPUT, Seen
from jaxcircuits.vis.objectives.units import (
    channel,
    class_logit,
    deepdream,
    direction,
    direction_cossim,
    direction_neuron,
    neuron,
    tensor_direction,
)

__all__ = [
    "INPUT",
    "L1",
    "L2",
    "Objective",
    "Seen",
    "activation_difference",
    "alignment",
    "blur_alpha_each_step",
    "blur_input_each_step",
    "boundary_complexity",
    "caricature",
    "channel",
    "channel_interpolate",
    "class_logit",
    "deepdream",
    "direction",
    "direction_cossim",
    "direction_neuron",
    "diversity",
    "facet",
    "input_diff",
    "masked",
    "mean_alpha",
    "neuron",
    "node",
    "tensor_direction",
    "total_variation",
]
