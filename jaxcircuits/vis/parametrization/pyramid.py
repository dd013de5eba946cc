"""Pictures written as a sum of enlarged small ones, for one picture or shared by a group."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from jaxcircuits.errors import InputError, shown, whole
from jaxcircuits.vis.parametrization.base import (
    Parametrization,
    Shape,
    check_count,
    check_number,
    check_part,
    fold_in,
)
from jaxcircuits.vis.parametrization.fourier import Fourier
from jaxcircuits.vis.parametrization.rgba import RGBA

if TYPE_CHECKING:
    from jaxtyping import Float

MOST_LEVELS = 32
"""Each is compiled by itself."""

SHARED_STREAM = 2**32 - 1
"""Folded into the first key of a group for what it shares; steps, which are folded in too, never get there."""


@dataclasses.dataclass(frozen=True)
class Pyramid(Parametrization):
    """A Laplacian pyramid: the sum of small pictures of `size // level`, enlarged; one level is a low resolution.

    Enlarged by `jax.image.resize(..., "linear")`: centers of pixels map to centers of pixels, and the outer half of an
    edge pixel is flat. Lucid (`laplacian_pyramid_image`, `lowres_tensor` of `optvis/param`) has TensorFlow's older
    rule, the same slopes with each level `(level - 1) / 2` pixels further to the upper left.

    Attributes:
      levels: how many times smaller each picture is.
      sd: standard deviation of the start at every level.
    """

    levels: tuple[int, ...] = (1, 2, 4, 8)
    sd: float = 0.01
    numbers = ("sd",)

    def __post_init__(self):
        object.__setattr__(self, "levels", checked_levels(self.levels))
        check_number(self, "sd")

    def init(self, key: jax.Array, shape: Shape) -> tuple[jax.Array, ...]:
        """A small picture (H // level, W // level, C) for each level."""
        keys = jax.random.split(key, len(self.levels))
        return tuple(
            self.sd * jax.random.normal(k, level_shape(shape, level), jnp.float32)
            for k, level in zip(keys, self.levels)
        )

    def values(self, parameters: tuple[jax.Array, ...], shape: Shape) -> Float[jax.Array, "height width channels"]:
        """The sum of the enlarged levels."""
        return functools.reduce(jnp.add, (jax.image.resize(level, shape, "linear") for level in parameters))

    def from_values(self, values: Float[jax.Array, "height width channels"], shape: Shape) -> tuple[jax.Array, ...]:
        """From the coarsest level on, each takes what the coarser ones leave; level 1 makes the rest exact."""
        left, small = values, {}
        for level in sorted(self.levels, reverse=True):
            small[level] = jax.image.resize(left, level_shape(shape, level), "linear")
            left = left - jax.image.resize(small[level], shape, "linear")
        return tuple(small[level] for level in self.levels)


@dataclasses.dataclass(frozen=True)
class Shared(Parametrization):
    """Pictures of a group that have a pyramid in common, so that what they show lies at the same places.

    The channels before color are those of the picture's `own` parametrization plus a `Pyramid` that the group shares:
    for interpolating between units, and for comparing what they look for (aligned interpolation; Mordvintsev et al.,
    Differentiable Image Parameterizations, 2018). Lucid's notebook has two more levels that go over from one end of the
    group to the other.

    Attributes:
      own: what each picture has for itself.
      levels: of the shared pyramid.
      group: how many pictures share it.
      sd: standard deviation of the start of the shared levels.
    """

    own: Parametrization = Fourier()
    levels: tuple[int, ...] = (2, 4, 8, 16)
    group: int = 6
    sd: float = 0.01
    numbers = ("sd",)

    def __post_init__(self):
        check_part("own", self.own, (Shared, RGBA))
        object.__setattr__(self, "levels", checked_levels(self.levels))
        check_count(self, "group", least=2)
        check_number(self, "sd")

    @property
    def pyramid(self) -> Pyramid:
        """What the group shares, with a start of standard deviation one."""
        return Pyramid(self.levels, 1.0)

    def init(self, key: jax.Array, shape: Shape) -> tuple[Any, tuple[jax.Array, ...]]:
        """The own parameters, with a leading axis G, and the shared ones."""
        own = jax.vmap(lambda k: self.own.init(k, shape))(key)
        shared = self.pyramid.init(fold_in(key[0], SHARED_STREAM), shape)
        return own, tuple(self.sd * level for level in shared)

    def values(
        self, parameters: tuple[Any, tuple[jax.Array, ...]], shape: Shape
    ) -> Float[jax.Array, "group height width channels"]:
        """(G, H, W, C)."""
        own, shared = parameters
        return jax.vmap(lambda p: self.own.values(p, shape))(own) + self.pyramid.values(shared, shape)

    def from_values(
        self, values: Float[jax.Array, "group height width channels"], shape: Shape
    ) -> tuple[Any, tuple[jax.Array, ...]]:
        """All of it goes into the own parameters; the shared ones are zero."""
        own = jax.vmap(lambda v: self.own.from_values(v, shape))(values)
        return own, tuple(jnp.zeros(level_shape(shape, level), jnp.float32) for level in self.levels)


def level_shape(shape: Shape, level: int) -> Shape:
    """The shape of the small picture of a level, at least one pixel."""
    height, width, channels = shape
    return max(height // level, 1), max(width // level, 1), channels


def checked_levels(levels: Any) -> tuple[int, ...]:
    """Levels as a tuple of different whole numbers."""
    values = tuple(levels) if isinstance(levels, Iterable) and not isinstance(levels, (str, dict)) else ()
    if len(values) > MOST_LEVELS:
        raise InputError(f"{len(values):,} levels; expected at most {MOST_LEVELS}")
    numbers = tuple(whole(level, "level", 1) for level in values)
    if not numbers or len(set(numbers)) < len(numbers):
        raise InputError(f"levels {shown(levels)}; expected different whole numbers, such as (1, 2, 4, 8)")
    return numbers
