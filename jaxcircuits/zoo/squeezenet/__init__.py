"""SqueezeNet: AlexNet's accuracy with a fiftieth of its parameters (Iandola et al. 2016)."""

from jaxcircuits.zoo.squeezenet.names import SQUEEZENET, Fire, SqueezeNetArchitecture

__all__ = ["SQUEEZENET", "Fire", "SqueezeNetArchitecture"]
