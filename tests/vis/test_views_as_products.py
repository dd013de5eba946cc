"""Views by products, which are what TPUs compute, on a CPU.

`on_a_tpu` has programs traced as for a TPU.
"""

import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcircuits as jc
from jaxcircuits.platforms import traced_for_tpu
from jaxcircuits.vis.keys import picture_keys
from jaxcircuits.vis.loss import Batch
from jaxcircuits.vis.numbers import divided
from jaxcircuits.vis.optimize import Programs
from jaxcircuits.vis.transforms import (
    CAPTUM,
    LUCID,
    MACO,
    Affine,
    AffineMap,
    Blur,
    Crop,
    Elastic,
    Flip,
    Homography,
    Jitter,
    Native,
    Pad,
    Rotate,
    Scale,
    random_view,
    view_size,
)
from jaxcircuits.vis.transforms.base import LinearBounds, choose
from jaxcircuits.vis.transforms.products import shears, view_by_products
from jaxcircuits.vis.transforms.view import bounds

RNG = np.random.default_rng(0)

jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
"""These programs run once: half the time to compile them counts for more."""


@pytest.fixture
def on_a_tpu():
    with traced_for_tpu():
        yield


def tent(distance):
    return np.maximum(0, 1 - np.abs(distance))


def middle(count):
    return np.arange(count) - (count - 1) / 2


def slow_two_passes(picture, matrix, size):
    """Row r is read where the view's column j meets it, then column j where row i of the view meets that."""
    (height, width, _), ((a, b, s), (c, d, t), _) = picture.shape, matrix
    rows, columns = middle(height)[:, None], middle(size[1])
    meets = (rows - b * columns - s) / a  # the view's row, by the picture's row and the view's column
    x = c * meets + d * columns + t
    first = np.einsum("rjn,rnk->rjk", tent(x[:, :, None] - middle(width)), picture - 0.5)
    y = a * middle(size[0])[:, None] + b * columns + s
    return 0.5 + np.einsum("ijr,rjk->ijk", tent(y[:, :, None] - middle(height)), first)


def slow_bilinear(picture, matrix, size):
    i, j = np.meshgrid(middle(size[0]), middle(size[1]), indexing="ij")
    y, x = (matrix[axis, 0] * i + matrix[axis, 1] * j + matrix[axis, 2] for axis in (0, 1))
    weights = [tent(p[:, :, None] - middle(n)) for p, n in zip((y, x), picture.shape)]
    return 0.5 + np.einsum("ijr,ijn,rnk->ijk", *weights, picture - 0.5)


def matrix_of(degrees=0.0, zoom=(1.0, 1.0), lean=0.0, shift=(0.0, 0.0)):
    angle, matrix = np.deg2rad(degrees), np.eye(3)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    matrix[:2, :2] = np.array([[1, 0], [lean, 1]]) @ turn / np.array(zoom)
    matrix[:2, 2] = shift
    return matrix


MATRICES = {
    "turn": (matrix_of(7.3, shift=(0.4, -2.6)), (14, 14), (6, 6)),
    "turn back and smaller": (matrix_of(-20, (0.8, 0.8), shift=(3, 1)), (9, 22), (6, 6)),
    "larger": (matrix_of(10, (3.0, 3.0)), (17, 12), (6, 8)),
    "leaning": (matrix_of(12, lean=0.5, shift=(0.2, 0.3)), (14, 14), (8, 6)),
    "leaning only": (matrix_of(0, lean=-0.7), (14, 14), (6, 0)),
    "mirrored": (matrix_of(15, (-1.0, 1.1)), (14, 15), (6, 6)),
    "half a turn": (matrix_of(170), (14, 15), (6, 6)),
    "zoom": (matrix_of(0, (1.3, 0.7), shift=(0.3, 4.2)), (15, 13), (0, 0)),
    "far aside": (matrix_of(3, shift=(200.0, -500.0)), (8, 8), (6, 6)),
}


@pytest.mark.parametrize("case", MATRICES)
def test_two_passes_and_their_gradient(case):
    matrix, size, bits = MATRICES[case]
    picture, v = RNG.uniform(size=(12, 15, 3)), RNG.normal(size=(12, 15, 3))
    gradient = RNG.normal(size=(*size, 3))

    @jit
    def view_and_gradient(picture, gradient):
        view, transpose = jax.vjp(lambda p: view_by_products(p, jnp.float32(matrix), size, bits), picture)
        return view, transpose(gradient)[0]

    view, pulled = view_and_gradient(*map(jnp.float32, (picture, gradient)))
    expected = slow_two_passes(picture, matrix, size)
    np.testing.assert_allclose(view, expected, atol=2e-5)
    moved = slow_two_passes(picture + v, matrix, size) - expected
    np.testing.assert_allclose((np.asarray(pulled, np.float64) * v).sum(), (gradient * moved).sum(), atol=2e-3)
    rounded = view_by_products(jnp.float32(picture), jnp.float32(matrix), size, bits, "bfloat16")
    # Two roundings to 8 bits of what is at most a half.
    np.testing.assert_allclose(rounded, expected, atol=2**-8)


def test_where_axes_stay_axes_two_passes_are_bilinear():
    picture = RNG.uniform(size=(12, 15, 3))
    for matrix in (matrix_of(0, (1.3, 0.7), shift=(0.3, 4.2)), matrix_of(180), matrix_of(0, (-5.0, 0.2))):
        view = view_by_products(jnp.float32(picture), jnp.float32(matrix), (9, 14), (0, 0))
        np.testing.assert_allclose(view, slow_bilinear(picture, matrix, (9, 14)), atol=2e-5)


CHAINS = {
    "LUCID": (LUCID, (5, 5)),
    "CAPTUM": (CAPTUM, (5, 6)),
    "MACO": (MACO[:1], (0, 0)),
    "flips": ((Pad(2), Flip(0.5, 0.5), Jitter(3), Rotate((-5, 5))), (5, 5)),
    "affine": ((Affine(degrees=(-10, 15), shift=(-4, 4), zoom=(0.8, 1.2), shear=(-10, 20)),), (6, 5)),
    "crop": ((Crop(view=(20, 40)), Rotate((10,))), (5, 5)),
    "farther": ((Scale((0.7,)), Rotate((20,))), (5, 6)),
    "wide": ((Scale((0.3,)), Rotate((25,))), (5, 8)),
    "native": ((Rotate((-8, 8)), Native((30, 50), (24, 24))), (5, 5)),
    "two turns": ((Rotate((10, -10)), Scale((0.9, 1.1)), Rotate((10, -10))), (5, 5)),
    "half turns": ((Rotate((0, 180)),), (5, 5)),
    "quarter turns": ((Rotate((0, 90)),), None),
    "any turns": ((Affine(degrees=(-180, 180)),), None),
    "perspective": ((Pad(2), Homography(0.2)), None),
    "bends": ((Elastic(), Jitter(2)), None),
}


@pytest.mark.parametrize("case", CHAINS)
def test_shears_bound_every_draw(case):
    chain, expected = CHAINS[case]
    size = (48, 64)
    sizes = [view_size(chain[:i], size) for i in range(len(chain) + 1)]
    found = shears(chain, sizes)
    assert found == expected
    if found is None:
        return

    def draw(key):
        matrix = jnp.eye(3)
        for transform, k, own in zip(chain, jax.random.split(key, len(chain)), sizes):
            matrix = matrix @ transform.matrix(k, own, 0.7)
        return matrix

    draws = np.asarray(jit(jax.vmap(draw))(jax.random.split(jax.random.key(2), 300)), np.float64)
    rows = np.abs(draws[:, 1, 0] / draws[:, 0, 0]) * (size[0] - 1) / 2
    columns = np.abs(draws[:, 0, 1]) * (sizes[-1][1] - 1) / 2
    for shifts, bits in zip((rows, columns), found):
        assert shifts.max() < 2 ** (bits - 1) if bits else shifts.max() < 1e-5


def test_bounds_are_those_of_the_matrices():
    for transform in [chain[i] for chain, _ in CHAINS.values() for i in range(len(chain))]:
        if not isinstance(transform, AffineMap):
            continue
        found = transform.bounds((48, 64))
        draw = jit(jax.vmap(lambda key, own=transform: own.matrix(key, (48, 64), 0.3)[:2, :2]))
        drawn = np.abs(np.asarray(draw(jax.random.split(jax.random.key(0), 500)), np.float64))
        assert (drawn <= found.zoom * found.most + 1e-5).all()
        diagonal = drawn[:, [0, 1], [0, 1]]
        ratios = [drawn[:, 0, 1] / diagonal[:, 0], drawn[:, 1, 0] / diagonal[:, 0], drawn[:, 0, 1] / diagonal[:, 1]]
        bounds = [
            found.most[0, 1] / found.least[0],
            found.most[1, 0] / found.least[0],
            found.most[0, 1] / found.least[1],
        ]
        if found.least.min() > 1e-6:
            assert (np.max(ratios, 1) <= np.array(bounds) + 1e-5).all()


def test_bounds_of_products():
    first = LinearBounds(2, np.array([0.9, 0.8]), np.array([[1, 0.1], [0.2, 1]]))
    product = first @ LinearBounds(3, np.ones(2), np.array([[1, 2], [3, 1]]))
    np.testing.assert_allclose(product.least, [0.6, 0.4])
    np.testing.assert_allclose(product.most, [[1.3, 2.1], [3.2, 1.4]])
    assert product.zoom == 6 and min((first @ LinearBounds(1, np.ones(2), np.full((2, 2), 9))).least) == 0


def test_a_matrix_of_unknown_bounds_is_gathered():
    @dataclasses.dataclass(frozen=True)
    class Squeeze(AffineMap):
        def matrix(self, key, size, progress):
            return jnp.diag(jnp.array([2.0, 1.0, 1.0]))

    assert bounds((Pad(1), Squeeze()), (9, 9))[0].shears is None


def gathers(function, *arguments):
    text = jax.jit(function).lower(*arguments).as_text()
    return sum(text.count(f'"stablehlo.{name}"') for name in ("gather", "scatter", "dynamic_gather"))


@pytest.mark.parametrize("case", ["LUCID", "MACO", "affine", "perspective"])
def test_what_a_tpu_is_told_of_a_view(case):
    chain, shears = CHAINS[case]

    def pulled(key, picture):
        return jax.grad(lambda p: jnp.square(random_view(chain, key, p)).sum())(picture)

    given = jax.random.key(0), jnp.zeros((16, 16, 3))
    assert gathers(pulled, *given) > 0
    with traced_for_tpu():
        assert (gathers(lambda *given: pulled(*given), *given) == 0) == (shears is not None)


@pytest.mark.parametrize("case", ["LUCID", "MACO", "crop"])
def test_views_draw_the_same_by_both_ways(case, on_a_tpu):
    """The views of a smooth picture differ by how they interpolate alone."""
    chain, _ = CHAINS[case]
    y, x = np.meshgrid(np.linspace(-1, 1, 40), np.linspace(-1, 1, 56), indexing="ij")
    smooth = np.stack([np.sin(3 * x + y), np.cos(4 * y - x), x * y], -1) * (1 - x**2)[..., None] * (1 - y**2)[..., None]
    picture, key = jnp.float32(0.5 + 0.4 * smooth), jax.random.key(4)
    view = np.asarray(random_view(chain, key, picture, 0.5))
    sizes = [view_size(chain[:i], (40, 56)) for i in range(len(chain) + 1)]
    matrix = np.eye(3)
    for transform, k, size in zip(chain, jax.random.split(key, len(chain)), sizes):
        matrix = matrix @ np.asarray(transform.matrix(k, size, 0.5), np.float64)
    expected = slow_bilinear(np.asarray(picture, np.float64), matrix, sizes[-1])
    assert np.abs(view - expected).max() < 6e-3 and np.std(expected) > 0.05
    np.testing.assert_allclose(view, slow_two_passes(np.asarray(picture, np.float64), matrix, sizes[-1]), atol=2e-4)


def test_a_photometric_transform_still_ends_a_run(on_a_tpu):
    chain = (Rotate((5,)), Blur((1.0, 1.0)), Rotate((-5,)))
    view = random_view(chain, jax.random.key(0), jnp.full((12, 12, 3), 0.5))
    np.testing.assert_allclose(view, 0.5, atol=1e-6)


def test_choice_is_jaxs():
    choices = (0.9, 1.0, 1.1, -3.0, 7.5)
    keys = jax.random.split(jax.random.key(1), 500)
    ours = jax.vmap(lambda key: choose(key, choices))(keys)
    np.testing.assert_array_equal(ours, jax.vmap(lambda key: jax.random.choice(key, jnp.asarray(choices)))(keys))


@pytest.mark.slow
def test_a_step_for_a_tpu_gathers_nothing_and_draws_as_well():
    """Of a channel of the network in the box, by the default transforms."""
    network, recipe = jc.load("slide"), jc.Recipe(size=48, steps=24, redirect_steps=8)
    objective = jc.channel("mixed3a", [3, 5])
    usual = jc.render(network, objective, recipe, progress=False)
    with traced_for_tpu():
        there = jc.render(network, objective, recipe, progress=False)
        structure, numbers = divided(recipe)
        programs = Programs(network.forward, structure, None, on_cpu=False)
        batch = Batch(network.params, numbers, objective, picture_keys(objective, [0, 0], 1))
        step = programs.lowered(batch)["step"].as_text()
    assert not re.search(r'"stablehlo\.(dynamic_)?(gather|scatter)"', step)
    # The same draws, blurred another way: the pictures grow apart slowly.
    assert np.abs(there.images - usual.images).mean() < 0.05 and not np.array_equal(there.images, usual.images)
    np.testing.assert_allclose(there.scores, usual.scores, rtol=0.1)
