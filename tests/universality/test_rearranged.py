"""Chance for families: units without any are said to have none, whatever their answers are like; planted ones are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import binom

import jaxcircuits as jc
from jaxcircuits.p_values import holm
from jaxcircuits.universality import FAMILIES
from jaxcircuits.universality.bank import BANK
from jaxcircuits.universality.families import _found
from jaxcircuits.universality.family import members
from jaxcircuits.universality.rearranged import rearranged
from support import matched

BY_NAME = {family.name: family for family in FAMILIES}
STRUCTURES = (
    "none",
    "sparse",
    "set gain",
    "condition gain",
    "kind gain",
    "unit by set gain",
    "tuned",
    "smoothly tuned",
    "shared inputs",
)
NETWORKS = 8
"""That are rearranged."""
GAIN = 0.2
"""Standard deviation of the logarithm, from network to network: with it their counts vary as much as real ones do."""
PLANTED = 40
"""Units of a family, of a hundred."""


def shape(name):
    """Kinds and conditions of a set of the bank."""
    shown = BANK[name]
    sizes = {key: len(values) for key, values in shown.grid.items() if key not in shown.best_of}
    kinds = sizes.pop(shown.kind, 1) if shown.kind else 1
    return kinds, int(np.prod(list(sizes.values())))


def ordinary(structure, layer, rng, units):
    """Answers to all sets by units of no family, of different strength and with one structure.

    What the layer has, the gains and the inputs that units share, is of `layer`; what units have is of `rng`.
    """
    strength = rng.lognormal(sigma=0.5, size=(units, 1, 1))
    answers = {}
    for name in BANK:
        kinds, conditions = shape(name)
        gains = {
            "set gain": layer.normal(size=(1, 1, 1)),
            "condition gain": layer.normal(size=(1, 1, conditions)),
            "kind gain": layer.normal(size=(1, kinds, 1)),
        }
        noise = rng.lognormal(sigma=0.8, size=(units, kinds, conditions))
        if structure == "sparse":
            noise *= rng.random(noise.shape) < 0.1
        elif structure in gains:
            noise *= np.exp(GAIN * gains[structure])
        elif structure == "unit by set gain":
            noise *= np.exp(0.5 * rng.normal(size=(units, 1, 1)))
        elif structure == "tuned":
            common, own = rng.normal(size=(units, kinds, 1)), rng.normal(size=(units, kinds, conditions))
            noise = np.exp(0.8 * (0.8 * common + 0.6 * own))
        elif structure == "smoothly tuned":
            best = rng.uniform(0, 2 * np.pi, size=(units, 1, 1))
            angles = np.arange(kinds)[:, None] * 2 * np.pi / kinds
            noise *= np.exp(rng.uniform(0, 3, size=(units, 1, 1)) * (np.cos(angles - best) - 1))
        elif structure == "shared inputs":
            inputs = np.exp(1.5 * layer.normal(size=(3, kinds, conditions)))
            noise = np.einsum("ui,ikc->ukc", rng.exponential(size=(units, 3)) ** 2, inputs)
        answers[name] = strength * noise
    return answers


def looked(family, layers, by_chance):
    return _found(matched.network(), family, layers, by_chance)


@pytest.fixture
def no_depths(monkeypatch):
    import sys

    module = sys.modules["jaxcircuits.universality.families"]
    monkeypatch.setattr(module, "depths", lambda network, layers: np.linspace(0, 1, len(layers)))


@pytest.mark.parametrize("units", [40, 150])
@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.usefixtures("no_depths")
def test_no_more_is_found_in_units_of_no_family_than_by_chance(structure, units):
    # Every network has layers of its own, whose units are alike in what others' are not; each is looked at in turn.
    rng = np.random.default_rng(units)
    made = [{name: ordinary(structure, rng, rng, units) for name in ("early", "late")} for _ in range(NETWORKS + 1)]
    p_values = [
        [looked(family, one, made[:i] + made[i + 1 :]).p_value for family in FAMILIES] for i, one in enumerate(made)
    ]
    low = int((np.array(p_values) < 0.05).sum())
    # More than this would come by chance once in 200 times; families that share stimuli are not independent.
    assert low <= binom.isf(0.005, np.size(p_values), 0.05)
    assert sum(holm(found).min() < 0.05 for found in p_values) <= 1  # of nine networks


@pytest.mark.usefixtures("no_depths")
def test_networks_whose_units_share_inputs_differ_by_more_than_independent_units():
    """What the test above is worth: by units, the same counts would find families where there are none."""
    rng = np.random.default_rng(150)
    made = [{"units": ordinary("shared inputs", rng, rng, 150)} for _ in range(2 * NETWORKS)]
    counts = np.array([[len(members(family, one["units"]).units) for one in made] for family in FAMILIES])
    often = counts[(counts.mean(1) > 3) & (counts.mean(1) < 75)]
    share = often.mean(1) / 150
    assert (often.var(1, ddof=1) / (150 * share * (1 - share))).max() > 4


@pytest.mark.parametrize("name", ["circles", "cars", "heads facing left", "boundaries", "curves"])
@pytest.mark.parametrize("structure", ["none", "unit by set gain", "tuned"])
@pytest.mark.usefixtures("no_depths")
def test_a_planted_family_is_found(name, structure):
    family, rng = BY_NAME[name], np.random.default_rng(1)
    answers, *by_chance = (ordinary(structure, np.random.default_rng(0), rng, 100) for _ in range(NETWORKS + 1))
    control = np.max([answers[other][:PLANTED].mean(2).max() for other in family.against])
    for one in family.stimulus:
        kinds, conditions = shape(one)
        tuning = np.ones((1, kinds, 1))
        if family.kind is not None:
            tuning = np.where(np.arange(kinds) == family.kind, 1, 0.2)[:, None]
        elif family.contrast:
            turns = 4 if family.folded else 2
            tuning = np.exp(3 * (np.cos(np.arange(kinds) * turns * np.pi / kinds) - 1))[:, None]
        answers[one][:PLANTED] = 4 * control * tuning * rng.uniform(0.9, 1.1, (PLANTED, kinds, conditions))
    found = looked(family, {"units": answers}, [{"units": one} for one in by_chance])
    assert len(set(range(PLANTED)) & set(found.units.tolist())) >= 0.8 * PLANTED and found.p_value < 0.05


@pytest.mark.parametrize("layout", ["HWC", "CHW"])
def test_units_keep_their_weights_and_biases(layout):
    rng = np.random.default_rng(0)
    params = {"kernel": rng.normal(size=(5, 3, 4, 6)), "dense": rng.normal(size=(6, 7)), "bias": rng.normal(size=6)}
    params = {name: jnp.float32(values) for name, values in params.items()} | {"count": jnp.int32([[1, 2], [3, 4]])}
    network = jc.Network.from_function(
        lambda params, x: {"seen": x}, params, jc.InputConvention((8, 8), layout=layout), name="any"
    )
    got, again, other = (jax.device_get(rearranged(network, seed).params) for seed in (1, 1, 2))
    for name in ("kernel", "dense"):
        axes = (0, 1, 2)[: params[name].ndim - 1] if layout == "HWC" else tuple(range(1, params[name].ndim))
        flat = [np.moveaxis(one[name], -1, 0) if layout == "HWC" else np.asarray(one[name]) for one in (params, got)]
        np.testing.assert_array_equal(*(np.sort(one.reshape(len(one), -1), axis=1) for one in flat))
        np.testing.assert_allclose(got[name].sum(axes), params[name].sum(axes), rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(got[name], again[name])
        assert not np.array_equal(got[name], params[name]) and not np.array_equal(got[name], other[name])
    for name in ("bias", "count"):
        np.testing.assert_array_equal(got[name], params[name])


def test_p_values_are_corrected_as_holm_does():
    # Worked by hand: 4 x .005, 3 x .01, 2 x .03, and no less than the one before.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])


def test_units_that_answer_nothing_are_of_no_family():
    answers = {name: np.zeros((5, *shape(name))) for name in BANK}
    for family in FAMILIES:
        found = members(family, answers, [answers])
        assert not len(found.units) and found.by_chance == 0 and found.p_value == 1
