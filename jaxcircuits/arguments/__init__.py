"""The seven arguments that a unit detects a feature (Olah et al., Zoom In, 2020), each with its value by chance.

They draw, look and read weights, so this room lies above vis, evidence and circuits and uses their faces alone;
`evidence.arguments` is the same function.
"""

from jaxcircuits.arguments.argument import Argument, Arguments
from jaxcircuits.arguments.run import arguments

__all__ = ["Argument", "Arguments", "arguments"]
