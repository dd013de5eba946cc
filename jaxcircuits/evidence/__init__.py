"""What makes a unit fire: pictures of the world, synthetic stimuli, a procedural world of them, tuning curves."""

from jaxcircuits.evidence.examples import Examples, UnreadablePictures, examples
from jaxcircuits.evidence.layer_examples import LayerExamples

__all__ = ["Examples", "LayerExamples", "UnreadablePictures", "examples"]
