"""Memory: what a picture takes, and batches that find no room."""

import dataclasses
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxcircuits as jc
from jaxcircuits import Recipe
from jaxcircuits.bulk import Directions, memory
from jaxcircuits.network import Network
from support.drawn import draw


def test_a_device_without_room(tmp_path):
    """Batches of more than three ask for 64 TiB: they are halved, and every picture comes out."""

    def greedy(params, x):
        room = (len(x), 2**20, 2**22) if len(x) > 3 else (len(x), 1, 2)
        means = jax.lax.stop_gradient(x).mean((1, 2, 3))[:, None, None]
        x = x + jnp.fft.fft(jnp.broadcast_to(means, room))[:, :1, 1:2, None].real
        return {"layer": jnp.tanh(x)}

    network = Network.from_function(greedy, {}, jc.InputConvention(size=(16, 16)))
    rows = Directions("many", np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32))
    objective, recipe = jc.direction("layer", rows.vectors), Recipe(size=16, steps=2, transforms=(), redirect_steps=0)
    with pytest.raises(jax.errors.JaxRuntimeError, match="RESOURCE_EXHAUSTED"):
        jc.render(network, objective, recipe, batch_size=4, progress=False)
    _, (sheet,) = draw(network, tmp_path, range(8), "layer", recipe, batch_size=4, directions=rows)
    expected = jc.render(network, objective, recipe, batch_size=2, progress=False)
    for i, image in enumerate(expected.images):
        np.testing.assert_allclose(np.asarray(Image.open(sheet.parent / f"{i:04d}.png")) / 255, image, atol=3e-3)


def test_memory_of_a_picture(small):
    """The activations that are counted are those that the network computes, in bytes."""
    recipe = Recipe(size=40, transforms=())
    names = small.graph.needed(["mixed3a"])
    seen = small.activations(np.zeros((1, 40, 40, 3), np.float32), names)
    expected = sum(value.nbytes for value in seen.values())
    assert memory.activation_bytes(small, "mixed3a", recipe) == expected
    assert memory.activation_bytes(small, "mixed3a", dataclasses.replace(recipe, views=3)) == 3 * expected
    other = Network.from_function(lambda params, x: {"a": x, "b": x[:, ::2] * 2}, {})
    assert memory.activation_bytes(other, "a", recipe) == 4 * 40 * 40 * 3
    assert (
        memory.pictures_at_once(small, "mixed3a", recipe)
        == min(2 * len(os.sched_getaffinity(0)), 16) * jax.local_device_count()
    )
    assert [memory.fitting(free, 1000) for free in (0, 4000, 47_999, 10**9)] == [1, 1, 11, memory.MOST]
