"""What makes a unit fire: pictures of the world, synthetic stimuli, a procedural world of them, tuning curves."""

from jaxcircuits.evidence import stimuli
from jaxcircuits.evidence.branches import Branch, BranchTest, branch_test, branches
from jaxcircuits.evidence.clarity import clarity, monosemanticity, polysemanticity, redundancy, unit_embeddings
from jaxcircuits.evidence.density import Tail, log_density, tail
from jaxcircuits.evidence.examples import Examples, UnreadablePictures, examples
from jaxcircuits.evidence.layer_examples import LayerExamples
from jaxcircuits.evidence.meanings import Meanings, attributions, meanings
from jaxcircuits.evidence.tuning import tuning
from jaxcircuits.evidence.tuning_result import Tuning

__all__ = [
    "Branch",
    "BranchTest",
    "Examples",
    "LayerExamples",
    "Meanings",
    "Tail",
    "Tuning",
    "UnreadablePictures",
    "attributions",
    "branch_test",
    "branches",
    "clarity",
    "examples",
    "log_density",
    "meanings",
    "monosemanticity",
    "polysemanticity",
    "redundancy",
    "stimuli",
    "tail",
    "tuning",
    "unit_embeddings",
]
