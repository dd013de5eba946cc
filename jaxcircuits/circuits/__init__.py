"""Circuits: how units are wired. Weights between them, read in closed form or by gradients, and edited.

Olah et al., Zoom In: An Introduction to Circuits, Distill, 2020; Voss et al., Visualizing Weights, Distill, 2021.
"""

import importlib
from typing import Any

from jaxcircuits.circuits.attribution import Attribution, attribute, attribute_positions, attribute_units
from jaxcircuits.circuits.circuit import Circuit
from jaxcircuits.circuits.edits.ablation import ablate, patch, resample
from jaxcircuits.circuits.edits.connections import cut, keep_only, scale_weights, set_weights, transplant
from jaxcircuits.circuits.extraction import circuit_between, extract_circuit
from jaxcircuits.circuits.factors import Factors, factor_activations, factor_weights
from jaxcircuits.circuits.prediction import Prediction, predict_edit
from jaxcircuits.circuits.weights.contribution import contributions
from jaxcircuits.circuits.weights.direct import Kernel, direct_weights, kernel, layer_weights, weights_between
from jaxcircuits.circuits.weights.expanded import expanded_weights
from jaxcircuits.circuits.weights.strongest import Connection, Strongest, strongest_inputs, strongest_outputs
from jaxcircuits.circuits.wiring import LayerWiring, Wiring
from jaxcircuits.circuits.wiring_file import read_wiring
from jaxcircuits.network.units import Unit, unit

__all__ = [
    "Attribution",
    "Circuit",
    "Connection",
    "Factors",
    "Kernel",
    "LayerWiring",
    "Prediction",
    "Strongest",
    "Unit",
    "Wiring",
    "ablate",
    "attribute",
    "attribute_positions",
    "attribute_units",
    "circuit_between",
    "contributions",
    "cut",
    "direct_weights",
    "expanded_weights",
    "extract_circuit",
    "factor_activations",
    "factor_weights",
    "keep_only",
    "kernel",
    "layer_weights",
    "patch",
    "predict_edit",
    "read_wiring",
    "resample",
    "scale_weights",
    "set_weights",
    "strongest_inputs",
    "strongest_outputs",
    "transplant",
    "unit",
    "weights_between",
]


def __getattr__(name: str) -> Any:
    """`circuits.motifs` without an import of its own."""
    if name == "motifs":
        return importlib.import_module(f"{__name__}.motifs")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
