"""The network in the box: its training, its weights, and what is said of them."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx

from jaxcircuits import zoo
from jaxcircuits.errors import InputError
from jaxcircuits.evidence import responses
from jaxcircuits.network import Network, load
from jaxcircuits.slide import report, scenes, train
from jaxcircuits.slide.attack import attacked, cross_entropy
from jaxcircuits.zoo.slide import SLIDE, SLIDE_INPUT

WEIGHTS = Path(zoo.__file__).parent / "weights"


@pytest.fixture(scope="module")
def tensors():
    from safetensors.numpy import load

    return load((WEIGHTS / "slide.safetensors").read_bytes())


@pytest.fixture(scope="module")
def network():
    return load(WEIGHTS / "slide.safetensors")


@pytest.fixture(scope="module")
def figures():
    return json.loads((WEIGHTS / "slide.json").read_text())


def test_weights_are_small_and_whole(tensors):
    assert len((WEIGHTS / "slide.safetensors").read_bytes()) <= 2_000_000
    assert {name: values.shape for name, values in tensors.items()} == SLIDE.tensors()
    assert {values.dtype for values in tensors.values()} == {np.dtype(np.float16)}
    assert all(np.isfinite(values).all() for values in tensors.values())


@pytest.mark.slow
def test_fresh_scenes_are_told_apart_and_units_live(network, figures):
    found = report.scene_figures(network, seed=987, per_class=20)
    assert found["accuracy"] >= 0.98
    assert found["accuracy"] == pytest.approx(figures["accuracy"], abs=0.03)
    assert found["accuracy_attacked"] == pytest.approx(figures["accuracy_attacked"], abs=0.05)
    # Fewer scenes than the report's: what never fires here may have fired there.
    assert max(found["dead"].values()) <= 0.2
    assert max(figures["dead"].values()) < 0.1


def test_curve_units_tile_the_circle(network, figures):
    found = report.curve_units(network)
    for layer, told in figures["curves"].items():
        # Not those on the brink: machines differ in the last digits.
        clear = (unit for unit in told["units"] if unit["ratio"] is None or unit["ratio"] > 3.1)
        degrees = {unit["unit"]: unit["degrees"] for unit in clear}
        again = {unit["unit"]: unit["degrees"] for unit in found[layer]["units"]}
        assert degrees.keys() <= again.keys()
        for unit, angle in degrees.items():
            assert abs((again[unit] - angle + 180) % 360 - 180) < 2
    tiling = [layer for layer in found.values() if len(layer["units"]) >= 6 and layer["largest_gap_degrees"] <= 90]
    assert tiling


def test_car_units_mind_the_order_of_parts_as_told(network, figures):
    found = report.car_units(network)
    for layer, told in figures["cars"].items():
        again = {unit["unit"]: unit for unit in found[layer]}
        # A unit on the brink may be found on one machine only.
        shared = [unit for unit in told if unit["unit"] in again]
        assert len(shared) >= 0.8 * len(told)
        for unit in shared:
            assert unit == pytest.approx(again[unit["unit"]], abs=0.03)


def test_an_attack_on_a_linear_loss_is_the_best_there_is():
    """Along its gradient as far as the radius reaches; clipped to [0, 1] where it would leave it."""
    random = np.random.default_rng(0)
    pictures, weights = random.uniform(0.3, 0.7, (3, 8, 8, 3)), random.normal(size=(3, 8, 8, 3))
    along = weights / np.sqrt((weights**2).sum((1, 2, 3), keepdims=True))

    def loss(x):
        return jax.numpy.sum(weights.astype(np.float32) * x)

    found = attacked(loss, pictures.astype(np.float32), 0.5)
    np.testing.assert_allclose(found, pictures + 0.5 * along, atol=1e-5)
    far = np.asarray(attacked(loss, pictures.astype(np.float32), 50.0))
    assert far.min() == 0 and far.max() == 1
    np.testing.assert_array_equal(attacked(loss, pictures.astype(np.float32), 0.0), pictures.astype(np.float32))


@pytest.mark.slow
def test_an_attack_on_slide_stays_in_its_ball_and_misleads(network):
    pictures, labels = scenes.batch(jax.random.key(5), 1)

    @jax.jit
    def losses(pictures):
        logits = network.forward(network.params, pictures, (network.logits,))[network.logits]
        return cross_entropy(logits, labels)

    found = jax.jit(lambda pictures: attacked(lambda x: losses(x).sum(), pictures, 2.0))(pictures)
    assert found.min() >= 0 and found.max() <= 1
    norms = np.sqrt(np.square(np.float64(found) - np.float64(pictures)).sum((1, 2, 3)))
    assert norms.max() <= 2.0 + 1e-4
    assert np.mean(losses(found) > losses(pictures)) > 0.9
    # A random change of the same length does far less.
    noise = np.random.default_rng(0).normal(size=pictures.shape)
    noise *= 2 / np.sqrt((noise**2).sum((1, 2, 3), keepdims=True))
    random = np.clip(pictures + noise, 0, 1).astype(np.float32)
    assert np.mean(losses(found) - losses(pictures)) > 5 * abs(np.mean(losses(random) - losses(pictures)))


@pytest.mark.slow
def test_folding_changes_nothing():
    state, *_, folded = train.trainer(seed=3, steps=5)
    model = train.training_model(3)
    model.eval()
    learner = train.Learner(nnx.graphdef(model))
    # Statistics and gains unlike the initial ones, for which folding is nearly the identity.
    random = np.random.default_rng(0)
    weights, statistics = (
        jax.tree.map(lambda x: np.asarray(x) + random.uniform(0, 0.3, x.shape).astype(x.dtype) * (x.ndim == 1), part)
        for part in (state.weights, state.statistics)
    )
    layers = ("conv2d0", "conv2d2", "mixed3a")
    pictures = random.uniform(size=(2, 64, 64, 3)).astype(np.float32)

    params: dict = {}
    for name, values in folded(state._replace(weights=weights, statistics=statistics)).items():
        layer, kind = name.split("/")
        params.setdefault(layer, {})[kind] = values
    found = Network.from_architecture(SLIDE, params, SLIDE_INPUT).activations(pictures, layers)
    expected, _ = jax.jit(lambda *args: learner.answers(*args, layers))((weights, statistics), pictures)
    for layer in layers:
        np.testing.assert_allclose(found[layer], expected[layer], rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_statistics_are_those_of_the_pictures():
    """Of the first convolution, in NumPy; and none of what was there before is left."""
    state, _, statistics_on, _ = train.trainer(seed=3, steps=5)
    pictures = np.random.default_rng(0).uniform(size=(3, 32, 32, 3)).astype(np.float32)
    before = state._replace(statistics=jax.tree.map(lambda x: x + 7, state.statistics))
    found = statistics_on(before, pictures)["conv2d0"]["norm"]
    kernel, bias = (np.float64(state.weights["conv2d0"]["conv"][part][...]) for part in ("kernel", "bias"))
    # A window of 7 by steps of 2 on 32 pixels: 5 cells of padding in all, 2 before.
    padded = np.pad((np.float64(pictures) - 0.5) / 0.25, ((0, 0), (2, 3), (2, 3), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (7, 7), axis=(1, 2))[:, ::2, ::2]
    answers = np.einsum("nyxchw,hwco->nyxo", windows, kernel) + bias
    np.testing.assert_allclose(found["mean"][...], answers.mean((0, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(found["var"][...], answers.var((0, 1, 2)), rtol=1e-3)


@pytest.mark.slow
def test_training_lowers_the_loss():
    state, step, *_ = train.trainer(seed=0, steps=10)
    pictures, labels = (part[::4] for part in scenes.batch(jax.random.key(1), 4))
    losses = []
    for _ in range(10):
        state, loss, _ = step(state, pictures, labels, 0.2)
        losses.append(float(loss))
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.slow
def test_a_run_goes_on_from_its_checkpoint(tmp_path):
    path = tmp_path / "slide.checkpoint.npz"
    start, *_ = train.trainer(seed=0, steps=5)
    changed = jax.tree.map(lambda x: x + 1, start)
    train.save(path, changed, 0, 5, 3, 12.5)
    state, done, seconds = train.restored(path, start, 0, 5)
    assert (done, seconds) == (3, 12.5)
    jax.tree.map(np.testing.assert_array_equal, state, changed)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    with pytest.raises(InputError, match="--seed 0 --steps 5"):
        train.restored(path, start, 1, 5)


def test_responses_do_not_depend_on_the_chunk(network, monkeypatch):
    pictures, _ = scenes.batch(jax.random.key(1), 4)
    whole = responses.responses(network, pictures, ["mixed4b"])["mixed4b"]
    monkeypatch.setattr(responses, "BATCH", 50)
    parts = responses.responses(network, pictures, ["mixed4b"])["mixed4b"]
    np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-4)
