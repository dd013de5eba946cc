"""Motifs: patterns that circuits share, found in weights, each with its score and the scores of shuffled weights.

Who reports the best of a list reports its `adjusted_p_value`; `p_value` is for one that was chosen before looking.

Olah et al., Zoom In: An Introduction to Circuits (Distill 2020), and the articles that each file names. All take
weights (units, h, w, channels) as `expanded_weights` returns them, between any two layers.
"""

from jaxcircuits.circuits.motifs.boundary import Boundary, boundaries
from jaxcircuits.circuits.motifs.equivariance import Equivariance, equivariance, rotation_order
from jaxcircuits.circuits.motifs.orientation import Orientations, orientations
from jaxcircuits.circuits.motifs.superposition import Superposition, superpositions
from jaxcircuits.circuits.motifs.transforms import hue, reflection, rotation, zoom
from jaxcircuits.circuits.motifs.union import UnionOverCases, cross_inhibition, unions

__all__ = [
    "Boundary",
    "Equivariance",
    "Orientations",
    "Superposition",
    "UnionOverCases",
    "boundaries",
    "cross_inhibition",
    "equivariance",
    "hue",
    "orientations",
    "reflection",
    "rotation",
    "rotation_order",
    "superpositions",
    "unions",
    "zoom",
]
