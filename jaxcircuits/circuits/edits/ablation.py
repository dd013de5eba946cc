"""Ablation: units whose answers no longer depend on the picture, or depend on another one.

In weights, exactly: a unit without kernel answers its bias everywhere, so a constant answer is a bias. What padding
puts around the map stays what it is for any unit. An answer that varies from cell to cell is no weight: `patch` puts
it in the place of the unit's own as the network runs, for any network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.circuits.edits.editor import Editor, by_convolution
from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.network.reentry import run_with
from jaxcircuits.network.stream import answers, mean_answer
from jaxcircuits.network.units import Unit, family


def ablate(
    network: Network, units: str | Unit | Sequence[str | Unit], pictures: np.ndarray | jax.Array | None = None
) -> Network:
    """Silences units, or fixes them at their mean: kernels become zero, biases what the units answer from now on.

    Args:
      network: of the zoo.
      units: of one layer.
      pictures: (N, H, W, channels) in [0, 1]; the units answer their mean over all their cells on these, everywhere
        and to every picture. None for zero.

    Returns:
      The edited network.

    Raises:
      InputError: for unknown units, layers without weights, and outside the zoo.
    """
    edit = Editor(network)
    layer, indices = family(network, units)
    convs = list(by_convolution(edit.architecture, layer, indices))
    constants = np.zeros(network.layers[layer].channels)
    if pictures is not None:
        mean = mean_answer(network, layer, pictures)
        constants = mean.reshape(-1, len(constants)).mean(0)
    for conv, rows, chosen in convs:
        kernel, bias = edit.weights(conv)
        kernel[..., rows] = 0
        bias[rows] = constants[indices[chosen]]
    return edit.done()


def patch(network: Network, units: str | Unit | Sequence[str | Unit], activations: np.ndarray | jax.Array) -> Network:
    """Puts given activations in the place of units' own, for all that read their layer.

    Args:
      network: any.
      units: of one layer.
      activations: (N, h, w, units), or (N, units) for layers without positions; h and w those of the layer's map on the
        pictures that will be looked at, or 1. Picture n of a batch gets row n modulo N.

    Returns:
      The patched network: the same layers, but no zoo network any more, since it is more than its weights.

    Raises:
      InputError: for unknown units and activations that do not fit them; later, for a map of another size.
    """
    layer, indices = family(network, units)
    values = np.asarray(activations, np.float32)
    if values.ndim not in (2, 4) or values.shape[-1] != len(indices) or not values.size:
        raise InputError(f"activations of shape {values.shape}; expected (N, h, w, {len(indices)}) for {layer}")
    if not np.isfinite(values).all():
        raise InputError(f"activations for {layer} that are not finite")
    params = {"network": network.params, "units": jnp.asarray(indices), "values": jnp.asarray(values)}
    forward = dataclasses.replace(network.forward, model=_Patched(network.forward.model, layer))
    return dataclasses.replace(network, params=params, forward=forward, architecture=None)


def resample(
    network: Network,
    units: str | Unit | Sequence[str | Unit],
    pictures: np.ndarray | jax.Array,
    key: jax.Array,
) -> Network:
    """Gives units the answers that they have to other pictures: what they say is kept, what it is about is not.

    The pictures are drawn without repetition, all units' answers from the same one (resampling ablation; Chan et al.,
    Causal Scrubbing, 2022).

    Args:
      network: any.
      units: of one layer.
      pictures: (N, H, W, channels) in [0, 1], of the size of those that will be looked at. Picture n of a batch gets
        the answers to one drawn for it, n modulo N.
      key: of the draw.

    Returns:
      The patched network; see `patch`.

    Raises:
      InputError: as `patch`.
    """
    layer, indices = family(network, units)
    seen = np.concatenate([seen[..., indices] for seen in answers(network, layer, pictures)])
    return patch(network, units, seen[np.asarray(jax.random.permutation(key, len(seen)))])


@dataclasses.dataclass(frozen=True)
class _Patched:
    """A model in which a layer's units answer what its parameters say."""

    model: Callable
    layer: str

    def __call__(self, params, x: jax.Array, layers: tuple[str, ...] | None) -> dict[str, jax.Array]:
        inner, units, values = params["network"], params["units"], params["values"]
        own = self.model(inner, x, None if layers is None else (self.layer,))
        names, own = tuple(own if layers is None else layers), own[self.layer]
        if values.ndim != own.ndim or any(n not in (1, m) for n, m in zip(values.shape[1:-1], own.shape[1:-1])):
            raise InputError(f"activations of shape {values.shape[1:-1]}; {self.layer}'s map here is {own.shape[1:-1]}")
        rows = values[jnp.arange(len(own)) % len(values)].astype(own.dtype)
        patched = own.at[..., units].set(rows)
        return run_with(self.model, self.layer, names, inner, x, patched)[0]
