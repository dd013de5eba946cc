"""Any Flax model as a Network, and what it says of pictures and names that it cannot use."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxcircuits as jc
from jaxcircuits import InputConvention, InputError, Network
from jaxcircuits.network.checks import class_index

PICTURES = np.random.default_rng(0).uniform(size=(2, 12, 10, 3)).astype(np.float32)


class LinenCNN(nn.Module):
    """Batch norm and dropout, which behave otherwise in training."""

    @nn.compact
    def __call__(self, x, train: bool = True):
        x = nn.relu(nn.Conv(8, (3, 3))(x))
        x = nn.BatchNorm(use_running_average=not train)(x)
        x = nn.Dropout(0.5, deterministic=not train)(x)
        x = nn.relu(nn.Conv(6, (3, 3), name="last")(x))
        self.sow("intermediates", "pooled", x.mean((1, 2)))
        return nn.Dense(4)(x.mean((1, 2)))


class NNXBlock(nnx.Module):
    def __init__(self, inputs, outputs, rngs):
        self.conv = nnx.Conv(inputs, outputs, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(outputs, rngs=rngs)

    def __call__(self, x):
        return nnx.relu(self.norm(self.conv(x)))


class NNXCNN(nnx.Module):
    def __init__(self, channels, rngs):
        self.blocks = nnx.List([NNXBlock(channels, 8, rngs), NNXBlock(8, 6, rngs)])
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.head = nnx.Linear(6, 4, rngs=rngs)

    def __call__(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(self.dropout(x).mean((1, 2)))


def linen_network():
    variables = LinenCNN().init(jax.random.key(0), jnp.ones((1, 12, 10, 3)), train=False)
    convention = InputConvention(size=(12, 10), mean=0.5, std=0.25)
    return Network.from_linen(LinenCNN(), variables, convention, train=False), variables


def test_linen_module():
    network, variables = linen_network()
    assert {name: layer.channels for name, layer in network.layers.items()} == {
        "Conv_0": 8,
        "relu": 8,
        "BatchNorm_0": 8,
        "Dropout_0": 8,
        "last": 6,
        "relu_1": 6,
        "pooled": 6,
        "mean": 6,
        "Dense_0": 4,
        "output": 4,
    }
    assert network.layers["last"].op == "Conv"
    expected = LinenCNN().apply(variables, (PICTURES - 0.5) / 0.25, train=False)
    result = network.activations(PICTURES)
    np.testing.assert_allclose(result["output"], expected, rtol=1e-5, atol=1e-6)
    kernel, bias = (np.asarray(variables["params"]["last"][kind]) for kind in ("kernel", "bias"))
    center = np.asarray(result["BatchNorm_0"])[:, 4:7, 4:7]
    by_hand = np.einsum("nijc,ijco->no", center, kernel) + bias
    np.testing.assert_allclose(result["last"][:, 5, 5], by_hand, rtol=1e-4, atol=1e-5)


def test_nnx_module_in_evaluation_mode_and_untouched():
    module = NNXCNN(3, nnx.Rngs(0))
    network = Network.from_nnx(module, InputConvention(size=(12, 10)))
    assert list(network.layers) == [
        "blocks/0/conv",
        "blocks/0/norm",
        "blocks/0",
        "blocks/1/conv",
        "blocks/1/norm",
        "blocks/1",
        "dropout",
        "mean",
        "head",
        "output",
    ]
    assert network.layers["blocks/0/conv"].op == "Conv"
    first = network.activations(PICTURES, ["blocks/1", "output"])
    np.testing.assert_array_equal(network.activations(PICTURES)["output"], first["output"])
    assert not module.dropout.deterministic
    module.eval()
    np.testing.assert_allclose(first["output"], module(jnp.asarray(PICTURES)), rtol=1e-5, atol=1e-6)


def test_modules_that_return_their_activations():
    class Named(nnx.Module):
        def __call__(self, x):
            return {"edges": x[:, 1:] - x[:, :-1], "mean": x.mean((1, 2))}

    network = Network.from_nnx(Named(), InputConvention(size=(12, 10)))
    assert list(network.layers) == ["edges", "mean"]
    assert network.activations(PICTURES, "edges")["edges"].shape == (2, 11, 10, 3)


def test_models_with_unhashable_settings():
    class Scaled(nn.Module):
        factors: np.ndarray

        def __call__(self, x):
            return x * self.factors

    network = Network.from_linen(Scaled(np.array([1.0, 2.0, 3.0])), {}, InputConvention(size=(12, 10)))
    np.testing.assert_allclose(network.activations(PICTURES)["output"], PICTURES * [1, 2, 3], rtol=1e-6)


@pytest.mark.parametrize("kind", ["array", "dict"])
def test_plain_function(kind):
    def function(params, x):
        y = x @ params
        return y if kind == "array" else {"output": y}

    network = Network.from_function(function, jnp.ones((3, 5)), InputConvention(size=(12, 10), scale=2, mean=1))
    result = network.activations(PICTURES)["output"]
    np.testing.assert_allclose(
        result, np.repeat((2 * PICTURES - 1).sum(-1, keepdims=True), 5, -1), rtol=1e-5, atol=1e-5
    )


def test_gray_pictures_and_channel_order():
    identity = lambda params, x: x  # noqa: E731
    gray = Network.from_function(identity, (), InputConvention(size=(8, 8), channels=1, scale=255, mean=10))
    np.testing.assert_allclose(gray.activations(PICTURES[..., :1])["output"], PICTURES[..., :1] * 255 - 10, rtol=1e-5)
    bgr = Network.from_function(identity, (), InputConvention(size=(8, 8), mean=(0.1, 0.2, 0.3), order="BGR"))
    expected = PICTURES[..., ::-1] - np.array([0.1, 0.2, 0.3])
    np.testing.assert_allclose(bgr.activations(PICTURES)["output"], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("which", ["linen", "nnx", "gray"])
def test_any_flax_model_is_drawn(which):
    """Three lines, end to end: the pictures excite their units more than where they started."""
    if which == "linen":
        network, layer = linen_network()[0], "last"
    else:
        channels = 1 if which == "gray" else 3
        convention = InputConvention(size=(12, 12), channels=channels, mean=0.5, std=0.25)
        network, layer = Network.from_nnx(NNXCNN(channels, nnx.Rngs(1)), convention), "blocks/1"
    recipe = jc.Recipe(size=24, steps=30, transforms=())
    rendering = jc.render(network, jc.channel(layer, range(4)), recipe, snapshots=[1])
    assert rendering.images.shape == (4, 24, 24, network.convention.channels)

    def means(images):
        return np.asarray(network.activations(images, layer)[layer]).mean((1, 2))[np.arange(4), np.arange(4)]

    assert (means(rendering.images) > means(rendering.snapshots[1])).all()


def test_linen_ignores_nothing_that_it_needs():
    with pytest.raises(InputError, match="the model fails on a picture of shape \\(12, 10, 3\\)"):
        variables = LinenCNN().init(jax.random.key(0), jnp.ones((1, 12, 10, 3)), train=False)
        Network.from_linen(LinenCNN(), variables, InputConvention(size=(12, 10)), train=True)


BAD_PICTURES = {
    "no leading axis": (PICTURES[0], "shape .*12, 10, 3.*images\\[None\\]"),
    "gray": (PICTURES[..., :1], "1 channels \\(gray.*np.repeat"),
    "rgba": (np.concatenate([PICTURES, PICTURES[..., :1]], -1), "4 channels \\(RGBA.*images\\[..., :3\\]"),
    "bytes": (np.uint8(PICTURES * 255), "uint8.*divide bytes by 255"),
    "0 to 255": (PICTURES * 255, "values from .* to .*in \\[0, 1\\]"),
    "not finite": (PICTURES * np.nan, "values from nan"),
    "text": (np.array([[[["a"]]]]), "expected|takes"),
}


@pytest.mark.parametrize("case", BAD_PICTURES)
def test_bad_pictures(case, small):
    pictures, message = BAD_PICTURES[case]
    with pytest.raises(InputError, match=message) as error:
        small.activations(pictures)
    assert "\n" not in str(error.value)


def test_unknown_names(small):
    with pytest.raises(InputError, match=r"unknown layer 'mixed4' of small-google; did you mean mixed4"):
        small.activations(PICTURES, "mixed4")
    with pytest.raises(InputError, match=r"unknown network 'inceptionv2'; did you mean .*inceptionv1"):
        jc.load("inceptionv2")
    with pytest.raises(InputError, match=r"nowhere\.safetensors"):
        jc.load("nowhere.safetensors")


def test_labels(zoo_network):
    network = zoo_network("inceptionv1-2015")
    assert len(network.labels) == 1008
    for label in ("Siberian husky", "n02110185", "n02110185 Siberian husky"):
        assert network.class_index(label) == 3
    with pytest.raises(InputError, match="did you mean siberian husky"):
        network.class_index("Siberian huskey")


@pytest.mark.parametrize(
    "label, index",
    [
        ("car", 0),
        ("Scrambled Car", 1),
        ("head", 2),
        ("head, wrong neck", 2),
        ("n01440764", 3),
        ("Tinca tinca", 3),
        ("n01440764 tench, Tinca tinca", 3),
    ],
)
def test_a_label_is_a_synset_with_names_or_names_alone(label, index):
    labels = ("car", "scrambled car", "head, wrong neck", "n01440764 tench, Tinca tinca")
    assert class_index("small", labels, label) == index


def test_a_part_of_a_name_is_no_label():
    with pytest.raises(InputError, match=r"unknown label 'xyz' of small; there are head, wrong neck, car$"):
        class_index("small", ("head, wrong neck", "car"), "xyz")
    with pytest.raises(InputError, match=r"unknown label 'scrambled' of small; did you mean scrambled car"):
        class_index("small", ("car", "scrambled car"), "scrambled")


@pytest.mark.parametrize(
    ("what", "heavy"),
    [
        ("jaxcircuits", ("jax", "flax", "tensorflow_datasets")),
        # What the commands that draw load.
        ("jaxcircuits.bulk", ("scipy", "matplotlib", "tensorflow_datasets", "grain")),
    ],
)
def test_importing_is_light(what, heavy):
    """Names load when they are used, and libraries that take long to load where something is asked of them."""
    import subprocess
    import sys

    code = f"import sys, {what}; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_names_load_when_they_are_used():
    assert "render" in dir(jc)
    with pytest.raises(AttributeError, match="renderer"):
        jc.renderer  # noqa: B018
