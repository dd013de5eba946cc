"""Where an edit of units acts: on the layers that make them, before their activation function."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.network.graph import INPUT
from jaxcircuits.network.patches import Connect, Replace, patched


def parts(network: Network, layer: str, units: np.ndarray) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(layer, units in its own numbering, which of `units` they are) of the layers whose channels a layer's are.

    A block is made of its branches, an activation of what it is a function of.
    """
    layer = network.graph.first_name(layer)
    made = network.layers[layer]
    inputs = [network.layers[name] for name in made.inputs if name != INPUT]
    if made.kind == "activation" and len(inputs) == 1 and inputs[0].shape == made.shape:
        yield from parts(network, made.inputs[0], units)
    elif made.kind == "concatenate" and sum(part.channels for part in inputs) == made.channels:
        first = 0
        for part in inputs:
            chosen = np.flatnonzero((units >= first) & (units < first + part.channels))
            if chosen.size:
                for name, rows, which in parts(network, part.name, units[chosen] - first):
                    yield name, rows, chosen[which]
            first += part.channels
    else:
        yield layer, units, np.arange(len(units))


def connect(
    network: Network,
    factors: Mapping[str, np.ndarray],
    layer: str,
    units: np.ndarray,
    kernels: Sequence[tuple[str, str, np.ndarray]] = (),
) -> Network:
    """The network in which units of a layer read earlier layers' units times given factors.

    Args:
      network: any.
      factors: source layer -> (channels,).
      layer: the target.
      units: of it.
      kernels: (convolution, layer that it reads, kernel (h, w, channels read, channels)), added to its answer.

    Raises:
      InputError: where the target is not computed from a source.
    """
    edited = network
    for part, rows, _ in parts(network, layer, units):
        for source in factors:
            if not network.graph.follows(source, part):
                raise InputError(f"{part} is not computed from {source}; expected a layer before it")
        patch = Connect(part, tuple(factors), tuple((conv, read) for conv, read, _ in kernels))
        data: dict[str, Any] = {"units": rows, "factors": tuple(factors.values())}
        if kernels:
            data["kernels"] = tuple(kernel for *_, kernel in kernels)
        edited = patched(edited, [(patch, data)])
    return edited


def released(network: Network, layer: str, units: np.ndarray) -> Network:
    """The network without the answers that ablations have put in the place of these units', in its parts' numbering."""
    if not network.forward.patches:
        return network
    found = []
    for patch, data in zip(network.forward.patches, network.params["patches"]):
        if isinstance(patch, Replace):
            own = np.asarray(data["units"])
            made = [(which, rows) for name, rows, which in parts(network, patch.layer, own) if name == layer]
            gone = np.concatenate([which[np.isin(rows, units)] for which, rows in made]) if made else np.array([], int)
            keep = np.setdiff1d(np.arange(len(own)), gone)
            if not keep.size:
                continue
            data = {"units": data["units"][keep], "values": data["values"][..., keep]}
        found.append((patch, data))
    return patched(network, found, anew=True)
