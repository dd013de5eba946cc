"""Editing circuits: pure functions from a network to an edited copy.

A connection is what the target's own kernel makes of the source's activation. Where a 1x1 bottleneck lies between,
which other units share, the target gets bottleneck channels of its own, copies of those it reads, and the edit is made
in them; so every edit is exact, ReLU included, and no other unit changes. The edited network has the same layers and
unit numbers; such bottlenecks have grown by channels at their end. Behind pools and normalizations the target reads
their answer, so that is where an edit acts: what a unit does to its neighbours' normalization stays.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.circuits.units import Unit, convolutions, family, zoo_architecture
from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.zoo import Architecture

Units = str | Unit | Sequence[str | Unit]
"""One unit, or several of one layer."""


def cut(network: Network, sources: Units, targets: Units) -> Network:
    """Removes the connections from every source to every target: as if the sources were silent, for the targets only.

    Args:
      network: of the zoo.
      sources: units of one layer, such as `mixed3a:147`.
      targets: units of one layer directly connected to it.

    Returns:
      The edited network.

    Raises:
      InputError: for unknown units, layers that are not directly connected, and outside the zoo.
    """
    return scale_weights(network, sources, targets, 0.0)


def scale_weights(network: Network, sources: Units, targets: Units, factor: float) -> Network:
    """Scales the connections from every source to every target: the targets read the sources times `factor`.

    Args:
      network, sources, targets: see `cut`.
      factor: 0 cuts, 1 changes nothing, -1 turns excitation into inhibition.

    Returns:
      The edited network.

    Raises:
      InputError: as `cut`.
    """
    if not np.isfinite(factor):
        raise InputError(f"factor {factor}; expected a finite number")
    source_layer, source_units = family(network, sources)
    edit = _Edit(network)
    for conv, rows, _ in _by_convolution(edit.architecture, *family(network, targets)):
        edit.scale(source_layer, source_units, conv, rows, factor)
    return edit.done()


def set_weights(network: Network, sources: Units, targets: Units, weights: np.ndarray) -> Network:
    """Sets the connections from every source to every target.

    Through a bottleneck they become kernels on channels of their own that hand a source's activation on, so
    afterwards the targets read the sources by these weights and in no other way.

    Args:
      network, sources, targets: see `cut`.
      weights: (h, w), or (h, w, sources, targets); h and w odd, centred on the target, in cells of what its kernel
        slides over (behind a stride-2 pool those of the pool). Beyond the target's own kernel they must be zero:
        those of a unit of a 1x1 or pool branch are one cell.

    Returns:
      The edited network; `weights_between` returns these weights, where no pool lies between.

    Raises:
      InputError: as `cut`, and for weights of another shape or that are not finite.
    """
    (source_layer, source_units), (target_layer, target_units) = family(network, sources), family(network, targets)
    weights = np.asarray(weights, np.float32)
    expected = (len(source_units), len(target_units))
    if weights.ndim == 2:
        weights = np.broadcast_to(weights[:, :, None, None], (*weights.shape, *expected))
    if weights.ndim != 4 or weights.shape[2:] != expected or not (weights.shape[0] % 2 and weights.shape[1] % 2):
        wanted = f"(h, w) or (h, w, {expected[0]}, {expected[1]})"
        raise InputError(f"weights of shape {weights.shape}; expected {wanted}, h and w odd")
    if not np.isfinite(weights).all():
        raise InputError("weights that are not finite")
    edit = _Edit(network)
    for conv, rows, chosen in _by_convolution(edit.architecture, target_layer, target_units):
        edit.replace(source_layer, source_units, conv, rows, weights[..., chosen])
    return edit.done()


def ablate(network: Network, units: Units) -> Network:
    """Silences units: their kernels and biases become zero, and so do they, everywhere and for all that read them.

    Args:
      network: of the zoo.
      units: of one layer.

    Returns:
      The edited network.

    Raises:
      InputError: for unknown units, layers without weights, and outside the zoo.
    """
    edit = _Edit(network)
    for conv, rows, _ in _by_convolution(edit.architecture, *family(network, units)):
        kernel, bias = edit.weights(conv)
        kernel[..., rows] = 0
        bias[rows] = 0
    return edit.done()


def _by_convolution(architecture: Architecture, layer: str, units: np.ndarray):
    """(convolution, units in its own numbering, which of `units` they are) for each that makes some of the units."""
    first = 0
    for conv, count in convolutions(architecture, layer):
        chosen = np.flatnonzero((units >= first) & (units < first + count))
        if chosen.size:
            yield conv, units[chosen] - first, chosen
        first += count


class _Edit:
    """A network being edited: copies of the weights that change, and the architecture as it grows."""

    def __init__(self, network: Network):
        self.network = network
        self.architecture = zoo_architecture(network, "edit its params")
        self.changed: dict[str, dict[str, np.ndarray]] = {}

    def done(self) -> Network:
        changed = jax.tree.map(jnp.asarray, self.changed)
        params, old = {**self.network.params, **changed}, self.network
        return Network.from_architecture(self.architecture, params, old.convention, name=old.name, labels=old.labels)

    def weights(self, conv: str) -> tuple[np.ndarray, np.ndarray]:
        """Kernel and bias of a layer, to be changed in place; a classifier's kernel is (in, out)."""
        name = self.architecture.by_name[conv].weights
        if name not in self.changed:
            self.changed[name] = {kind: np.array(w) for kind, w in self.network.params[name].items()}
        return self.changed[name]["kernel"], self.changed[name]["bias"]

    def scale(self, source: str, units: np.ndarray, conv: str, rows: np.ndarray, factor: float) -> None:
        bottleneck = self.route(source, conv)
        if bottleneck is None:
            kernel, _ = self.weights(conv)
            kernel[..., units[:, None], rows] *= factor
        else:
            own = self.own_channels(bottleneck, conv, rows)
            kernel, _ = self.weights(bottleneck)
            kernel[..., units[:, None], own] *= factor

    def replace(self, source: str, units: np.ndarray, conv: str, rows: np.ndarray, weights: np.ndarray) -> None:
        bottleneck = self.route(source, conv)
        inputs = units
        if bottleneck is not None:
            self.scale(source, units, conv, rows, 0.0)
            handed_on = np.zeros((1, 1, self.weights(bottleneck)[0].shape[2], len(units)), np.float32)
            handed_on[..., units, np.arange(len(units))] = 1
            inputs = self.grow(bottleneck, conv, handed_on, np.zeros(len(units), np.float32))
        kernel, _ = self.weights(conv)
        kernel[..., inputs[:, None], rows] = _fit(weights, self.architecture.by_name[conv].kernel, conv)

    def route(self, source: str, conv: str) -> str | None:
        """None where the convolution's own kernel reads the source; the 1x1 bottleneck between, where there is one."""
        layers = self.architecture.by_name
        near = self.passed(conv)
        if source in near:
            return None
        bottleneck = layers.get(near[-1])
        far = self.passed(bottleneck.name) if bottleneck and (bottleneck.op, bottleneck.kernel) == ("conv", 1) else []
        if source in far:
            return bottleneck.name
        raise InputError(f"{conv} is not directly connected to {source}; it reads {(far or near)[-1]}")

    def passed(self, conv: str) -> list[str]:
        """The layers whose channels are a convolution's inputs, from it backward."""
        layers = self.architecture.by_name
        names = [layers[conv].inputs[0]]
        while names[-1] in layers and layers[names[-1]].op in ("relu", "max_pool", "lrn", "average"):
            names.append(layers[names[-1]].inputs[0])
        return names

    def own_channels(self, bottleneck: str, conv: str, rows: np.ndarray) -> np.ndarray:
        """The bottleneck's channels that the units `rows` read, after those that others read too have been copied."""
        kernel, _ = self.weights(conv)
        others = np.setdiff1d(np.arange(kernel.shape[3]), rows)
        read, shared = (kernel[..., some].any((0, 1, 3)) for some in (rows, others))
        old = np.flatnonzero(read & shared)
        weights, bias = self.weights(bottleneck)
        new = self.grow(bottleneck, conv, weights[..., old], bias[old])
        kernel, _ = self.weights(conv)
        kernel[:, :, new[:, None], rows] = kernel[:, :, old[:, None], rows]
        kernel[:, :, old[:, None], rows] = 0
        return np.concatenate([np.flatnonzero(read & ~shared), new])

    def grow(self, bottleneck: str, conv: str, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
        """Appends channels to a bottleneck, which nothing reads yet; returns their numbers."""
        (old_weights, old_bias), (kernel, _) = self.weights(bottleneck), self.weights(conv)
        count, added = len(old_bias), len(bias)
        self.changed[self.architecture.by_name[bottleneck].weights] = {
            "kernel": np.concatenate([old_weights, weights], 3),
            "bias": np.concatenate([old_bias, bias]),
        }
        unread = np.zeros((*kernel.shape[:2], added, kernel.shape[3]), np.float32)
        self.changed[self.architecture.by_name[conv].weights]["kernel"] = np.concatenate([kernel, unread], 2)
        wider = set(self.passed(conv))  # the bottleneck and its ReLU
        layers = [
            dataclasses.replace(layer, channels=count + added) if layer.name in wider else layer
            for layer in self.architecture.layers
        ]
        self.architecture = dataclasses.replace(self.architecture, layers=tuple(layers))
        return np.arange(count, count + added)


def _fit(weights: np.ndarray, size: int, conv: str) -> np.ndarray:
    """Weights in the frame of a kernel of that size: padded with zeros, or cut where there are only zeros."""
    for axis in (0, 1):
        margin = (size - weights.shape[axis]) // 2
        if margin >= 0:
            pads = [(margin, margin) if a == axis else (0, 0) for a in range(4)]
            weights = np.pad(weights, pads)
        else:
            inside = np.take(weights, range(-margin, weights.shape[axis] + margin), axis)
            if np.count_nonzero(inside) != np.count_nonzero(weights):
                raise InputError(f"weights beyond the {size}x{size} kernel of {conv}; expected zeros there")
            weights = inside
    return weights
