"""What a transform is: one random change of one picture, as data that a recipe can hold."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import MOST_PIXELS, InputError, real, shown, whole
from jaxcircuits.platforms import by_platform
from jaxcircuits.vis.parts import Part
from jaxcircuits.vis.selection import selected

Size = tuple[int, int]

LARGEST = 1e6
"""Of a transform's numbers: pixels, degrees, factors; beyond it there is nothing to see in a view."""

MOST_CHOICES = 10_000
"""Numbers of which one is chosen at random."""


class Transform(Part):
    """A random change of one picture (H, W, C), of any number of channels; a frozen, hashable dataclass."""

    def size(self, size: Size) -> Size:
        """Height and width of the view, from those of the picture."""
        return size

    def apply(self, key: jax.Array, picture: jax.Array) -> jax.Array:
        """The changed picture, of the same shape; those that move points say where instead, see `Geometric`."""
        raise NotImplementedError


class Geometric(Transform):
    """A transform that moves points: positions are (y, x) in pixels from the center, y downwards."""

    def look(
        self, key: jax.Array, y: jax.Array, x: jax.Array, size: Size, progress: float | jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Where points of the view lie in the picture.

        Args:
          key: of this view.
          y: of the points, in pixels from the center of the view; any shape.
          x: likewise.
          size: height and width of the picture.
          progress: fraction of the steps done, from 0 to 1.

        Returns:
          y and x in pixels from the center of the picture.
        """
        raise NotImplementedError


class LinearBounds(NamedTuple):
    """Bounds of the linear part of a random affine matrix over all draws; it is written as a zoom times a 2x2 matrix.

    Attributes:
      zoom: upper bound of the zoom.
      least: (2,), lower bounds of the magnitudes on the diagonal of the 2x2 matrix.
      most: (2, 2), upper bounds of the magnitudes of its entries.
    """

    zoom: float
    least: np.ndarray
    most: np.ndarray

    def __matmul__(self, other: LinearBounds) -> LinearBounds:
        """Bounds of the products of such matrices with others."""
        aside = np.array([self.most[0, 1] * other.most[1, 0], self.most[1, 0] * other.most[0, 1]])
        least = np.maximum(self.least * other.least - aside, 0)
        return LinearBounds(self.zoom * other.zoom, least, self.most @ other.most)


def zoomed(zoom: float) -> LinearBounds:
    """Bounds of a matrix that does no more than shift, mirror, and show `zoom` times as much at most."""
    return LinearBounds(zoom, np.ones(2), np.eye(2))


class AffineMap(Geometric):
    """A geometric transform that is a matrix. By itself it changes nothing."""

    def matrix(self, key: jax.Array, size: Size, progress: float | jax.Array) -> jax.Array:
        """A random (3, 3) matrix from view to picture positions (y, x, 1); arguments as of `look`."""
        return jnp.eye(3)

    def reach(self, size: Size) -> float:
        """Upper bound of how far apart, in view pixels along one axis, picture pixels one pixel apart come to lie.

        It bounds the largest absolute row sum of the inverse matrix's 2x2 part, so reaches of a chain multiply.
        """
        return 1.0

    def bounds(self, size: Size) -> LinearBounds | None:
        """Bounds of the matrix's linear part, for pictures of `size`; None where they are not known."""
        return None

    def look(self, key, y, x, size, progress):
        return moved(self.matrix(key, size, progress), y, x)


class Photometric(Transform):
    """A transform that changes values and leaves every pixel at its place, by its `apply`."""


def moved(matrix: jax.Array, y: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Where a (3, 3) affine matrix takes points."""
    y, x = (matrix[axis, 0] * y + matrix[axis, 1] * x + matrix[axis, 2] for axis in (0, 1))
    return y, x


def matrix_of(linear: jax.Array, shift: jax.Array) -> jax.Array:
    """The (3, 3) affine matrix of a linear part (2, 2) and a shift (2,)."""
    return jnp.concatenate([jnp.column_stack([linear, shift]), jnp.array([[0.0, 0.0, 1.0]])])


def inverse(matrix: jax.Array) -> jax.Array:
    """The inverse of a (3, 3) affine matrix.

    By its formula: a GPU would call a library for the factors of each, and do nothing else meanwhile.
    """
    (a, b), (c, d) = matrix[0, :2], matrix[1, :2]
    linear = jnp.array([[d, -b], [-c, a]]) / (a * d - b * c)
    return matrix_of(linear, -(linear * matrix[:2, 2]).sum(1))


def product(*matrices: jax.Array) -> jax.Array:
    """The product of float32 matrices, which by themselves a TPU would round to bfloat16 first and a GPU to TF32."""
    return functools.reduce(functools.partial(jnp.matmul, precision="highest"), matrices)


Range = tuple[float, float]
"""Least and largest value of what is drawn uniformly between them."""


def draw(key: jax.Array, between: Range) -> jax.Array:
    """One number, uniformly from a range."""
    return jax.random.uniform(key, (), minval=between[0], maxval=between[1])


def choose(key: jax.Array, choices: tuple[float, ...] | jax.Array) -> jax.Array:
    """One of several numbers, each as likely: the one that `jax.random.choice` draws."""

    def by_selection(key: jax.Array, values: jax.Array) -> jax.Array:
        return selected(values, jax.random.randint(key, (), 0, len(values)))

    values = jnp.asarray(choices, jnp.float32)
    return by_platform(key, values, tpu=by_selection, default=jax.random.choice)


def is_off(number: float | jax.Array) -> bool:
    """Whether a number is 0 by a recipe's structure; a traced one never is."""
    return isinstance(number, (int, float)) and number == 0


def check_number(transform: Transform, field: str, least: float = -math.inf, most: float = math.inf) -> None:
    """Raises an `InputError` where a field is no number from `least` to `most`."""
    _put(
        transform,
        field,
        _number(transform, field, getattr(transform, field), f"a number{_bounds(least, most)}", least, most),
    )


def check_whole(transform: Transform, field: str, least: int = 0, most: int = MOST_PIXELS) -> None:
    """Raises an `InputError` where a field is no whole number from `least` to `most`."""
    value, name = getattr(transform, field), f"{type(transform).__name__}: {field}"
    if whole(value, name, least) > most:
        raise InputError(f"{name} {shown(value)}; expected at most {most}")
    _put(transform, field, whole(value, name, least))


def check_range(transform: Transform, field: str, least: float = -math.inf, most: float = math.inf) -> None:
    """Makes a field a tuple; raises an `InputError` where it is no (low, high) within `least` and `most`."""
    expected = f"(low, high){_bounds(least, most)}"
    values = _as_tuple(transform, field, expected, least, most)
    if len(values) != 2 or values[0] > values[1]:
        raise _error(transform, field, expected)
    _put(transform, field, values)


def check_choices(transform: Transform, field: str, least: float = -math.inf) -> None:
    """Makes a field a tuple; raises an `InputError` where it is empty or holds anything but numbers from `least` on."""
    _put(transform, field, _as_tuple(transform, field, f"one or more numbers{_bounds(least, math.inf)}", least))


def _put(transform: Transform, field: str, value: object) -> None:
    object.__setattr__(transform, field, value)


def _as_tuple(
    transform: Transform, field: str, expected: str, least: float = -math.inf, most: float = math.inf
) -> tuple[float, ...]:
    """A field's numbers, of which there has to be one, as Python's own."""
    value = getattr(transform, field)
    values = tuple(value) if isinstance(value, Iterable) and not isinstance(value, (str, bytes, dict)) else ()
    if len(values) > MOST_CHOICES:
        raise InputError(f"{type(transform).__name__}: {len(values):,} {field}; expected at most {MOST_CHOICES:,}")
    if not values:
        raise _error(transform, field, expected)
    return tuple(_number(transform, field, one, expected, least, most) for one in values)


def _number(transform: Transform, field: str, value: object, expected: str, least: float, most: float) -> float:
    """A number as Python's own; a whole one stays whole, as it is in a recipe's JSON."""
    if isinstance(value, (int, float)) and LARGEST < abs(value) < math.inf:
        raise InputError(f"{type(transform).__name__}: {field} {shown(value)}; expected at most {LARGEST:g}")
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    try:
        return real(value, field, expected, lambda number: least <= number <= most)
    except InputError:
        raise _error(transform, field, expected) from None


def _bounds(least: float, most: float) -> str:
    low = f" from {least:g}" if math.isfinite(least) else ""
    return f"{low} to {most:g}" if math.isfinite(most) else f"{low} on" if low else ""


def _error(transform: Transform, field: str, expected: str) -> InputError:
    return InputError(f"{type(transform).__name__}: {field} {shown(getattr(transform, field))}; expected {expected}")
