"""The strongest connections of a unit."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Iterator
from typing import TYPE_CHECKING

import jax
import numpy as np

from jaxcircuits.circuits.weights.contribution import activations_read
from jaxcircuits.circuits.weights.direct import connecting_weights
from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.network.units import Unit, unit

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Connection:
    """How one unit acts on another.

    Attributes:
      source, target: the units.
      weights: float32 (h, w), in cells of the source's layer, centered on the target.
      contribution: of the same shape, what each weight brings in on pictures, see `contributions`; None where the
        weights were read without any.
    """

    source: Unit
    target: Unit
    weights: Float[np.ndarray, "h w"]
    contribution: Float[np.ndarray, "h w"] | None = None

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.weights.shape))
        return f"Connection({self.source} -> {self.target}: {size} weights, norm {self.norm:.3g}, sum {self.sum:.3g})"

    @property
    def excitation(self) -> float:
        """Norm of the positive weights; on pictures the sum of the positive contributions."""
        return self._strength(1)

    @property
    def inhibition(self) -> float:
        """Norm of the negative weights; on pictures the sum of the negative contributions, as a positive number."""
        return self._strength(-1)

    def _strength(self, sign: int) -> float:
        if self.contribution is None:
            return float(np.linalg.norm(np.maximum(sign * self.weights.astype(np.float64), 0)))
        return float(np.maximum(sign * self.contribution, 0).sum(dtype=np.float64))

    @property
    def norm(self) -> float:
        """Norm of all weights: the connection's strength, whatever its sign."""
        return float(np.linalg.norm(self.weights.astype(np.float64)))

    @property
    def sum(self) -> float:
        """Sum of the weights: what the target gains where the source is one everywhere."""
        return float(self.weights.sum(dtype=np.float64))


@dataclasses.dataclass(frozen=True, repr=False)
class Strongest:
    """The strongest connections of a unit, strongest first.

    A connection that excites in one place and inhibits in another, as windows do to a car, may be in both.

    Attributes:
      excitatory: by excitation.
      inhibitory: by inhibition.
    """

    excitatory: tuple[Connection, ...]
    inhibitory: tuple[Connection, ...]

    def __repr__(self) -> str:
        lines = [f"{kind:<10} {sign}{strength:.3g}  {ends}" for kind, sign, strength, ends in self._rows()]
        return "\n".join(["Strongest", *lines]) if lines else "Strongest: none"

    def _repr_html_(self) -> str:
        """A table, for notebooks."""
        cells = (
            f"<tr><td>{kind}</td><td>{sign}{strength:.3g}</td><td>{html.escape(ends)}</td></tr>"
            for kind, sign, strength, ends in self._rows()
        )
        head = "<tr><th></th><th>strength</th><th>connection</th></tr>"
        return f"<table><thead>{head}</thead><tbody>{''.join(cells)}</tbody></table>"

    def _rows(self) -> Iterator[tuple[str, str, float, str]]:
        for connection in self.excitatory:
            yield "excites", "+", connection.excitation, f"{connection.source} -> {connection.target}"
        for connection in self.inhibitory:
            yield "inhibits", "-", connection.inhibition, f"{connection.source} -> {connection.target}"


def strongest_inputs(
    network: Network,
    target: str | Unit,
    source_layer: str,
    count: int = 10,
    *,
    pictures: Float[np.ndarray | jax.Array, "pictures height width channels"] | None = None,
) -> Strongest:
    """The units of an earlier layer that excite and inhibit a unit most: by their weights, or by what they bring in.

    Without pictures it is the norm of the weights that counts. With pictures it is their contribution, what the
    source's activations add to the target's pre-activation through them, so a source that is rarely active counts
    little.

    Args:
      network: any.
      target: the unit, such as `mixed3b:379`.
      source_layer: directly connected, or further back, by expanded weights.
      count: connections of either kind, at most; those of no weight are left out.
      pictures: (N, H, W, channels) in [0, 1] to take contributions on, see `contributions`.

    Returns:
      The `Strongest`.

    Raises:
      InputError: for unknown units and layers, and layers that are not connected.
    """
    target = unit(network, target)
    weights = connecting_weights(network, source_layer, target.layer, [target.index])[0]
    read = _read(network, source_layer, target.layer, pictures, weights.shape)
    sources = [Unit(source_layer, i) for i in range(weights.shape[-1])]
    return _strongest([_connection(s, target, weights[..., s.index], read) for s in sources], count)


def strongest_outputs(
    network: Network,
    source: str | Unit,
    target_layer: str,
    count: int = 10,
    *,
    pictures: Float[np.ndarray | jax.Array, "pictures height width channels"] | None = None,
) -> Strongest:
    """The units of a later layer that a unit excites and inhibits most; see `strongest_inputs`.

    Args:
      network: any.
      source: the unit, such as `mixed3a:147`.
      target_layer: directly connected, or further on, by expanded weights.
      count: connections of either kind, at most; those of no weight are left out.
      pictures: (N, H, W, channels) in [0, 1] to take contributions on, see `contributions`.

    Returns:
      The `Strongest`.

    Raises:
      InputError: as `strongest_inputs`.
    """
    source = unit(network, source)
    weights = connecting_weights(network, source.layer, target_layer, None)
    read = _read(network, source.layer, target_layer, pictures, weights.shape[1:])
    targets = [Unit(target_layer, i) for i in range(len(weights))]
    return _strongest([_connection(source, t, weights[t.index, :, :, source.index], read) for t in targets], count)


def _read(network: Network, source: str, target: str, pictures, shape: tuple[int, int, int]) -> np.ndarray | None:
    return None if pictures is None else activations_read(network, source, target, pictures, shape)


def _connection(source: Unit, target: Unit, weights: np.ndarray, read: np.ndarray | None) -> Connection:
    return Connection(source, target, weights, None if read is None else weights * read[..., source.index])


def _strongest(connections: list[Connection], count: int) -> Strongest:
    if count < 1:
        raise InputError(f"count {count}; expected at least 1 connection")

    def top(strength) -> tuple[Connection, ...]:
        ranked = sorted(connections, key=strength, reverse=True)[:count]
        return tuple(connection for connection in ranked if strength(connection) > 0)

    return Strongest(top(lambda c: c.excitation), top(lambda c: c.inhibition))
