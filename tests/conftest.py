"""Networks and data that several tests share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcircuits.images import open_pictures
from jaxcircuits.network import Network, load
from jaxcircuits.network.adapters import by_layer
from jaxcircuits.zoo import ZOO, InputConvention
from jaxcircuits.zoo.architecture import LRN
from jaxcircuits.zoo.inception import CAFFE_NAMES, GOOGLE_NAMES, GOOGLE_WIDTHS, BlockWidths, inception

# The benchmarks are not installed; at the end, so that what is installed is tested as it is.
sys.path.append(str(Path(__file__).parents[1]))

# What another worker, a command that a test starts, or an earlier run has compiled is loaded.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache" / "programs"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
jax.config.update(
    "jax_persistent_cache_min_compile_time_secs", float(os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"])
)

SHARED = Path(os.environ.get("JAXCIRCUITS_TEST_DATA", Path(__file__).parents[1].parent / "shared"))
"""Published weights, photographs and independently computed activations, where they are at hand."""

PUBLISHED = {
    "inceptionv1-2015": ("inceptionv1_google2015.pb", "inceptionv1_google2015.labels.txt"),
    "googlenet": ("bvlc_googlenet.caffemodel", "inceptionv1_google2015.labels.txt"),
    "squeezenet": ("squeezenet_v1.1.caffemodel", "inceptionv1_google2015.labels.txt"),
}


def data(*parts: str) -> Path:
    """A file or folder of the test data; skips the test where it is missing."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs {'/'.join(parts)} of the test data, looked for in {SHARED}")
    return path


def photographs(batch: int = 50, size: int = 224) -> Iterator[tuple[list[str], np.ndarray]]:
    """Batches of 800 photographs, one an ImageNet class: their synsets, and (N, size, size, 3) in [0, 1]."""
    pictures = open_pictures(data("images", "train"), size=size, fit="whole")
    for found in pictures.batches(batch):
        synsets = [Path(pictures.name(number)).parent.name for number in found.numbers[found.read]]
        yield synsets, found.images[found.read] / np.float32(255)


@pytest.fixture(scope="session")
def converted(tmp_path_factory, worker_id):
    """A function from a zoo name to its weights file, converted once from the published one, by whichever worker."""
    from weights_convert import convert

    folder = tmp_path_factory.getbasetemp()
    folder = (folder if worker_id == "master" else folder.parent) / "weights"
    folder.mkdir(exist_ok=True)

    def find(name: str) -> Path:
        weights, labels = PUBLISHED[name]
        path = folder / f"{name}.safetensors"
        if not path.exists():
            convert(data("weights", weights), path, labels=data("weights", labels))  # whole or not at all
        return path

    return find


@pytest.fixture(scope="session")
def zoo_network(converted):
    """A function from a zoo name to the loaded network."""
    networks: dict[str, Network] = {}

    def find(name: str) -> Network:
        if name not in networks:
            networks[name] = load(converted(name))
        return networks[name]

    return find


def random_params(architecture, seed: int = 0):
    """Random weights that keep activations of order one, so that every layer has something to say."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, shape in architecture.tensors().items():
        scale = np.sqrt(2 / np.prod(shape[:-1])) if name.endswith("/kernel") else 0.1
        tensors[name] = jnp.asarray(rng.normal(scale=scale, size=shape), jnp.float32)
    return by_layer(tensors)


SMALL_WIDTHS = {block: BlockWidths(*(max(n // 16, 2) for n in widths)) for block, widths in GOOGLE_WIDTHS.items()}

SMALL = {
    "google": inception(
        "small-google",
        names=GOOGLE_NAMES,
        stem=(8, 8, 12),
        blocks=SMALL_WIDTHS,
        classes=10,
        padding="SAME",
        lrn=LRN(radius=2, bias=2.0, alpha=0.1, beta=0.5),
    ),
    "caffe": inception(
        "small-caffe",
        names=CAFFE_NAMES,
        stem=(8, 8, 12),
        blocks=SMALL_WIDTHS,
        classes=10,
        padding="CAFFE",
        lrn=LRN(radius=1, bias=1.0, alpha=0.1, beta=0.75),
    ),
}
"""The zoo's architecture at a sixteenth of its widths, in both conventions."""


@pytest.fixture(scope="session")
def small() -> Network:
    """A small network of the zoo's kind with random weights."""
    convention = InputConvention(size=(64, 64), mean=0.5, std=0.25)
    return Network.from_architecture(SMALL["google"], random_params(SMALL["google"]), convention)


@pytest.fixture(scope="session")
def full_size() -> Network:
    """InceptionV1 at its full widths with random weights."""
    entry = ZOO["inceptionv1"]
    return Network.from_architecture(entry.architecture, random_params(entry.architecture), entry.convention)


def convolved(params, x):
    y = jax.lax.conv_general_dilated(x, params, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return {"conv": y, "relu": jnp.maximum(y, 0)}


@pytest.fixture(scope="session")
def tiny() -> Network:
    """One convolution: its programs compile at once."""
    kernel = jnp.asarray(np.random.default_rng(0).normal(size=(3, 3, 3, 12)), jnp.float32)
    return Network.from_function(convolved, kernel, InputConvention(size=(16, 16), mean=0.5, std=0.25))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what is marked `exhaustive`, unless `-m` or a test's own name asks for it."""
    if "exhaustive" in config.option.markexpr or any("::" in argument for argument in config.args):
        return
    left_out = [item for item in items if item.get_closest_marker("exhaustive")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not item.get_closest_marker("exhaustive")]


@pytest.fixture(scope="module", autouse=True)
def few_compiled_programs():
    """XLA maps each compiled program into memory, and Linux allows a process 65,530 maps: beyond them it crashes."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > 20_000:
        jax.clear_caches()
