"""How all units of a layer are wired: the strongest inputs and outputs of each, a layer at a time.

What `strongest_inputs` and `strongest_outputs` say of one unit, from one array of weights for all units of two
neighboring layers, and what a unit does to the logits in the linearized network.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxcircuits.circuits.weights.direct import connecting_weights
from jaxcircuits.errors import InputError, whole
from jaxcircuits.network import Network
from jaxcircuits.network.graph import INPUT

if TYPE_CHECKING:
    from jaxtyping import Float, Int

NONE = -1
"""In place of a unit, where there are fewer connections than asked for."""

CLASSES = 8
"""Classes that are kept of those that a unit supports and opposes most."""

AT_ONCE = 2**27
"""Weights whose strengths are computed at once."""


class Connections(NamedTuple):
    """The strongest connections of every unit of one kind, strongest first.

    Attributes:
      units: int32 (units, count), those at the other end; -1 where there are no more of any strength.
      strengths: float32 (units, count), norms of the positive or of the negative weights; 0 where there are no more.
      weights: float32 (units, count, h, w), all weights of the connection, in cells of the source's layer.
    """

    units: Int[np.ndarray, "units count"]
    strengths: Float[np.ndarray, "units count"]
    weights: Float[np.ndarray, "units count h w"]


class Side(NamedTuple):
    """The inputs of a layer's units, or their outputs.

    Attributes:
      layer: at the other end.
      excitatory: by the norm of the positive weights.
      inhibitory: by that of the negative ones.
    """

    layer: str
    excitatory: Connections
    inhibitory: Connections


class Classes(NamedTuple):
    """What the units do to the logits: the change for an activation of 1 everywhere, in the linearized network.

    Attributes:
      layer: the logits.
      up: int32 (units, n), the classes that gain most.
      up_effects: float32 (units, n).
      down: int32 (units, n), those that lose most.
      down_effects: float32 (units, n).
    """

    layer: str
    up: Int[np.ndarray, "units n"]
    up_effects: Float[np.ndarray, "units n"]
    down: Int[np.ndarray, "units n"]
    down_effects: Float[np.ndarray, "units n"]


@dataclasses.dataclass(frozen=True, eq=False)
class LayerWiring:
    """How the units of a layer are wired.

    Attributes:
      layer: its name.
      units: how many it has.
      inputs: from the layer before; None where no weights lead there.
      outputs: to the layer after; None likewise.
      classes: at the logits; None likewise.
      labels: of the classes, by number; empty where the network has none.
      reasons: `inputs`, `outputs` or `classes` -> why there are none.
    """

    layer: str
    units: int
    inputs: Side | None
    outputs: Side | None
    classes: Classes | None
    labels: tuple[str, ...] = ()
    reasons: dict[str, str] = dataclasses.field(default_factory=dict)


class Wiring:
    """The wiring of a network's layers; it remembers the weights that two neighbors have in common.

    >>> wiring = Wiring(network, count=8)
    >>> wiring["mixed4b"].inputs.excitatory.units[11]    # eight units of mixed4a

    A layer's neighbors are the network's stages before and after it (`Graph.stages`), the input and the logits at the
    ends. It is cheapest from the last layer to the first.

    Args:
      network: any.
      count: connections of either kind that are kept of a unit.
    """

    def __init__(self, network: Network, count: int = 8):
        self.network, self.count = network, whole(count, "count", 1)
        self._sums: dict[tuple[str, str], np.ndarray] = {}
        self._weights = functools.lru_cache(1)(self._read_weights)

    def __getitem__(self, layer: str) -> LayerWiring:
        """The wiring of a layer's units; raises `InputError` for an unknown layer."""
        network, reasons = self.network, {}
        before, after = neighbors(network, layer)
        logits = network.logits if after or layer == network.logits else None
        read = {
            "outputs": (after, lambda other: self._side(layer, other, outputs=True)),
            "classes": (logits, lambda other: self._classes(layer, other)),
            "inputs": (before, lambda other: self._side(other, layer, outputs=False)),
        }
        found = {}
        for name, (other, make) in read.items():
            try:
                found[name] = make(other) if other else None
            except InputError as error:
                found[name], reasons[name] = None, str(error)
            if not other:
                reasons[name] = f"no layer after {layer}" if name == "outputs" else f"no logits after {layer}"
        units = network.layers[layer].channels
        return LayerWiring(layer, units, labels=tuple(network.labels), reasons=reasons, **found)

    def _read_weights(self, source: str, target: str) -> np.ndarray:
        weights = connecting_weights(self.network, source, target, None)
        self._sums[source, target] = weights.sum((1, 2), dtype=np.float64)
        return weights

    def _side(self, source: str, target: str, outputs: bool) -> Side:
        weights = self._weights(source, target)
        kinds = (_strongest(weights, sign, self.count, outputs) for sign in (1, -1))
        return Side(target if outputs else source, *kinds)

    def _classes(self, layer: str, logits: str) -> Classes:
        effects = self._effects(layer, logits)
        count = min(CLASSES, effects.shape[1])
        up, down = (np.argsort(sign * effects, axis=1, kind="stable")[:, :count] for sign in (-1, 1))
        kept = (np.take_along_axis(effects, part, 1).astype(np.float32) for part in (up, down))
        up_effects, down_effects = kept
        return Classes(logits, up.astype(np.int32), up_effects, down.astype(np.int32), down_effects)

    def _effects(self, layer: str, logits: str) -> np.ndarray:
        """float64 (units, classes): what an activation of 1 everywhere adds to the logits, away from the borders.

        Along a chain of layers that all ways pass, sums over positions of weights multiply as matrices.
        """
        if self.network.graph.first_name(layer) == self.network.graph.first_name(logits):
            return np.eye(self.network.layers[layer].channels)
        after = neighbors(self.network, layer)[1] or logits
        if (layer, after) not in self._sums:
            self._weights(layer, after)
        sums = self._sums[layer, after].T
        return sums if after == logits else sums @ self._effects(after, logits)


def neighbors(network: Network, layer: str) -> tuple[str, str | None]:
    """The stages before and after a layer that all ways to it and from it pass; `input` and the logits at the ends.

    Returns:
      Names; None for the layer after the last one.

    Raises:
      InputError: for an unknown layer.
    """
    network.layer(layer)
    graph, own = network.graph, network.graph.first_name(layer)
    stages = [name for name in network.graph.stages if graph.first_name(name) != own]
    before = [name for name in stages if graph.follows(name, layer)]
    after = [name for name in stages if graph.follows(layer, name)]
    logits = network.logits if network.logits and graph.follows(layer, network.logits) else None
    return before[-1] if before else INPUT, after[0] if after else logits


def _strongest(weights: np.ndarray, sign: int, count: int, outputs: bool) -> Connections:
    """Of weights (targets, h, w, sources) the strongest of each target, or of each source for `outputs`."""
    strengths = np.concatenate([_norms(part, sign) for part in _parts(weights)])
    strengths = strengths.T if outputs else strengths
    count = min(count, strengths.shape[1])
    chosen = np.argsort(-strengths, axis=1, kind="stable")[:, :count]
    kept = np.take_along_axis(strengths, chosen, 1)
    own = np.arange(len(strengths))[:, None]
    targets, sources = (chosen, own) if outputs else (own, chosen)
    there = kept > 0
    maps = weights[targets, :, :, sources] * there[..., None, None]
    return Connections(np.where(there, chosen, NONE).astype(np.int32), kept.astype(np.float32), maps)


def _parts(weights: np.ndarray) -> list[np.ndarray]:
    size = max(AT_ONCE // weights[0].size, 1)
    return [weights[i : i + size] for i in range(0, len(weights), size)]


def _norms(weights: np.ndarray, sign: int) -> np.ndarray:
    """float64 (targets, sources): norms of the positive, or of the negative weights."""
    part = np.maximum(sign * weights, 0).astype(np.float64)
    return np.sqrt(np.einsum("thws,thws->ts", part, part))
