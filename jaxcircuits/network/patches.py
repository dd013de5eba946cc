"""Patches: what edits have changed in a network's graph, whatever kind of model it is.

A patch changes units of one layer: for all that read them (`Replace`), or by what they would be if another layer's
units were others, for these units only (`Connect`). The target is computed again from the changed source, everything
between them included; all other units stay as they are. So an edit is exact through shared bottlenecks, and edits of
the same units add up: they are computed once, with all of their sources changed.

A patch says where; its arrays are parameters, so that another unit or factor recompiles nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxcircuits.errors import InputError
from jaxcircuits.network.graph import INPUT
from jaxcircuits.network.run import Hook, Run

if TYPE_CHECKING:
    from jaxcircuits.network.forward import Forward, Located
    from jaxcircuits.network.network import Network


@dataclasses.dataclass(frozen=True)
class Replace:
    """Units of a layer answer what is given.

    Its arrays: `units` (n,), `values` (N, h, w, n) or (N, n); picture i gets row i modulo N, and a map of one cell is
    the answer everywhere.
    """

    layer: str


@dataclasses.dataclass(frozen=True)
class Connect:
    """Units of a layer answer as they would if units of earlier layers were others.

    Its arrays: `units` (n,), and `factors`, for each source (channels,), by which its units are scaled.

    Attributes:
      layer: the target.
      sources: layers.
      kernels: convolutions whose answer is added to, each with the layer that it reads there; their arrays: `kernels`,
        for each (weights (h, w, channels read, channels)).
    """

    layer: str
    sources: tuple[str, ...]
    kernels: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class Adopt:
    """Units of a layer answer as other units of it do, of this network or of another.

    Its arrays: `units` (n,), `givers` (n,), and `params` of the other network.

    Attributes:
      layer: whose units.
      donor: the other network's forward; None for this one.
      reads: the layers from which the donor's units are computed.
    """

    layer: str
    donor: Forward | None = None
    reads: tuple[str, ...] = ()


Patch = Replace | Connect | Adopt
Member = tuple[Patch, Mapping[str, Any]]


def patched(network: Network, patches: Sequence[Member], *, anew: bool = False) -> Network:
    """A network with patches of its graph.

    Args:
      network: any.
      patches: with their arrays.
      anew: in place of those that it has, not after them.
    """
    forward, params = network.forward, network.params
    old, arrays = (params["network"], params["patches"]) if forward.patches else (params, ())
    members = () if anew else tuple(zip(forward.patches, arrays))
    for patch, data in patches:
        members = added(members, patch, data)
    forward = dataclasses.replace(forward, patches=tuple(patch for patch, _ in members))
    edited = {"network": old, "patches": tuple(jax.tree.map(jnp.asarray, data) for _, data in members)}
    return dataclasses.replace(network, params=edited if members else old, forward=forward)


def added(members: tuple[Member, ...], patch: Patch, data: Mapping[str, Any]) -> tuple[Member, ...]:
    """Patches with one more.

    Scalings of the same units are put together, and scalings of some of them are parted from those of the others, so
    that those behind the last other patch of a layer are of different units, each computed once.

    Args:
      members: patches with their arrays.
      patch: the new one.
      data: its arrays.
    """
    if not _scales(patch):
        return (*members, (patch, data))
    found, left = list(members), np.asarray(data["units"])
    factors = dict(zip(patch.sources, data["factors"]))
    own = [i for i, (other, _) in enumerate(members) if other.layer == patch.layer]
    for i in reversed(own):
        other, old = members[i]
        if not _scales(other):
            break
        units = np.asarray(old["units"])
        both, rest = np.intersect1d(units, left), np.setdiff1d(units, left)
        if not both.size:
            continue
        together = dict(zip(other.sources, old["factors"]))
        together = together | {name: together.get(name, 1) * jnp.asarray(f) for name, f in factors.items()}
        joined = (Connect(patch.layer, tuple(together)), {"units": both, "factors": tuple(together.values())})
        found[i] = (other, {**old, "units": rest}) if rest.size else joined
        if rest.size:
            found.append(joined)
        left = np.setdiff1d(left, both)
    if left.size:
        found.append((patch, {**data, "units": left}))
    return tuple(found)


def _scales(patch: Patch) -> TypeGuard[Connect]:
    return isinstance(patch, Connect) and not patch.kernels


def hooks(patches: Sequence[Patch], arrays: Sequence[Mapping[str, Any]], located: Located) -> dict[int, Hook]:
    """Value -> what becomes of it in the patched network."""
    by_layer: dict[str, list[Member]] = {}
    for patch, data in zip(patches, arrays):
        by_layer.setdefault(patch.layer, []).append((patch, data))
    found: dict[int, Hook] = {}
    for layer, members in by_layer.items():
        found[located.value(layer)] = _hook(layer, tuple(members), located, found)
    return found


def _hook(layer: str, members: tuple[Member, ...], located: Located, others: Mapping[int, Hook]) -> Hook:
    def apply(run: Run, own: Any) -> Any:
        return located.restored(layer, _patched(members, located.canonical(layer, own), run, located, others))

    names = {name for patch, _ in members for name in _reads(patch)}
    return Hook(tuple(located.value(name) for name in names), apply)


def _reads(patch: Patch) -> tuple[str, ...]:
    match patch:
        case Connect():
            return (*patch.sources, *(read for _, read in patch.kernels))
        case Adopt():
            return (*patch.reads, *([INPUT] if patch.donor else []))
    return ()


def _patched(
    members: tuple[Member, ...], activation: jax.Array, run: Run, located: Located, others: Mapping[int, Hook]
) -> jax.Array:
    """A layer's activation after its patches, one after the other."""
    for i, (patch, data) in enumerate(members):
        match patch:
            case Replace():
                rows = _given(patch.layer, data["values"], activation)
            case Connect():
                rows = _again(patch, data, _before(members[:i]), run, located, others)[..., data["units"]]
            case Adopt(donor=donor):
                given = activation if donor is None else _of_donor(donor, patch, data, run, located)
                rows = given[..., data["givers"]]
        activation = activation.at[..., data["units"]].set(rows.astype(activation.dtype))
    return activation


def _before(members: tuple[Member, ...]) -> tuple[Member, ...]:
    """Without the scalings at their end, which are of other units; see `added`."""
    while members and _scales(members[-1][0]):
        members = members[:-1]
    return members


def _given(layer: str, values: jax.Array, own: jax.Array) -> jax.Array:
    if values.ndim != own.ndim or any(n not in (1, m) for n, m in zip(values.shape[1:-1], own.shape[1:-1])):
        raise InputError(f"activations of shape {values.shape[1:-1]}; {layer}'s map here is {own.shape[1:-1]}")
    rows = values[jnp.arange(len(own)) % len(values)]
    return jnp.broadcast_to(rows, (*own.shape[:-1], rows.shape[-1]))


def _again(
    patch: Connect,
    data: Mapping[str, Any],
    before: tuple[Member, ...],
    run: Run,
    located: Located,
    others: Mapping[int, Hook],
) -> jax.Array:
    """The layer's activation, with the patches before, from sources that are others."""
    program, target = located.program, located.value(patch.layer)
    changed = {value: hook for value, hook in others.items() if value != target}

    def scaled(name: str, factors: jax.Array) -> None:
        value = located.value(name)

        def apply(inner: Run, own: Any) -> Any:
            own = own if value not in others else others[value].apply(inner, own)
            activation = located.canonical(name, own)
            return located.restored(name, activation * factors.astype(activation.dtype))

        changed[value] = Hook(others[value].reads if value in others else (), apply)

    def added(conv: str, read: str, kernel: jax.Array) -> None:
        value = located.value(conv)
        above = changed.get(value)

        def apply(inner: Run, own: Any) -> Any:
            own = own if above is None else above.apply(inner, own)
            seen = located.canonical(read, run.values[located.value(read)])
            answer = _convolved(located, conv, seen, kernel.astype(seen.dtype))
            return located.restored(conv, located.canonical(conv, own) + answer)

        changed[value] = Hook(above.reads if above else (), apply)

    for name, factors in zip(patch.sources, data["factors"]):
        scaled(name, factors)
    for (conv, read), kernel in zip(patch.kernels, data.get("kernels", ())):
        added(conv, read, kernel)
    sources = [located.value(name) for name in patch.sources]
    follows = program.following([*sources, *(located.value(conv) for conv, _ in patch.kernels)], run.given)
    kept = {value: array for value, array in run.values.items() if value not in follows}
    # What is given is not computed again: it is changed as it is.
    kept.update((value, changed[value].apply(run, run.values[value])) for value in sources if value in run.given)
    inner = Run(program, kept, run.exchange, changed, run.given)
    (own,) = inner.get([target])
    return _patched(before, located.canonical(patch.layer, own), inner, located, others)


def _convolved(located: Located, conv: str, seen: jax.Array, kernel: jax.Array) -> jax.Array:
    """The convolution of a layer, with another kernel, of an activation (N, h, w, channels)."""
    operation = located.graph.convolution(conv)
    if operation is None:
        raise ValueError(f"{conv} is no convolution")
    if operation.name == "dot_general":
        return jnp.einsum("...c,hwcd->...d", seen, kernel)
    params = operation.params
    return lax.conv_general_dilated(
        seen,
        kernel,
        params["window_strides"],
        located.program.made_by[operation.outputs[0]].params["padding"],
        params["lhs_dilation"],
        params["rhs_dilation"],
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def _of_donor(donor: Forward, patch: Adopt, data: Mapping[str, Any], run: Run, located: Located) -> jax.Array:
    read = {name: located.canonical(name, run.values[located.value(name)]) for name in (*patch.reads, INPUT)}
    x = read.pop(INPUT)
    return donor.run(data["params"], x, [patch.layer], read)[patch.layer]
