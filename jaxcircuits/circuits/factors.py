"""Factors: activations or weights as a few maps times directions of channels, by nonnegative matrix factorization.

Olah et al., The Building Blocks of Interpretability, Distill 2018, factor activations so; Voss et al., Visualizing
Weights, Distill 2021, weights. The directions are rows for the objective `direction`, which draws what a factor is.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcircuits.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Num

STEPS = 1000
"""Sweeps of the solver, at most."""


@dataclasses.dataclass(frozen=True, eq=False)
class Factors:
    """`values ~ maps @ directions`, factors of most energy first.

    Attributes:
      maps: float32 (N, h, w, components), not negative: where, and how much, each factor is present.
      directions: float32 (components, channels), each of length one.
      explained: the share of the values' sum of squares that the product accounts for, at most 1.
    """

    maps: Float[np.ndarray, "n h w components"]
    directions: Float[np.ndarray, "components channels"]
    explained: float

    def __repr__(self) -> str:
        count, channels = self.directions.shape
        return f"Factors({count} of {channels} channels, {100 * self.explained:.1f} % explained)"


def factor_activations(
    activations: Num[np.ndarray, "pictures h w channels"], components: int, *, seed: int = 0
) -> Factors:
    """Groups the channels of a layer by where they are active together.

    Args:
      activations: (N, h, w, channels), not negative: after a ReLU.
      components: how many factors, at most the channels and the cells.
      seed: of the initialization; the same seed gives the same factors.

    Returns:
      The `Factors`; directions are not negative.

    Raises:
      InputError: for activations of another shape, negative or not finite, and for impossible numbers of components.
    """
    values = _maps(activations, "activations")
    if values.min() < 0:
        raise InputError(f"activations down to {values.min():.3g}; expected none below 0, as after a ReLU")
    return _factors(values, values.reshape(-1, values.shape[-1]), components, seed)


def factor_weights(weights: Num[np.ndarray, "units h w sources"], components: int, *, seed: int = 0) -> Factors:
    """Groups the channels that units read by where they read them: what excites here inhibits there, and the like.

    Weights have signs, so it is the factorization with one nonnegative side: positive and negative parts of every
    channel's weights are factored as channels of their own, side by side, and the direction is their difference. A
    factor is a place and what excites and inhibits in it. Of several units the directions are common, the maps their
    own.

    Args:
      weights: (units, h, w, channels), as `expanded_weights` returns them.
      components: how many factors, at most twice the channels and at most the cells of all units.
      seed: of the initialization; the same seed gives the same factors.

    Returns:
      The `Factors`; the positive part of a direction excites, the negative part inhibits.

    Raises:
      InputError: for weights of another shape or not finite, and for impossible numbers of components.
    """
    values = _maps(weights, "weights")
    flat = values.reshape(-1, values.shape[-1])
    return _factors(values, np.concatenate([np.maximum(flat, 0), np.maximum(-flat, 0)], 1), components, seed)


def _maps(values: np.ndarray, what: str) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if values.ndim != 4 or not values.size:
        raise InputError(f"{what} of shape {values.shape}; expected (N, h, w, channels)")
    if not np.isfinite(values).all():
        raise InputError(f"{what} that are not finite")
    return values


def _factors(values: np.ndarray, parts: np.ndarray, components: int, seed: int) -> Factors:
    """Factors `parts` (cells, channels), or (cells, 2 * channels) with the negative parts last."""
    if not 1 <= components <= min(parts.shape):
        cells, channels = parts.shape
        raise InputError(
            f"{components} components of {cells} cells x {channels} channels; expected 1 to {min(parts.shape)}"
        )
    if not parts.any():
        raise InputError("nothing but zeros; expected something to factor")
    try:
        from sklearn.decomposition import NMF
    except ImportError as error:
        raise InputError("factors need scikit-learn; pip install 'jaxcircuits[circuits]'") from error
    count: Any = components  # scikit-learn has no types, and its default, a word, is taken for the only kind
    model = NMF(count, init="nndsvda", max_iter=STEPS, random_state=seed)
    maps, directions = model.fit_transform(parts), model.components_
    channels = values.shape[-1]
    if parts.shape[1] > channels:
        directions = directions[:, :channels] - directions[:, channels:]
    lengths = np.linalg.norm(directions, axis=1)
    maps, directions = maps * lengths, directions / np.maximum(lengths, np.finfo(np.float64).tiny)[:, None]
    order = np.argsort(-np.square(maps).sum(0), kind="stable")
    maps, directions = maps[:, order], directions[order]
    missed = np.square(values.reshape(-1, channels) - maps @ directions).sum() / np.square(values).sum()
    return Factors(
        maps.reshape(*values.shape[:3], -1).astype(np.float32), directions.astype(np.float32), float(1 - missed)
    )
