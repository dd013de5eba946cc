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


def test_fresh_scenes_are_told_apart_and_units_live(network, figures):
    found = report.scene_figures(network, seed=987, per_class=20)
    assert found["accuracy"] >= 0.93
    assert found["accuracy"] == pytest.approx(figures["accuracy"], abs=0.03)
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


@pytest.mark.slow
def test_folding_changes_nothing():
    state, _, folded = train.trainer(seed=3, steps=5)
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
def test_training_lowers_the_loss():
    state, step, _ = train.trainer(seed=0, steps=10)
    pictures, labels = (part[::4] for part in scenes.batch(jax.random.key(1), 4))
    losses = []
    for _ in range(10):
        state, loss, _ = step(state, pictures, labels)
        losses.append(float(loss))
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.slow
def test_a_run_goes_on_from_its_checkpoint(tmp_path):
    path = tmp_path / "slide.checkpoint.npz"
    start, _, _ = train.trainer(seed=0, steps=5)
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
