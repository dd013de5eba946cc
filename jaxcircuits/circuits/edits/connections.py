"""Editing circuits: pure functions from a network to an edited copy.

An edit is a patch of the network's graph: the target's units as they would be if the source's units were scaled,
silent or others, and all other units as they are. What lies between them, such as a 1x1 bottleneck that other units
read too, is computed again for these targets alone; so every edit works on every model and is exact. Targets are
edited before their activation function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcircuits.circuits.edits.parts import connect, released
from jaxcircuits.circuits.weights.direct import convolutions, directly_read
from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.network.graph import INPUT
from jaxcircuits.network.patches import Adopt, patched
from jaxcircuits.network.units import Unit, channels, family, unit

if TYPE_CHECKING:
    from jaxtyping import Num

Units = str | Unit | Sequence[str | Unit]
"""One unit, or several of one layer."""


def cut(network: Network, sources: Units, targets: Units) -> Network:
    """Removes the connections from every source to every target: as if the sources were silent, for the targets only.

    Args:
      network: any.
      sources: units of one layer, such as `mixed3a:147`.
      targets: units of one layer that is computed from it.

    Returns:
      The edited network.

    Raises:
      InputError: for unknown units, and targets that are not computed from the sources.
    """
    return scale_weights(network, sources, targets, 0.0)


def scale_weights(network: Network, sources: Units, targets: Units, factor: float) -> Network:
    """Scales the connections from every source to every target: the targets read the sources times `factor`.

    Args:
      network: any.
      sources: units of one layer, see `cut`.
      targets: units of a later layer, see `cut`.
      factor: 0 cuts, 1 changes nothing, -1 turns excitation into inhibition.

    Returns:
      The edited network.

    Raises:
      InputError: as `cut`.
    """
    if not np.isfinite(factor):
        raise InputError(f"factor {factor}; expected a finite number")
    (source_layer, source_units), (target_layer, target_units) = family(network, sources), family(network, targets)
    factors = np.ones(channels(network, source_layer), np.float32)
    factors[source_units] = factor
    return connect(network, {source_layer: factors}, target_layer, target_units)


def set_weights(
    network: Network,
    sources: Units,
    targets: Units,
    weights: Num[np.ndarray, "h w"] | Num[np.ndarray, "h w sources targets"],
) -> Network:
    """Sets the connections from every source to every target.

    Through a bottleneck they are added to the target's own convolution as a kernel on what the bottleneck reads, so
    afterwards the targets read the sources by these weights and in no other way.

    Args:
      network: any; its targets have to be made by convolutions or dense layers.
      sources: units of one layer, see `cut`.
      targets: units of a later layer, see `cut`.
      weights: (h, w), or (h, w, sources, targets); h and w odd, centered on the target, in cells of what its kernel
        slides over (behind a stride-2 pool those of the pool). Beyond the target's own kernel they must be zero:
        those of a unit of a 1x1 or pool branch are one cell.

    Returns:
      The edited network.

    Raises:
      InputError: as `cut`, for weights of another shape or that are not finite, and for targets that read the sources
        through more than pools, normalizations and one bottleneck.
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
    factors = np.ones(channels(network, source_layer), np.float32)
    factors[source_units] = 0
    edited = network
    for conv, rows, chosen in by_convolution(network, target_layer, target_units):
        made = network.layers[conv]
        into, out = network.kernel(conv).shape[2:]
        if out != made.channels or into * made.groups != channels(network, made.inputs[0]):
            raise InputError(
                f"{conv} reads or answers with several axes at once, such as heads or a whole map; expected a layer "
                "whose kernel goes from channels to channels"
            )
        height, width = made.window
        kernel = np.zeros((height, width, channels(network, source_layer), made.channels), np.float32)
        kernel[:, :, source_units[:, None], rows] = fit(weights[..., chosen], (height, width), conv)
        read = _read_by(network, source_layer, conv)
        edited = connect(edited, {source_layer: factors}, conv, rows, ((conv, read, kernel),))
    return edited


def transplant(network: Network, sources: Units, targets: Units, donor: Network | None = None) -> Network:
    """Gives units the weights and biases of others: each target then reads the layer before as its source does.

    Args:
      network: any.
      sources: units of one layer; as many as targets, in their order, or one for them all.
      targets: units of that layer, made by the same convolution as their source.
      donor: whose units the sources are, a network with the same layers, edited or not; by default the same one.

    Returns:
      The edited network.

    Raises:
      InputError: for unknown units, pairs of different convolutions, and networks with other layers.
    """
    own = donor is None or donor is network
    donor = donor or network
    (source_layer, given), (target_layer, taking) = family(donor, sources), family(network, targets)
    if len(given) not in (1, len(taking)):
        raise InputError(f"{len(given)} sources and {len(taking)} targets; expected as many, or one source")
    given = np.broadcast_to(given, taking.shape)
    patches: list[tuple[Adopt, dict[str, Any]]] = []
    for conv, rows, chosen in by_convolution(network, target_layer, taking):
        name, donor_rows, fitting = next(by_convolution(donor, source_layer, given[chosen]))
        if name != conv or len(fitting) < len(chosen):
            one, other = f"{source_layer}:{given[chosen][0]}", f"{target_layer}:{taking[chosen][0]}"
            raise InputError(f"units of different convolutions, such as {one} and {other}, which is of {conv}")
        arrays = {"units": rows, "givers": donor_rows}
        if own:
            patches.append((Adopt(conv), arrays))
            continue
        shapes = [_shapes_read(each, conv) for each in (donor, network)]
        if shapes[0] != shapes[1]:
            raise InputError(f"{conv} of {donor.name} reads other layers than that of {network.name}")
        reads = tuple(name for name in shapes[0] if name != INPUT)
        patches.append((Adopt(conv, donor.forward, reads), {**arrays, "params": donor.params}))
    for patch, arrays in patches:
        network = released(network, patch.layer, arrays["units"])
    return patched(network, patches)


def keep_only(network: Network, units: Mapping[str, Sequence[int]] | Sequence[str | Unit]) -> Network:
    """Keeps a circuit: units of several layers read each other and nothing else of those layers.

    Of every layer but the first, the given units' connections from units that are not given are cut. The first
    layer's units keep all their inputs; units that are not given stay as they are.

    Args:
      network: any.
      units: layer -> unit numbers, or units such as `mixed4b:237`; of layers each of which reads another directly.

    Returns:
      The edited network.

    Raises:
      InputError: for unknown units, and layers that read none of the others directly.
    """
    if isinstance(units, Mapping):
        units = [Unit(layer, index) for layer, indices in units.items() for index in indices]
    members = [unit(network, member) for member in units]
    members = [Unit(network.graph.first_name(layer), index) for layer, index in members]
    layers = [layer for layer in network.layers if any(member.layer == layer for member in members)]
    kept = {layer: sorted({member.index for member in members if member.layer == layer}) for layer in layers}
    if len(kept) < 2:
        raise InputError(f"units of {' and '.join(kept) or 'no layer'}; expected units of two layers or more")
    edited = network
    for layer in layers[1:]:
        reach = directly_read(network, layer)
        read = [source for source in kept if source in reach]
        if not read:
            ends = ", ".join(name for name, end in reach.items() if end)
            raise InputError(f"{layer} reads {ends}, of which no unit is given; expected units of every layer between")
        factors = {source: np.isin(np.arange(network.layers[source].channels), kept[source]) for source in read}
        factors = {source: values.astype(np.float32) for source, values in factors.items()}
        edited = connect(edited, factors, layer, np.array(kept[layer]))
    return edited


def by_convolution(network: Network, layer: str, units: np.ndarray):
    """(convolution, units in its own numbering, which of `units` they are) for each that makes some of the units."""
    first = 0
    for conv, count in convolutions(network, layer):
        chosen = np.flatnonzero((units >= first) & (units < first + count))
        if chosen.size:
            yield conv, units[chosen] - first, chosen
        first += count


def fit(weights: np.ndarray, size: tuple[int, int], conv: str) -> np.ndarray:
    """Weights in the frame of a kernel of that size: padded with zeros, or cut where there are only zeros."""
    for axis in (0, 1):
        margin = (size[axis] - weights.shape[axis]) // 2
        if margin >= 0:
            pads = [(margin, margin) if a == axis else (0, 0) for a in range(4)]
            weights = np.pad(weights, pads)
        else:
            inside = np.take(weights, range(-margin, weights.shape[axis] + margin), axis)
            if np.count_nonzero(inside) != np.count_nonzero(weights):
                raise InputError(f"weights beyond the {size[0]}x{size[1]} kernel of {conv}; expected zeros there")
            weights = inside
    return weights


def _read_by(network: Network, source: str, conv: str) -> str:
    """The layer, with the source's channels, that a convolution reads, itself or by the bottleneck before it."""
    source, bottleneck = network.graph.first_name(source), _bottleneck(network, conv)
    ways = [_passed(network, near) for near in (conv, bottleneck) if near]
    for passed in ways:
        if source in passed:
            return passed[0]
    raise InputError(f"{conv} is not directly connected to {source}; it reads {ways[-1][-1]}")


def _bottleneck(network: Network, conv: str) -> str | None:
    """The 1x1 convolution whose answers a convolution reads, where there is one."""
    before = network.layers.get(_passed(network, conv)[-1])
    return before.name if before and before.kind == "convolution" and max(before.window) == 1 else None


def _passed(network: Network, conv: str) -> list[str]:
    """The layers whose channels are a convolution's inputs, from it backward."""
    names = [network.layers[conv].inputs[0]]
    while names[-1] != INPUT:
        layer = network.layers[names[-1]]
        if layer.kind not in ("activation", "pool", "normalization", "affine") or len(layer.inputs) != 1:
            break
        names.append(layer.inputs[0])
    return names


def _shapes_read(network: Network, layer: str) -> dict[str, tuple[int, ...]]:
    """The features that a layer reads -> their shapes."""
    ends = [name for name, end in directly_read(network, layer).items() if end]
    return {name: () if name == INPUT else network.layers[name].shape for name in ends}
