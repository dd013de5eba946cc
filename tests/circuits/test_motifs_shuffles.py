"""What shuffles of weights keep and what they destroy, and the p-values that are made of their scores."""

import numpy as np
import pytest

from jaxcircuits.circuits.motifs.null import (
    Scored,
    against_search,
    null_scores,
    shuffled,
    strengths,
    with_random_signs,
    within_channels,
    within_places,
    within_units,
)


def gaussian(rng, units, size, channels):
    return rng.normal(size=(units, size, size, channels))


def test_scores_of_several_ways():
    """The higher of both ways at each shuffle, each shuffle with a generator of its own."""
    ways = [lambda rng: rng.normal(size=3), lambda rng: rng.normal(size=3) + 1]
    found = null_scores(lambda values: values, ways, 5, 2)
    for row, rng in zip(found, np.random.default_rng(2).spawn(5)):
        np.testing.assert_array_equal(row, np.maximum(rng.normal(size=3), rng.normal(size=3) + 1))
    assert found.shape == (5, 3)


def test_correction_against_a_loop():
    rng = np.random.default_rng(0)
    widths = np.array([1, 1, 9, 9, 0, 1])
    scores, nulls = rng.normal(size=6) * widths, rng.normal(size=(30, 6)) * widths
    scores[1] = 5
    rows = np.array([scores, *nulls])

    def standing_out(row, i):
        return (rows[row, i] - rows[:, i].mean()) / rows[:, i].std() if rows[:, i].any() else 0.0

    found = against_search(scores, nulls)
    for i in range(6):
        as_much = sum(max(standing_out(row, k) for k in range(6)) >= standing_out(0, i) for row in range(1, 31))
        assert found[i] == pytest.approx((1 + as_much) / 31)
    assert found[1] == pytest.approx(1 / 31)
    assert found[4] == 1  # never differs


def test_single_p_values():
    """Counts, ties with rounding among them; and nothing stands out where all are equal."""
    null = np.array([0.1, 0.3, 0.2, 0.3])
    for score, p in {0.3: 3 / 5, 0.3 * (1 + 1e-8): 3 / 5, 0.301: 1 / 5, 0.05: 1}.items():
        assert Scored(score=score, null=null, adjusted_p_value=1).p_value == pytest.approx(p)
    flat = Scored(score=0.3, null=np.full(4, 0.3), adjusted_p_value=1)
    assert (flat.p_value, flat.z) == (1, 0)
    assert Scored(score=0.4, null=np.full(4, 0.3), adjusted_p_value=1).z == np.inf
    assert against_search(np.full(2, 0.3), np.full((4, 2), 0.3 + 1e-9)).tolist() == [1, 1]


def test_shuffles_within_channels():
    """Each channel has the slices it had, as they lie, up to the strengths of units; of the same kernel and group."""
    rng = np.random.default_rng(0)
    weights = gaussian(rng, 9, 3, 8).astype(np.float32)
    weights[:4, [0, 2]] = weights[:4, :, [0, 2]] = 0  # kernels of one cell
    weights[2:6, :, :, 3] = 0  # read by the others alone
    weights[5] *= 100
    mixed = within_channels(weights)(np.random.default_rng(1))
    assert not np.allclose(mixed, weights, rtol=0.5)
    np.testing.assert_array_equal(mixed.any((1, 2)), weights.any((1, 2)))
    for kernels in (range(4), range(4, 9)):
        old, new = (of[kernels].transpose(3, 0, 1, 2).reshape(8, len(kernels), 9) for of in (weights, mixed))
        for one, other in zip(old, new):
            unit = [x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (one, other)]
            cosines = unit[0] @ unit[1].T
            if kernels[0] == 4:  # slices of one cell differ by sign alone
                read = unit[0].any(1)
                np.testing.assert_allclose(np.sort(cosines.max(1)[read]), 1, atol=1e-5)
    assert not mixed[:4, [0, 2]].any()
    sizes = np.linalg.norm(mixed.reshape(9, -1), axis=1)
    assert sizes[5] > 30 * np.delete(sizes, 5).max()


def test_shuffles_within_channels_keep_equally_strong_ones_exactly():
    weights = np.random.default_rng(0).choice([-1.0, 1.0], (7, 3, 3, 5))
    mixed = within_channels(weights)(np.random.default_rng(1))
    assert not np.array_equal(mixed, weights)
    np.testing.assert_allclose(np.sort(mixed, axis=0), np.sort(weights, axis=0))


def test_shuffles_within_units():
    """Each unit has the slices it had, up to pose and the strengths of channels."""
    weights = gaussian(np.random.default_rng(0), 60, 3, 9)
    weights[..., 2] *= 50
    mixed = within_units(weights)(np.random.default_rng(1))
    old, new = (np.linalg.norm(of, axis=(1, 2)) for of in (weights, mixed))
    np.testing.assert_allclose(np.log(new).mean(0), np.log(old).mean(0), atol=0.2)
    for before, after in zip(weights, mixed):
        posed = [np.sort(of.reshape(9, 9), axis=0).T for of in (before, after)]
        posed = [of / np.linalg.norm(of, axis=1, keepdims=True) for of in posed]
        np.testing.assert_allclose((posed[0] @ posed[1].T).max(1), 1, atol=1e-6)


def test_random_signs():
    weights = gaussian(np.random.default_rng(0), 8, 3, 9)
    mixed = with_random_signs(weights)(np.random.default_rng(1))
    signs = mixed / weights
    np.testing.assert_array_equal(signs, np.broadcast_to(signs[:, :1, :1], signs.shape))
    assert set(signs.ravel()) == {-1, 1}


@pytest.mark.parametrize("density", [1.0, 0.6, 0.3])
def test_strengths(density):
    """Against least squares by a matrix: slices that are read are products of two strengths and noise."""
    rng = np.random.default_rng(0)
    rows, columns = rng.normal(size=24), rng.normal(size=12)
    read = rng.random((24, 12)) < density
    read[np.arange(24), rng.integers(12, size=24)] = True
    logs = rows[:, None] + columns + 0.01 * rng.normal(size=(24, 12))
    units, channels = (np.log(of) for of in strengths(np.where(read, np.exp(logs), 0)))
    row, column = np.nonzero(read)
    design = np.concatenate([np.eye(24)[row], np.eye(12)[column]], axis=1)
    fit = np.linalg.lstsq(design, logs[read], rcond=None)[0]
    for found, expected in ((units, fit[:24]), (channels, fit[24:])):
        np.testing.assert_allclose(found, expected - expected.mean(), atol=2e-3)


def test_strengths_of_equals():
    """Nothing is made of differences that chance explains; and no slices at all are borne."""
    norms = np.random.default_rng(0).lognormal(size=(500, 400))
    for found in strengths(norms):
        assert np.log(found).std() < 0.03
    for found in strengths(np.zeros((3, 4))):
        assert (found == 1).all()


def test_shuffles_within_places():
    """A unit reads each place as strongly as it did, up to which slices came there; where nothing was, nothing is."""
    rng = np.random.default_rng(0)
    weights = (gaussian(rng, 3, 5, 4000) * rng.gamma(1, size=(3, 5, 5, 1))).astype(np.float32)
    weights[..., :3] *= 30
    weights[1, :2] = 0
    mixed = within_places(weights)(np.random.default_rng(1))
    assert not mixed[1, :2].any()
    old, new = (np.abs(w[::2, :, :, :]).mean(3) / np.abs(w[::2]).mean() for w in (weights, mixed))
    np.testing.assert_allclose(new, old, rtol=0.15)
    assert not np.allclose(mixed, weights, rtol=0.5)


@pytest.mark.parametrize("shape", [(3, 3), (2, 5)], ids=["square", "oblong"])
def test_poses(shape):
    """All ways a window lies on itself, and no other."""
    one = np.arange(np.prod(shape), dtype=np.float32).reshape(1, *shape, 1)
    many = np.repeat(one, 200, axis=0)
    found = {w.tobytes() for w in shuffled(many, np.random.default_rng(0))}
    turns = range(4) if shape[0] == shape[1] else (0, 2)
    posed = [np.rot90(one[0], k)[:, ::step] for k in turns for step in (1, -1)]
    assert found == {np.ascontiguousarray(pose).tobytes() for pose in posed}
