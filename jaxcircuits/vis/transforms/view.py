"""A random view of a picture: runs of geometric transforms folded into one resample, the others between them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import MOST_PIXELS, InputError
from jaxcircuits.platforms import on_tpu
from jaxcircuits.vis.transforms.base import AffineMap, Geometric, Size, Transform, product
from jaxcircuits.vis.transforms.products import Bits, shears, view_by_products
from jaxcircuits.vis.transforms.resample import grid, resample, sample

Places = jax.Array | tuple[jax.Array, jax.Array]
"""Of a view's pixels in the picture: the (3, 3) matrix that maps (y, x, 1) of the one to the other, both in pixels from
the center; or, where no matrix does, y and x of each, (h, w)."""

Draws = tuple[Places, ...]
"""What chance decides of a view, for each part of its transforms: the places of a run of geometric ones, the random key
of any other."""

EXPECTED = {
    "apply": ("key", "picture"),
    "look": ("key", "y", "x", "size", "progress"),
    "matrix": ("key", "size", "progress"),
}
"""The arguments of the methods that a transform of one's own may have."""

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
    size = (picture.shape[0], picture.shape[1])
    runs = bounds(transforms, size) if runs is None else runs
    return view(transforms, draws(transforms, key, size, progress, runs), picture, runs, dtype)


def draws(
    transforms: Sequence[Transform],
    key: jax.Array,
    size: Size,
    progress: float | jax.Array,
    runs: Sequence[RunBounds],
) -> Draws:
    """All that chance decides of one view, which no picture has a part in.

    Args:
      transforms: as for `random_view`, like the other arguments.
      key: likewise.
      size: height and width of the picture.
      progress: likewise.
      runs: likewise.
    """
    if not transforms:
        return ()
    keys, left = iter(jax.random.split(key, len(transforms))), iter(runs)
    found = []
    for part in _parts(transforms):
        if isinstance(part, Transform):
            found.append(next(keys))
            size = part.size(size)
        else:
            sizes = _sizes(part, size)
            found.append(_places(part, [next(keys) for _ in part], sizes, progress, next(left)))
            size = sizes[-1]
    return tuple(found)


def view(
    transforms: Sequence[Transform], drawn: Draws, picture: jax.Array, runs: Sequence[RunBounds], dtype: str
) -> jax.Array:
    """The view of one picture that `draws` has decided.

    Args:
      transforms: as for `random_view`, like the other arguments.
      drawn: of this view.
      picture: likewise.
      runs: likewise.
      dtype: likewise.

    Returns:
      As `random_view`.
    """
    left = iter(runs)
    for part, one in zip(_parts(transforms), drawn, strict=True):
        if isinstance(part, Transform):
            picture = _checked(part, "apply", picture.shape, cast(jax.Array, one), picture)
        else:
            size = view_size(part, (picture.shape[0], picture.shape[1]))
            picture = _seen(picture, one, size, next(left), dtype)
    return picture


def _checked(transform: Transform, method: str, shape: tuple[int, ...], *arguments: Any) -> Any:
    """What a method of a transform, which may be somebody's own, gives; raises `InputError` for another shape."""
    call = getattr(transform, method)
    name = f"transform {type(transform).__name__}: its {method}({', '.join(EXPECTED[method])})"
    try:
        given = call(*arguments)
        found = (len(given), *np.broadcast_shapes(*map(np.shape, given))) if method == "look" else np.shape(given)
    except (TypeError, ValueError, AttributeError, LookupError, NotImplementedError) as error:
        said = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{name} cannot be run ({said})") from error
    if found != shape:
        raise InputError(f"{name} gives an array of shape {found}; expected {shape}")
    return given


def _places(
    transforms: Sequence[Geometric],
    keys: Sequence[jax.Array],
    sizes: Sequence[Size],
    progress: float | jax.Array,
    bound: RunBounds,
) -> Places:
    """Where the pixels of a view through a run of geometric transforms lie in the picture."""
    # A point of the view goes through the last transform first.
    if bound.reach is None and bound.shears is None:
        y, x = jnp.broadcast_arrays(*grid(sizes[-1]))
        for transform, key, size in reversed([*zip(transforms, keys, sizes)]):
            y, x = _checked(transform, "look", (2, *y.shape), key, y, x, size, progress)
        return y, x
    matrices = cast(Sequence[AffineMap], transforms)  # of others neither bound is known
    drawn = (_checked(one, "matrix", (3, 3), key, size, progress) for one, key, size in zip(matrices, keys, sizes))
    return product(jnp.eye(3), *drawn)


def _seen(picture: jax.Array, places: Places, size: Size, bound: RunBounds, dtype: str) -> jax.Array:
    """The view of a picture at some places, by one interpolation."""
    if isinstance(places, tuple):
        return sample(picture, *places)
    if bound.shears is not None:
        return view_by_products(picture, places, size, bound.shears, dtype)
    return resample(picture, places, size, cast(float, bound.reach))


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
