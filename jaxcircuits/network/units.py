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


def numbers_of(text: str, channels: int, layer: str) -> list[int]:
    """`0-15,20` or `all` as unit numbers, each once, in the order given.

    Raises:
      InputError: for a part that is no number or range, or for units that the layer does not have.
    """
    if text.strip() == "all":
        return list(range(channels))
    units: dict[int, None] = {}
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise InputError(f"units {part.strip()!r}; expected numbers and ranges such as 0-15,20, or all")
        # Checked before it is spelled out: a range may be absurdly long.
        end = int(last) if dash else int(first)
        if max(int(first), end) >= channels:
            raise InputError(f"unknown unit {max(int(first), end)} of {layer}; it has units 0 to {channels - 1}")
        if end < int(first):
            raise InputError(f"units {part.strip()!r}; the range ends before it begins")
        units.update(dict.fromkeys(range(int(first), end + 1)))
    return list(units)


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
