"""What compiles again, and what does not: numbers, units, counts of pictures, other processes."""

import dataclasses
import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import monitoring

import jaxcircuits as jc
from jaxcircuits import Recipe
from jaxcircuits.vis import (
    MACO,
    RGBA,
    Affine,
    Blur,
    Color,
    Crop,
    Elastic,
    Flip,
    Fourier,
    Homography,
    Jitter,
    Noise,
    Pad,
    Pixels,
    Rotate,
    Scale,
    Shared,
)
from jaxcircuits.vis.batching import batch_width
from jaxcircuits.vis.numbers import divided
from jaxcircuits.vis.transforms import random_view

PLAIN = Recipe(size=16, steps=3, transforms=(Pad(2), Scale((0.9, 1.1)), Rotate((-5, 5))), redirect_steps=2)


@pytest.fixture
def compilations():
    """A list that grows by a name with every program that XLA compiles."""
    events = []

    def listen(name, duration, **about):
        if name == "/jax/core/compile/backend_compile_duration":
            events.append(about.get("fun_name"))

    monitoring.register_event_duration_secs_listener(listen)
    yield events
    monitoring.unregister_event_duration_listener(listen)


def test_another_unit_compiles_nothing(tiny, compilations):
    recipe = dataclasses.replace(PLAIN, size=18)  # as no other test draws
    vectors = np.random.default_rng(0).normal(size=(4, 12))

    def draw(units, vector, weight):
        jc.render(tiny, jc.channel("conv", units) + weight * jc.direction("relu", vector), recipe, seed=units[0])

    draw([1, 2], vectors[0], 0.5)
    assert compilations
    compilations.clear()
    draw([3, 0], vectors[1], 2.0)
    draw([5, 6], vectors[2:], [1.0, -3.0])
    assert not compilations


def test_what_was_compiled_ahead_is_not_compiled_again(tiny, compilations):
    recipe = dataclasses.replace(PLAIN, size=20)
    jc.render(tiny, jc.channel("relu", [1, 2, 3]), recipe, batch_size=2)  # what does not depend on the layer
    compilations.clear()
    jc.compile_ahead(tiny, jc.channel("conv", [0] * 3), recipe, batch_size=2)
    assert compilations
    compilations.clear()
    jc.render(tiny, jc.channel("conv", [5, 3, 1]), recipe, batch_size=2, seed=4)
    assert not compilations


def with_transforms(*transforms):
    return dataclasses.replace(PLAIN, transforms=transforms)


OTHER_NUMBERS = {
    "steps": (PLAIN, dataclasses.replace(PLAIN, steps=5)),
    "learning rate": (PLAIN, dataclasses.replace(PLAIN, learning_rate=0.1)),
    "betas": (PLAIN, dataclasses.replace(PLAIN, betas=(0.8, 0.99))),
    "redirected steps": (PLAIN, dataclasses.replace(PLAIN, redirect_steps=1)),
    "tolerance": (PLAIN, dataclasses.replace(PLAIN, tolerance=0.1)),
    "scales and angles": (PLAIN, with_transforms(Pad(2), Scale((0.95, 1.05)), Rotate((-8, 3)))),
    "affine": (with_transforms(Affine(degrees=(-5, 5))), with_transforms(Affine(zoom=(0.9, 1.1), shift=(-2, 2)))),
    "flip": (with_transforms(Flip(0.5)), with_transforms(Flip(0.1))),
    "crop": (with_transforms(Crop(first=0.5)), with_transforms(Crop(first=0.6, last=0.3, spread=0.1))),
    "bends": (with_transforms(Homography(0.2), Elastic(1.0, 3.0)), with_transforms(Homography(0.1), Elastic(2.0, 4.0))),
    "values": (
        with_transforms(Blur((0.1, 1.0)), Noise(0.1, 0.2), Color(brightness=(0.9, 1.1))),
        with_transforms(Blur((0.5, 3.0)), Noise(0.2, 0.1), Color(contrast=(0.5, 2.0))),
    ),
    "start": (
        dataclasses.replace(PLAIN, parametrization=RGBA(Shared(Fourier(sd=0.1), group=2))),
        dataclasses.replace(PLAIN, parametrization=RGBA(Shared(Fourier(sd=0.2), sd=0.3, group=2))),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", OTHER_NUMBERS)
def test_another_number_compiles_nothing(case, tiny, compilations):
    first, second = OTHER_NUMBERS[case]
    assert first != second
    one = jc.render(tiny, jc.channel("relu", [1, 2]), first)
    compilations.clear()
    other = jc.render(tiny, jc.channel("relu", [1, 2]), second)
    assert not compilations
    assert case in ("tolerance", "redirected steps") or np.abs(one.images - other.images).max() > 1e-3
    # What is told is what is drawn: a program that was compiled for these numbers alone draws the same.
    jax.clear_caches()
    again = jc.render(tiny, jc.channel("relu", [1, 2]), second)
    np.testing.assert_array_equal(again.images, other.images)


@pytest.mark.parametrize("transforms", [PLAIN.transforms, MACO, (Jitter(4), Noise(0.1), Rotate((3,)))])
def test_told_numbers_make_the_views_of_written_ones(transforms):
    """The numbers as arguments of a program, against the numbers in its text."""
    recipe = dataclasses.replace(PLAIN, transforms=transforms)
    structure, numbers = divided(recipe)
    picture = jnp.asarray(np.random.default_rng(0).uniform(size=(16, 16, 3)), jnp.float32)
    key = jax.random.key(3)

    @jax.jit
    def told(numbers):
        return random_view(structure.recipe(numbers).transforms, key, picture, 0.3, structure.bounds)

    written = jax.jit(lambda: random_view(transforms, key, picture, 0.3))()
    np.testing.assert_allclose(told(numbers), written, atol=2e-6)
    assert hash(structure) == hash(divided(dataclasses.replace(recipe, steps=9))[0])


def test_what_is_structure_is_another_program(tiny):
    other = {"size": 18, "views": 2, "dtype": "bfloat16", "parametrization": Pixels(), "redirect_steps": 0}
    other["transforms"] = (*PLAIN.transforms, Jitter(2))
    for field, value in other.items():
        assert divided(dataclasses.replace(PLAIN, **{field: value}))[0] != divided(PLAIN)[0], field
    # Twice as large wants more of the gradient's taps.
    larger = dataclasses.replace(PLAIN, transforms=(Pad(2), Scale((0.9, 2.0)), Rotate((-5, 5))))
    assert divided(larger)[0] != divided(PLAIN)[0]


def test_another_count_finds_its_program(tiny, compilations):
    """Widths of batches come from a ladder; the pictures are those of any other batch."""
    recipe = dataclasses.replace(PLAIN, steps=2)
    eight = jc.render(tiny, jc.channel("conv", range(8)), recipe, batch_size=4)
    compilations.clear()
    for count in (9, 7, 12, 3):
        drawn = jc.render(tiny, jc.channel("conv", range(count)), recipe, batch_size=4)
        assert len(drawn.images) == count
        np.testing.assert_allclose(drawn.images[:3], eight.images[:3], atol=1e-5)
    assert not compilations


@pytest.mark.parametrize("multiple", [1, 2, 6])
def test_widths(multiple):
    widths = set()
    for most in (1, 4, 5, 16, 24):
        for count in range(1, 60):
            width = batch_width(count, most, multiple)
            places = width * -(-count // width)
            assert width % multiple == 0 and (width <= most or width == multiple)
            assert places >= count and (places <= 1.6 * count or width == multiple)
            if most == 16:
                widths.add(width)
    assert len(widths) <= 5


DRAW = """
import json, jax
import jaxcircuits as jc

compiled, found = [], []
jax.monitoring.register_event_duration_secs_listener(lambda event, seconds, **about: compiled.append(event))
jax.monitoring.register_event_listener(lambda event, **about: found.append(event))
jax.jit(lambda x: x + 1)(1)  # what a process computed before
recipe = jc.Recipe(size=16, steps=1, transforms=())
jc.render(jc.load("slide"), jc.channel("conv2d0", 0), recipe, progress=False)
hits = found.count("/jax/compilation_cache/cache_hits")
print(json.dumps([hits, jax.config.jax_compilation_cache_dir]))
"""


@pytest.mark.slow
def test_the_library_keeps_its_programs(tmp_path):
    """A second process finds them; a folder that JAX was told of is left to the user, and so is none."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    environment |= {"JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}

    def draw(**more):
        command = [sys.executable, "-c", DRAW]
        done = subprocess.run(command, env=environment | more, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    quick = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    assert draw(**quick) == [0, str(tmp_path / "jaxcircuits" / "programs")]
    assert draw(**quick)[0] >= 3
    own = tmp_path / "own"
    assert draw(JAX_COMPILATION_CACHE_DIR=str(own), **quick) == [0, str(own)]
    assert draw(JAX_COMPILATION_CACHE_DIR="", **quick)[0] == 0
