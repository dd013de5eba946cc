"""Contribution: what connections bring in on data, where the norm of their weights says what they could.

A weight matters as far as its source is active where it reads. What a source contributes to a target's pre-activation
is linear in its activation, so the mean over pictures and positions needs no more than the mean picture: ::

    contribution[i, j] = weights[i, j] * mean over pictures and cells of the source's activation at offset (i, j)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import numpy as np

from jaxcircuits.circuits.weights.direct import connecting_weights
from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.network.stream import mean_answer
from jaxcircuits.network.units import check_units, has_positions
from jaxcircuits.network.windows import Window, windows

if TYPE_CHECKING:
    from jaxtyping import Float, Integer


def contributions(
    network: Network,
    source_layer: str,
    target_layer: str,
    pictures: Float[np.ndarray | jax.Array, "pictures height width channels"],
    units: Sequence[int] | Integer[np.ndarray, " units"] | None = None,
) -> Float[np.ndarray, "units h w sources"]:
    """What every unit of a layer contributes to units of a later one, weight by weight, mean over pictures and cells.

    The weights are those of `direct_weights`, or `expanded_weights` without pictures: bottlenecks multiplied out, a
    max-pool as the mean of its window, no normalization. Between a block and the 1x1, 3x3 and 5x5 units of the next
    the sums over sources differ from the mean pre-activation by the bias and by the bottleneck's ReLU, nothing else.
    Cells beyond the border are silent. Behind a transposed convolution or an interpolation neighboring cells of the
    target read differently; the mean is over those that read as the weights say.

    Args:
      network: any.
      source_layer: a layer, or `input`.
      target_layer: a layer computed from it.
      pictures: (N, H, W, channels) in [0, 1]; of the native size where the targets have no positions and do not read
        the source's mean.
      units: of the target; None for all.

    Returns:
      float32 (units, h, w, source channels), in the frame of the weights. Its sum over (h, w) is what a source adds to
      the mean pre-activation; its positive part excites, its negative part inhibits.

    Raises:
      InputError: for unknown layers and units, and layers that are not connected.
    """
    units = check_units(network, target_layer, units)
    weights = connecting_weights(network, source_layer, target_layer, units)
    return weights * activations_read(network, source_layer, target_layer, pictures, weights.shape[1:])


def activations_read(
    network: Network,
    source_layer: str,
    target_layer: str,
    pictures: np.ndarray | jax.Array,
    shape: tuple[int, int, int],
) -> np.ndarray:
    """The mean activation that weights from a layer to a later one read, cell by cell of their frame.

    Args:
      network, source_layer, target_layer, pictures: see `contributions`.
      shape: of the weights, (h, w, source channels).

    Returns:
      float32 of that shape.
    """
    mean = mean_answer(network, source_layer, pictures)
    if not has_positions(network, target_layer):
        if shape[:2] == (1, 1):  # the mean over positions is read, or there are none
            return mean.reshape(-1, shape[-1]).mean(0).reshape(shape).astype(np.float32)
        if mean.size != np.prod(shape):
            size = " x ".join(map(str, network.convention.size))
            raise InputError(f"{target_layer} reads all of {source_layer}: expected pictures of native size, {size}")
        return mean.reshape(shape).astype(np.float32)
    read = windows(network, source_layer, target_layer, np.shape(pictures)[1:3], linear=True)
    if read is None:
        if mean.shape == shape:
            return mean.astype(np.float32)
        raise InputError(f"{target_layer} has no windows in {source_layer}: expected pictures of native size")
    rows, columns = (_share_of_cells(axis) for axis in read)
    return np.einsum("ip,jq,pqc->ijc", rows, columns, mean, optimize=True).astype(np.float32)


def _share_of_cells(read: Window) -> np.ndarray:
    """(size, source cells): the share of target cells whose window has that source cell in that place."""
    cells = read.first(read.alike())[:, None] + np.arange(read.size)
    return (cells[:, :, None] == np.arange(read.source_cells)).mean(0)
