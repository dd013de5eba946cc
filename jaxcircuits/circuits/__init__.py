"""Circuits: how units are wired. Weights between them, read in closed form or by gradients, and edited.

Olah et al., Zoom In: An Introduction to Circuits, Distill, 2020; Voss et al., Visualizing Weights, Distill, 2021.
"""

from jaxcircuits.circuits.edits import ablate, cut, scale_weights, set_weights
from jaxcircuits.circuits.expanded import expanded_weights
from jaxcircuits.circuits.reading import Connection, Strongest, strongest_inputs, strongest_outputs
from jaxcircuits.circuits.units import Unit, unit
from jaxcircuits.circuits.weights import Kernel, kernel, layer_weights, weights_between

__all__ = [
    "Connection",
    "Kernel",
    "Strongest",
    "Unit",
    "ablate",
    "cut",
    "expanded_weights",
    "kernel",
    "layer_weights",
    "scale_weights",
    "set_weights",
    "strongest_inputs",
    "strongest_outputs",
    "unit",
    "weights_between",
]
