"""What is counted on the device: intervals of values, pictures drawn by lot, sums beyond 32 bits."""

import contextlib
import fractions
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcircuits.evidence import counting, exact, grid, tally
from jaxcircuits.platforms import traced_for_tpu


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


@pytest.mark.parametrize("way", [counting.by_addition, counting.by_products])
def test_activations_are_counted_as_numpy_counts_them(way, monkeypatch):
    rng = np.random.default_rng(1)
    x = (rng.normal(size=(9, 70, 5)) * 2.0 ** rng.integers(-30, 30, (9, 70, 5))).astype(np.float32)
    x[rng.random(x.shape) < 0.3] = 0
    x[3, :4, 2] = np.inf, -np.inf, 2.0**-24, -1
    real = rng.random(9) < 0.7
    before = rng.integers(0, 1000, (5, grid.INTERVALS)).astype(np.uint32)
    before[4, grid.ZERO] = 2**32 - 1
    expected = before.copy()
    for unit in range(5):
        number = np.asarray(grid.interval(jnp.asarray(x[real, :, unit]))).ravel()
        expected[unit] += np.bincount(number, minlength=grid.INTERVALS).astype(np.uint32)
    for at_once in (counting.EXACT, 64):  # 64: in several parts
        monkeypatch.setattr(counting, "EXACT", at_once)
        got = jax.jit(lambda *arguments: way(*arguments))(before.ravel(), x, real)
        assert got.dtype == np.uint32
        np.testing.assert_array_equal(got, expected.ravel())


def test_a_tpu_counts_by_products():
    arguments = np.zeros(2 * grid.INTERVALS, np.uint32), np.ones((1, 3, 2), np.float32), np.ones(1, bool)
    for context, scatters in ((contextlib.nullcontext(), True), (traced_for_tpu(), False)):
        with context:
            text = str(jax.make_jaxpr(lambda *own: counting.counted(*own))(*arguments))
        assert ("scatter" in text) == scatters and ("dot_general" in text) != scatters


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
