"""Matches of two networks' units against plain float64 loops; permuted and rotated layers; batches, devices, order."""

import itertools
import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxcircuits as jc
from jaxcircuits import evidence, universality
from jaxcircuits.errors import InputError
from jaxcircuits.universality import grids, moments
from jaxcircuits.universality.shuffled import exchanged
from support.data import ROOT
from support.matched import WIDTHS, made, network, pair, world


def plain_resized(x, rows, columns):
    """Bilinear, by a loop over cells in float64."""
    (count, height, width, units), out = x.shape, []
    for row, column in itertools.product(range(rows), range(columns)):
        value = np.zeros((count, units))
        y = min(max((row + 0.5) * height / rows - 0.5, 0), height - 1)
        z = min(max((column + 0.5) * width / columns - 0.5, 0), width - 1)
        for i, j in itertools.product(range(height), range(width)):
            value += max(0, 1 - abs(y - i)) * max(0, 1 - abs(z - j)) * x[:, i, j]
        out.append(value)
    return np.stack(out, 1)


def plain(first, a, second, b, pictures, others=None):
    """Both layers' units as float64 columns (pictures and cells, units); `others` are what the second sees."""
    x, y = (
        np.asarray(net.activations(seen, layer)[layer], np.float64)
        for net, layer, seen in ((first, a, pictures), (second, b, pictures if others is None else others))
    )
    x, y = (z.reshape(len(z), 1, 1, -1) if z.ndim == 2 else z for z in (x, y))
    grid = [max(x.shape[axis], y.shape[axis]) for axis in (1, 2)]
    return [plain_resized(z, *grid).reshape(-1, z.shape[-1]) for z in (x, y)]


def plain_correlation(x, y):
    result = np.zeros((x.shape[1], y.shape[1]))
    for i, j in np.ndindex(result.shape):
        one, other = x[:, i] - x[:, i].mean(), y[:, j] - y[:, j].mean()
        if one.any() and other.any():
            result[i, j] = (one @ other) / np.sqrt((one @ one) * (other @ other))
    return result


def plain_cka(x, y):
    x, y = x - x.mean(0), y - y.mean(0)
    return np.square(y.T @ x).sum() / np.sqrt(np.square(x.T @ x).sum() * np.square(y.T @ y).sum())


def plain_scores(correlation):
    """Hard by trying every assignment, soft, and mutual by sorting."""
    small = correlation if len(correlation) <= correlation.shape[1] else correlation.T
    hard = max(
        np.mean([small[i, j] for i, j in enumerate(chosen)])
        for chosen in itertools.permutations(range(small.shape[1]), len(small))
    )
    shares = []
    for c in (correlation, correlation.T):
        best = [max(range(c.shape[1]), key=lambda j, i=i, c=c: c[i, j]) for i in range(len(c))]
        among = [i in sorted(range(len(c)), key=lambda k, j=j, c=c: -c[k, j])[:5] for i, j in enumerate(best)]
        shares.append(np.mean(among))
    return hard, (correlation.max(0).mean() + correlation.max(1).mean()) / 2, np.mean(shares)


@pytest.mark.parametrize("a, b", [("fine", "fine"), ("coarse", "coarse"), ("coarse", "fine"), ("fine", "logits")])
def test_matches_are_those_of_a_plain_loop(a, b):
    (first, second), pictures = pair(), world()
    found = universality.match(first, a, second, b, pictures, progress=False)
    x, y = plain(first, a, second, b, pictures)
    correlation = plain_correlation(x, y)
    np.testing.assert_allclose(found.correlation, correlation, atol=1e-6)
    np.testing.assert_allclose(found.cka, plain_cka(x, y), atol=1e-6)
    live = correlation[np.ix_(x.std(0) > 0, y.std(0) > 0)]
    np.testing.assert_allclose(found.scores[:3], plain_scores(live), atol=1e-6)
    assert found.scores.hard == pytest.approx(correlation[tuple(found.pairs.T)].mean(), abs=1e-6)
    assert (np.diff(found.pairs[:, 0]) > 0).all() and len(set(found.pairs[:, 1].tolist())) == len(found.pairs)
    assert (np.diff(found.correlation[tuple(found.strongest.T)]) <= 0).all()


@pytest.mark.parametrize("count", [10, 11])
def test_shuffled_pictures_are_those_of_a_plain_loop(count):
    (first, second), pictures = pair(), world(count)
    found = universality.match(first, "fine", second, "fine", pictures, seed=3, progress=False)
    order = exchanged(jc.open_pictures(pictures), 3).source.order
    moved = np.flatnonzero(order != np.arange(count))
    assert len(moved) == 10 and (order[order] == np.arange(count)).all()
    x, y = plain(first, "fine", second, "fine", pictures[moved], pictures[order[moved]])
    # Scales are those of all pictures.
    sd = [part.std(0) for part in plain(first, "fine", second, "fine", pictures)]
    covariance = (x - x.mean(0)).T @ (y - y.mean(0)) / len(x)
    hard, soft, mutual = plain_scores(covariance / np.multiply.outer(*sd))
    np.testing.assert_allclose(found.shuffled[:3], (hard, soft, mutual), atol=1e-6)
    assert found.scores.cka > found.shuffled.cka


def permuted(seed=5):
    """A network, the same with the units of `fine` in another order, and the order."""
    params = jax.tree.map(np.asarray, dict(network().params))
    order = np.random.default_rng(seed).permutation(WIDTHS["first"][0])
    other = params | {"fine": params["fine"][..., order], "coarse": params["coarse"][:, :, order]}
    return made(params, "as trained"), made(other, "permuted"), order


def test_a_permuted_layer_is_matched_to_the_permutation():
    first, second, order = permuted()
    found = universality.match(first, "fine", second, "fine", world(), again=second, progress=False)
    assert found.pairs.tolist() == [[int(unit), int(np.flatnonzero(order == unit)[0])] for unit in range(len(order))]
    assert found.mutual.tolist() == found.pairs.tolist()
    np.testing.assert_allclose(found.correlation[tuple(found.pairs.T)], 1, atol=1e-6)
    np.testing.assert_allclose(found.scores, (1, 1, 1, found.cka), atol=1e-6)
    assert found.shuffled.hard < 0.7
    assert found.again == found.scores
    # The weights that read them were permuted too, so what follows is as it was.
    after = universality.match(first, "coarse", second, "coarse", world(), progress=False)
    assert (after.pairs[:, 0] == after.pairs[:, 1]).all() and after.scores.hard == pytest.approx(1, abs=1e-6)


def test_a_rotated_layer_keeps_its_cka_and_loses_its_match():
    first = network()
    turn, _ = np.linalg.qr(np.random.default_rng(7).normal(size=(6, 6)))
    second = made(dict(first.params) | {"turn": turn}, "rotated")
    found = universality.match(first, "coarse", second, "coarse", world(), progress=False)
    assert found.cka == pytest.approx(1, abs=1e-6)
    assert found.scores.hard < 0.9
    again = universality.match(first, "coarse", first, "coarse", world(), progress=False)
    assert again.scores.hard == pytest.approx(1, abs=1e-6)


def assert_same(found, other, turned=False):
    correlation, pairs = (found.correlation.T, found.pairs[:, ::-1]) if turned else (found.correlation, found.pairs)
    np.testing.assert_allclose(correlation, other.correlation, atol=1e-6)
    assert sorted(pairs.tolist()) == other.pairs.tolist()
    mutual = found.mutual[:, ::-1] if turned else found.mutual
    assert sorted(mutual.tolist()) == sorted(other.mutual.tolist())
    np.testing.assert_allclose(found.scores, other.scores, atol=1e-6)
    np.testing.assert_allclose(found.shuffled, other.shuffled, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_batches_change_nothing(batch_size):
    (first, second), pictures = pair(), world()
    usual = universality.match(first, "fine", second, "fine", pictures, progress=False)
    other = universality.match(first, "fine", second, "fine", pictures, batch_size=batch_size, progress=False)
    assert_same(usual, other)


@pytest.mark.parametrize("count", [10, 11])
def test_the_order_of_networks_changes_nothing(count):
    (first, second), pictures = pair(), world(count)
    found = universality.match(first, "fine", second, "coarse", pictures, progress=False)
    assert_same(found, universality.match(second, "coarse", first, "fine", pictures, progress=False), turned=True)


DEVICES = """
import json, sys
import jax, numpy as np
sys.path.append(sys.argv[1])
from support.matched import pair, world
from jaxcircuits import universality
first, second = pair()
found = universality.match(first, "fine", second, "coarse", world(), progress=False)
print(json.dumps([jax.device_count(), found.correlation.tolist(), found.pairs.tolist(), found.scores, found.shuffled]))
"""


def test_devices_change_nothing():
    first, second = pair()
    usual = universality.match(first, "fine", second, "coarse", world(), progress=False)
    for count in (2, 8):
        flags = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={count}", "JAX_PLATFORMS": "cpu"}
        command = [sys.executable, "-c", DEVICES, str(ROOT / "tests")]
        done = subprocess.run(command, env=os.environ | flags, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        devices, correlation, pairs, scores, shuffled = json.loads(done.stdout.splitlines()[-1])
        assert devices == count and pairs == usual.pairs.tolist()
        np.testing.assert_allclose(correlation, usual.correlation, atol=1e-6)
        np.testing.assert_allclose(scores, usual.scores, atol=1e-6)
        np.testing.assert_allclose(shuffled, usual.shuffled, atol=1e-6)


def test_large_offsets_cost_no_digits():
    """Activations far from zero: a sum of squares in float32 alone would keep none of their differences."""
    first, pictures = network(bias=np.full(5, 3000.0)), world()
    found = universality.match(first, "fine", first, "fine", pictures, progress=False)
    x, y = plain(first, "fine", first, "fine", pictures)
    np.testing.assert_allclose(found.correlation, plain_correlation(x, y), atol=1e-6)


def test_units_that_never_change_have_no_partner():
    first, second = network(bias=[0, -1000, 0, 0, 0]), network("second", 1)
    found = universality.match(first, "fine", second, "fine", world(), progress=False)
    assert not found.correlation[1].any() and 1 not in found.pairs[:, 0]
    assert len(found.pairs) == 4
    silent = network(bias=[-1000] * 5)
    none = universality.match(silent, "fine", second, "fine", world(), progress=False)
    assert none.pairs.shape == none.mutual.shape == (0, 2) and none.scores == (0, 0, 0, 0)


def test_a_depth_map_is_all_matches_in_one_pass():
    (first, second), pictures = pair(), world()
    seen = []
    found = universality.depth_map(
        first,
        second,
        pictures,
        first_layers=["fine", "coarse"],
        second_layers=["fine", "coarse"],
        progress=lambda *at: seen.append(at),
    )
    assert seen[-1] == (11, 11) and found.layers == (("fine", "coarse"), ("fine", "coarse"))
    for a, b in itertools.product(*found.layers):
        alone = universality.match(first, a, second, b, pictures, progress=False)
        assert_same(found[a, b], alone)
        assert found.table("cka")[found.layers[0].index(a), found.layers[1].index(b)] == found[a, b].cka
    assert found.table("hard", shuffled=True).shape == (2, 2)
    with pytest.raises(InputError, match="unknown pair of layers"):
        found["fine", "logits"]
    with pytest.raises(InputError, match=r"unknown score 'hrad'.*hard"):
        found.table("hrad")


def test_depths_are_those_of_the_longest_way():
    found = universality.depths(jc.load("slide"), ["conv2d0", "conv2d2", "mixed3a", "mixed3b", "mixed5b"])
    np.testing.assert_allclose(found, np.array([1, 3, 5, 7, 21]) / 22)
    names = ["conv2d0", "conv2d1", "conv2d2", "mixed3a_3x3_bottleneck", "mixed3a", "mixed3b"]
    assert universality.apart(jc.load("slide"), names) == ["conv2d0", "conv2d2", "mixed3a", "mixed3b"]


def test_networks_see_files_at_their_own_sizes_and_leave_out_damaged_ones(tmp_path):
    pictures = np.round(world(6, 40) * 255).astype(np.uint8)
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"{i}.png")
    (tmp_path / "3.png").write_bytes(b"no picture")
    first, second = network("first", 0, size=12), network("second", 1, size=20)
    with pytest.warns(evidence.UnreadablePictures, match=r"1 of 6 pictures could not be read: 3\.png"):
        found = universality.match(first, "fine", second, "fine", str(tmp_path), batch_size=1, progress=False)
    kept = [i for i in range(6) if i != 3]
    seen = [
        np.stack([np.asarray(jc.open_pictures(str(tmp_path), size=size)[i].image) for i in kept])
        for size in ((12, 12), (20, 20))
    ]
    x, y = plain(first, "fine", second, "fine", *seen)
    assert found.pictures == 5
    np.testing.assert_allclose(found.correlation, plain_correlation(x, y), atol=1e-6)


def test_bad_input_is_one_line(monkeypatch):
    (first, second), pictures = pair(), world(4)

    def refused(message, *arguments, **options):
        with pytest.raises(InputError, match=message) as refusal:
            universality.match(*arguments, progress=False, **options)
        assert "\n" not in str(refusal.value)

    refused(r"unknown layer 'fin'.*fine", first, "fin", second, "fine", pictures)
    refused(r"unknown layer 'coars'.*coarse", first, "fine", second, "coars", pictures)
    refused("1 picture; expected two or more", first, "fine", second, "fine", pictures[:1])
    broken = made(dict(second.params) | {"bias": np.full(4, np.nan)}, "broken")
    refused(
        "broken: fine answers some pictures with numbers that are not finite", first, "fine", broken, "fine", pictures
    )
    with pytest.raises(InputError, match="no layers of second"):
        universality.depth_map(first, second, pictures, second_layers=[], progress=False)
    monkeypatch.setattr(moments, "LARGEST", 100)
    refused(r"1 layers by 1: their sums take .* name fewer layers", first, "fine", second, "fine", pictures)


def test_tokens_are_compared_with_tokens_alone():
    def tokens(params, x):
        return {"tokens": x.reshape(len(x), -1, 3) @ params, "map": x @ params}

    net = jc.Network.from_function(tokens, jnp.eye(3)[:, ::-1], jc.InputConvention(size=(4, 4)))
    found = universality.match(net, "tokens", net, "tokens", world(4, 4), progress=False)
    assert found.scores.hard == pytest.approx(1, abs=1e-6)
    with pytest.raises(InputError, match="positions along one axis"):
        universality.match(net, "tokens", net, "map", world(4, 4), progress=False)


@pytest.mark.parametrize("cells, larger", [(1, 5), (3, 3), (3, 7), (7, 56)])
def test_enlargement_is_that_of_jax(cells, larger):
    expected = jax.image.resize(jnp.eye(cells), (larger, cells), "linear")
    np.testing.assert_allclose(grids.enlargement(cells, larger), expected, atol=1e-6)
