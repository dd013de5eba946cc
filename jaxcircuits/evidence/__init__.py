"""What makes a unit fire: examples from pictures, responses to synthetic stimuli, tuning, meanings."""

import importlib
from typing import Any

from jaxcircuits.evidence import poses, stimuli
from jaxcircuits.evidence.branches import Branch, BranchTest, branch_test, branches
from jaxcircuits.evidence.clarity import clarity, monosemanticity, polysemanticity, redundancy, unit_embeddings
from jaxcircuits.evidence.crops import sheet
from jaxcircuits.evidence.density import Tail, log_density, tail
from jaxcircuits.evidence.examples import Examples, UnreadablePictures, examples
from jaxcircuits.evidence.joint import JointTuning, joint_tuning
from jaxcircuits.evidence.layer_examples import LayerExamples
from jaxcircuits.evidence.likeness import likeness
from jaxcircuits.evidence.meanings import Meanings, attributions, meanings
from jaxcircuits.evidence.poses import Invariance, invariance
from jaxcircuits.evidence.tuning import tuning
from jaxcircuits.evidence.tuning_result import Tuning

__all__ = [
    "Branch",
    "BranchTest",
    "Examples",
    "Invariance",
    "JointTuning",
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
    "invariance",
    "joint_tuning",
    "likeness",
    "log_density",
    "meanings",
    "monosemanticity",
    "polysemanticity",
    "poses",
    "redundancy",
    "sheet",
    "stimuli",
    "tail",
    "tuning",
    "unit_embeddings",
]


def __getattr__(name: str) -> Any:
    """`evidence.arguments`, which draws and reads weights too and so lives above this room, where imports go down."""
    if name == "arguments":
        return importlib.import_module("jaxcircuits.arguments").arguments
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
