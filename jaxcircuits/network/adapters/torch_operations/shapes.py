"""Operations that move numbers: shapes, slices, paddings, cells by their places."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxcircuits.network.adapters.torch_operations.table import operation, operations


def _from_each(x, sizes):
    """Sizes with those of -1, which stand for the array's own."""
    own = (*[1] * (len(sizes) - x.ndim), *x.shape)
    return [size if size >= 0 else mine for size, mine in zip(sizes, own)]


operations(
    {
        "view.default reshape.default _unsafe_view.default": jnp.reshape,
        "permute.default": jnp.transpose,
        "transpose.int": jnp.swapaxes,
        "expand.default": lambda x, sizes, implicit=False: jnp.broadcast_to(x, _from_each(x, sizes)),
        "repeat.default": jnp.tile,
        "unsqueeze.default": jnp.expand_dims,
        "squeeze.default": lambda x: x.reshape([n for n in x.shape if n != 1]),
        "squeeze.dim": lambda x, axis: _squeeze(x, [axis]),
        "squeeze.dims": lambda x, axes: _squeeze(x, axes),
        "cat.default": lambda arrays, axis=0: jnp.concatenate([a for a in arrays if a.shape != (0,)], axis),
        "stack.default": jnp.stack,
        "select.int": lambda x, axis, place: lax.index_in_dim(x, place, axis, keepdims=False),
        "unbind.int": lambda x, axis=0: tuple(
            lax.index_in_dim(x, i, axis, keepdims=False) for i in range(x.shape[axis])
        ),
        "copy.default": lambda x, source: jnp.broadcast_to(source, x.shape).astype(x.dtype),
        "flip.default": jnp.flip,
        "roll.default": lambda x, shifts, axes=(): jnp.roll(x, tuple(shifts), tuple(axes) or None),
        "diagonal.default": jnp.diagonal,
        "tril.default": jnp.tril,
        "triu.default": jnp.triu,
        "view_as_complex.default": lambda x: lax.complex(x[..., 0], x[..., 1]),
        "view_as_real.default": lambda x: jnp.stack([x.real, x.imag], -1),
    }
)


def _squeeze(x, axes):
    return lax.squeeze(x, [axis % x.ndim for axis in axes if x.shape[axis] == 1])


@operation("slice.Tensor")
def _slice(x, axis=0, start=None, end=None, step=1):
    places = range(x.shape[axis])[start:end:step]
    return lax.slice_in_dim(x, places.start, max(places.stop, places.start), step, axis)


@operation("split_with_sizes.default")
def _split(x, sizes, axis=0):
    return tuple(jnp.split(x, np.cumsum(sizes)[:-1].tolist(), axis))


@operation("unfold.default")
def _unfold(x, axis, size, step):
    axis %= x.ndim
    starts = np.arange(0, x.shape[axis] - size + 1, step)
    return jnp.moveaxis(jnp.take(x, starts[:, None] + np.arange(size), axis), axis + 1, -1)


@operation("constant_pad_nd.default")
def _pad(x, pads, value=0):
    # From the last axis backwards, before and after; negative ones crop.
    config = [(low, high, 0) for low, high in zip(pads[::2], pads[1::2])][::-1]
    return lax.pad(x, jnp.asarray(value, x.dtype), [*[(0, 0, 0)] * (x.ndim - len(config)), *config])


@operation("pixel_shuffle.default")
def _pixel_shuffle(x, factor):
    *before, channels, height, width = x.shape
    x = x.reshape(*before, channels // factor**2, factor, factor, height, width)
    n = len(before)
    x = x.transpose(*range(n + 1), n + 3, n + 1, n + 4, n + 2)
    return x.reshape(*before, channels // factor**2, height * factor, width * factor)


@operation("pixel_unshuffle.default")
def _pixel_unshuffle(x, factor):
    *before, channels, height, width = x.shape
    x = x.reshape(*before, channels, height // factor, factor, width // factor, factor)
    n = len(before)
    x = x.transpose(*range(n + 1), n + 2, n + 4, n + 1, n + 3)
    return x.reshape(*before, channels * factor**2, height // factor, width // factor)


# Cells by their numbers


def _places(indices):
    return tuple(slice(None) if index is None else index for index in indices)


operations(
    {
        "embedding.default": lambda table, places, *_: jnp.take(table, places, 0),
        "index_select.default": lambda x, axis, places: jnp.take(x, places, axis),
        "index.Tensor _unsafe_index.Tensor": lambda x, indices: x[_places(indices)],
        "gather.default": lambda x, axis, places: jnp.take_along_axis(
            x[tuple(slice(None) if i == axis % x.ndim else slice(n) for i, n in enumerate(places.shape))], places, axis
        ),
    }
)


@operation("index_put.default", "_unsafe_index_put.default")
def _index_put(x, indices, values, accumulate=False):
    at = x.at[_places(indices)]
    return at.add(values) if accumulate else at.set(values)


@operation("slice_scatter.default")
def _slice_scatter(x, source, axis=0, start=None, end=None, step=1):
    places = [slice(None)] * x.ndim
    places[axis] = slice(start, end, step)
    return x.at[tuple(places)].set(source)


@operation("select_scatter.default")
def _select_scatter(x, source, axis, place):
    return x.at[(slice(None),) * (axis % x.ndim) + (place,)].set(source)


@operation("scatter.src", "scatter.value")
def _scatter(x, axis, places, values):
    return _at(x, axis, places).set(_of(values, places))


@operation("scatter_add.default")
def _scatter_add(x, axis, places, values):
    return _at(x, axis, places).add(_of(values, places))


def _at(x, axis, places):
    index = list(np.ix_(*map(np.arange, places.shape)))
    index[axis] = places
    return x.at[tuple(index)]


def _of(values, places):
    return values[tuple(map(slice, places.shape))] if hasattr(values, "shape") else values
