"""A network being edited: weights that change, and bottlenecks that grow so that nothing else does."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.network.units import convolutions, zoo_architecture
from jaxcircuits.zoo import Architecture


def by_convolution(architecture: Architecture, layer: str, units: np.ndarray):
    """(convolution, units in its own numbering, which of `units` they are) for each that makes some of the units."""
    first = 0
    for conv, count in convolutions(architecture, layer):
        chosen = np.flatnonzero((units >= first) & (units < first + count))
        if chosen.size:
            yield conv, units[chosen] - first, chosen
        first += count


class Editor:
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
        kernel[..., inputs[:, None], rows] = fit(weights, self.architecture.by_name[conv].kernel, conv)

    def transplant(self, donor: Network, conv: str, donor_rows: np.ndarray, rows: np.ndarray) -> None:
        made = donor.architecture.by_name[conv]
        theirs = {kind: np.asarray(w)[..., donor_rows] for kind, w in donor.params[made.weights].items()}
        kernel, bias = self.weights(conv)
        inputs = np.arange(kernel.shape[-2])
        bottleneck = self.bottleneck(conv)
        if bottleneck is not None:
            theirs_read = donor.params[donor.architecture.by_name[bottleneck].weights]
            read = np.flatnonzero(theirs["kernel"].any((0, 1, 3)))
            theirs["kernel"] = theirs["kernel"][:, :, read]
            adopted = (np.asarray(theirs_read[kind])[..., read] for kind in ("kernel", "bias"))
            inputs = self.adopt(bottleneck, conv, *adopted)
            kernel, bias = self.weights(conv)
        if theirs["kernel"].shape != (*kernel.shape[:-2], len(inputs), len(rows)):
            raise InputError(f"{conv} of {donor.name} reads other layers than that of {self.network.name}")
        kernel[..., rows] = 0
        np.add.at(kernel, (..., inputs[:, None], rows), theirs["kernel"])  # of equal channels only one is taken
        bias[rows] = theirs["bias"]

    def adopt(self, bottleneck: str, conv: str, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
        """The numbers of a bottleneck's channels that have these weights; those that it lacks are appended."""
        own, own_bias = self.weights(bottleneck)
        if own.shape[:3] != kernel.shape[:3]:
            raise InputError(f"{bottleneck} with a kernel {kernel.shape[:3]}; expected {own.shape[:3]}")
        same = (own[..., None] == kernel[..., None, :]).all((0, 1, 2)) & (own_bias[:, None] == bias)
        numbers, lacking = same.argmax(0), ~same.any(0)
        numbers[lacking] = self.grow(bottleneck, conv, kernel[..., lacking], bias[lacking])
        return numbers

    def bottleneck(self, conv: str) -> str | None:
        """The 1x1 convolution whose answers a convolution reads, where there is one."""
        before = self.architecture.by_name.get(self.passed(conv)[-1])
        return before.name if before and (before.op, before.kernel) == ("conv", 1) else None

    def route(self, source: str, conv: str) -> str | None:
        """None where the convolution's own kernel reads the source; the 1x1 bottleneck between, where there is one."""
        near, bottleneck = self.passed(conv), self.bottleneck(conv)
        if source in near:
            return None
        far = self.passed(bottleneck) if bottleneck else []
        if source in far:
            return bottleneck
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


def fit(weights: np.ndarray, size: int, conv: str) -> np.ndarray:
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
