"""Motif detectors on patterns planted in noise, whose answer is known, and on noise alone."""

import json
from pathlib import Path

import numpy as np
import pytest

from jaxcircuits import zoo
from jaxcircuits.circuits import direct_weights, expanded_weights, motifs
from jaxcircuits.circuits.motifs import superposition
from jaxcircuits.circuits.motifs.null import shuffled
from jaxcircuits.errors import InputError
from jaxcircuits.network import load

SLIDE = Path(zoo.__file__).parent / "weights" / "slide.json"


def blob(size, x, y, width=0.8):
    """A smooth bump at (x, y) from the middle of a window."""
    rows, columns = np.indices((size, size)) - size // 2
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * width**2))


def turning_family(rng, units, steps, size=9, noise=0.0):
    """Units that are one another turned by a step of the circle, their channels permuted with them; both in disorder.

    Channel c belongs to orbit c // steps; unit i reads it like unit 0 reads the channel i steps back, turned by i
    steps. Returns the weights, and each row's place on the circle.
    """
    orbits = 3
    weights = np.zeros((units, size, size, orbits * steps))
    centers = rng.uniform(-2.5, 2.5, (orbits, steps, 2))
    signs = rng.choice([-1, 1], (orbits, steps))
    for i, orbit, c in np.ndindex(units, orbits, steps):
        turn = 2 * np.pi * i / steps
        x, y = centers[orbit, c]
        x, y = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
        weights[i, :, :, orbit * steps + (c + i) % steps] = signs[orbit, c] * blob(size, x, y)
    weights += noise * weights.std() * rng.normal(size=weights.shape)
    order = rng.permutation(units)
    return weights[order][..., rng.permutation(orbits * steps)].astype(np.float32), order


def brute_force_turn(weights, degrees):
    """Each cell's value from where it came from, by bilinear interpolation, cell by cell."""
    size = weights.shape[1]
    result, middle, turn = np.zeros_like(weights, np.float64), (size - 1) / 2, np.radians(degrees)
    for row, column in np.ndindex(size, size):
        x, y = column - middle, row - middle
        # Back by the turn: clockwise as seen is from +x toward +y, which points down.
        x, y = x * np.cos(turn) + y * np.sin(turn) + middle, -x * np.sin(turn) + y * np.cos(turn) + middle
        for i, j in np.ndindex(size, size):
            share = max(0, 1 - abs(x - j)) * max(0, 1 - abs(y - i))
            result[:, row, column] += share * weights[:, i, j]
    return result


def test_transforms():
    weights = np.random.default_rng(0).normal(size=(2, 5, 5, 3)).astype(np.float32)
    np.testing.assert_allclose(motifs.rotation(90)(weights), np.rot90(weights, -1, axes=(1, 2)), atol=1e-6)
    np.testing.assert_allclose(motifs.rotation(33)(weights), brute_force_turn(weights, 33), atol=1e-6)
    np.testing.assert_allclose(motifs.reflection(0)(weights), weights[:, :, ::-1], atol=1e-6)
    np.testing.assert_allclose(motifs.reflection(90)(weights), weights[:, ::-1], atol=1e-6)
    np.testing.assert_allclose(motifs.reflection(45)(weights), weights.transpose(0, 2, 1, 3)[:, ::-1, ::-1], atol=1e-6)
    np.testing.assert_allclose(motifs.zoom(2)(weights)[:, ::2, ::2], weights[:, 1:4, 1:4], atol=1e-6)
    np.testing.assert_allclose(motifs.hue(120)(weights), np.roll(weights, 1, axis=3), atol=1e-6)
    gray = np.repeat(weights[..., :1], 3, axis=3)
    np.testing.assert_allclose(motifs.hue(77)(gray), gray, atol=1e-6)


def test_shuffling_keeps_slices():
    weights = np.random.default_rng(0).normal(size=(4, 3, 3, 6)).astype(np.float32)
    mixed = shuffled(weights, np.random.default_rng(1))
    assert not np.array_equal(mixed, weights)
    for unit, moved in zip(weights, mixed):
        slices = [sorted(tuple(sorted(w.ravel())) for w in np.moveaxis(of, 2, 0)) for of in (unit, moved)]
        assert slices[0] == slices[1]
    weights[:2, :, :, 3:] = 0  # two groups of a convolution
    weights[2:, :, :, :3] = 0
    grouped = shuffled(weights, np.random.default_rng(1))
    np.testing.assert_array_equal(grouped.any((1, 2)), weights.any((1, 2)))
    assert not np.array_equal(grouped, weights)


@pytest.mark.parametrize("noise", [0.0, 1.0], ids=["exact", "noisy"])
def test_rotation_of_a_family(noise):
    """The permutations of units and of channels are found, neither being given."""
    weights, place = turning_family(np.random.default_rng(3), units=8, steps=8, noise=noise)
    found = motifs.equivariance(weights, motifs.rotation(45), exchange=True, shuffles=10)
    np.testing.assert_array_equal(place[found.units], (place + 1) % 8)
    assert found.order == 8
    assert found.score > found.null.max()
    assert found.z > 5
    assert found.p_value == 1 / 11
    if not noise:
        assert found.score > 0.9
        turned = motifs.rotation(45)(weights).reshape(8, -1)
        expected = weights[found.units][..., found.sources].reshape(8, -1)
        cosines = (turned * expected).sum(1) / np.linalg.norm(turned, axis=1) / np.linalg.norm(expected, axis=1)
        np.testing.assert_allclose(found.cosines, cosines, rtol=1e-5)


@pytest.mark.parametrize("steps", [5, 8])
def test_rotation_order(steps):
    weights, _ = turning_family(np.random.default_rng(steps), units=steps, steps=steps, noise=0.5)
    order, found = motifs.rotation_order(weights, shuffles=4)
    assert order == steps
    assert list(found) == list(range(2, steps + 1))


@pytest.mark.parametrize("noise", [0.0, 0.7], ids=["exact", "noisy"])
def test_orientations(noise):
    """Where units lie around the circle; the family's own step is no multiple of the turns that are tried."""
    weights, place = turning_family(np.random.default_rng(3), units=8, steps=8, noise=noise)
    found = motifs.orientations(weights, shuffles=5)
    error = np.degrees(found.radians) - 45 * (place - place[0])
    assert np.abs((error + 180) % 360 - 180).max() < 12
    assert found.radians[0] == 0
    assert found.score > found.null.max() + 0.1


def test_no_rotation_in_shuffled_weights():
    weights, _ = turning_family(np.random.default_rng(3), units=8, steps=8)
    mixed = shuffled(weights, np.random.default_rng(5))
    assert motifs.equivariance(mixed, motifs.rotation(45), exchange=True, shuffles=10).z < 3
    assert motifs.rotation_order(mixed, shuffles=10)[0] < 8


@pytest.mark.parametrize(
    ("transform", "given"),
    [(motifs.reflection(0), True), (motifs.hue(120), True), (motifs.reflection(90), False)],
    ids=["mirror", "hue", "mirror of channels unknown"],
)
def test_pairs_and_hues(transform, given):
    """Half of the units are the other half, transformed; to known channels, and to channels that change places."""
    rng = np.random.default_rng(0)
    channels = 3 if given else 12
    half = rng.normal(size=(6, 7, 7, channels)).astype(np.float32)
    other = transform(half)
    if not given:
        other = other[..., np.arange(channels) ^ 1]  # neighbors change places
    order = rng.permutation(6)
    # What the second half becomes is in the weights only for a transform that undoes itself.
    weights = np.concatenate([half, other[order]])
    found = motifs.equivariance(weights, transform, sources=np.arange(3) if given else None, shuffles=5)
    np.testing.assert_array_equal(found.units[:6], 6 + np.argsort(order))
    assert found.cosines[:6].mean() > 0.99
    assert found.score > found.null.max()


def test_zoom():
    rng = np.random.default_rng(0)
    spots = np.stack([blob(11, *rng.uniform(-2, 2, 2), width=1.2) for _ in range(5)])
    small = spots[..., None] * rng.normal(size=(5, 1, 1, 3))
    weights = np.concatenate([small, motifs.zoom(1.8)(small)[::-1]]).astype(np.float32)
    found = motifs.equivariance(weights, motifs.zoom(1.8), sources=np.arange(3), exchange=True, shuffles=5)
    np.testing.assert_array_equal(found.units[:5], np.arange(9, 4, -1))
    np.testing.assert_allclose(found.cosines[:5], 1, rtol=1e-5)


def noise_like(rng, shape):
    """Weights of which few are strong, as trained ones are."""
    return rng.laplace(size=shape) * rng.gamma(0.5, size=(shape[0], 1, 1, shape[3]))


def test_union_over_cases():
    """Two cases read opposed halves of their input, and one unit reads both."""
    rng = np.random.default_rng(0)
    first, second = noise_like(rng, (40, 5, 5, 30)), noise_like(rng, (25, 5, 5, 40))
    pattern = 3 * np.stack([blob(5, -1, 0), -blob(5, -1, 0), blob(5, 1, 1), -blob(5, 1, 1)], axis=-1)
    first[7][..., [3, 9, 4, 12]] = 10 * pattern
    first[21][..., [3, 9, 4, 12]] = -10 * pattern
    second[11][..., [7, 21]] = 20 * np.stack([blob(5, 0, 0), blob(5, 0, 0)], axis=-1)
    best, *others = motifs.unions(first, second, shuffles=20)
    assert (best.unit, sorted(best.cases)) == (11, [7, 21])
    assert best.p_value == best.adjusted_p_value == 1 / 21
    assert best.score > 1.5 * others[0].score
    exciting = {7: {3, 4}, 21: {9, 12}}
    for case, source in zip(best.cases, best.sources):
        assert source in exciting[case]
    assert best.score == pytest.approx(best.cross_inhibition * np.sqrt(np.prod(best.excitation)))

    # The same weights in disorder hold none: one in 21 has the smallest p-value by chance.
    chance = [
        motifs.unions(shuffled(first.astype(np.float32), generator), shuffled(second, generator), shuffles=20)[0]
        for generator in np.random.default_rng(1).spawn(6)
    ]
    assert sum(union.adjusted_p_value == 1 / 21 for union in chance) <= 1
    assert max(union.score for union in chance) < best.score / 1.5


def test_cross_inhibition():
    """Against a loop; weights and their negative are opposed by half where either sign weighs the same."""
    weights = np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype(np.float32)
    found = motifs.cross_inhibition(weights)
    flat = [unit.ravel() / np.linalg.norm(unit) for unit in weights.astype(float)]
    for i, j in np.ndindex(3, 3):
        one = sum(a * -b for a, b in zip(flat[i], flat[j]) if a > 0 > b)
        other = sum(-a * b for a, b in zip(flat[i], flat[j]) if a < 0 < b)
        assert found[i, j] == pytest.approx(np.sqrt(one * other), rel=1e-5)
    pair = np.stack([weights[0] - weights[0].mean(), weights[0].mean() - weights[0]])
    pair = np.concatenate([pair, -pair], axis=3)
    assert motifs.cross_inhibition(pair)[0, 1] == pytest.approx(0.5, rel=1e-5)


def test_superposition():
    """A feature that ten different units have among their strongest, and one that ten alike units have."""
    rng = np.random.default_rng(0)
    weights = noise_like(rng, (60, 3, 3, 200))
    spread, alike = np.arange(10), np.arange(20, 30)
    weights[..., 5] *= 0.1
    weights[spread, :, :, 5] = 5
    weights[alike] = weights[20]
    weights[alike, :, :, 6] = 30
    first, second = motifs.superpositions(weights, [5, 6], shuffles=99)
    assert set(spread) <= set(first.units.tolist())
    assert first.score > 7
    assert first.adjusted_p_value < 0.05
    assert first.agreement < 0.2
    assert set(alike) <= set(second.units.tolist())
    assert second.score < 3.5
    assert second.agreement > 0.5
    assert second.p_value > 0.1
    chance, *_ = motifs.superpositions(shuffled(weights, rng), shuffles=20)
    assert chance.adjusted_p_value > 1 / 21


def contexts_by_loops(inputs, source):
    """Score, units and agreement of one source, from the angles between what each pair of its readers reads besides."""
    readers = sorted(np.flatnonzero(inputs[:, source]), key=lambda unit: -inputs[unit, source])
    rest = inputs[readers].copy()
    rest[:, source] = 0
    lengths = np.linalg.norm(rest, axis=1)
    cosines = np.zeros((len(readers),) * 2)
    for i, j in np.ndindex(cosines.shape):
        if min(lengths[i] / inputs[readers[i], source], lengths[j] / inputs[readers[j], source]) > 1e-5:
            cosines[i, j] = rest[i] @ rest[j] / lengths[i] / lengths[j]
    apart = [cosines[i, j] for i, j in np.ndindex(cosines.shape) if i != j]
    squares = (cosines**2).sum()
    score = np.trace(cosines) ** 2 / squares if squares else float(len(readers) > 0)
    return score, readers, np.mean(apart) if apart else 1.0


@pytest.mark.parametrize("most", [1, 60, 1 << 22])
@pytest.mark.parametrize("kind", ["noise", "sparse", "equal", "one input each"])
def test_superposition_of_every_channel(kind, most, monkeypatch):
    """Against loops in float64; also where few or no units read a channel, and a few channels at a time."""
    monkeypatch.setattr(superposition, "LARGEST", most)
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(14, 3, 3, 11)).astype(np.float32)
    if kind == "sparse":
        weights *= rng.random((14, 1, 1, 11)) < 0.2
    if kind == "equal":
        weights = np.ones_like(weights)
    if kind == "one input each":
        weights *= np.arange(11) == np.arange(14)[:, None, None, None] % 5
    strongest = 4
    excitation = np.sqrt(np.square(np.maximum(weights, 0), dtype=np.float64).sum((1, 2)))
    least = np.sort(excitation)[:, [-strongest]]
    inputs = np.where(excitation >= least, excitation, 0)
    for source, found in enumerate(motifs.superpositions(weights, np.arange(11), strongest=strongest, shuffles=3)):
        score, readers, agreement = contexts_by_loops(inputs, source)
        assert (found.source, found.units.tolist()) == (source, readers)
        assert found.score == pytest.approx(score, rel=1e-6)
        assert found.agreement == pytest.approx(agreement, abs=1e-6)


@pytest.mark.parametrize("degrees", [0, 30, 135, 260])
def test_boundary(degrees):
    """One family on one side and another on the other, in noise; neither family nor side is given."""
    rng = np.random.default_rng(degrees)
    weights = noise_like(rng, (30, 5, 5, 40))
    turn = np.radians(degrees)
    rows, columns = np.indices((5, 5)) - 2
    side = np.tanh(columns * np.cos(turn) + rows * np.sin(turn))[..., None]
    family, other = [3, 8, 21, 30, 33], [1, 5, 20, 35, 39]
    weights[4][..., family] += 5 * side
    weights[4][..., other] -= 5 * side
    best, following, *_ = motifs.boundaries(weights, shuffles=199)
    assert best.unit == 4
    # Which of the two sides is named first is a matter of sign.
    turned = 180 * (best.here[0] in other)
    assert [set(best.here.tolist()), set(best.there.tolist())] == [set(family), set(other)][:: -1 if turned else 1]
    assert abs((best.degrees - turned - degrees + 180) % 360 - 180) < 10
    assert best.p_value == 1 / 200
    assert best.adjusted_p_value < 0.05
    assert following.score < best.score / 2
    assert motifs.boundaries(shuffled(weights, rng), shuffles=20)[0].score < best.score / 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda w: motifs.equivariance(w[0], motifs.rotation(90)), r"weights of shape \(5, 5, 4\)"),
        (lambda w: motifs.equivariance(w, motifs.rotation(90), sources=np.zeros(4, int)), "permutation of 4 channels"),
        (lambda w: motifs.equivariance(w, motifs.hue(90), sources=np.arange(4)), "4 channels; hues need"),
        (lambda w: motifs.equivariance(w[:1], motifs.rotation(90), exchange=True), "1 unit"),
        (lambda w: motifs.zoom(0), "zoom by 0"),
        (lambda w: motifs.orientations(w[:2]), "2 units and 12 steps"),
        (lambda w: motifs.unions(w, w), "read 4 channels; the first are of 6 units"),
        (lambda w: motifs.superpositions(w, [4]), "channels from 0 to 3"),
        (lambda w: motifs.boundaries(w * np.nan), "not finite"),
        (lambda w: motifs.boundaries(w, shuffles=0), "shuffles 0"),
    ],
)
def test_bad_input(call, message):
    weights = np.random.default_rng(0).normal(size=(6, 5, 5, 4)).astype(np.float32)
    with pytest.raises(InputError, match=message):
        call(weights)


CURVES = {362: 2, 378: 6, 327: 36, 392: 58, 360: 62, 381: 72, 388: 95, 356: 103, 345: 115, 355: 130, 343: 143,
          376: 170, 341: 183, 384: 212, 334: 235, 349: 272, 335: 285, 374: 313, 385: 323, 370: 331}  # fmt: skip
"""Curve detectors of mixed3b of inceptionv1-2015 and the degrees toward which the curves bulge, by stimuli."""


@pytest.mark.slow
def test_curve_detectors_turn_into_one_another(zoo_network):
    """By weights alone, neither units nor channels being matched; checked with what stimuli say of the units."""
    units, facing = (np.array(values) for values in zip(*CURVES.items()))
    weights = expanded_weights(zoo_network("inceptionv1-2015"), "conv2d2", "mixed3b", units)
    turned = motifs.equivariance(weights, motifs.rotation(30), exchange=True, shuffles=2)
    error = np.abs((facing[turned.units] - facing - 30 + 180) % 360 - 180)
    assert np.median(error) < 25  # 90 by chance
    assert turned.score > 1.3 * turned.null.max()

    found = motifs.orientations(weights, shuffles=1)
    off = np.exp(1j * (found.radians - np.radians(facing)))
    error = np.abs(np.degrees(np.angle(off * np.mean(off).conj())))
    assert np.median(error) < 20
    assert found.score > found.null.max() + 0.2


@pytest.mark.slow
def test_oriented_heads_are_crossed(zoo_network):
    """Units for dogs that face left or right, found with mirrored photographs, among all pairs of their layer."""
    network = zoo_network("inceptionv1-2015")
    first, second = (
        direct_weights(network, before, after) for before, after in (("mixed4a", "mixed4b"), ("mixed4b", "mixed4c"))
    )
    opposed = motifs.cross_inhibition(first)
    among = np.sort(opposed[np.triu_indices(len(opposed), 1)])
    for pair in [(386, 403), (290, 362), (214, 231)]:
        assert opposed[pair] > among[-100]  # of 130,816
        # 339 and 319 of mixed4a face either way, too.
        like, across = first[list(pair)].sum((1, 2))[:, [339, 319]], first[list(pair)].sum((1, 2))[:, [319, 339]]
        assert (np.diag(like) > 0.2).all()
        assert (np.diag(across) < -0.05).all()
    found = {union.unit: union for union in motifs.unions(first, second, count=len(second), shuffles=39)}
    for unit, cases in {374: {386, 403}, 192: {290, 362}, 135: {290, 362}, 212: {214, 231}}.items():
        assert set(found[unit].cases) == cases
        assert found[unit].adjusted_p_value < 0.05
        assert min(found[unit].excitation) > 0.1


def test_heads_of_slide_are_crossed():
    """Units of slide for left and for right heads are more opposed than those for one side, and than most pairs."""
    network, known = load("slide"), json.loads(SLIDE.read_text())["heads"]["mixed5b"]
    opposed = motifs.cross_inhibition(direct_weights(network, "mixed5a", "mixed5b"))
    left, right = known["left"], known["right"]
    across = np.median(opposed[np.ix_(left, right)])
    assert across > np.percentile(opposed[np.triu_indices(len(opposed), 1)], 70)
    for side in (left, right):
        within = opposed[np.ix_(side, side)][np.triu_indices(len(side), 1)]
        assert across > 1.15 * np.median(within)
