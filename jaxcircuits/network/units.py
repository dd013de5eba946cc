"""Units by their name: `mixed3a:147` is channel 147 of layer mixed3a."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxcircuits.errors import InputError, unknown
from jaxcircuits.network import Network
from jaxcircuits.zoo import INPUT, Architecture


class Unit(NamedTuple):
    """A channel of a layer; prints as `mixed3a:147`."""

    layer: str
    index: int

    def __str__(self) -> str:
        return f"{self.layer}:{self.index}"


def unit(network: Network, reference: str | Unit) -> Unit:
    """Reads a unit's name.

    Args:
      network: whose unit.
      reference: `LAYER:NUMBER`, or a `Unit`.

    Returns:
      The `Unit`.

    Raises:
      InputError: where it is not of that form, or the network has no such layer or unit.
    """
    if isinstance(reference, str):
        layer, colon, number = reference.rpartition(":")
        if not colon or not number.isdecimal():
            raise InputError(f"unit {reference!r}; expected LAYER:NUMBER, such as {Unit(list(network.layers)[-1], 0)}")
        reference = Unit(layer, int(number))
    check_units(network, reference.layer, [reference.index])
    return reference


def family(network: Network, references: str | Unit | Sequence[str | Unit]) -> tuple[str, np.ndarray]:
    """One unit, or several of one layer, as the layer's name and their numbers (N,)."""
    single = isinstance(references, (str, Unit))
    members = [unit(network, reference) for reference in ([references] if single else references)]
    layers = sorted({member.layer for member in members})
    if len(layers) != 1:
        raise InputError(f"units of {' and '.join(layers) or 'no layer'}; expected units of one layer")
    if len(set(members)) < len(members):
        raise InputError(f"units {', '.join(map(str, members))}; expected each once")
    return layers[0], np.array([member.index for member in members])


def channels(network: Network, layer: str) -> int:
    """How many channels a layer has, or the network's input; raises `InputError` for an unknown name."""
    return network.convention.channels if layer == INPUT else network.layer(layer).channels


def check_units(network: Network, layer: str, units: Sequence[int] | np.ndarray | None) -> np.ndarray:
    """Unit numbers as an array, all of the layer's for None; raises `InputError` for one that it does not have."""
    return np.arange(channels(network, layer)) if units is None else network.check_units(layer, units)


def zoo_architecture(network: Network, instead: str) -> Architecture:
    """How the network's layers are computed; raises `InputError`, saying what to do `instead`, outside the zoo."""
    if network.architecture is None:
        raise InputError(f"{network.name} is no zoo network, so its kernels are not known by layer; {instead}")
    return network.architecture


def convolutions(architecture: Architecture, layer: str) -> list[tuple[str, int]]:
    """The convolutions (or the classifier) that make a layer's channels: their names and channel counts, in order.

    One for a convolution and its ReLU; one a branch for a block.

    Raises:
      InputError: for an unknown layer, and for layers without weights of their own.
    """
    if layer not in architecture.by_name:
        raise unknown("layer", layer, architecture.by_name, architecture.name)
    made = architecture.by_name[layer]
    if made.op in ("conv", "dense"):
        return [(layer, made.channels)]
    if made.op in ("relu", "concat"):
        return [found for name in made.inputs for found in convolutions(architecture, name)]
    raise InputError(f"{layer} is a {made.op} layer and has no weights; it reads {', '.join(made.inputs)}")
