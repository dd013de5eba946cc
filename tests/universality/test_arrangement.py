"""Where weights want inputs and where inputs are: against loops, planted things, and random weights on pictures of
nothing."""

import numpy as np
import pytest
from scipy import ndimage

from jaxcircuits.p_values import among
from jaxcircuits.universality.arrangement import (
    STRONGEST,
    arrangement,
    below_less_above,
    difference_interval,
    halves_of_windows,
    has_kernel,
)


def responded(inputs, weights):
    """What units of given weights answer to maps (N, H, W, channels), the border filled with zeros."""
    margin, size = weights.shape[1] // 2, weights.shape[1]
    padded = np.pad(inputs, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))
    return np.einsum("nijcab,uabc->niju", windows, weights, optimize=True)


def maps(kind, pictures, rng, channels=24, size=8):
    """Activations in which nothing has a place: of their own in every cell, smooth, mostly 0, of uneven strength."""
    noise = rng.normal(size=(pictures, size, size, channels))
    if kind == "smooth":
        noise = ndimage.gaussian_filter(noise, (0, 1.5, 1.5, 0))
    if kind == "sparse":
        noise -= 1.5
    if kind == "uneven":
        noise *= rng.lognormal(sigma=1.0, size=channels)
    return np.maximum(noise, 0)


@pytest.mark.parametrize("window, size, cells", [((3, 3), 9, 9), ((5, 5), 8, 8), ((4, 4), 8, 4), ((7, 5), 12, 6)])
def test_halves_are_means_of_loops(window, size, cells):
    inputs = np.random.default_rng(0).uniform(size=(size, size, 3)).astype(np.float32)
    got = halves_of_windows(inputs, window, (cells, cells))
    half, step = window[0] // 2, size // cells
    for row, column in np.ndindex(cells, cells):
        # The middle of the window is that of the cell, or half a cell below where it falls between two.
        top = int(np.ceil(row * step + step / 2 - window[0] / 2))
        left = int(np.ceil(column * step + step / 2 - window[1] / 2))
        for part, first in zip(got, (top, top + window[0] - half)):
            total = np.zeros(3)
            for i in range(first, first + half):
                for j in range(left, left + window[1]):
                    if 0 <= i < size and 0 <= j < size:
                        total += inputs[i, j]
            np.testing.assert_allclose(part[row, column], total / (half * window[1]), atol=1e-9)


def test_arrangement_is_the_correlation_at_each_units_own_cell():
    rng = np.random.default_rng(1)
    weights, inputs = rng.normal(size=(4, 5, 5, STRONGEST + 20)), rng.uniform(size=(3, 7, 7, STRONGEST + 20))
    answers = rng.uniform(size=(3, 7, 7, 4))
    got = arrangement(weights, inputs, answers)
    for n, u in np.ndindex(3, 4):
        row, column = np.unravel_index(answers[n, :, :, u].argmax(), (7, 7))
        window = np.pad(inputs[n], ((2, 2), (2, 2), (0, 0)))[row : row + 5, column : column + 5]
        seen = window[3:].mean((0, 1)) - window[:2].mean((0, 1))
        wanted = weights[u, 3:].sum((0, 1)) - weights[u, :2].sum((0, 1))
        chosen = np.argsort([-np.sqrt((weights[u, ..., c] ** 2).sum()) for c in range(STRONGEST + 20)])[:STRONGEST]
        assert got[n, u] == pytest.approx(np.corrcoef(seen[chosen], wanted[chosen])[0, 1])
    np.testing.assert_array_equal(arrangement(weights, np.zeros_like(inputs), answers), 0)


def test_kernels_are_those_that_read_above_otherwise_than_below():
    rng = np.random.default_rng(2)
    weights = np.zeros((6, 3, 3, 5))
    weights[0, 1, 1] = rng.normal(size=5)  # 1x1
    weights[1] = rng.normal(size=5)  # a mean over the window
    weights[2] = np.outer([1, 2, 1], [1, 2, 1])[..., None]  # a smoother mean
    weights[3] = rng.normal(size=(3, 3, 5))
    weights[4] = 1e-6 * rng.normal(size=(3, 3, 5))  # weak, but a kernel
    assert has_kernel(weights).tolist() == [False, False, False, True, True, False]
    assert not has_kernel(rng.normal(size=(4, 1, 1, 5))).any()
    assert has_kernel(np.repeat(rng.normal(size=(2, 1, 1, 5)), 4, axis=1)).tolist() == [False, False]
    np.testing.assert_allclose(below_less_above(weights)[3], weights[3, 2].sum(0) - weights[3, 0].sum(0))


@pytest.mark.parametrize("kind", ["noise", "smooth", "sparse", "uneven"])
def test_random_weights_on_pictures_of_nothing_are_not_arranged(kind):
    """Their correlation is above 0 all the same: the cell suits the weights. Ranks and differences show nothing."""
    p_values, above, values = [], [], []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        weights = rng.normal(size=(20, 3, 3, 24)).astype(np.float32)
        one, other = maps(kind, 12, rng), maps(kind, 24, np.random.default_rng(1000 + seed))
        if kind == "uneven":  # the same channels are strong in both
            other = other / other.std((0, 1, 2)) * one.std((0, 1, 2))
        on_one = arrangement(weights, one, responded(one, weights))
        on_other = arrangement(weights[:1], other, responded(other, weights[:1]))[:, 0]
        mean = on_one.mean(0)
        values.append(mean.mean())
        p_values.append(among(mean[0], mean[1:]))
        above.append(difference_interval(on_one[:, 0], on_other)[0] > 0)
    assert np.mean(values) > 0.05
    assert np.mean(np.array(p_values) <= 0.05) <= 0.17 and 0.35 < np.mean(p_values) < 0.7
    assert np.mean(above) <= 0.17


def test_a_planted_thing_is_arranged_where_it_is_shown_and_not_elsewhere():
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(30, 5, 5, 40))
    slope = rng.choice([-1.0, 1.0], 40)
    weights[0] = rng.normal(scale=0.3, size=(5, 5, 40)) + np.array([-1, -1, 0, 1, 1])[:, None, None] * slope
    shown, elsewhere = maps("noise", 10, rng, 40, 10), maps("noise", 30, rng, 40, 10)
    shown[:, 2:4, 3:8] += np.maximum(-slope, 0)
    shown[:, 5:7, 3:8] += np.maximum(slope, 0)
    own = arrangement(weights, shown, responded(shown, weights))
    without = arrangement(weights, elsewhere, responded(elsewhere, weights))
    mean = own.mean(0)
    assert among(mean[0], mean[1:]) == pytest.approx(1 / 30)
    low, high = difference_interval(own[:, 0], without[:, 0])
    assert 0 < low < mean[0] - without[:, 0].mean() < high
    assert difference_interval(without[:, 0], own[:, 0])[1] < 0


def test_an_interval_is_that_of_both_sets_and_repeats():
    rng = np.random.default_rng(4)
    first, second = rng.normal(1, 1, 400), rng.normal(0, 2, 100)
    low, high = difference_interval(first, second)
    middle, width = first.mean() - second.mean(), 1.96 * np.sqrt(first.var() / 400 + second.var() / 100)
    assert low == pytest.approx(middle - width, abs=0.05) and high == pytest.approx(middle + width, abs=0.05)
    assert (low, high) == difference_interval(first, second) != difference_interval(first, second, seed=1)
    assert among(2.0, np.array([1.0, 2.0, 3.0])) == 0.75 and among(9.0, np.zeros(0)) == 1.0
    # What is no number is as large as anything; equal but for rounding is equal; infinity is a value.
    assert among(np.nan, np.zeros(9)) == 1.0 and among(1.0, np.full(9, np.nan)) == 1.0
    assert among(1 / 3, np.full(9, 1 / 3 - 1e-12)) == 1.0 and among(0.0, np.full(9, -1e-9)) == 0.1
    assert among(np.inf, np.full(9, np.inf)) == 1.0 and among(np.inf, np.zeros(9)) == 0.1
