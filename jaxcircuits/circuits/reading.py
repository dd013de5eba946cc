"""The strongest connections of a unit."""

from __future__ import annotations

import dataclasses

import numpy as np

from jaxcircuits.circuits.expanded import expanded_weights
from jaxcircuits.circuits.units import Unit, channels, unit, zoo_architecture
from jaxcircuits.circuits.weights import directly_read, layer_weights
from jaxcircuits.errors import InputError
from jaxcircuits.network import Network


@dataclasses.dataclass(frozen=True, eq=False)
class Connection:
    """How one unit acts on another.

    Attributes:
      source, target: the units.
      weights: float32 (h, w), in cells of the source's layer, centred on the target.
    """

    source: Unit
    target: Unit
    weights: np.ndarray

    @property
    def excitation(self) -> float:
        """Norm of the positive weights."""
        return float(np.linalg.norm(np.maximum(self.weights, 0)))

    @property
    def inhibition(self) -> float:
        """Norm of the negative weights."""
        return float(np.linalg.norm(np.minimum(self.weights, 0)))


@dataclasses.dataclass(frozen=True)
class Strongest:
    """The strongest connections of a unit, strongest first.

    A connection that excites in one place and inhibits in another, as windows do to a car, may be in both.

    Attributes:
      excitatory: by excitation.
      inhibitory: by inhibition.
    """

    excitatory: tuple[Connection, ...]
    inhibitory: tuple[Connection, ...]


def strongest_inputs(network: Network, target: str | Unit, source_layer: str, count: int = 10) -> Strongest:
    """The units of an earlier layer that excite and inhibit a unit most, by the norm of their weights.

    Args:
      network: of the zoo.
      target: the unit, such as `mixed3b:379`.
      source_layer: directly connected, or further back, by expanded weights.
      count: connections of either kind, at most; those of no weight are left out.

    Returns:
      The `Strongest`.

    Raises:
      InputError: for unknown units and layers, layers that are not connected, and outside the zoo.
    """
    target = unit(network, target)
    weights = _weights(network, source_layer, target.layer, [target.index])[0]
    sources = range(channels(network, source_layer))
    return _strongest([Connection(Unit(source_layer, i), target, weights[:, :, i]) for i in sources], count)


def strongest_outputs(network: Network, source: str | Unit, target_layer: str, count: int = 10) -> Strongest:
    """The units of a later layer that a unit excites and inhibits most; see `strongest_inputs`.

    Args:
      network: of the zoo.
      source: the unit, such as `mixed3a:147`.
      target_layer: directly connected, or further on, by expanded weights.
      count: connections of either kind, at most; those of no weight are left out.

    Returns:
      The `Strongest`.

    Raises:
      InputError: as `strongest_inputs`.
    """
    source = unit(network, source)
    weights = _weights(network, source.layer, target_layer, None)[..., source.index]
    return _strongest([Connection(source, Unit(target_layer, i), w) for i, w in enumerate(weights)], count)


def _weights(network: Network, source: str, target: str, units: list[int] | None) -> np.ndarray:
    """(units, h, w, source channels)."""
    architecture = zoo_architecture(network, "use expanded_weights with at=, a picture")
    network.layer(target)
    if source in directly_read(architecture, target):
        return np.moveaxis(layer_weights(network, source, target, units), 3, 0)
    return expanded_weights(network, source, target, units)


def _strongest(connections: list[Connection], count: int) -> Strongest:
    if count < 1:
        raise InputError(f"count {count}; expected at least 1 connection")

    def top(strength) -> tuple[Connection, ...]:
        ranked = sorted(connections, key=strength, reverse=True)[:count]
        return tuple(connection for connection in ranked if strength(connection) > 0)

    return Strongest(top(lambda c: c.excitation), top(lambda c: c.inhibition))
