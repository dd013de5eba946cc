"""Editing circuits: pure functions from a network to an edited copy.

A connection is what the target's own kernel makes of the source's activation. Where a 1x1 bottleneck lies between,
which other units share, the target gets bottleneck channels of its own, copies of those it reads, and the edit is made
in them; so every edit is exact, ReLU included, and no other unit changes. The edited network has the same layers and
unit numbers; such bottlenecks have grown by channels at their end. Behind pools and normalizations the target reads
their answer, so that is where an edit acts: what a unit does to its neighbours' normalization stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from jaxcircuits.circuits.edits.editor import Editor, by_convolution
from jaxcircuits.circuits.weights.direct import directly_read
from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.network.units import Unit, family, unit, zoo_architecture

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
    edit = Editor(network)
    for conv, rows, _ in by_convolution(edit.architecture, *family(network, targets)):
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
    edit = Editor(network)
    for conv, rows, chosen in by_convolution(edit.architecture, target_layer, target_units):
        edit.replace(source_layer, source_units, conv, rows, weights[..., chosen])
    return edit.done()


def transplant(network: Network, sources: Units, targets: Units, donor: Network | None = None) -> Network:
    """Gives units the weights and the bias of others: each target answers as its source does, to the same layer before.

    Where they read bottlenecks, the channels that the source reads come with it, unless the network has the same.

    Args:
      network: of the zoo.
      sources: units of one layer; as many as targets, in their order, or one for them all.
      targets: units of that layer, made by the same convolution as their source.
      donor: whose units the sources are, a network of the same architecture, edited or not; by default the same one.

    Returns:
      The edited network.

    Raises:
      InputError: for unknown units, pairs of different convolutions, networks of different architectures, and outside
        the zoo.
    """
    donor = donor or network
    (source_layer, given), (target_layer, taking) = family(donor, sources), family(network, targets)
    if len(given) not in (1, len(taking)):
        raise InputError(f"{len(given)} sources and {len(taking)} targets; expected as many, or one source")
    given = np.broadcast_to(given, taking.shape)
    edit = Editor(network)
    for conv, rows, chosen in by_convolution(edit.architecture, target_layer, taking):
        made = by_convolution(zoo_architecture(donor, "edit its params"), source_layer, given[chosen])
        name, donor_rows, fitting = next(made)
        if name != conv or len(fitting) < len(chosen):
            one, other = f"{source_layer}:{given[chosen][0]}", f"{target_layer}:{taking[chosen][0]}"
            raise InputError(f"units of different convolutions, such as {one} and {other}, which is of {conv}")
        edit.transplant(donor, conv, donor_rows, rows)
    return edit.done()


def keep_only(network: Network, units: Mapping[str, Sequence[int]] | Sequence[str | Unit]) -> Network:
    """Keeps a circuit: units of several layers read each other and nothing else of those layers.

    Of every layer but the first, the given units' connections from units that are not given are cut. The first
    layer's units keep all their inputs; units that are not given stay as they are.

    Args:
      network: of the zoo.
      units: layer -> unit numbers, or units such as `mixed4b:237`; of layers each of which reads another directly.

    Returns:
      The edited network.

    Raises:
      InputError: for unknown units, layers that read none of the others directly, and outside the zoo.
    """
    if isinstance(units, Mapping):
        units = [Unit(layer, index) for layer, indices in units.items() for index in indices]
    edit = Editor(network)
    members = [unit(network, member) for member in units]
    layers = [layer for layer in network.layers if any(member.layer == layer for member in members)]
    kept = {layer: sorted({member.index for member in members if member.layer == layer}) for layer in layers}
    if len(kept) < 2:
        raise InputError(f"units of {' and '.join(kept) or 'no layer'}; expected units of two layers or more")
    for layer in layers[1:]:
        reach = directly_read(edit.architecture, layer)
        read = [source for source in kept if source in reach]
        if not read:
            ends = ", ".join(name for name, end in reach.items() if end)
            raise InputError(f"{layer} reads {ends}, of which no unit is given; expected units of every layer between")
        for source in read:
            others = np.setdiff1d(np.arange(network.layers[source].channels), kept[source])
            for conv, rows, _ in by_convolution(edit.architecture, layer, np.array(kept[layer])):
                edit.scale(source, others, conv, rows, 0.0)
    return edit.done()
