"""Motifs' p-values where there is nothing to find: not too small, for one chosen before looking and the best of a list.

The weights are random, of the kinds that trained ones come in: units and channels of unlike strength, sign, spread and
spatial profile, few strong slices among many weak ones, weights and slices that are 0, kernels of several sizes side by
side, units that two inputs dominate. A p-value that asks another question than "is there an arrangement" is too small
on some of them. One that is compared with the higher of two shuffles is larger than uniform where both hold, and one
that is compared with random signs where weights are mostly of one sign, so that uniformity is tested of each shuffle
where it is exact, and of motifs only that p-values are not small too often.
"""

import numpy as np
import pytest
from scipy import stats

from jaxcircuits.circuits import direct_weights, expanded_weights, motifs
from jaxcircuits.circuits.motifs.equivariance import best_permutations
from jaxcircuits.circuits.motifs.null import (
    null_scores,
    within_channels,
    within_units,
)
from jaxcircuits.p_values import among

DRAWS, SHUFFLES = 60, 19
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


def few_templates(rng, units, size, channels):
    """Of rank 3: slices are mixed from three that all units and channels share."""
    return np.einsum("uct,thw->uhwc", rng.normal(size=(units, channels, 3)), rng.normal(size=(3, size, size)))


def of_one_kind(change):
    """Gaussian weights changed by `change(weights, rng)`."""
    return lambda rng, *shape: change(gaussian(rng, *shape), rng)


def normal(weights, rng, *kept):
    """Random numbers that are the same along all axes but those kept."""
    return rng.normal(size=[n if axis in kept else 1 for axis, n in enumerate(weights.shape)])


def chosen(weights, rng, part, *kept):
    return rng.random([n if axis in kept else 1 for axis, n in enumerate(weights.shape)]) < part


def two_inputs_dominate(weights, rng):
    for unit in weights:
        unit[..., rng.choice(weights.shape[3], 2, replace=False)] *= 20
    return weights


def smooth(rng, units, size, channels):
    weights = gaussian(rng, units, size + 2, channels)
    return sum(weights[:, i : i + size, j : j + size] for i, j in np.ndindex(3, 3))


def one_strong_channel(weights, rng):
    weights[..., 0] *= 5
    return weights


WEIGHTS = {
    "Gaussian": gaussian,
    "like trained": like_trained,
    "smooth": smooth,
    "heavy tails": lambda rng, u, s, c: rng.standard_t(2, size=(u, s, s, c)),
    "ternary": lambda rng, u, s, c: rng.integers(-1, 2, size=(u, s, s, c)).astype(float),
    "sparse weights": of_one_kind(lambda w, rng: w * chosen(w, rng, 0.05, 0, 1, 2, 3)),
    "sparse slices": of_one_kind(lambda w, rng: w * chosen(w, rng, 0.3, 0, 3)),
    "flat slices": of_one_kind(lambda w, rng: 0.2 * w + normal(w, rng, 0, 3)),
    "slices of unlike strength": of_one_kind(lambda w, rng: w * np.exp(1.5 * normal(w, rng, 0, 3))),
    "units and channels of unlike strength": of_one_kind(
        lambda w, rng: w * np.exp(normal(w, rng, 0) + normal(w, rng, 3))
    ),
    "units of unlike mean": of_one_kind(lambda w, rng: w + 1.5 * normal(w, rng, 0)),
    "channels of unlike mean": of_one_kind(lambda w, rng: w + normal(w, rng, 3)),
    "channels of unlike profile": of_one_kind(lambda w, rng: w * np.exp(normal(w, rng, 1, 2, 3))),
    "channels of unlike spread": of_one_kind(
        lambda w, rng: w * np.exp(normal(w, rng, 0, 3) * np.linspace(0, 1.5, w.shape[3]))
    ),
    "one strong channel": of_one_kind(one_strong_channel),
    "two inputs dominate": of_one_kind(two_inputs_dominate),
    "few templates": few_templates,
}


def unit_of(found, unit):
    (chosen,) = (one for one in found if one.unit == unit)
    return chosen


def p_boundaries(weights, rng, seed):
    found = motifs.boundaries(weights(rng, 12, 5, 20), count=12, shuffles=SHUFFLES, seed=seed)
    # A kernel of one cell has no sides: nothing to compare.
    with_sides = min((one.unit for one in found if one.score), default=None)
    return unit_of(found, with_sides).p_value, found[0].adjusted_p_value


def p_boundaries_of_few_channels(weights, rng, seed):
    found = motifs.boundaries(weights(rng, 12, 4, 6), count=12, shuffles=SHUFFLES, seed=seed)
    return min(found, key=lambda one: one.unit).p_value, found[0].adjusted_p_value


def p_unions(weights, rng, seed):
    first, second = weights(rng, 24, 3, 12), weights(rng, 30, 3, 24)
    found = motifs.unions(first, second, count=30, strongest=8, shuffles=SHUFFLES, seed=seed)
    return unit_of(found, seed % 30).p_value, found[0].adjusted_p_value


def p_superpositions(weights, rng, seed):
    found = motifs.superpositions(weights(rng, 30, 3, 16), shuffles=SHUFFLES, seed=seed)
    (last,) = (one for one in found if one.source == 15)
    return last.p_value, found[0].adjusted_p_value


def p_superpositions_of_few_units(weights, rng, seed):
    found = motifs.superpositions(weights(rng, 12, 1, 8), strongest=3, shuffles=SHUFFLES, seed=seed)
    (last,) = (one for one in found if one.source == 7)
    return last.p_value, found[0].adjusted_p_value


def p_rotation_order(weights, rng, seed):
    _, found = motifs.rotation_order(weights(rng, 4, 3, 5), shuffles=SHUFFLES, seed=seed)
    return found[4].p_value, min(one.adjusted_p_value for one in found.values())


def p_reflection(weights, rng, seed):
    """With channels given."""
    found = motifs.equivariance(
        weights(rng, 8, 5, 3), motifs.reflection(), sources=np.arange(3), shuffles=SHUFFLES, seed=seed
    )
    return (found.p_value,)


def p_zoom(weights, rng, seed):
    found = motifs.equivariance(weights(rng, 5, 5, 4), motifs.zoom(1.5), exchange=True, shuffles=SHUFFLES, seed=seed)
    return (found.p_value,)


def p_rotation(weights, rng, seed):
    found = motifs.equivariance(weights(rng, 5, 3, 4), motifs.rotation(90), exchange=True, shuffles=SHUFFLES, seed=seed)
    return (found.p_value,)


def p_hue(weights, rng, seed):
    found = motifs.equivariance(
        weights(rng, 8, 5, 3), motifs.hue(120), sources=np.arange(3), exchange=True, shuffles=SHUFFLES, seed=seed
    )
    return (found.p_value,)


def p_orientations(weights, rng, seed):
    return (motifs.orientations(weights(rng, 4, 3, 5), steps=3, shuffles=SHUFFLES, seed=seed).p_value,)


MOTIFS = {function.__name__[2:]: function for function in (
    p_boundaries, p_boundaries_of_few_channels, p_unions, p_superpositions, p_superpositions_of_few_units, p_reflection,
    p_rotation, p_zoom, p_hue, p_rotation_order, p_orientations,
)}  # fmt: skip
HARD = {
    "superpositions": ("channels of unlike profile", "two inputs dominate"),
    "superpositions_of_few_units": ("sparse slices",),
    "rotation": ("channels of unlike mean", "sparse weights"),
    "zoom": ("channels of unlike mean", "channels of unlike profile"),
    "hue": ("like trained",),
    "rotation_order": ("channels of unlike mean",),
    "orientations": ("channels of unlike profile",),
}
"""Of the motifs that take longer: kinds of weights that are always tried, the others under `slow`."""
ALIGNED = [("boundaries", "few templates"), ("boundaries_of_few_channels", "few templates")]
"""Where there is something to find: templates have poses, and slices that share them lie alike."""
PAIRS = [(motif, kind) for motif in MOTIFS for kind in WEIGHTS if (motif, kind) not in ALIGNED]


def uniformity(p_values, shuffles=SHUFFLES):
    """The Kolmogorov-Smirnov test's p-value; those of so many shuffles are spread evenly over their steps."""
    steps = np.random.default_rng(0).uniform(size=len(p_values)) / (1 + shuffles)
    return stats.kstest(np.array(p_values) - steps, "uniform").pvalue


def assert_not_too_small(p_values):
    """No more of them are 0.05 or less than chance allows."""
    assert np.sum(np.array(p_values) <= 0.05) <= stats.binom.ppf(1 - LEAST, len(p_values), 0.05)


@pytest.mark.parametrize(
    ("motif", "kind"),
    [
        pytest.param(*pair, marks=() if pair[1] in HARD.get(pair[0], WEIGHTS) else pytest.mark.slow, id="-".join(pair))
        for pair in PAIRS
    ],
)
def test_not_too_small_without_arrangement(motif, kind):
    """Of one chosen before looking, and of the best of all."""
    draws = np.random.default_rng(7).spawn(DRAWS)
    drawn = [MOTIFS[motif](WEIGHTS[kind], rng, seed) for seed, rng in enumerate(draws)]
    for p in zip(*drawn):
        assert_not_too_small(p)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("motif", "kind"), PAIRS)
def test_not_too_small_in_many_draws(motif, kind):
    draws = np.random.default_rng(11).spawn(200)
    drawn = [MOTIFS[motif](WEIGHTS[kind], rng, seed) for seed, rng in enumerate(draws)]
    for p in zip(*drawn):
        assert_not_too_small(p)


@pytest.mark.parametrize(
    ("way", "kind"),
    [
        (within_channels, "channels of unlike profile"),
        (within_channels, "channels of unlike mean"),
        (within_channels, "channels of unlike spread"),
        (within_channels, "flat slices"),
        (within_channels, "one strong channel"),
        (within_units, "units of unlike mean"),
        (within_units, "two inputs dominate"),
        (within_units, "smooth"),
    ],
)
def test_each_shuffle_is_exact_where_it_holds(way, kind):
    """Uniform for a score of pairs of units, with that shuffle alone."""

    def score(weights):
        return best_permutations(weights, motifs.reflection(), np.arange(4), exchange=True).score

    p_values = []
    for seed, rng in enumerate(np.random.default_rng(3).spawn(200)):
        weights = WEIGHTS[kind](rng, 8, 3, 4)
        p_values.append(among(score(weights), null_scores(score, [way(weights)], SHUFFLES, seed)))
    assert uniformity(p_values) > LEAST


@pytest.mark.parametrize(
    "kind", ["Gaussian", "like trained", "heavy tails", "channels of unlike profile", "channels of unlike spread"]
)
def test_unions_are_uniform_for_symmetric_signs(kind):
    draws = np.random.default_rng(5).spawn(200)
    drawn = [p_unions(WEIGHTS[kind], rng, seed) for seed, rng in enumerate(draws)]
    for p in zip(*drawn):
        assert uniformity(p) > LEAST


def test_slices_that_share_templates_lie_as_at_a_boundary():
    """As the docstring of `boundaries` says; with templates for each unit and channel of its own they do not."""
    draws = np.random.default_rng(7).spawn(DRAWS)
    shared, own = (
        np.mean([p_boundaries(kind, rng, seed)[0] <= 0.05 for seed, rng in enumerate(draws)])
        for kind in (few_templates, gaussian)
    )
    assert 0.2 < shared < 0.5 and own < 0.15


def test_unlike_units_are_not_pooled():
    """What is chance for a unit that two inputs dominate is not what is chance for others."""
    weights = gaussian(np.random.default_rng(0), 400, 5, 40)
    weights[::8, :, :, :2] *= 20
    found = motifs.boundaries(weights, count=400, shuffles=99)
    dominated, others = ([one for one in found if (one.unit % 8 == 0) == is_one] for is_one in (True, False))
    for units in (dominated, others):
        assert_not_too_small([one.p_value for one in units])
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


def test_outlines_are_no_boundaries():
    """Units that read along a line, with nothing on either side of it."""
    across = np.exp(-(np.arange(-2, 3) ** 2))[:, None, None]
    weights = gaussian(np.random.default_rng(0), 200, 5, 80) * across
    found = motifs.boundaries(weights, count=200, shuffles=39)
    assert_not_too_small([one.p_value for one in found])
    assert found[0].adjusted_p_value > 0.05


def real_weights(network, layers, signs):
    """As long as they are, but each slice or each weight of random sign."""
    weights = np.asarray(layers(network))
    shape = weights.shape if signs == "weights" else (len(weights), 1, 1, weights.shape[3])
    return weights * np.random.default_rng(len(weights)).choice([-1, 1], shape)


@pytest.mark.parametrize("signs", [pytest.param("slices", marks=pytest.mark.slow), "weights"])
def test_real_sizes_are_no_unions(zoo_network, signs):
    """Channels' profiles and spreads, and which are read together, are real; only what excites is random."""
    network = zoo_network("inceptionv1-2015")
    first, second = (
        real_weights(network, lambda network, pair=pair: direct_weights(network, *pair), signs)
        for pair in (("mixed4a", "mixed4b"), ("mixed4b", "mixed4c"))
    )
    found = motifs.unions(first, second, count=512, shuffles=19)
    assert np.mean([one.p_value <= 0.05 for one in found]) < 0.08
    assert found[0].adjusted_p_value > 0.05


@pytest.mark.slow
def test_real_sizes_are_no_boundaries_or_superposition(zoo_network):
    network = zoo_network("inceptionv1-2015")
    weights = real_weights(network, lambda network: expanded_weights(network, "conv2d2", "mixed3a"), "weights")
    boundaries = [one for one in motifs.boundaries(weights, count=256, shuffles=39) if one.score]
    weights = real_weights(network, lambda network: direct_weights(network, "mixed4c", "mixed4d"), "slices")
    for found in (boundaries, motifs.superpositions(weights, strongest=10, shuffles=39)):
        assert np.mean([one.p_value <= 0.05 for one in found]) < 0.08
        assert found[0].adjusted_p_value > 0.05
