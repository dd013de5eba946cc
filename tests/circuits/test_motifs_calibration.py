"""Motifs' p-values where there is nothing to find: uniform, for one chosen before looking and for the best of a list.

The weights are random, of shapes and margins as trained ones have them: units and channels of unlike strength, few
strong slices among many weak ones, kernels of several sizes side by side, units that two inputs dominate. A p-value
that asks another question than "is there an arrangement" is not uniform on them.
"""

import numpy as np
import pytest
from scipy import stats

from jaxcircuits.circuits import direct_weights, expanded_weights, motifs
from jaxcircuits.circuits.motifs.null import (
    Scored,
    against_search,
    margins,
    shuffled,
    with_margins,
    within_margins,
    within_places,
)

DRAWS, SHUFFLES = 200, 19
LEAST = 0.01
"""Of the Kolmogorov-Smirnov test's own p-value; the draws are always the same."""


def gaussian(rng, units, size, channels):
    return rng.normal(size=(units, size, size, channels))


def like_trained(rng, units, size, channels):
    """Margins of inceptionv1-2015: the standard deviations of logarithms are those of mixed4a to mixed4d."""
    weights = gaussian(rng, units, size, channels)
    weights *= rng.lognormal(sigma=0.4, size=(units, 1, 1, 1))
    weights *= rng.lognormal(sigma=0.15, size=channels)
    weights *= rng.lognormal(sigma=0.6, size=(units, 1, 1, channels))
    # Branches of one block: kernels of 1x1, 3x3, ... in one window, and most are 3x3.
    middle = size // 2
    reach = rng.choice(middle + 1, units, p={0: [1], 1: [0.3, 0.7], 2: [0.3, 0.55, 0.15]}[middle])
    away = np.abs(np.indices((size, size)) - middle).max(0)
    weights *= (away <= reach[:, None, None])[..., None]
    # One unit in ten is dominated by two inputs.
    for unit in range(0, units, 10):
        weights[unit][..., rng.choice(channels, 2, replace=False)] *= 10
    return weights


WEIGHTS = {"Gaussian": gaussian, "like trained": like_trained}


def unit_of(found, unit):
    (chosen,) = (one for one in found if one.unit == unit)
    return chosen


def p_boundaries(weights, rng, seed):
    found = motifs.boundaries(weights(rng, 20, 5, 24), count=20, shuffles=SHUFFLES, seed=seed)
    # A kernel of one cell has no sides: nothing to compare.
    with_sides = min((one.unit for one in found if one.score), default=None)
    return unit_of(found, with_sides).p_value, found[0].adjusted_p_value


def p_unions(weights, rng, seed):
    first, second = weights(rng, 30, 3, 16), weights(rng, 80, 3, 30)
    found = motifs.unions(first, second, count=80, strongest=8, shuffles=SHUFFLES, seed=seed)
    return unit_of(found, seed % 80).p_value, found[0].adjusted_p_value


def p_superpositions(weights, rng, seed):
    drawn = weights(rng, 50, 3, 25)
    drawn[..., 0] *= 1.3
    found = motifs.superpositions(drawn, shuffles=SHUFFLES, seed=seed)
    (stronger,) = (one for one in found if one.source == 0)
    return stronger.p_value, found[0].adjusted_p_value


def p_rotation_order(weights, rng, seed):
    _, found = motifs.rotation_order(weights(rng, 4, 3, 6), shuffles=SHUFFLES, seed=seed)
    return found[4].p_value, min(one.adjusted_p_value for one in found.values())


def p_equivariance(weights, rng, seed):
    """With channels given."""
    found = motifs.equivariance(
        weights(rng, 6, 5, 3), motifs.reflection(), sources=np.arange(3), shuffles=SHUFFLES, seed=seed
    )
    return found.p_value, found.adjusted_p_value


def p_orientations(weights, rng, seed):
    found = motifs.orientations(weights(rng, 4, 3, 6), steps=3, shuffles=SHUFFLES, seed=seed)
    return found.p_value, found.adjusted_p_value


def uniformity(p_values, shuffles=SHUFFLES):
    """The Kolmogorov-Smirnov test's p-value; those of so many shuffles are spread evenly over their steps."""
    steps = np.random.default_rng(0).uniform(size=len(p_values)) / (1 + shuffles)
    return stats.kstest(np.array(p_values) - steps, "uniform").pvalue


@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize(
    "p_values",
    [p_boundaries, p_unions, p_superpositions, p_equivariance, p_rotation_order, p_orientations],
    ids=lambda p: p.__name__[2:],
)
def test_uniform_without_arrangement(p_values, kind):
    """Of one chosen before looking (for superposition one stronger than others), and of the best of all."""
    drawn = [p_values(WEIGHTS[kind], rng, seed) for seed, rng in enumerate(np.random.default_rng(7).spawn(DRAWS))]
    for p in zip(*drawn):
        assert uniformity(p) > LEAST


def test_unlike_units_are_not_pooled():
    """What is chance for a unit that two inputs dominate is not what is chance for others."""
    weights = gaussian(np.random.default_rng(0), 400, 5, 40)
    weights[::8, :, :, :2] *= 20
    found = motifs.boundaries(weights, count=400, shuffles=99)
    dominated, others = ([one for one in found if (one.unit % 8 == 0) == is_one] for is_one in (True, False))
    for units in (dominated, others):
        assert uniformity([one.p_value for one in units], 99) > LEAST
    pool = np.concatenate([one.null for one in found])
    assert np.mean([np.mean(pool >= one.score) < 0.05 for one in dominated]) > 0.1
    assert found[0].adjusted_p_value > 0.05


def test_strong_channels_are_not_superposed_for_it():
    """All units read them: many contexts, and no more than follow from their strength."""
    weights = gaussian(np.random.default_rng(0), 80, 3, 40)
    weights[..., :4] *= 1.3
    found = motifs.superpositions(weights, np.arange(40), shuffles=99)
    contexts = np.array([one.score for one in found])
    assert contexts[:4].min() > 1.5 * np.median(contexts)
    assert min(one.adjusted_p_value for one in found) > 0.05


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


def test_shuffles_within_margins():
    """Slices are those of the unit, resized; channels and units are as strong as they were."""
    rng = np.random.default_rng(0)
    weights = like_trained(rng, 12, 3, 9).astype(np.float32)
    weights[3, :, :, 4] = 0  # not read at all
    mixed = within_margins(weights)(np.random.default_rng(1))
    sizes = [np.linalg.norm(w.astype(np.float64), axis=(1, 2)) for w in (weights, mixed)]
    for axis in (0, 1):
        old, new = ((of**0.125).mean(axis) ** 8 for of in sizes)
        np.testing.assert_allclose(new, old, rtol=1e-4)

    def posed(of):
        """Slices of a unit up to size and pose: sorted values of length one."""
        flat = np.sort(np.moveaxis(of, 2, 0).reshape(of.shape[2], -1), axis=1).astype(np.float64)
        return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)

    for old, new in zip(weights, mixed):
        cosines = posed(old) @ posed(new).T
        matched = cosines > 1 - 1e-5
        empty = ~posed(old).any(1)
        np.testing.assert_array_equal(matched.any(1), ~empty)
        np.testing.assert_array_equal(matched.any(0), ~empty)
        np.testing.assert_array_equal(~posed(new).any(1), empty)
    assert not np.allclose(*sizes, rtol=0.5)


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


def test_outlines_are_no_boundaries():
    """Units that read along a line, with nothing on either side of it."""
    across = np.exp(-(np.arange(-2, 3) ** 2))[:, None, None]
    weights = gaussian(np.random.default_rng(0), 200, 5, 80) * across
    found = motifs.boundaries(weights, count=200, shuffles=39)
    assert uniformity([one.p_value for one in found], 39) > LEAST
    assert found[0].adjusted_p_value > 0.05


def test_alternate_scaling():
    rng = np.random.default_rng(0)
    sizes, wanted = rng.gamma(0.5, size=(2, 7, 5))
    rows, columns = margins(wanted)
    found = with_margins(sizes, rows, columns)
    np.testing.assert_allclose((found**0.125).mean(1) ** 8, rows, rtol=1e-4)
    np.testing.assert_allclose((found**0.125).mean(0) ** 8, columns, rtol=1e-4)
    # Only rows and columns were scaled: whatever is left is of rank one.
    ratio = np.log(found / sizes)
    np.testing.assert_allclose(ratio - ratio[:1] - ratio[:, :1] + ratio[0, 0], 0, atol=1e-8)


@pytest.mark.parametrize("shape", [(3, 3), (2, 5)], ids=["square", "oblong"])
def test_poses(shape):
    """All ways a window lies on itself, and no other."""
    one = np.arange(np.prod(shape), dtype=np.float32).reshape(1, *shape, 1)
    many = np.repeat(one, 200, axis=0)
    found = {w.tobytes() for w in shuffled(many, np.random.default_rng(0))}
    turns = range(4) if shape[0] == shape[1] else (0, 2)
    posed = [np.rot90(one[0], k)[:, ::step] for k in turns for step in (1, -1)]
    assert found == {np.ascontiguousarray(pose).tobytes() for pose in posed}


@pytest.mark.slow
def test_uniform_at_real_shapes_and_margins(zoo_network):
    """Slices of real sizes and outlines, of Gaussian content and in disorder, with real weights' margins."""
    network = zoo_network("inceptionv1-2015")
    rng = np.random.default_rng(0)

    def random_like(weights):
        weights = np.asarray(weights, np.float32)
        content = rng.normal(size=weights.shape) * np.sqrt(np.square(weights).mean(3, keepdims=True))
        lengths = np.maximum(np.linalg.norm(content, axis=(1, 2)), 1e-12)
        sizes = np.linalg.norm(weights, axis=(1, 2))
        rows, columns = margins(sizes)
        sizes = with_margins(rng.permuted(with_margins(sizes, 0 * rows + 1, 0 * columns + 1), axis=1), rows, columns)
        return (content * (sizes / lengths)[:, None, None]).astype(np.float32)

    def direct(source, target):
        return random_like(direct_weights(network, source, target))

    boundary = motifs.boundaries(random_like(expanded_weights(network, "conv2d2", "mixed3a")), count=256, shuffles=39)
    assert uniformity([one.p_value for one in boundary if one.score], 39) > LEAST
    united = motifs.unions(direct("mixed4a", "mixed4b"), direct("mixed4b", "mixed4c"), count=512, shuffles=39)
    assert uniformity([one.p_value for one in united], 39) > LEAST
    superposed = motifs.superpositions(direct("mixed4c", "mixed4d"), strongest=10, shuffles=39)
    assert uniformity([one.p_value for one in superposed], 39) > LEAST
    for found in (boundary, united, superposed):
        assert min(one.adjusted_p_value for one in found) > 0.05
