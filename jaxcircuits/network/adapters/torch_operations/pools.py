"""What PyTorch's pools and its resampling compute, in JAX, over the last axes of (N, C, positions...).

Pools are windows of `lax.reduce_window`; where windows differ in size, and for interpolation, a matrix (to, from) along
each axis. Functions take their arguments as the operations of the same names in PyTorch's ATen do, whose definitions
are at https://docs.pytorch.org/docs/stable/nn.functional.html.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxcircuits.network.adapters.torch_operations.layers import Sizes, each
from jaxcircuits.network.adapters.torch_operations.numbers import mean

Operation = Callable[..., Any]
"""From arrays, numbers and lists, in the order of PyTorch's operation, to what that returns."""


def max_pool(n: int) -> Operation:
    """Max-pool over the last n axes."""

    def pool(x, kernel, stride=(), padding=0, dilation=1, ceil_mode=False):
        kernel, stride, padding, dilation = _window(n, kernel, stride, padding, dilation)
        pads = _padding(x.shape[-n:], kernel, stride, padding, dilation, ceil_mode)
        return _reduce(x, lax.max, kernel, stride, pads, dilation)

    return pool


def max_pool_with_indices(
    x: jax.Array, kernel: Sizes, stride: Sizes = (), padding: Sizes = 0, dilation: Sizes = 1, ceil_mode: bool = False
) -> tuple[jax.Array, jax.Array]:
    """Max-pool over two axes, and where in its channel each maximum lies, counted along rows."""
    values = max_pool(2)(x, kernel, stride, padding, dilation, ceil_mode)
    kernel, stride, padding, dilation = _window(2, kernel, stride, padding, dilation)
    # (windows of an axis, cells of a window): the cell's place along that axis.
    rows, columns = (
        np.arange(count)[:, None] * s - p + np.arange(k) * d
        for count, k, s, p, d in zip(values.shape[-2:], kernel, stride, padding, dilation)
    )
    height, width = x.shape[-2:]
    inside = ((rows >= 0) & (rows < height))[:, None, :, None] & ((columns >= 0) & (columns < width))[:, None]
    rows, columns = rows.clip(0, height - 1)[:, None, :, None], columns.clip(0, width - 1)[:, None]
    cells = jnp.where(inside, x[..., rows, columns], -jnp.inf)
    strongest = cells.reshape(*values.shape, -1).argmax(-1)
    places = np.broadcast_to(rows * width + columns, inside.shape).reshape(*values.shape[-2:], -1)
    places = jnp.broadcast_to(places, (*values.shape, places.shape[-1]))
    return values, jnp.take_along_axis(places, strongest[..., None], -1)[..., 0]


def avg_pool(n: int) -> Operation:
    """Mean pool over the last n axes."""

    def pool(
        x, kernel, stride=(), padding=0, ceil_mode=False, count_include_pad=True, divisor_override: int | None = None
    ):
        kernel, stride, padding, ones = _window(n, kernel, stride, padding, 1)
        pads = _padding(x.shape[-n:], kernel, stride, padding, ones, ceil_mode)
        total = _reduce(x, lax.add, kernel, stride, pads, ones)
        if divisor_override is not None:
            return total / divisor_override
        # How many cells of an axis each window counts: those of the picture, or also those of the stated padding.
        counts = []
        for size, outputs, k, s, p in zip(x.shape[-n:], total.shape[-n:], kernel, stride, padding):
            start = np.arange(outputs) * s - p
            low, high = (-p, size + p) if count_include_pad else (0, size)
            counts.append(np.minimum(start + k, high) - np.maximum(start, low))
        count = functools.reduce(np.multiply, np.ix_(*counts)).astype(np.float32)
        return total / (float(count.flat[0]) if (count == count.flat[0]).all() else count.astype(x.dtype))

    return pool


def adaptive_avg_pool(n: int) -> Operation:
    """Means of as many windows as asked for, which are of one size only where that divides the input's."""

    def pool(x, output_size):
        sizes, outputs = x.shape[-n:], _outputs(x, output_size)
        if all(out == 1 for out in outputs):
            return mean(x, tuple(range(x.ndim - n, x.ndim)), keepdims=True)
        if all(size % out == 0 for size, out in zip(sizes, outputs)):
            return avg_pool(n)(x, [size // out for size, out in zip(sizes, outputs)])
        matrices = []
        for size, out in zip(sizes, outputs):
            matrix = np.zeros((out, size))
            for i, (start, end) in enumerate(_bins(size, out)):
                matrix[i, start:end] = 1 / (end - start)
            matrices.append(matrix)
        return _resampled(x, matrices)

    return pool


def adaptive_max_pool(n: int) -> Operation:
    """Maxima of as many windows as asked for; where they lie is not offered."""

    def pool(x, output_size):
        sizes, outputs = x.shape[-n:], _outputs(x, output_size)
        if all(size % out == 0 for size, out in zip(sizes, outputs)):
            return max_pool(n)(x, [size // out for size, out in zip(sizes, outputs)]), None
        for axis, (size, out) in enumerate(zip(sizes, outputs), x.ndim - n):
            parts = [lax.slice_in_dim(x, start, end, axis=axis) for start, end in _bins(size, out)]
            x = jnp.concatenate([part.max(axis, keepdims=True) for part in parts], axis)
        return x, None

    return pool


def _reduce(x, combine, kernel, stride, pads, dilation):
    before = x.ndim - len(kernel)
    first = np.array(-np.inf if combine is lax.max else 0, x.dtype)
    window, strides, dilations = ((*[1] * before, *values) for values in (kernel, stride, dilation))
    return lax.reduce_window(x, first, combine, window, strides, [*[(0, 0)] * before, *pads], window_dilation=dilations)


def _padding(sizes, kernel, stride, padding, dilation, ceil_mode):
    """Cells before and after each axis; `ceil_mode` adds those that a last window, begun inside, lacks."""
    pads = []
    for size, k, s, p, d in zip(sizes, kernel, stride, padding, dilation):
        reach, after = d * (k - 1) + 1, p
        if ceil_mode:
            last = -(-(size + 2 * p - reach) // s) * s
            last -= s if last >= size + p else 0
            after = max(p, last + reach - size - p)
        pads.append((p, after))
    return pads


def _window(n, kernel, stride, padding, dilation):
    kernel = each(kernel, n)
    return kernel, each(stride, n) if stride else kernel, each(padding, n), each(dilation, n)


def _outputs(x, output_size) -> list[int]:
    return [size if out is None else out for size, out in zip(x.shape[-len(output_size) :], output_size)]


def _bins(size: int, out: int) -> list[tuple[int, int]]:
    return [(i * size // out, -(-(i + 1) * size // out)) for i in range(out)]


def nearest(exact: bool) -> Operation:
    """Enlarges or shrinks by taking the nearest cell, by its corner or (`exact`) by its middle."""

    def resize(x, output_size, scale_factors=None, *more):
        for axis, size, out, step in _steps(x, output_size, scale_factors, more):
            # In single precision, as PyTorch: which cell is the nearest hangs on how the product is rounded.
            place = (np.arange(out, dtype=np.float32) + np.float32(exact / 2)) * step
            place = np.minimum(place.astype(int), size - 1)
            whole = out % size == 0 and (place == np.arange(out) // (out // size)).all()
            x = jnp.repeat(x, out // size, axis) if whole else jnp.take(x, place, axis)
        return x

    return resize


def interpolated(cubic: bool = False, antialias: bool = False) -> Operation:
    """Enlarges or shrinks by linear or cubic interpolation; `antialias` widens the window when it shrinks."""

    def resize(x, output_size, align_corners, scale_factors=None, *more):
        matrices = []
        for _, size, out, step in _steps(x, output_size, scale_factors, more):
            if align_corners:
                step = (size - 1) / (out - 1) if out > 1 else 0.0
            make = _antialiased if antialias else _interpolation
            matrices.append(make(size, out, float(step), align_corners, cubic))
        return _resampled(x, matrices)

    return resize


def _steps(x, output_size, scale_factors, more):
    """(axis, size, outputs, cells per output) of each axis; factors come as a list, or one argument each."""
    n = x.ndim - 2
    factors = scale_factors if isinstance(scale_factors, list | tuple) else [scale_factors, *more]
    factors = [*factors, *[None] * n][:n]
    for axis, factor in enumerate(factors, 2):
        size = x.shape[axis]
        out = int(size * factor) if output_size is None else output_size[axis - 2]
        yield axis, size, out, np.float32(1 / factor if factor else size / out)


def _interpolation(size, out, step, align_corners, cubic) -> np.ndarray:
    place = np.arange(out) * step if align_corners else (np.arange(out) + 0.5) * step - 0.5
    place = place if cubic else np.maximum(place, 0)
    matrix, first = np.zeros((out, size)), np.floor(place).astype(int)
    for tap in range(-1, 3) if cubic else range(2):
        weights = _cubic(place - first - tap, -0.75) if cubic else 1 - np.abs(place - first - tap)
        np.add.at(matrix, (np.arange(out), np.clip(first + tap, 0, size - 1)), weights)
    return matrix


def _antialiased(size, out, step, align_corners, cubic) -> np.ndarray:
    wide = max(step, 1.0)
    center = step * (np.arange(out)[:, None] + 0.5)
    reach = (2 if cubic else 1) * wide
    cells = np.arange(size)
    inside = (cells >= np.floor(center - reach + 0.5)) & (cells < np.floor(center + reach + 0.5))
    distance = (cells + 0.5 - center) / wide
    weights = np.where(inside, _cubic(distance, -0.5) if cubic else np.maximum(1 - np.abs(distance), 0), 0)
    return weights / weights.sum(1, keepdims=True)


def _cubic(distance, a):
    """Keys' kernel, Cubic convolution interpolation for digital image processing, 1981, equation 4."""
    d = np.abs(distance)
    near, far = ((a + 2) * d - (a + 3)) * d * d + 1, ((d - 5) * d + 8) * d * a - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def _resampled(x, matrices):
    for axis, matrix in enumerate(matrices, x.ndim - len(matrices)):
        product = jnp.tensordot(x, matrix.astype(x.dtype), axes=(axis, 1), precision="highest")
        x = jnp.moveaxis(product, -1, axis)
    return x
