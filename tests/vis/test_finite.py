"""What is not finite is said: which picture, from which step on, and the likely cause."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxcircuits as jc
from jaxcircuits import InputError, Network, Recipe, bulk
from jaxcircuits.images.sheet import contact_sheet, to_image
from jaxcircuits.vis import Objective, node
from jaxcircuits.vis.rendering import NotFinite

QUICK = Recipe(size=16, steps=4, transforms=(), redirect_steps=0)


@node("layer")
class Length(Objective):
    """The norm of a position's activations, times a number: its gradient at 0 is not a number."""

    layer: str
    factors: np.ndarray

    @property
    def layers(self):
        return (self.layer,)

    def score(self, seen):
        return jnp.linalg.norm(self.factors * seen[self.layer]) + seen[self.layer].mean()


@node("layer")
class Explodes(Objective):
    """The mean square of a layer, infinite beyond a limit."""

    layer: str
    limits: np.ndarray

    @property
    def layers(self):
        return (self.layer,)

    def score(self, seen):
        mean = jnp.square(seen[self.layer]).mean()
        return mean * jnp.where(mean > self.limits, jnp.inf, 1.0)


def of_function(function, params=(), **convention):
    return Network.from_function(function, params, jc.InputConvention(size=(16, 16), **convention))


def test_an_objective_without_a_gradient_is_named(tiny):
    """The others are drawn, and are in the error."""
    objective = Length("relu", np.array([1.0, 0.0, 1.0], np.float32))
    with pytest.raises(NotFinite, match=r"relu:length: not finite from step 1 on; .*norm of 0 is") as error:
        jc.render(tiny, objective, QUICK)
    assert "\n" not in str(error.value)
    drawn = error.value.rendering
    assert list(drawn.failures) == [1] and np.isnan(drawn.images[1]).all() and np.isnan(drawn.scores[1])
    assert np.isfinite(drawn.images[[0, 2]]).all() and np.isfinite(drawn.scores[[0, 2]]).all()
    assert drawn.steps.tolist() == [4, 2, 4]
    fine = jc.render(tiny, objective.take([0, 2]), QUICK)
    np.testing.assert_allclose(drawn.images[[0, 2]], fine.images, atol=1e-5)


def test_a_drawing_that_explodes_says_when(tiny):
    """The score of every step is finite until it overflows, some steps on."""
    recipe = dataclasses.replace(QUICK, steps=60, learning_rate=0.5)
    scores = jc.render(tiny, jc.deepdream("relu"), recipe).history[0]
    over = np.flatnonzero(scores > scores.max() / 2)[0]
    objective = Explodes("relu", np.array([scores.max() / 2], np.float32))
    with pytest.raises(NotFinite, match=rf"not finite from step {over} on; .*learning_rate below 0.5") as error:
        jc.render(tiny, objective, recipe)
    assert error.value.rendering.steps.tolist() == [over + 1] and 2 <= over < 50


CAUSES = {
    "weights": (
        lambda tiny: dataclasses.replace(tiny, params=tiny.params.at[0, 0, 0, 3].set(jnp.nan)),
        "the weights of convolved are not finite",
    ),
    "convention": (
        lambda tiny: of_function(lambda p, x: {"relu": jnp.log(x), "input": x}, mean=0.5),
        "plain gray picture",
    ),
    "nothing left": (
        lambda tiny: of_function(lambda p, x: {"relu": x[:, 99:], "input": x}),
        "relu has no positions left",
    ),
}


@pytest.mark.parametrize("case", CAUSES)
def test_causes_are_named(case, tiny):
    make, message = CAUSES[case]
    with pytest.raises(InputError, match=rf"relu:1: not finite from step \d on; .*{message}") as error:
        jc.render(make(tiny), jc.channel("relu", 1), QUICK)
    assert "\n" not in str(error.value)


def test_a_map_shrunk_to_nothing_is_named():
    def strided(params, x):
        y = jax.lax.conv_general_dilated(x, params, (4, 4), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return {"relu": x, "conv": y}

    network = of_function(strided, jnp.ones((5, 5, 3, 4)))
    with pytest.raises(InputError, match="conv has no positions left where the network sees 4x4 px: draw larger"):
        jc.render(network, jc.channel("conv", 1), dataclasses.replace(QUICK, size=4))


def test_no_division_by_nothing():
    with pytest.raises(InputError, match="std 0"):
        jc.InputConvention(std=0)
    with pytest.raises(InputError, match=r"std \(1.0, 0.0, 1.0\)"):
        jc.InputConvention(std=(1.0, 0.0, 1.0))


def test_other_numbers_that_are_not_finite(tiny):
    nan = dataclasses.replace(tiny, params=tiny.params * jnp.nan)
    pictures = np.full((1, 16, 16, 3), 0.5, np.float32)
    with pytest.raises(InputError, match="relevance for relu:1 is not finite: the weights of convolved"):
        jc.relevance(nan, jc.channel("relu", 1), pictures, QUICK)
    with pytest.raises(InputError, match="conv:1 has no percentile: its score for its drawing is not finite"):
        jc.percentiles(nan, jc.channel("conv", 1), pictures, pictures)
    for power in (np.nan, np.inf):
        with pytest.raises(InputError, match="numbers that are not finite"):
            jc.render(tiny, jc.caricature("relu", pictures, power), QUICK)
    with pytest.raises(InputError, match="not finite"):
        to_image(np.full((4, 4, 3), np.nan))
    sheet = np.asarray(contact_sheet(np.stack([np.zeros((96, 96, 3)), np.full((96, 96, 3), np.nan)])))
    assert (sheet[40, 40] == 0).all() and (sheet[40, 140] == 0xF4).all()


def test_bulk_says_which_units_nothing_activates(tmp_path):
    """A ReLU's channel that is 0 whatever is shown: its picture stays the random start."""
    network = of_function(lambda params, x: {"relu": jnp.maximum(jnp.stack([x.mean(-1), x.mean(-1) - 9], -1), 0)})
    for again in (False, True):
        with bulk.drawings(network, [bulk.Series("relu", (0, 1))], QUICK, tmp_path) as job:
            text = job.summary(job.run(progress=False))
            said = (
                "1 of the pictures found nothing that activates the unit: relu:1 (another --seed or more --steps may)"
            )
            assert (said in text) != again and "2 pictures in" in text


@pytest.mark.parametrize("format", ["png", "tfds"])
def test_bulk_marks_what_fails_and_goes_on(format, tiny, tmp_path):
    """Rows 1 and 4 overflow; the others are drawn, and the same command again has nothing to do."""
    vectors = np.ones((6, 12), np.float32)
    vectors[[1, 4]] = 3e38
    series = [bulk.Series("relu", tuple(range(6)), bulk.Directions("rows", vectors))]
    for again in (False, True):
        with bulk.drawings(tiny, series, QUICK, tmp_path, format=format, batch_size=2) as job:
            assert job.finished == (6 if again else 0)
            text = job.summary(job.run(progress=False))
            assert "2 of the pictures are not finite and were left out: relu.rows/1 and 1 more" in text
    if format == "png":
        folder = tmp_path / "convolved" / "relu.rows"
        assert {path.name for path in folder.glob("0*.png")} == {f"000{i}.png" for i in (0, 2, 3, 5)}
        assert "not finite from step 1 on; " in (folder / "0001.failed.txt").read_text()
        assert Image.open(folder / "sheet.png").text["units"] == "[0, 2, 3, 5]"
    else:
        import tensorflow_datasets as tfds

        source = tfds.builder_from_directory(tmp_path / "convolved").as_data_source("train")
        assert sorted(int(example["unit"]) for example in source) == [0, 2, 3, 5]
