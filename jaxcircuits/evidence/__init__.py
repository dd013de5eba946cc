"""What makes a unit fire: pictures of the world, synthetic stimuli, a procedural world of them, tuning curves."""

from jaxcircuits.evidence import stimuli
from jaxcircuits.evidence.examples import Examples, UnreadablePictures, examples
from jaxcircuits.evidence.layer_examples import LayerExamples
from jaxcircuits.evidence.tuning import tuning
from jaxcircuits.evidence.tuning_result import Tuning

__all__ = ["Examples", "LayerExamples", "Tuning", "UnreadablePictures", "examples", "stimuli", "tuning"]
