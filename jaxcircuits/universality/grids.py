"""Maps of two sizes at one grid: sums over the finer grid's cells, without ever making the coarser map fine.

Bilinear enlargement is a matrix along each axis. Where A and B bring the maps x and y to one grid, the sum over its
cells of (A x)(B y) is the sum over x's own cells of x (A'B y): the product is taken at the smaller grid, whose cells
are often a sixteenth of the larger one's, and is the same number.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

Grid = tuple[int, int]
"""Rows and columns."""


@functools.lru_cache(maxsize=256)
def enlargement(cells: int, larger: int) -> np.ndarray:
    """The matrix float64 (larger, cells) of linear interpolation between the cells' middles, constant beyond them."""
    place = np.clip((np.arange(larger) + 0.5) * cells / larger - 0.5, 0, cells - 1)
    left = np.minimum(np.floor(place).astype(int), max(cells - 2, 0))
    matrix = np.zeros((larger, cells))
    matrix[np.arange(larger), left] = 1 - (place - left)
    matrix[np.arange(larger), np.minimum(left + 1, cells - 1)] += place - left
    return matrix


def common(first: Grid, second: Grid) -> Grid:
    """The grid at which two maps are compared: the larger one's."""
    return max(first[0], second[0]), max(first[1], second[1])


def onto(x: jax.Array, at: Grid, grid: Grid) -> jax.Array:
    """A map y (n, h, w, units) as A'B y, for maps x of the grid `at` that are compared with it at `grid`.

    Args:
      x: the map y.
      at: of x.
      grid: of the comparison, at least as large as both.

    Returns:
      (n, *at, units).
    """
    for axis, letters in ((0, "Hh,nhwc->nHwc"), (1, "Ww,nhwc->nhWc")):
        matrix = enlargement(at[axis], grid[axis]).T @ enlargement(x.shape[1 + axis], grid[axis])
        if not np.array_equal(matrix, np.eye(*matrix.shape)):
            x = jnp.einsum(letters, jnp.asarray(matrix, jnp.float32), x, precision=jax.lax.Precision.HIGHEST)
    return x


def total(x: jax.Array, grid: Grid) -> jax.Array:
    """The sum over pictures and the cells of a grid of maps (n, h, w, units) brought to it; (units,)."""
    rows, columns = (enlargement(cells, larger).sum(0) for cells, larger in zip(x.shape[1:3], grid))
    return (x * jnp.asarray(rows[:, None, None] * columns[:, None], jnp.float32)).sum((0, 1, 2))


def product(x: jax.Array, y: jax.Array) -> jax.Array:
    """Sums over pictures and cells of every unit's product with every other's, (units of x, units of y)."""
    # As one product of matrices: over three axes, some CPUs add the cells up one by one, with ten times the rounding.
    x, y = (z.reshape(-1, z.shape[-1]) for z in (x, y))
    return jnp.matmul(x.T, y, precision=jax.lax.Precision.HIGHEST)
