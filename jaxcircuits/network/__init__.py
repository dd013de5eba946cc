"""A trained model of any kind, as a function from pictures to named activations."""

from jaxcircuits.network.forward import Forward
from jaxcircuits.network.loading import load
from jaxcircuits.network.network import Network

__all__ = ["Forward", "Network", "load"]
