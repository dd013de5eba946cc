"""What the adapter of Keras names, against what Keras' own submodels return."""

import itertools
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcircuits import InputConvention, InputError
from jaxcircuits.network.adapters import failure, keras_model, linen_model, nnx_model
from support.data import data, photographs
from support.marked import X, marked, same, scopes

os.environ.setdefault("KERAS_BACKEND", "jax")  # read where Keras is first imported
keras = pytest.importorskip("keras", reason="needs Keras")


def keras_net():
    """Functional, with a sequential model in it that is called twice."""
    layers = keras.layers
    inner = keras.Sequential(
        [
            layers.Input((8, 8, 4)),
            layers.Conv2D(4, 3, padding="same", activation="relu", name="conv"),
            layers.BatchNormalization(name="norm"),
        ],
        name="inner",
    )
    picture = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="stem")(picture)
    x = inner(x)
    x = layers.Add(name="sum")([x, inner(x)])
    x = layers.MaxPooling2D(name="pool")(keras.ops.relu(x))
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.Dropout(0.5, name="dropout")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    model = keras.Model(picture, {"logits": layers.Dense(5, name="head")(x), "mean": x})
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 0.5, weight.shape) for weight in model.get_weights()])
    return model


def test_keras_layers_are_what_its_own_submodels_return():
    module = keras_net()
    model, params = keras_model(module, {})
    output, seen = marked(model, params)
    names = ["stem", "sum", "pool", "depthwise", "dropout", "mean", "head"]
    for name in names:
        submodel = keras.Model(module.input, module.get_layer(name).output)
        assert len(seen[name]) == 1
        same(seen[name][0], submodel(X, training=False))
    inner = module.get_layer("inner")
    assert len(seen["inner"]) == len(seen["inner/conv"]) == 2
    same(seen["inner/conv"][1], inner.get_layer("conv")(inner(seen["stem"][0], training=False)))
    same(seen["inner"][1], inner(seen["inner"][0], training=False))
    assert set(seen) == {*names, "inner", "inner/conv", "inner/norm"}
    jax.tree.map(same, output, module(X, training=False))
    where = scopes(model, params)
    assert where["max"] == {"", "inner/conv"} and where["reduce_window_max"] == {"pool"}
    weights = {"stem/kernel", "inner/conv/bias", "inner/norm/moving_variance", "depthwise/kernel", "head/kernel"}
    assert weights <= set(params) and len(params) == len(module.weights)
    assert all("call" not in vars(layer) for layer in (*module.layers, *inner.layers))


def test_keras_models_of_ones_own_class_are_named_by_attributes():
    layers = keras.layers

    class Block(layers.Layer):
        def __init__(self):
            super().__init__()
            self.conv = layers.Conv2D(4, 3, padding="same")
            self.norm = layers.BatchNormalization()

        def call(self, x):
            return x + keras.ops.relu(self.norm(self.conv(x)))

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.stem = layers.Conv2D(4, 3)
            self.blocks = [Block() for _ in range(2)]
            self.dropout = layers.Dropout(0.5)
            self.heads = {"first": layers.Dense(5)}

        def call(self, x, layers=()):
            x = self.stem(x)
            for block in self.blocks:
                x = block(x)
            return {"heads": {"first": self.heads["first"](keras.ops.mean(self.dropout(x), (1, 2)))}, "none": None}

    module = Net()
    with pytest.raises(InputError, match="has no weights yet; call it once on a picture"):
        keras_model(module, {})
    module(X)
    model, params = keras_model(module, {})
    output, seen = marked(model, params)
    assert list(seen) == [
        "stem",
        *(f"blocks/{i}{part}" for i in "01" for part in ("/conv", "/norm", "")),
        "dropout",
        "heads/first",
    ]
    x = module.stem(X)
    for i, block in enumerate(module.blocks):
        same(seen[f"blocks/{i}/norm"][0], block.norm(block.conv(x), training=False))
        x = block(x, training=False)
        same(seen[f"blocks/{i}"][0], x)
    assert set(output) == {"heads", "none"} and output["none"] is None
    same(output["heads"]["first"], seen["heads/first"][0])
    assert scopes(model, params)["max"] == {"blocks/0", "blocks/1"}
    assert {"blocks/1/norm/gamma", "heads/first/kernel"} <= set(params)
    # What its training does later changes nothing, and nothing is given away.
    before = np.asarray(params["stem/kernel"])
    module.stem.kernel.assign(before + 1)
    np.testing.assert_array_equal(params["stem/kernel"], before)


def test_keras_models_may_be_traced_by_several_threads():
    module = keras_net()
    model, params = keras_model(module, {})
    expected = list(marked(model, params)[1])
    together = threading.Barrier(4)

    def look(i):
        together.wait()
        if i == 3:  # as a user's own thread
            return [module(X, training=False)["logits"].shape for _ in range(4)]
        # A function of its own each time, so that JAX traces it anew.
        return [list(marked(lambda p, x: model(p, x), params)[1]) for _ in range(2)]

    with ThreadPoolExecutor(4) as pool:
        *seen, shapes = pool.map(look, range(4))
    assert all(names == expected for each in seen for names in each) and shapes == [(2, 5)] * 4
    assert all("call" not in vars(layer) for layer in module.layers)


def test_keras_failures_and_wrong_ways_in():
    flat = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(4, name="head")])
    model, params = keras_model(flat, {})
    with pytest.raises(ValueError, match="incompatible") as raised:
        model(params, jnp.ones((1, 8, 8, 1)))
    line = str(failure(raised.value, model, params, InputConvention(size=(8, 8), channels=1)))
    assert "of layer 'head' is incompatible" in line and line.endswith("state InputConvention(channels=3)")
    for adapt in (nnx_model, lambda module, kwargs: linen_model(module, {}, kwargs)):
        with pytest.raises(InputError, match=r"Sequential is a Keras model; .*use Network.from_keras\(model\)"):
            adapt(flat, {})


@pytest.mark.slow
def test_keras_on_another_backend_says_how_to_set_it():
    program = """
import keras
from jaxcircuits.network.adapters.keras import keras_model
model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten()])
try:
    keras_model(model, {})
except ValueError as error:
    print(error)
"""
    environment = os.environ | {"KERAS_BACKEND": "numpy"}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert "Keras runs on numpy; set the environment variable KERAS_BACKEND=jax before Keras is imported" in run.stdout


def test_keras_applications_expect_what_keras_says():
    """Every family's preprocessing, against its own `preprocess_input`."""
    from jaxcircuits.network.adapters.keras_applications import _convention, keras_application

    applications = [getattr(keras.applications, name) for name in dir(keras.applications) if name[0].isupper()]
    pictures = np.random.default_rng(0).uniform(size=(2, 5, 4, 3)).astype(np.float32)
    for application in applications:
        convention = _convention(application, (None, 32, 48, 3))
        expected = sys.modules[application.__module__].preprocess_input(255 * pictures)
        np.testing.assert_allclose(convention(jnp.asarray(pictures)), expected, rtol=1e-4, atol=1e-4)
        assert convention.size == (32, 48) and convention.layout == "HWC"
    with pytest.raises(InputError, match="unknown Keras application 'VGG18'; did you mean VGG19 or VGG16"):
        keras_application("VGG18")
    with pytest.raises(InputError, match=r"no weights for keras:MobileNet \(.*load_weights\(FILE\), .*from_keras"):
        keras_application("MobileNet", "no/such.weights.h5")


@pytest.mark.slow
def test_keras_mobilenet_v2_names_photographs():
    from jaxcircuits.network.adapters.keras_applications import keras_application

    model, params, convention, _ = keras_application("MobileNetV2", data("weights", "mobilenet_v2.weights.h5"))
    lines = data("weights", "inceptionv1_google2015.labels.txt").read_text().splitlines()
    synsets = sorted(line.split()[0] for line in lines[1:1001])
    answer = jax.jit(lambda params, pictures: model(params, convention(pictures)).argmax(1))
    right = [
        synsets[i] == synset
        for names, pictures in itertools.islice(photographs(), 8)
        for i, synset in zip(answer(params, pictures), names)
    ]
    assert len(right) == 400 and np.mean(right) == 0.8475
