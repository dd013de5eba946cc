"""Units by their name: `mixed3a:147` is channel 147 of layer mixed3a, `mixed3a:0-15,20` several, `mixed3a:all` all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.network.graph import INPUT

if TYPE_CHECKING:
    from jaxcircuits.network.network import Network


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


def before_activation(network: Network, layer: str) -> str:
    """The layer that holds a layer's values before its activation function; itself where there is none by that name.

    Of a block, whose parts have activation functions of their own, the published networks name one (`X_pre_relu`).
    """
    named = f"{layer}_pre_relu"
    if named in network.layers:
        return named
    made = network.layer(layer)
    # A module's activation may have several names; the function's own input is what it reads.
    return made.inputs[0] if made.kind == "activation" and len(made.inputs) == 1 and made.inputs[0] != INPUT else layer


def has_positions(network: Network, layer: str) -> bool:
    """Whether a layer's activations are maps."""
    return layer == INPUT or len(network.layer(layer).shape) == 3
