"""Two networks at once: whether the same features, and the same circuits, are in both.

Claim 3 of Olah et al., Zoom In: An Introduction to Circuits (Distill, 2020), as a measurement.
"""

from jaxcircuits.universality.depth import depths
from jaxcircuits.universality.matching import DepthMap, Matching, Scores, depth_map, match

__all__ = ["DepthMap", "Matching", "Scores", "depth_map", "depths", "match"]
