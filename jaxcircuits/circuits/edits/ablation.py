"""Ablation: units whose answers no longer depend on the picture, or depend on another one.

The answers are put in the place of the units' own as the network runs, for all that read their layer, in any network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.network.patches import Replace, patched
from jaxcircuits.network.stream import answers, mean_answer
from jaxcircuits.network.units import Unit, family

if TYPE_CHECKING:
    from jaxtyping import Float, Num


def ablate(
    network: Network,
    units: str | Unit | Sequence[str | Unit],
    pictures: Float[np.ndarray | jax.Array, "pictures height width channels"] | None = None,
) -> Network:
    """Silences units, or fixes them at their mean.

    Args:
      network: any.
      units: of one layer.
      pictures: (N, H, W, channels) in [0, 1]; the units answer their mean over all their cells on these, everywhere
        and to every picture. None for zero.

    Returns:
      The edited network.

    Raises:
      InputError: for unknown units.
    """
    layer, indices = family(network, units)
    constants = np.zeros(network.layers[layer].channels, np.float32)
    if pictures is not None:
        constants = mean_answer(network, layer, pictures).reshape(-1, len(constants)).mean(0)
    cells = (1,) * len(network.layers[layer].shape)
    return patch(network, units, constants[indices].reshape(*cells, -1))


def patch(
    network: Network,
    units: str | Unit | Sequence[str | Unit],
    activations: Num[np.ndarray | jax.Array, "pictures *positions units"],
) -> Network:
    """Puts given activations in the place of units' own, for all that read their layer.

    Args:
      network: any.
      units: of one layer.
      activations: (N, h, w, units), or (N, units) for layers without positions; h and w those of the layer's map on the
        pictures that will be looked at, or 1. Picture n of a batch gets row n modulo N.

    Returns:
      The patched network.

    Raises:
      InputError: for unknown units and activations that do not fit them; later, for a map of another size.
    """
    layer, indices = family(network, units)
    values = np.asarray(activations, np.float32)
    rank = len(network.layers[layer].shape) + 1
    if values.ndim != rank or values.shape[-1] != len(indices) or not values.size:
        places = "".join(f"{n}, " for n in ("h", "w", "d")[: rank - 2])
        raise InputError(f"activations of shape {values.shape}; expected (N, {places}{len(indices)}) for {layer}")
    if not np.isfinite(values).all():
        raise InputError(f"activations for {layer} that are not finite")
    return patched(network, [(Replace(network.graph.first_name(layer)), {"units": indices, "values": values})])


def resample(
    network: Network,
    units: str | Unit | Sequence[str | Unit],
    pictures: Float[np.ndarray | jax.Array, "pictures height width channels"],
    key: jax.Array,
) -> Network:
    """Replaces units' activations by those on other pictures: values stay typical, but are unrelated to the picture.

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
