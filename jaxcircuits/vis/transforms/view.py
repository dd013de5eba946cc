"""A random view of a picture: runs of geometric transforms folded into one resample, the others between them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp

from jaxcircuits.errors import MOST_PIXELS, InputError
from jaxcircuits.platforms import on_tpu
from jaxcircuits.vis.transforms.base import AffineMap, Geometric, Size, Transform, product
from jaxcircuits.vis.transforms.products import Bits, shears, view_by_products
from jaxcircuits.vis.transforms.resample import grid, resample, sample

MOST_REACH = 2.5
"""From this enlargement on, scattering the gradient is cheaper than gathering it (6 x 6 taps for each pixel)."""


def view_size(transforms: Sequence[Transform], size: Size) -> Size:
    """Height and width of the view of a picture of `size`."""
    for transform in transforms:
        size = transform.size(size)
    return size


def check_sizes(transforms: Sequence[Transform], size: Size) -> None:
    """Raises `InputError` where a picture of `size` becomes larger on its way than any device draws."""
    for transform in transforms:
        size = transform.size(size)
        if max(size) > MOST_PIXELS:
            raise InputError(
                f"{type(transform).__name__} makes views of {size[0]}x{size[1]} pixels; expected at most {MOST_PIXELS}"
            )


class RunBounds(NamedTuple):
    """What bounds a run of geometric transforms over all draws, which decides how its views are computed.

    Attributes:
      reach: how far it enlarges, as `resample` wants it; None where its gradient by gathering would be a scatter.
        Rounded up to the next that looks at as many view pixels, so that like numbers share a program.
      shears: of its two passes by products, see `products.shears`; None where pixels are gathered.
    """

    reach: float | None
    shears: Bits | None


def bounds(transforms: Sequence[Transform], size: Size) -> tuple[RunBounds, ...]:
    """What bounds each run of geometric transforms.

    Args:
      transforms: of a view, with their numbers.
      size: height and width of the picture.

    Returns:
      One for each run, in their order.
    """
    found = []
    for part in _parts(transforms):
        if isinstance(part, Transform):
            size = part.size(size)
        else:
            sizes = _sizes(part, size)
            # A TPU gathers pixel by pixel; no other device has been found faster by products.
            found.append(RunBounds(_rounded(_reach(part, size)), shears(part, sizes) if on_tpu() else None))
            size = sizes[-1]
    return tuple(found)


def _parts(transforms: Sequence[Transform]) -> Iterator[Sequence[Geometric] | Transform]:
    """Transforms in their order: those that move points in runs, as long as they can be, the others one by one."""
    run: list[Geometric] = []
    for transform in transforms:
        if isinstance(transform, Geometric):
            run.append(transform)
            continue
        if run:
            yield run
        run = []
        yield transform
    if run:
        yield run


def random_view(
    transforms: Sequence[Transform],
    key: jax.Array,
    picture: jax.Array,
    progress: float | jax.Array = 1.0,
    runs: Sequence[RunBounds] | None = None,
    dtype: str = "float32",
) -> jax.Array:
    """One random view of one picture.

    Args:
      transforms: applied in order; none gives the picture itself.
      key: of this view.
      picture: (H, W, C).
      progress: fraction of the steps done, from 0 at the first to 1 at the last; crops become smaller with it.
      runs: the transforms' `bounds`, where their numbers are traced; by default those of their numbers.
      dtype: of the network's arithmetic, and so of a TPU's products; the view is float32 all the same.

    Returns:
      (h, w, C) with (h, w) = `view_size`; 0.5 where the view looks past the picture's edge.
    """
    if not transforms:
        return picture
    left = iter(bounds(transforms, (picture.shape[0], picture.shape[1])) if runs is None else runs)
    keys = iter(jax.random.split(key, len(transforms)))
    for part in _parts(transforms):
        if isinstance(part, Transform):
            picture = part.apply(next(keys), picture)
        else:
            picture = _moved(part, [next(keys) for _ in part], picture, progress, next(left), dtype)
    return picture


def _moved(
    transforms: Sequence[Geometric],
    keys: Sequence[jax.Array],
    picture: jax.Array,
    progress: float | jax.Array,
    bound: RunBounds,
    dtype: str,
) -> jax.Array:
    """The view through a run of geometric transforms, by one interpolation."""
    sizes = _sizes(transforms, (picture.shape[0], picture.shape[1]))

    # A point of the view goes through the last transform first.
    if bound.reach is None and bound.shears is None:
        y, x = jnp.broadcast_arrays(*grid(sizes[-1]))
        for transform, key, size in reversed([*zip(transforms, keys, sizes)]):
            y, x = transform.look(key, y, x, size, progress)
        return sample(picture, y, x)
    matrices = cast(Sequence[AffineMap], transforms)  # of others neither bound is known
    drawn = (transform.matrix(key, size, progress) for transform, key, size in zip(matrices, keys, sizes))
    to_picture = product(jnp.eye(3), *drawn)
    if bound.shears is not None:
        return view_by_products(picture, to_picture, sizes[-1], bound.shears, dtype)
    return resample(picture, to_picture, sizes[-1], cast(float, bound.reach))


def _sizes(transforms: Sequence[Geometric], size: Size) -> list[Size]:
    """Height and width of the picture, and after each of the transforms."""
    return [view_size(transforms[:i], size) for i in range(len(transforms) + 1)]


def _reach(transforms: Sequence[Geometric], size: Size) -> float:
    """Of a run of transforms that are matrices; infinite where one is none."""
    reach = 1.0
    for transform in transforms:
        reach *= transform.reach(size) if isinstance(transform, AffineMap) else math.inf
        size = transform.size(size)
    return reach


def _rounded(reach: float) -> float | None:
    if reach >= MOST_REACH:
        return None
    # Just below where a tap more begins: there are `floor(2 * reach) + 1`.
    return math.nextafter((math.floor(2 * reach) + 1) / 2, 0)
