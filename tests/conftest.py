"""Fixtures that tests of several packages share, and what every test process sets."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcircuits.network import Network, load
from jaxcircuits.zoo import ZOO, InputConvention
from support.data import PUBLISHED, ROOT, data
from support.small import convolved, random_params, small_network

# The benchmarks are not installed; at the end, so that what is installed is tested as it is.
sys.path.append(str(ROOT))

# What another worker, a command that a test starts, or an earlier run has compiled is loaded.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "programs"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
jax.config.update(
    "jax_persistent_cache_min_compile_time_secs", float(os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"])
)


@pytest.fixture(scope="module")
def compiled_quickly():
    """For modules that compile hundreds of programs and run each a few times: XLA optimizes little."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


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


@pytest.fixture(scope="session")
def small() -> Network:
    """A small network of the zoo's kind with random weights."""
    return small_network()


@pytest.fixture(scope="session")
def full_size() -> Network:
    """InceptionV1 at its full widths with random weights."""
    entry = ZOO["inceptionv1"]
    return Network.from_architecture(entry.architecture, random_params(entry.architecture), entry.convention)


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
