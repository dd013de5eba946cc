"""A picture that somebody drops on a page: which units fire, where, and what an edit of one does to the logits."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxcircuits.circuits.edits.ablation import patch
from jaxcircuits.errors import InputError, real, unknown
from jaxcircuits.images.decode import decode
from jaxcircuits.network import Network
from jaxcircuits.network.units import Unit
from jaxcircuits.pages.microscope.site import rounded

KEPT = 8
"""Pictures whose activations are remembered; older ones have to be dropped again."""
NAMED = 12
"""Units named of each layer."""
CLASSES = 5
LARGEST_FACTOR = 100.0


class Looking:
    """Pictures shown to one network, one at a time.

    Args:
      network: that looks.
      layers: name -> units with pages.
      largest: layer -> the largest activation of each of its channels on record; fewer layers where nothing is.

    Raises:
      InputError: for layers and units that the network does not have.
    """

    def __init__(self, network: Network, layers: Mapping[str, Sequence[int]], largest: Mapping[str, np.ndarray]):
        for name, units in layers.items():
            if len(units):
                network.check_units(name, list(units))
            if name in largest and len(largest[name]) != network.layer(name).channels:
                raise InputError(f"{name}: {len(largest[name])} units on record; {network.name} has others")
        self.network = network
        self._layers = {name: np.array(units, int) for name, units in layers.items() if len(units)}
        self._largest = largest
        self._seen: OrderedDict[str, tuple[np.ndarray, dict[str, np.ndarray]]] = OrderedDict()
        self._lock = threading.Lock()

    def look(self, data: bytes) -> dict[str, Any]:
        """Shows a picture.

        Args:
          data: of a picture's file, from anybody; it is decoded as the untrusted thing that it is.

        Returns:
          `look`, by which it is asked for later; `classes`; `layers`, each with the units that fire most, in
          proportion to the largest activation that is on record of them.

        Raises:
          InputError: where it is no picture.
        """
        convention = self.network.convention
        pixels = decode(data, convention.size, "crop", convention.channels)
        image = pixels[None] / np.float32(255)
        wanted = [*self._layers, *([self.network.logits] if self.network.logits else [])]
        with self._lock:
            found = self.network.activations(image, list(dict.fromkeys(wanted)))
            maps = {name: np.asarray(values)[0] for name, values in found.items()}
            name = secrets.token_urlsafe(9)
            self._seen[name] = image, maps
            while len(self._seen) > KEPT:
                self._seen.popitem(last=False)
        layers = {layer: self._strongest(layer, maps[layer]) for layer in self._layers}
        return {"look": name, "classes": self._classes(maps), "layers": layers}

    def unit(self, look: str, layer: str, unit: int) -> dict[str, Any]:
        """What a unit answers to a picture: `value`, `share` of the largest on record, and `heat`, its map.

        Raises:
          InputError: for a picture that is not remembered, and an unknown unit.
        """
        _, maps = self._of(look)
        self._check(layer, unit)
        fires = maps[layer][..., unit]
        value = float(fires.max())
        heat = fires if fires.ndim == 2 else None
        return rounded({"value": value, "share": self._share(layer, unit, value), "heat": heat}, 3)

    def edit(self, look: str, layer: str, unit: int, factor: float) -> dict[str, Any]:
        """What the logits become when a unit answers `factor` times what it does; 0 silences it.

        Returns:
          `changes`: the classes whose logits change most, each with its label, the logit before and after.

        Raises:
          InputError: as `unit`, for a factor that is no number within bounds, and a network without logits.
        """
        image, maps = self._of(look)
        self._check(layer, unit)
        within = f"a number from {-LARGEST_FACTOR:g} to {LARGEST_FACTOR:g}"
        factor = real(factor, "factor", within, lambda value: abs(value) <= LARGEST_FACTOR)
        logits = self.network.logits
        if logits is None:
            raise InputError(f"{self.network.name} has no logits that could change")
        values = factor * maps[layer][None, ..., unit, None]
        with self._lock:
            after = np.asarray(patch(self.network, Unit(layer, unit), values).activations(image, logits)[logits])[0]
        before, after = (np.asarray(v, np.float64).reshape(-1, v.shape[-1]).mean(0) for v in (maps[logits], after))
        order = np.argsort(-np.abs(after - before), kind="stable")[: 2 * CLASSES]
        changes = [[self._label(i), before[i], after[i]] for i in order.tolist() if after[i] != before[i]]
        return rounded({"changes": changes}, 4)

    def _of(self, look: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        with self._lock:
            if look not in self._seen:
                raise InputError("this picture is not remembered any more; drop it again")
            return self._seen[look]

    def _check(self, layer: str, unit: int) -> None:
        if layer not in self._layers:
            raise unknown("layer", layer, self._layers, self.network.name)
        self.network.check_units(layer, [unit])

    def _share(self, layer: str, unit: int, value: float) -> float | None:
        largest = self._largest.get(layer)
        return value / float(largest[unit]) if largest is not None and largest[unit] > 0 else None

    def _strongest(self, layer: str, fires: np.ndarray) -> list[list[float | None]]:
        """[unit, activation, share] of the units with pages that fire most."""
        units = self._layers[layer]
        values = fires.reshape(-1, fires.shape[-1]).max(0)[units]
        largest = self._largest.get(layer)
        score = values if largest is None else values / np.maximum(largest[units], np.finfo(np.float32).tiny)
        order = np.argsort(-score, kind="stable")[:NAMED]
        rows = [[int(units[i]), float(values[i]), self._share(layer, int(units[i]), float(values[i]))] for i in order]
        return rounded([row for row in rows if row[1] > 0], 3)

    def _classes(self, maps: Mapping[str, np.ndarray]) -> list[list[Any]]:
        if self.network.logits is None:
            return []
        logits = maps[self.network.logits].reshape(-1, maps[self.network.logits].shape[-1]).mean(0)
        order = np.argsort(-logits, kind="stable")[:CLASSES]
        return [[self._label(i), *rounded([float(logits[i])], 3)] for i in order.tolist()]

    def _label(self, index: int) -> str:
        labels = self.network.labels
        return labels[index] if index < len(labels) else f"class {index}"
