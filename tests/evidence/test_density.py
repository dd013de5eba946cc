"""Density and tails against scipy's distributions, and branches against the published tests and exact fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

import jaxcircuits as jc
from jaxcircuits import evidence

RNG = np.random.default_rng(2)


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.15])
def test_tail_finds_the_shape_that_was_drawn(shape):
    values = stats.genpareto.rvs(shape, scale=2.0, size=(400, 30), random_state=3) + 5
    found = evidence.tail(values, 5.0)
    assert found.count == values.size and found.pictures == 400
    assert found.shape_interval[0] < shape < found.shape_interval[1]
    assert found.shape_interval[0] <= found.shape <= found.shape_interval[1]
    assert found.rate == pytest.approx(1 / (values - 5).mean())
    expected = stats.kstest((values - 5).ravel(), stats.expon(scale=1 / found.rate).cdf).statistic
    assert found.distance == pytest.approx(expected, abs=1e-12)
    assert (found.distance < 0.012) == (shape == 0)


def test_tail_of_a_part():
    """An exponential forgets where one began to look."""
    values = RNG.exponential(3.0, (300, 50))
    for threshold in (0.0, 2.0, 8.0):
        found = evidence.tail(values, threshold)
        assert found.count == (values > threshold).sum()
        assert found.rate_interval[0] < 1 / 3 < found.rate_interval[1]


def test_intervals_hold_where_places_of_a_picture_are_alike():
    """Each picture has a scale of its own, so that places say less than they seem to: pictures are resampled."""
    covered = narrow = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        # A gamma scale makes a known mean of 1; places alone would promise a tenth of this interval.
        values = rng.exponential(rng.gamma(4, 1 / 4, (60, 1)), (60, 200))
        found = evidence.tail(values, 0.0, resamples=300)
        covered += found.rate_interval[0] < 1 < found.rate_interval[1]
        narrow += abs(found.rate - 1) > 2 / np.sqrt(values.size)
    # Of 60 intervals at 95 %, fewer than 50 have a probability below 0.001; naive ones fail mostly.
    assert covered >= 50 and narrow > 30


@pytest.mark.parametrize(
    "values, options, message",
    [
        (np.full((9, 4), np.nan), {}, "expected finite"),
        (np.ones((20, 2)), {}, "0 activations above 2"),
        (np.full((3, 90), 4.0), {}, "270 activations above 2, in 3 pictures"),
        (np.full((30, 9), 4.0), {"level": 95}, "level 95"),
        (np.full((30, 9), 4.0), {"resamples": 0}, "resamples 0"),
    ],
)
def test_bad_tails(values, options, message):
    with pytest.raises(jc.InputError, match=message):
        evidence.tail(values, 2.0, **options)


def test_log_density(tiny):
    pictures = RNG.uniform(size=(20, 16, 16, 3)).astype(np.float32)
    examples = evidence.examples(tiny, pictures, "relu", progress=False)["relu"]
    answers = np.asarray(tiny.activations(pictures, "relu")["relu"])[..., 4].ravel()
    ends, density = evidence.log_density(examples, 4)
    inside = [np.mean((answers >= low) & (answers < high)) for low, high in ends]
    np.testing.assert_allclose(10**density * np.diff(ends)[:, 0], inside, rtol=1e-6)
    assert np.sum(inside) == pytest.approx(np.mean(answers > 0))


def exact(successes, size, layer, chosen):
    """The hypergeometric tail in whole numbers."""
    total = sum(math.comb(size, k) * math.comb(layer - size, chosen - k) for k in range(successes, chosen + 1))
    return Fraction(total, math.comb(layer, chosen))


MIXED3A = [evidence.Branch(*row) for row in (("1x1", 0, 64), ("3x3", 64, 192), ("5x5", 192, 224), ("pool", 224, 256))]
MIXED3B = [evidence.Branch(*row) for row in (("1x1", 0, 128), ("3x3", 128, 320), ("5x5", 320, 416), ("pool", 416, 480))]


def test_published_branch_tests():
    """Voss et al., Branch Specialization: 9 of 9, p = 2.5e-9, and 30 of 30, p = 1.7e-23."""
    found = evidence.branch_test(MIXED3A, range(192, 201))
    assert found.p_values[2] == pytest.approx(2.5e-9, rel=0.02) and found.best.name == "5x5"
    assert found.counts.tolist() == [0, 0, 9, 0] and found.p_value == pytest.approx(4 * found.p_values[2])
    assert evidence.branch_test(MIXED3B, range(330, 360)).p_values[2] == pytest.approx(1.7e-23, rel=0.03)


@pytest.mark.parametrize("seed", range(4))
def test_branch_test_is_exact(seed):
    units = np.random.default_rng(seed).choice(480, 23, replace=False)
    found = evidence.branch_test(MIXED3B, units)
    for branch, count, p_value in zip(MIXED3B, found.counts, found.p_values):
        assert count == sum(branch.start <= unit < branch.stop for unit in units)
        assert p_value == pytest.approx(float(exact(count, branch.stop - branch.start, 480, 23)), rel=1e-9)
    assert 0 < found.p_value <= 1


def test_branches_of_a_network(small):
    found = evidence.branches(small, "mixed4e")
    assert [branch.name for branch in found] == [f"mixed4e_{part}" for part in ("1x1", "3x3", "5x5", "pool_reduce")]
    assert found[0].start == 0 and found[-1].stop == small.layers["mixed4e"].channels
    picture = RNG.uniform(size=(1, 64, 64, 3)).astype(np.float32)
    seen = small.activations(picture, ["mixed4e", *(branch.name for branch in found)])
    for branch in found:
        np.testing.assert_array_equal(seen["mixed4e"][..., branch.start : branch.stop], seen[branch.name])
    for layer in ("conv2d2", "mixed4e_1x1"):
        with pytest.raises(jc.InputError, match=f"{layer} is not put together from branches"):
            evidence.branches(small, layer)


@pytest.mark.parametrize("units", [[], [3, 3], [480], [-1], [0.5], [[1, 2]]])
def test_bad_families(units):
    with pytest.raises(jc.InputError, match="units"):
        evidence.branch_test(MIXED3B, units)
