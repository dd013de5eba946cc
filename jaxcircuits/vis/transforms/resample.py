"""Bilinear views of one picture, whose gradient is as cheap as themselves where they are affine.

A bilinear view is a sum over picture pixels q of tent(A p + b - q) * picture[q]. Differentiating the gather makes XLA
scatter, which a CPU does one element at a time; but the picture pixel q is seen only by the few view pixels p near
A^-1 (q - b), so the exact transpose is a gather too. Measured on two cores, 128 -> 140 px, batch 16: 0.10 ms a
picture for the gradient against 1.1 ms by scattering. The taps grow with the enlargement: at 2.4 times gathering
costs 0.26 ms against 0.7 ms by scattering, at 2.9 times 1.2 ms against 0.8 ms.
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp

from jaxcircuits.vis.transforms.base import Size, inverse, moved

GRAY = 0.5
"""What lies around a picture."""


def sample(picture: jax.Array, y: jax.Array, x: jax.Array) -> jax.Array:
    """Samples a picture at any positions; its gradient is a scatter.

    Args:
      picture: (H, W, C).
      y: of the positions, (h, w), in pixels from the center of the picture.
      x: likewise.

    Returns:
      (h, w, C), `GRAY` outside the picture.
    """
    height, width = picture.shape[:2]
    y, x = y + (height - 1) / 2, x + (width - 1) / 2
    y0, x0 = jnp.floor(y), jnp.floor(x)
    view = 0.0
    for row in (y0, y0 + 1):
        for column in (x0, x0 + 1):
            view += _pick(picture - GRAY, row, column, _tent(y - row) * _tent(x - column))
    return view + GRAY


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def resample(picture: jax.Array, to_picture: jax.Array, size: Size, reach: float) -> jax.Array:
    """Samples a picture at affinely mapped positions; its gradient is a gather.

    Args:
      picture: (H, W, C).
      to_picture: (3, 3), maps (y, x, 1) of the view to the picture; both in pixels from the center.
      size: height and width of the view.
      reach: upper bound of the largest absolute row sum of the inverse's 2x2 part; sets how many view pixels the
        gradient looks at for each picture pixel.

    Returns:
      (h, w, C), `GRAY` outside the picture. Differentiable with respect to `picture` only.
    """
    return sample(picture, *moved(to_picture, *grid(size)))


def _forward(picture, to_picture, size, reach):
    return resample(picture, to_picture, size, reach), (to_picture, picture.shape)


def _backward(size, reach, residuals, gradient):
    to_picture, shape = residuals
    y, x = moved(inverse(to_picture), *grid(shape[:2]))
    y, x = y + (size[0] - 1) / 2, x + (size[1] - 1) / 2
    taps = math.floor(2 * reach) + 1
    # A border of zeros takes in all taps beyond the view. All below is done again for each tap and channel of a pixel,
    # so it is kept short: a tap adds its place in the window to what the window's first one has.
    row, column = (jnp.clip(jnp.ceil(place - reach), -taps, side) for place, side in zip((y, x), size, strict=True))
    bordered = jnp.pad(gradient, ((taps, taps), (taps, taps), (0, 0)))
    width = bordered.shape[1]
    first = (row.astype(jnp.int32) + taps) * width + column.astype(jnp.int32) + taps
    away = [by_row * (row - y) + by_column * (column - x) for by_row, by_column in to_picture[:2, :2]]
    pixels, total = bordered.reshape(-1, shape[2]), 0.0
    for i in range(taps):
        for j in range(taps):
            down, right = (_tent(away[axis] + (i * to_picture[axis, 0] + j * to_picture[axis, 1])) for axis in (0, 1))
            total += (down * right)[..., None] * pixels.at[first + (i * width + j)].get(mode="promise_in_bounds")
    return total, None


resample.defvjp(_forward, _backward)


def grid(size: Size) -> tuple[jax.Array, jax.Array]:
    """y (h, 1) and x (1, w) of every pixel of a picture of `size`, in pixels from its center."""
    return (jnp.arange(size[0]) - (size[0] - 1) / 2)[:, None], (jnp.arange(size[1]) - (size[1] - 1) / 2)[None, :]


def _tent(distance: jax.Array) -> jax.Array:
    return jnp.maximum(0, 1 - jnp.abs(distance))


def _pick(picture: jax.Array, row: jax.Array, column: jax.Array, weight: jax.Array) -> jax.Array:
    """`weight * picture[row, column]`, 0 outside: (h, w, C)."""
    height, width, channels = picture.shape
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    # Whole numbers: float32 has no odd ones beyond 2^24, where a picture of 4,097 x 4,097 pixels ends.
    index = jnp.clip(row, 0, height - 1).astype(jnp.int32) * width + jnp.clip(column, 0, width - 1).astype(jnp.int32)
    return jnp.where(inside, weight, 0)[..., None] * picture.reshape(-1, channels)[index]
