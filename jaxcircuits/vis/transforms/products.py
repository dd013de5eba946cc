"""Affine views as matrix products, for accelerators that are fast at products and slow at gathers.

A view is two passes of linear interpolation along one axis each (Catmull and Smith, 3-D Transformations of Images in
Scanline Order, 1980): first along the picture's rows, whose answer has the picture's rows and the view's columns, then
along the columns of that. Where a view looks at (y, x) = (a i + b j + s, c i + d j + t), the first pass reads row r at
x = (c / a) (r - s) + (d - b c / a) j + t, which is where row r meets the view's column j, and the second reads column
j at y. Bilinear interpolation reads two rows at one x instead: the same where axes stay axes, and otherwise another way
to the same blur.

Along a row, positions lie at equal steps, but where they begin differs from row to row by a shear. Its whole pixels are
a shift, digit by digit (selections of slices); what is left of it lies between 0 and 1, so that a position reads three
neighbors, the same for all rows: three products with matrices of zeros and ones. Where axes stay axes, as in crops and
zooms, there is no shear, and a pass is one product with the weights themselves.

The pixels of a line are the first axis and the lines the last, 128 of which a TPU's registers hold side by side: slices
along the first are then cheap. Left to itself the compiler lays the pixels side by side and rotates registers for every
slice, which takes 1.3 ms more for 64 pictures by its own count (v5e).

The gradient is the exact transpose and takes as many products.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental.layout import Layout, with_layout_constraint

from jaxcircuits.vis.transforms.base import AffineMap, Geometric, Size, zoomed
from jaxcircuits.vis.transforms.resample import GRAY

BITS = (5, 6, 8)
"""Of the shear of a pass: at most 15, 31 or 127 pixels either way. Few, so that like numbers share a program; wider
shears are left to gathers."""

DIGIT = 3
"""Bits that are shifted together: of eight slices each line takes one."""

Bits = tuple[int, int]
"""In how many powers of two rows and columns are sheared; 0 where they are not."""


def shears(transforms: Sequence[Geometric], sizes: Sequence[Size]) -> Bits | None:
    """How far the passes of a run's views shear.

    Args:
      transforms: of the run, with their numbers.
      sizes: height and width of the picture, and after each of the transforms.

    Returns:
      Of the rows and of the columns; None where two passes are not enough: a transform is no matrix, or turns too far.
    """
    bounds = zoomed(1)
    for transform, size in zip(transforms, sizes):
        own = transform.bounds(size) if isinstance(transform, AffineMap) else None
        if own is None:
            return None
        bounds @= own
    if not min(bounds.least) > 0:
        return None
    rows = _bits(bounds.most[1, 0] / bounds.least[0], sizes[0][0])
    columns = _bits(bounds.zoom * bounds.most[0, 1], sizes[-1][1])
    return None if rows is None or columns is None else (rows, columns)


def _bits(slope: float, count: int) -> int | None:
    """Of a shear in which the outermost of `count` lines are shifted by `slope` for each line from the middle."""
    if slope == 0:
        return 0
    return next((bits for bits in BITS if slope * (count - 1) / 2 < 2 ** (bits - 1) - 1), None)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def view_by_products(
    picture: jax.Array, to_picture: jax.Array, size: Size, bits: Bits, dtype: str = "float32"
) -> jax.Array:
    """Samples a picture at affinely mapped positions, by two passes.

    Args:
      picture: (H, W, C).
      to_picture: (3, 3), maps (y, x, 1) of the view to the picture; both in pixels from the center.
      size: height and width of the view.
      bits: of the shears, see `shears`.
      dtype: to which values are rounded before each pass; in bfloat16 a view is off by no more than what a network that
        takes bfloat16 rounds of it, and takes half the time.

    Returns:
      (h, w, C) float32, `GRAY` outside the picture. Differentiable with respect to `picture` only.
    """
    view = _two_passes((picture - GRAY).astype(dtype), to_picture, size, bits)
    return GRAY + view.astype(jnp.float32)


def _forward(picture, to_picture, size, bits, dtype):
    return view_by_products(picture, to_picture, size, bits, dtype), (to_picture, picture.shape)


def _backward(size, bits, dtype, residuals, gradient):
    to_picture, shape = residuals
    # Linear in the picture: whichever it is. So the matrices are made anew, which is cheaper than to keep them.
    _, transpose = jax.vjp(lambda picture: _two_passes(picture, to_picture, size, bits), jnp.zeros(shape, dtype))
    return transpose(gradient.astype(dtype))[0].astype(jnp.float32), None


view_by_products.defvjp(_forward, _backward)


def _two_passes(picture: jax.Array, to_picture: jax.Array, size: Size, bits: Bits) -> jax.Array:
    """The view (h, w, C) of a picture among zeros."""
    (height, width, channels), (a, b, s), (c, d, t) = picture.shape, to_picture[0], to_picture[1]
    slope = c / a if bits[0] else jnp.zeros(())
    # Lines of all channels are one axis, (C H), then (C w), which leaves a compiler one good way to lay them out.
    lines, row = picture.transpose(1, 2, 0).reshape(width, -1), jnp.tile(_from_middle(height), channels)
    columns = _interpolated(lines, d - b * slope, t - slope * s, slope * row, size[1], bits[0])
    column = jnp.tile(_from_middle(size[1]), channels)
    lines = columns.reshape(size[1], channels, height).transpose(2, 1, 0).reshape(height, -1)
    view = _interpolated(lines, a, s, b * column, size[0], bits[1])
    return view.reshape(size[0], channels, size[1]).transpose(0, 2, 1)


def _interpolated(
    lines: jax.Array, step: jax.Array, start: jax.Array, shift: jax.Array, count: int, bits: int
) -> jax.Array:
    """Linear interpolation along lines.

    Args:
      lines: (n, lines); 0 beyond their ends.
      step: between the positions on a line, in its pixels.
      start: of the middle position of a line that is not shifted, in pixels from the middle of it.
      shift: (lines,), by which the positions on each lie further.
      count: of the positions.
      bits: half of `2 ** bits` bounds the shifts; 0 where there are none.

    Returns:
      (count, lines).
    """
    length = lines.shape[0]
    position = step * _from_middle(count) + start + (length - 1) / 2
    if not bits:
        weights = jnp.maximum(0, 1 - jnp.abs(position - jnp.arange(length)[:, None]))
        return _product(lines, weights)
    whole, half = jnp.floor(shift), 1 << (bits - 1)
    # Pixel n of a line lies at n + half - whole; a position's first neighbor at floor(position) + half.
    sheared: jax.Array = _sheared(lines, whole.astype(jnp.int32) + half, bits)  # pyright: ignore[reportAssignmentType]
    first = jnp.floor(position)
    at = jnp.arange(sheared.shape[0], dtype=first.dtype)[:, None] - half
    between = (position - first)[:, None] + (shift - whole)
    # A product for each neighbor, since one for all three is cut apart again, which takes longer than they do.
    weighted = [jnp.maximum(0, 1 - jnp.abs(between - k)) * _product(sheared, at == first + k) for k in range(3)]
    return _lines_last(functools.reduce(jnp.add, weighted).astype(lines.dtype))


def _from_middle(count: int) -> jax.Array:
    return jnp.arange(count) - (count - 1) / 2


def _product(lines: jax.Array, matrix: jax.Array) -> jax.Array:
    """(count, lines) of lines (n, lines) and a matrix (n, count).

    Of float32 in three products of bfloat16 where there are no others: 16 bits of the values remain.
    """
    return jnp.einsum("nr,nj->jr", lines, matrix.astype(lines.dtype), precision="high")


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _sheared(lines: jax.Array, shift: jax.Array, bits: int) -> jax.Array:
    """Lines (n, lines) among zeros, `2 ** bits - shift` before them, as (n + 2 ** bits, lines).

    Its gradient is written down, since that of selections of slices would pad and add.
    """
    # One bit, no shift: 123 -> 00123; a shift of 1: 123 -> 01230.
    room = 1 << bits
    return _shifted(jnp.pad(_lines_last(lines), ((room, room - 1), (0, 0))), shift, bits)


def _shear_forward(lines, shift, bits):
    return _sheared(lines, shift, bits), shift


def _shear_backward(bits, shift, gradient):
    last = (1 << bits) - 1
    return _shifted(_lines_last(gradient)[1:], last - shift, bits), None


_sheared.defvjp(_shear_forward, _shear_backward)


def _shifted(lines: jax.Array, shift: jax.Array, bits: int) -> jax.Array:
    """Lines (n, lines) from pixel `shift` (lines,) on, as (n - 2 ** bits + 1, lines)."""
    for least in reversed(range(0, bits, DIGIT)):
        most = min(DIGIT, bits - least)
        digit = (shift >> least) & ((1 << most) - 1)
        length = lines.shape[0] - (((1 << most) - 1) << least)
        slices = (lax.slice_in_dim(lines, k << least, (k << least) + length) for k in range(1 << most))
        taken = next(slices)
        for k, one in enumerate(slices, 1):
            taken = jnp.where(digit == k, one, taken)
        lines = _lines_last(taken)
    return lines


def _lines_last(x: jax.Array) -> jax.Array:
    """(n, lines) as it is, and lies in memory: the lines side by side."""
    return with_layout_constraint(x, Layout(major_to_minor=(0, 1)))
