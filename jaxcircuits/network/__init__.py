"""A trained model of any kind, as a function from pictures to named activations."""

from jaxcircuits.network.network import Forward, Network, load

__all__ = ["Forward", "Network", "load"]
