"""Objectives, recipes and the compiled loop."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcircuits as jc
from jaxcircuits import InputError, Recipe
from jaxcircuits.vis import CAPTUM, LUCID, RGBA, Fourier, Pad, Rotate, Scale, Shared
from jaxcircuits.vis.keys import picture_keys
from jaxcircuits.vis.loss import Batch
from jaxcircuits.vis.numbers import divided
from jaxcircuits.vis.objectives import Seen
from jaxcircuits.vis.optimize import programs
from jaxcircuits.zoo import ZOO

RNG = np.random.default_rng(0)
SEEN = {"mixed4b": RNG.normal(size=(6, 5, 8)), "logits": RNG.normal(size=10)}
VECTOR = RNG.normal(size=8)

QUICK = Recipe(size=32, steps=12, transforms=(Pad(2), Scale((0.9, 1.1)), Rotate((-5, 5))), redirect_steps=4)

OBJECTIVES = {
    "channel": (jc.channel("mixed4b", 3), lambda a: a["mixed4b"][..., 3].mean()),
    "neuron, center": (jc.neuron("mixed4b", 3), lambda a: a["mixed4b"][3, 2, 3]),
    "neuron, placed": (jc.neuron("mixed4b", 3, (5, 0)), lambda a: a["mixed4b"][5, 0, 3]),
    "direction": (jc.direction("mixed4b", VECTOR), lambda a: (a["mixed4b"] @ VECTOR).mean()),
    "deepdream": (jc.deepdream("mixed4b"), lambda a: (a["mixed4b"] ** 2).mean()),
    "class_logit": (jc.class_logit("logits", 7), lambda a: a["logits"][7]),
    "sum": (
        jc.channel("mixed4b", 1) + jc.class_logit("logits", 2),
        lambda a: a["mixed4b"][..., 1].mean() + a["logits"][2],
    ),
    "difference": (
        jc.channel("mixed4b", 1) - jc.channel("mixed4b", 2),
        lambda a: (a["mixed4b"] @ [0, 1, -1, *[0] * 5]).mean(),
    ),
    "product": (
        jc.deepdream("mixed4b") * jc.class_logit("logits", 2),
        lambda a: (a["mixed4b"] ** 2).mean() * a["logits"][2],
    ),
    "numbers": (2 - 3 * -jc.class_logit("logits", 2) + 1, lambda a: 3 + 3 * a["logits"][2]),
    "sum()": (sum([jc.class_logit("logits", 2)] * 3), lambda a: 3 * a["logits"][2]),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objective_values(name):
    objective, expected = OBJECTIVES[name]
    seen = {layer: jnp.asarray(value, jnp.float32)[None] for layer, value in SEEN.items()}
    scores = objective.scores(Seen(seen, jnp.zeros((1, 8, 8, 3)), {}))
    np.testing.assert_allclose(scores, [expected(SEEN)], rtol=1e-5, atol=1e-6)
    assert objective.count == 1


def test_rows_pair_up():
    objective = jc.channel("mixed4b", [1, 2, 3]) + np.array([10, 20, 30]) * jc.class_logit("logits", 5)
    assert objective.count == 3
    assert objective.layers == ("mixed4b", "logits")
    seen = {layer: jnp.asarray(np.stack([value] * 3), jnp.float32) for layer, value in SEEN.items()}
    scores = objective.scores(Seen(seen, jnp.zeros((3, 8, 8, 3)), {}))
    expected = SEEN["mixed4b"][..., 1:4].mean((0, 1)) + np.array([10, 20, 30]) * SEEN["logits"][5]
    np.testing.assert_allclose(scores, expected, rtol=1e-5)
    assert objective.take([2]).label(0) == objective.label(2)


BAD_OBJECTIVES = {
    "layer": (lambda: jc.channel("mixed4", 3), "unknown layer 'mixed4' of small-google; did you mean mixed4"),
    "unit too large": (lambda: jc.channel("conv2d0", [0, 8]), "unknown unit 8 of conv2d0; .* 0 to 7 \\(nearest: 7\\)"),
    "negative unit": (lambda: jc.neuron("conv2d0", -1), "unknown unit -1 of conv2d0; .*nearest: 0"),
    "class": (lambda: jc.class_logit("softmax2_pre_activation", 10), "unknown unit 10 of softmax2_pre_activation"),
    "fraction": (lambda: jc.channel("conv2d0", 1.5), "unit 1.5; expected a whole number"),
    "no units": (lambda: jc.channel("conv2d0", []), "unit \\[\\]; expected a whole number"),
    "table of units": (lambda: jc.channel("conv2d0", [[1]]), "expected a whole number"),
    "position": (lambda: jc.neuron("conv2d0", 1, (1, 2, 3)), "position \\(1, 2, 3\\); expected 2 whole numbers"),
    "neuron of logits": (lambda: jc.neuron("softmax2_pre_activation", 1), "wants a layer with positions.*use channel"),
    "outside": (lambda: jc.neuron("conv2d0", 1, (18, 0)), r"position \(18, 0\) of conv2d0, which has 18 rows"),
    "no directions": (lambda: jc.direction("conv2d0", np.ones((0, 8))), r"directions of shape \(0, 8\)"),
    "direction": (lambda: jc.direction("conv2d0", np.ones(5)), "a direction of 5 numbers; conv2d0 has 8 channels"),
    "not finite": (lambda: jc.direction("conv2d0", np.full(8, np.nan)), "not finite"),
    "rows": (lambda: jc.channel("conv2d0", [1, 2]) + jc.channel("conv2d0", [1, 2, 3]), "for 2 pictures .* with 3"),
    "text": (lambda: jc.channel("conv2d0", 1) + "a", "'a' is neither an objective nor a number"),
}


@pytest.mark.parametrize("case", BAD_OBJECTIVES)
def test_bad_objectives(case, small):
    make, message = BAD_OBJECTIVES[case]
    with pytest.raises(InputError, match=message) as error:
        jc.render(small, make(), QUICK)
    assert "\n" not in str(error.value)


BAD_NUMBERS = {
    "seed": ({"seed": -1}, "seed -1; expected a whole number"),
    "seeds": ({"seed": [1, 2, 3]}, "2 pictures does not pair with 3"),
    "batch size": ({"batch_size": 0}, "batch_size 0; expected a whole number from 1"),
    "snapshot": ({"snapshots": [13]}, "snapshots 13; expected a whole number from 1 to 12"),
}


@pytest.mark.parametrize("case", BAD_NUMBERS)
def test_bad_numbers(case, small):
    arguments, message = BAD_NUMBERS[case]
    with pytest.raises(InputError, match=message):
        jc.render(small, jc.channel("conv2d0", [1, 2]), QUICK, **arguments)


def test_default_recipe_is_lucids():
    recipe = Recipe()
    assert (recipe.size, recipe.steps, recipe.learning_rate, recipe.redirect_steps) == ((128, 128), 512, 0.05, 17)
    assert recipe.transforms == LUCID
    assert recipe.parametrization == Fourier(sd=0.01, decay=1.0)
    assert recipe.view_size == (140, 140)


def test_fast_recipe_is_what_was_measured():
    fast = Recipe.fast()
    assert (fast.optimizer, fast.betas, fast.steps) == ("nadam", (0.6, 0.9), 256)
    assert fast == dataclasses.replace(Recipe(), optimizer="nadam", betas=(0.6, 0.9), steps=256)


RECIPES = [
    Recipe(),
    QUICK,
    Recipe(size=(30, 41), parametrization=Fourier(decay=1.5), transforms=(), dtype="bfloat16"),
    Recipe(parametrization=RGBA(of=Shared(own=Fourier(decay=2.0), group=3)), transforms=CAPTUM, tolerance=0.1),
    Recipe.maco(size=64, view=32, views=3),
    Recipe.fast(learning_rate=0.1),
]


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes_survive_json(recipe):
    again = Recipe.from_json(recipe.to_json())
    assert again == recipe
    assert hash(again) == hash(recipe)
    assert Recipe.from_json("{}") == Recipe()


BAD_RECIPES = {
    "not json": ("{", "not JSON"),
    "a list": ("[]", "a recipe that is a list"),
    "field": ('{"step": 5}', "unknown field 'step' of Recipe; did you mean steps"),
    "type": ('{"parametrization": {"type": "Furier"}}', "unknown type 'Furier' of recipes; did you mean Fourier"),
    "inner field": (
        '{"transforms": [{"type": "Pad", "pixel": 3}]}',
        "unknown field 'pixel' of Pad; did you mean pixels",
    ),
    "missing": ('{"transforms": [{"type": "Pad"}]}', "Pad: .*pixels"),
    "steps": ('{"steps": -1}', "steps -1; expected a whole number"),
    "size": ('{"size": [1, 2, 3]}', "size \\(1, 2, 3\\); expected"),
    "dtype": ('{"dtype": "float16"}', "unknown dtype 'float16'; did you mean bfloat16"),
    "rate": ('{"learning_rate": 0}', "learning_rate 0; expected a positive number"),
    "optimizer": ('{"optimizer": "nadan"}', "unknown optimizer 'nadan'; did you mean nadam"),
    "betas": ('{"betas": [0.9, 1]}', "betas \\(0.9, 1\\); expected two numbers"),
    "one beta": ('{"betas": 0.9}', "betas 0.9; expected two numbers"),
    "no beta": ('{"betas": ["a", 0.9]}', "betas \\('a', 0.9\\); expected two numbers"),
    "rate in words": ('{"learning_rate": "fast"}', "learning_rate 'fast'; expected a positive number"),
    "no tolerance": ('{"tolerance": null}', "tolerance None; expected a part of the score"),
    "views": ('{"views": 0}', "views 0; expected a whole number from 1"),
    "tolerance": ('{"tolerance": 1}', "tolerance 1; expected a part of the score"),
    "nothing left": (
        '{"size": 8, "transforms": [{"type": "Jitter", "pixels": 8}]}',
        "leave nothing of a picture of 8x8",
    ),
}


@pytest.mark.parametrize("case", BAD_RECIPES)
def test_bad_recipes(case):
    text, message = BAD_RECIPES[case]
    with pytest.raises(InputError, match=message) as error:
        Recipe.from_json(text)
    assert "\n" not in str(error.value)


def draw_by_hand(network, unit, recipe, seed):
    """Gradient ascent as the recipe says, for one picture, with Adam and Nadam (Dozat, 2016) written out in NumPy."""
    objective = jc.channel("mixed3b", [unit])
    (key,) = picture_keys(objective, [seed])
    z = np.asarray(recipe.parametrization.init(key, (32, 32, 3)), np.float64)

    @jax.jit
    @jax.value_and_grad
    def score(z):
        picture = recipe.parametrization.picture(z, (32, 32, 3))
        activations = network.forward(network.params, picture[None], ("mixed3b",))
        return activations["mixed3b"][0, ..., unit].mean()

    (b1, b2), m, v = recipe.betas, 0, 0
    for t in range(1, recipe.steps + 1):
        gradient = np.asarray(score(np.float32(z))[1], np.float64)
        m, v = b1 * m + (1 - b1) * gradient, b2 * v + (1 - b2) * gradient**2
        mean = m / (1 - b1**t)
        if recipe.optimizer == "nadam":
            mean = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * gradient / (1 - b1**t)
        z += recipe.learning_rate * mean / (np.sqrt(v / (1 - b2**t)) + 1e-8)
    return np.asarray(recipe.parametrization.picture(np.float32(z), (32, 32, 3))), float(score(np.float32(z))[0])


@pytest.mark.parametrize("recipe", [Recipe(), Recipe.fast()], ids=["default", "fast"])
def test_the_loop_is_gradient_ascent_by_adam(recipe, small):
    recipe = dataclasses.replace(recipe, size=32, steps=8, transforms=(), redirect_steps=0)
    rendering = jc.render(small, jc.channel("mixed3b", 5), recipe, seed=3)
    picture, score = draw_by_hand(small, 5, recipe, 3)
    np.testing.assert_allclose(rendering.images[0], picture, atol=2e-3)
    np.testing.assert_allclose(rendering.scores[0], score, rtol=1e-2)


@pytest.mark.slow
def test_pictures_do_not_depend_on_their_batch(small):
    units = [2, 5, 7, 11, 3]
    recipe = dataclasses.replace(QUICK, steps=6)
    together = jc.render(small, jc.channel("mixed3b", units), recipe, batch_size=5)
    apart = jc.render(small, jc.channel("mixed3b", units), recipe, batch_size=2)
    np.testing.assert_allclose(apart.images, together.images, atol=1e-3)
    alone = jc.render(small, jc.channel("mixed3b", 11), recipe)
    np.testing.assert_allclose(alone.images[0], together.images[3], atol=1e-3)
    assert together.labels[3] == alone.labels[0] == "mixed3b:11"
    assert np.abs(together.images[0] - together.images[1]).mean() > 0.01


def test_seeds_draw_other_pictures_of_a_unit(small):
    rendering = jc.render(small, jc.channel("mixed3b", 3), QUICK, seed=[0, 1, 0])
    assert len(rendering.images) == 3
    np.testing.assert_allclose(rendering.images[0], rendering.images[2], atol=1e-5)
    assert np.abs(rendering.images[0] - rendering.images[1]).mean() > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("name", ["channel", "neuron", "direction", "deepdream", "class_logit", "sum", "product"])
def test_drawing_raises_the_score(name, small):
    objective = {
        "channel": jc.channel("mixed3b", [0, 9]),
        "neuron": jc.neuron("mixed3b", [0, 9]),
        "direction": jc.direction("mixed3b", RNG.uniform(size=(2, small.layers["mixed3b"].channels))),
        "deepdream": jc.deepdream("mixed3a"),
        "class_logit": jc.class_logit(small.logits, [0, 9]),
        "sum": jc.channel("mixed3b", [0, 9]) + 0.1 * jc.deepdream("mixed3a"),
        "product": jc.channel("mixed3b", [0, 9]) * jc.channel("mixed3a", 1),
    }[name]
    start = jc.render(small, objective, dataclasses.replace(QUICK, steps=0))
    end = jc.render(small, objective, dataclasses.replace(QUICK, steps=40))
    assert (end.scores > start.scores).all()
    assert np.isfinite(end.images).all() and end.images.min() >= 0 and end.images.max() <= 1


def test_snapshots_and_steps(small):
    rendering = jc.render(small, jc.channel("mixed3b", [1, 2, 3]), QUICK, snapshots=[4, 12], batch_size=2)
    assert sorted(rendering.snapshots) == [4, 12]
    np.testing.assert_array_equal(rendering.snapshots[12], rendering.images)
    shorter = jc.render(small, jc.channel("mixed3b", [1, 2, 3]), dataclasses.replace(QUICK, steps=4))
    np.testing.assert_allclose(rendering.snapshots[4], shorter.images, atol=1e-3)


def test_the_loop_inside_the_program_is_the_loop_outside(small):
    """Accelerators run the steps inside the program, CPUs outside."""
    objective = jc.channel("mixed3b", [1, 2])
    keys = picture_keys(objective, [0, 0])
    recipe = dataclasses.replace(QUICK, steps=7)
    pictures, histories = [], []
    for on_cpu in (True, False):
        structure, numbers = divided(recipe)
        program = programs(small.forward, structure, None, on_cpu)
        batch = Batch(small.params, numbers, objective, keys)
        calls = list(program.advance(batch, program.start(numbers, keys, None), recipe.steps))
        histories.append(np.concatenate([scores for _, scores in calls]))
        assert [len(scores) for _, scores in calls] == ([1] * 7 if on_cpu else [7])
        pictures.append(np.asarray(program.pictures(calls[-1][0])))
    np.testing.assert_allclose(pictures[0], pictures[1], atol=1e-3)
    np.testing.assert_allclose(histories[0], histories[1], rtol=1e-3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:dtype bfloat16")
def test_bfloat16_draws_what_float32_draws(small):
    recipe = Recipe(size=32, steps=30, transforms=())
    scores = {}
    for dtype in ("float32", "bfloat16"):
        rendering = jc.render(small, jc.channel("mixed3b", range(6)), dataclasses.replace(recipe, dtype=dtype))
        assert rendering.images.dtype == rendering.scores.dtype == np.float32
        seen = np.asarray(small.activations(rendering.images, "mixed3b")["mixed3b"])
        scores[dtype] = seen.mean((1, 2))[np.arange(6), np.arange(6)]
    np.testing.assert_allclose(scores["bfloat16"].mean(), scores["float32"].mean(), rtol=0.15)


def multiplications(architecture, layer, size):
    """Of one forward pass as far as a layer, counted by hand from the convolutions' shapes."""
    sizes, total = {"input": size}, 0
    for node in architecture.needed([layer]):
        n = -(-sizes[node.inputs[0]] // node.stride)
        sizes[node.name] = n
        if node.op == "conv":
            total += n * n * node.kernel**2 * architecture.fan_in(node) * node.channels
    return total


@pytest.mark.slow
def test_a_layer_costs_what_it_costs(full_size):
    """A step's arithmetic is that of the convolutions as far as the layer, forward and backward, and little more."""
    flops = {}
    for layer in ("conv2d1", "conv2d2", "mixed5b"):
        objective = jc.channel(layer, [0, 1])
        keys = picture_keys(objective, [0, 0])
        structure, numbers = divided(Recipe())
        program = programs(full_size.forward, structure, None, False)
        batch = Batch(full_size.params, numbers, objective, keys)
        state = program.start(numbers, keys, None)
        compiled = program.step.lower(batch, state, program.chance(batch, state.step)).compile()
        flops[layer] = compiled.cost_analysis()["flops"]
        by_hand = 2 * 2 * 2 * multiplications(ZOO["inceptionv1"].architecture, layer, Recipe().view_size[0])
        assert 0.9 < flops[layer] / by_hand < 1.5, (layer, flops[layer], by_hand)
    assert flops["conv2d1"] < flops["mixed5b"] / 5, flops
    assert flops["conv2d2"] < flops["mixed5b"] / 3, flops


def test_notebooks_show_a_sheet(small):
    rendering = jc.render(small, jc.channel("mixed3b", range(3)), QUICK)
    assert rendering._repr_png_().startswith(b"\x89PNG\r\n")
    assert repr(rendering) == "Rendering(3 pictures of 32x32 px: mixed3b:0, mixed3b:1, mixed3b:2)"
    assert repr(small) == "Network(small-google: 150 layers, native size 64x64 px)"


def test_recipe_json_is_readable():
    fields = json.loads(Recipe().to_json())
    assert fields["steps"] == 512
    assert fields["parametrization"] == {"type": "Fourier", "sd": 0.01, "decay": 1.0}
    assert fields["transforms"][0] == {"type": "Pad", "pixels": 12}
