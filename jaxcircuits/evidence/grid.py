"""Intervals of activation, the same for every unit: four to a factor of two, from noise to the largest activation.

Read off a float's bits, so that no rounding decides where a number belongs, on whatever device; and fixed, so that what
several devices or hosts count can be added up.

     ... -1.25 | -1 | ... | -2^-24 | 0 | 2^-24 | ... | 1 | 1.25 | 1.5 | 1.75 | 2 | 2.5 | ... | 2^24
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

OCTAVES = 24
"""Powers of two on either side of 1; what is nearer to 0 or farther from it counts in the last interval."""
PER_OCTAVE = 4
STEPS = 2 * OCTAVES * PER_OCTAVE
"""Intervals of either sign."""
ZERO = STEPS
"""The interval that holds 0 alone; negative ones lie below it, positive ones above."""
INTERVALS = 2 * STEPS + 1

_MANTISSA = 23
_SHIFT = _MANTISSA - (PER_OCTAVE.bit_length() - 1)
_FIRST = (127 - OCTAVES) * PER_OCTAVE


def interval(x: jax.Array | np.ndarray) -> jax.Array:
    """The number of the interval that each of float32 `x` lies in, int32: increasing with x."""
    bits = jax.lax.bitcast_convert_type(x, jnp.int32)
    step = jnp.clip(((bits & 0x7FFFFFFF) >> _SHIFT) - _FIRST, 0, STEPS - 1)
    return jnp.where(x > 0, ZERO + 1 + step, jnp.where(x < 0, ZERO - 1 - step, ZERO))


def bounds() -> np.ndarray:
    """Lower and upper end of every interval, float64 (INTERVALS, 2).

    The end nearer to 0 belongs to an interval, the other one does not. The outermost are open: their ends are 0 or
    infinite.
    """
    step = np.arange(STEPS + 1)
    ends = 2.0 ** (step // PER_OCTAVE - OCTAVES) * (1 + step % PER_OCTAVE / PER_OCTAVE)
    ends[0], ends[-1] = 0, np.inf
    positive = np.stack([ends[:-1], ends[1:]], axis=1)
    return np.concatenate([-positive[::-1, ::-1], [[0, 0]], positive])
