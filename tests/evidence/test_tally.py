"""What is counted on the device: intervals of values, pictures drawn by lot, sums beyond 32 bits."""

import fractions
import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.evidence import exact, grid, tally


def test_intervals_hold_every_float():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**32, 200_000, dtype=np.uint32).view(np.float32)
    ends = grid.bounds().ravel()
    ends = ends[np.isfinite(ends)].astype(np.float32)
    values = np.concatenate(
        [values[np.isfinite(values)], ends, np.nextafter(ends, np.inf), np.nextafter(ends, -np.inf)]
    )
    number = np.asarray(jax.jit(grid.interval)(values))
    low, high = grid.bounds()[number].T
    # XLA takes numbers below the smallest normal one for 0.
    small = np.abs(values) < np.finfo(np.float32).tiny
    assert ((low <= values) & (values <= high))[~small].all()
    inner = ~small & (number > 0) & (number < grid.INTERVALS - 1)
    assert (np.where(values > 0, values < high, values > low) | (number == grid.ZERO))[inner].all()
    assert ((number == grid.ZERO) == (values == 0))[~small].all()
    assert (np.diff(number[np.argsort(values, kind="stable")])[~small[np.argsort(values)][1:]] >= -1).all()


def test_every_picture_draws_another_lot():
    """The hash is undone step by step, as only one that loses nothing can be."""
    pictures = np.random.default_rng(0).integers(0, 2**31, 100_000)
    x = np.asarray(tally.lot(pictures), np.uint64)
    mask = np.uint64(0xFFFFFFFF)
    x = x ^ (x >> np.uint64(16))
    x = (x * np.uint64(pow(0xC2B2AE35, -1, 2**32))) & mask
    x = x ^ (x >> np.uint64(13)) ^ (x >> np.uint64(26))
    x = (x * np.uint64(pow(0x85EBCA6B, -1, 2**32))) & mask
    x = x ^ (x >> np.uint64(16))
    np.testing.assert_array_equal(x ^ np.uint64(0x9E3779B9), pictures)


def test_counts_and_sums_go_on_where_32_bits_end():
    counts = np.array([2**31 - 1, 12345, 0])
    step = jax.jit(lambda count: count.add(jnp.asarray(counts, jnp.int32)))
    count = exact.Count.zero((3,))
    for _ in range(50):
        count = step(count)
    assert count.value().tolist() == (50 * counts).tolist() and count.value()[0] > 2**36
    numbers = np.random.default_rng(0).normal(1, 10, 20_000).astype(np.float32)
    total, _ = jax.lax.scan(lambda sum_, number: (sum_.add(number), None), exact.Sum.zero(()), numbers)
    wanted = float(sum(map(fractions.Fraction, numbers.tolist())))
    assert math.isclose(float(total.value()), wanted, rel_tol=1e-10)
    assert abs(float(np.cumsum(numbers, dtype=np.float32)[-1]) - wanted) > 1e-7 * wanted
