"""Comparison of two networks: whether the same features, and the same circuits, are in both.

Claim 3 of Olah et al., Zoom In: An Introduction to Circuits (Distill, 2020), as a measurement.
"""

from jaxcircuits.universality.depth import apart, depths
from jaxcircuits.universality.families import Families, Related, families, layers_of, relate
from jaxcircuits.universality.family import FAMILIES, Family, Members
from jaxcircuits.universality.found import Found, corrected
from jaxcircuits.universality.matching import DepthMap, Matching, Scores, depth_map, match
from jaxcircuits.universality.objects import car_circuit, head_circuit
from jaxcircuits.universality.wiring import LikeExcitesLike, family_circuit, like_excites_like

__all__ = [
    "FAMILIES",
    "DepthMap",
    "Families",
    "Family",
    "Found",
    "LikeExcitesLike",
    "Matching",
    "Members",
    "Related",
    "Scores",
    "apart",
    "car_circuit",
    "corrected",
    "depth_map",
    "depths",
    "families",
    "family_circuit",
    "head_circuit",
    "layers_of",
    "like_excites_like",
    "match",
    "relate",
]
