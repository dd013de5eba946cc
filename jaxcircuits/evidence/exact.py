"""Sums that hold for millions of pictures where a device counts in 32 bits: two words in place of one.

A count is exact up to 2^63; a sum carries what rounding took from it, which makes its own error that of 48 bits.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Count(NamedTuple):
    """Whole numbers `high * 2^31 + low`, uint32 each; low has room for 2^31 more, which are then carried."""

    high: jax.Array
    low: jax.Array

    @classmethod
    def zero(cls, shape: tuple[int, ...]) -> Count:
        return cls(jnp.zeros(shape, jnp.uint32), jnp.zeros(shape, jnp.uint32))

    def add(self, more: jax.Array) -> Count:
        """With whole numbers below 2^31 added."""
        return Count(self.high, self.low + more.astype(jnp.uint32)).carried()

    def carried(self) -> Count:
        """The same numbers, with `low` below 2^31, once up to 2^31 was added to it in place."""
        return Count(self.high + (self.low >> 31), self.low & jnp.uint32(2**31 - 1))

    def value(self) -> np.ndarray:
        """As int64."""
        return (np.asarray(self.high, np.int64) << 31) + np.asarray(self.low, np.int64)


class Sum(NamedTuple):
    """Numbers `value + rest`, float32 each."""

    main: jax.Array
    rest: jax.Array

    @classmethod
    def zero(cls, shape: tuple[int, ...]) -> Sum:
        return cls(jnp.zeros(shape, jnp.float32), jnp.zeros(shape, jnp.float32))

    def add(self, more: jax.Array) -> Sum:
        """With float32 numbers added; what rounding takes is kept (Knuth's two-sum)."""
        main = self.main + more
        part = main - self.main
        lost = (self.main - (main - part)) + (more - part)
        return Sum(main, self.rest + lost)

    def value(self) -> np.ndarray:
        """As float64."""
        return np.asarray(self.main, np.float64) + np.asarray(self.rest, np.float64)
