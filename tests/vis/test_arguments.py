"""Plain things are taken where an object is expected; the rest is refused in one line."""

import dataclasses
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcircuits as jc
from jaxcircuits import InputError, Recipe
from jaxcircuits.vis import Fourier, Jitter, Objective, Pad, Photometric, Pixels, Pyramid, Rotate, Seen, node
from jaxcircuits.vis.arguments import as_network, as_objective, as_recipe
from jaxcircuits.vis.captions import unit_caption
from jaxcircuits.vis.keys import picture_keys
from jaxcircuits.vis.transforms.base import AffineMap, Geometric

QUICK = Recipe(size=16, steps=2, transforms=(), redirect_steps=0)

NUMBERS = {
    "numpy": (np.int64, np.float32),
    "zero axes": (lambda n: np.asarray(n), np.asarray),
    "jax": (jnp.int32, jnp.float32),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_of_other_libraries(kind, tiny):
    whole, real = NUMBERS[kind]
    recipe = Recipe(
        size=whole(16),
        steps=whole(2),
        views=whole(1),
        redirect_steps=whole(0),
        learning_rate=real(0.0625),
        betas=(real(0.5), real(0.75)),
        tolerance=real(0),
        transforms=(Pad(whole(2)), Jitter(whole(1)), Rotate((real(0.5),))),
        parametrization=Pyramid(levels=(whole(1), whole(2)), sd=real(0.25)),
    )
    plain = Recipe(
        size=16,
        steps=2,
        redirect_steps=0,
        learning_rate=0.0625,
        betas=(0.5, 0.75),
        transforms=(Pad(2), Jitter(1), Rotate((0.5,))),
        parametrization=Pyramid(levels=(1, 2), sd=0.25),
    )
    assert recipe == plain and recipe.to_json() == plain.to_json()
    options = {"seed": whole(3), "batch_size": whole(2), "snapshots": [whole(1)]}
    drawn = jc.render(tiny, jc.channel("relu", whole(2)), recipe, **options)
    assert list(drawn.snapshots) == [1] and drawn.labels == ("relu:2",)
    expected = jc.render(tiny, "relu:2", plain, seed=3, snapshots=1)
    np.testing.assert_array_equal(drawn.images, expected.images)


def test_units_in_a_layers_name(tiny):
    for named, apart in (
        (jc.channel("relu:0-2,7"), jc.channel("relu", [0, 1, 2, 7])),
        (jc.neuron("relu:3", position=(1, 2)), jc.neuron("relu", 3, (1, 2))),
    ):
        assert [named.label(i) for i in range(named.count)] == [apart.label(i) for i in range(apart.count)]
        assert named.count == apart.count


@dataclasses.dataclass(frozen=True)
class Own(Photometric):
    """A transform as somebody may write it."""

    def apply(self, key, picture):
        return picture * jax.random.uniform(key)


class Swapped(Own):
    def apply(self, picture, key):
        return picture * jax.random.uniform(key)


class Short(Own):
    def apply(self, picture):
        return picture


class Smaller(Own):
    def apply(self, key, picture):
        return picture[:-1]


class Nothing(Own):
    def apply(self, key, picture):
        pass


class Branching(Own):
    def apply(self, key, picture):
        return picture if picture.sum() > 0 else -picture


@dataclasses.dataclass(frozen=True)
class Turning(AffineMap):
    def matrix(self, key, size, progress):
        return jnp.eye(2)


@dataclasses.dataclass(frozen=True)
class Unfinished(Geometric):
    pass


CANNOT_BE_RUN = {
    Swapped: r"transform Swapped: its apply\(key, picture\) cannot be run \(",
    Short: r"transform Short: its apply\(key, picture\) cannot be run \(.*2 positional arguments but 3",
    Smaller: r"its apply\(key, picture\) gives an array of shape \(15, 16, 3\); expected \(16, 16, 3\)",
    Nothing: r"its apply\(key, picture\) gives an array of shape \(\); expected \(16, 16, 3\)",
    Branching: r"its apply\(key, picture\) cannot be run \(Attempted boolean conversion",
    Turning: r"its matrix\(key, size, progress\) gives an array of shape \(2, 2\); expected \(3, 3\)",
    Unfinished: r"transform Unfinished: its look\(key, y, x, size, progress\) cannot be run \(NotImplementedError\)",
}


@pytest.mark.parametrize("kind", CANNOT_BE_RUN)
def test_a_transform_of_ones_own_that_cannot_be_run_is_named(kind, tiny):
    with pytest.raises(InputError, match=CANNOT_BE_RUN[kind]) as error:
        jc.render(tiny, "relu:1", dataclasses.replace(QUICK, transforms=(kind(),)), progress=False)
    assert "\n" not in str(error.value)


def test_a_transform_of_ones_own_is_used(tiny):
    drawn = [
        jc.render(tiny, "relu:1", dataclasses.replace(QUICK, transforms=parts), progress=False).images
        for parts in ((), (Own(),))
    ]
    assert np.abs(drawn[0] - drawn[1]).max() > 0


def test_what_names_an_objective(tiny):
    assert as_objective(tiny, "relu:3").label(0) == "relu:3"
    assert as_objective(tiny, "relu:0-2,7").count == 4
    assert as_objective(tiny, "conv:all").count == 12
    assert [as_objective(tiny, ["conv:3", "conv:5-6"]).label(i) for i in range(3)] == ["conv:3", "conv:5", "conv:6"]


def test_what_names_a_recipe_and_a_network(tiny):
    assert as_recipe(tiny, "fast") == Recipe.fast(size=16)
    assert as_recipe(tiny, None) == Recipe(size=16)  # a small network's own size
    assert as_recipe(tiny, QUICK) is QUICK
    assert as_network("slide").name == "slide"
    assert Recipe(parametrization="pixels") == Recipe(parametrization=Pixels) == Recipe(parametrization=Pixels())
    assert Recipe(transforms=None) == Recipe(transforms=())
    assert Recipe(transforms=Pad(3)).transforms == (Pad(3),)


class Unregistered(Objective):
    """As people write one: a plain class."""

    layers = ("relu",)

    def __init__(self, unit=1):
        self.unit = unit

    def score(self, seen: Seen):
        return seen["relu"][..., self.unit].mean()


class NoLayers(Unregistered):
    layers = Objective.layers


class Several(Unregistered):
    group = 2


@node()
class Vector(Objective):
    """A score for each channel, which is no score."""

    layers = ("relu",)

    def score(self, seen: Seen):
        return seen["relu"].mean((0, 1))


REFUSED = {
    "objective": (lambda n: jc.render(n, 3), "objective 3; expected one such as channel"),
    "objectives": (lambda n: jc.render(n, [jc.channel("relu", 1)]), "objective a list; .*add objectives up with +"),
    "layer alone": (lambda n: jc.render(n, "relu"), "objective 'relu'; expected LAYER:UNITS"),
    "no such layer": (lambda n: jc.render(n, "rel:1"), "unknown layer 'rel' of convolved; did you mean relu"),
    "no such unit": (lambda n: jc.render(n, "relu:12"), "unknown unit 12 of relu; it has units 0 to 11"),
    "two layers": (lambda n: jc.render(n, ["relu:1", "conv:1"]), "units of conv and relu; expected units of one layer"),
    "unregistered, of several": (lambda n: jc.render(n, Several()), r"objective Several: .* write @node"),
    "no layers": (lambda n: jc.render(n, NoLayers()), "objective NoLayers has no layers; expected a property `layers`"),
    "function of an unknown layer": (lambda n: jc.render(n, lambda s: s["rel"].max()), "unknown layer 'rel'.* relu"),
    "function without a number": (
        lambda n: jc.render(n, lambda s: s["relu"]),
        r"lambda gives a score of shape \(8, 8, 12\)",
    ),
    "function that fails": (
        lambda n: jc.render(n, lambda s: s["relu"] @ s["conv"]),
        "objective lambda: TypeError: .*such as",
    ),
    "class for an objective": (
        lambda n: jc.render(n, Unregistered),
        "objective <class .*; expected one such as channel",
    ),
    "no scalar": (
        lambda n: jc.render(n, Vector(), QUICK),
        r"Vector gives scores of shape \(12,\); expected one number",
    ),
    "network": (lambda n: jc.render(n.params, "relu:1"), "network ArrayImpl; expected a Network"),
    "network's name": (lambda n: jc.render("slime", "relu:1"), "unknown network 'slime'; did you mean slide"),
    "recipe": (lambda n: jc.render(n, "relu:1", "fats"), "unknown recipe 'fats'; did you mean fast"),
    "no recipe": (lambda n: jc.render(n, "relu:1", 3), "recipe 3; expected a Recipe, or 'lucid', 'fast', 'maco'"),
    "parametrization": (
        lambda n: Recipe(parametrization="pixel"),
        "unknown parametrization 'pixel'; did you mean Pixels",
    ),
    "transform": (lambda n: Recipe(transforms=Pad), "transform Pad itself; expected one such as Pad"),
    "a function for a transform": (
        lambda n: Recipe(transforms=(lambda key, picture: picture,)),
        "transform <function .*one's own are subclasses of Photometric",
    ),
    "no units": (lambda n: jc.channel("relu"), "no units of 'relu'; expected LAYER:UNITS such as mixed4b:0-15"),
    "all of an unknown layer": (lambda n: jc.neuron("relu:all"), "no units of 'relu:all'; expected LAYER:UNITS"),
    "absurdly many units": (lambda n: jc.channel("relu:0-99999999999"), "unknown unit 99999999999 of relu"),
    "a unit for a layer": (lambda n: n.layer("relu:3"), "relu:3 is a unit; expected a layer, such as relu"),
    "directions as columns": (
        lambda n: jc.render(n, jc.direction("relu", np.ones((n.layer("relu").channels, 3))), QUICK),
        "a direction of 3 numbers; .* directions are rows: transpose",
    ),
    "size": (lambda n: Recipe(size="large"), "size 'large'; expected a number of pixels"),
    "truth": (lambda n: Recipe(steps=True), "steps True; expected a whole number"),
    "steps": (lambda n: Recipe(steps=2.5), "steps 2.5; expected a whole number"),
    "rate": (lambda n: Recipe(learning_rate=np.nan), "learning_rate nan; expected a positive number"),
    "many steps": (lambda n: Recipe(steps=2**31), "steps 2147483648; expected a whole number from 0 to 2147483647"),
    "unit beyond int32": (lambda n: jc.channel("relu", 2**32 + 3), "unit 4294967299; no layer has that many"),
    "seed": (lambda n: jc.render(n, "relu:1", seed="a"), "seed 'a'; expected a whole number"),
    "bytes": (
        lambda n: jc.relevance(n, "relu:1", np.ones((1, 16, 16, 3), np.uint8), QUICK),
        "pictures of type uint8; .* divide bytes by 255",
    ),
    "bytes to start from": (
        lambda n: jc.render(n, "relu:1", QUICK, start=np.ones((16, 16, 3), np.uint8)),
        "pictures of type uint8",
    ),
    "a picture's channels": (
        lambda n: jc.relevance(n, "relu:1", np.ones((1, 16, 16, 4), np.float32), QUICK),
        "pictures with 4 channels",
    ),
    "alpha": (lambda n: jc.transparent(np.ones((1, 4, 4, 3)), np.ones((2, 4, 4))), "expected .*N, H, W, 3"),
    "a unit of photographs": (
        lambda n: jc.percentiles(n, jc.channel("relu", 99), np.ones((1, 16, 16, 3)), np.ones((1, 16, 16, 3))),
        "unknown unit 99 of relu",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_one_line(case, tiny):
    call, message = REFUSED[case]
    with pytest.raises(InputError, match=message) as error:
        call(tiny)
    assert "\n" not in str(error.value)


def test_a_warning_names_the_line_of_the_user(tiny):
    with pytest.warns(UserWarning, match="bfloat16 takes longer") as caught:
        jc.render(tiny, "relu:0", dataclasses.replace(QUICK, dtype="bfloat16"), progress=False)
    assert caught[0].filename == __file__


def test_masks_want_positions():
    network = jc.load("slide")
    objective = jc.masked(jc.class_logit(network.logits, 1), np.eye(2))
    with pytest.raises(InputError, match="masked wants layers with positions; softmax2_pre_activation has none"):
        jc.render(network, objective, QUICK)


# Keys and captions


def test_keys_follow_from_numbers_and_not_from_captions(tiny):
    """A caption in other words changes nothing; another unit, number or seed does."""

    @node("layer")
    class Renamed(type(jc.channel("relu", 1))):
        layer: str
        units: np.ndarray

        def label(self, i):
            return "in other words"

    plain = picture_keys(jc.channel("relu", [1, 2]), [0, 0])
    np.testing.assert_array_equal(picture_keys(Renamed("relu", np.array([1, 2])), [0, 0]), plain)
    drawn = jc.render(tiny, Renamed("relu", np.array([1, 2])), QUICK)
    assert drawn.labels == ("in other words",) * 2
    np.testing.assert_array_equal(drawn.images, jc.render(tiny, jc.channel("relu", [1, 2]), QUICK).images)
    vectors = np.random.default_rng(0).normal(size=(2, 12))
    others = [
        jc.channel("conv", [1, 2]),
        jc.direction("relu", vectors),
        jc.direction("relu", vectors + 1e-6),
        jc.channel("relu", [1, 2]) + 0.5 * jc.neuron("relu", 1),
    ]
    keys = np.concatenate(
        [plain, picture_keys(jc.channel("relu", [1, 2]), [1, 1])] + [picture_keys(o, [0, 0]) for o in others]
    )
    assert len(np.unique(keys, axis=0)) == len(keys)


CAPTIONS = {
    "mixed4b:3": jc.channel("mixed4b", 3),
    "mixed4b:3 + 0.5 mixed4c:7@center": jc.channel("mixed4b", 3) + 0.5 * jc.neuron("mixed4c", 7),
    "mixed4b:3 - 0.25 totalvariation": jc.channel("mixed4b", 3) - 0.25 * jc.total_variation(),
    "-mixed4b:activationdifference": -jc.activation_difference("mixed4b", np.ones((4, 4, 3))),
    "2 (a:1 - b:1)": 2 * (jc.channel("a", 1) - jc.channel("b", 1)),
    "a:1 * b:1": jc.channel("a", 1) * jc.channel("b", 1),
    "a:1 - b:1 - c:1": jc.channel("a", 1) - jc.channel("b", 1) - jc.channel("c", 1),
    "a:1 (masked)": jc.masked(jc.channel("a", 1), np.eye(2)),
}


@pytest.mark.parametrize("caption", CAPTIONS)
def test_captions_are_short(caption):
    assert CAPTIONS[caption].label(0) == caption


def test_captions_name_classes_and_seeds_that_differ(tiny):
    network = dataclasses.replace(tiny, logits="relu", labels=tuple(f"n0000000{i} Husky {i}, dog" for i in range(9)))
    drawn = jc.render(network, jc.class_logit("relu", 3), QUICK, seed=[5, 6])
    assert drawn.labels == ("Husky 3 seed 5", "Husky 3 seed 6")
    assert jc.render(network, jc.class_logit("relu", 11) + jc.channel("relu", 2), QUICK).labels == (
        "relu:11 + Husky 2",
    )
    assert [unit_caption(network, layer, unit) for layer, unit in (("relu", 3), ("relu", 11), ("other", 3))] == [
        "3 Husky 3",
        "11",
        "3",
    ]


# What was drawn


def test_a_rendering_is_a_sequence_that_is_saved(tiny, tmp_path):
    drawn = jc.render(tiny, jc.channel("relu", [4, 5, 6, 4]), QUICK, snapshots=[1])
    assert len(drawn) == 4 and drawn[1].labels == ("relu:5",) and drawn[-1].labels == ("relu:4",)
    assert drawn[1:3].images.shape == (2, 16, 16, 3) and drawn[[0, 2]].labels == ("relu:4", "relu:6")
    np.testing.assert_array_equal(drawn[2].snapshots[1], drawn.snapshots[1][2:3])
    with pytest.raises(IndexError, match="picture 4 of 4"):
        drawn[4]
    files = drawn.save(tmp_path / "units")
    assert [file.name for file in files] == ["relu-4.png", "relu-5.png", "relu-6.png", "relu-4.1.png"]
    from PIL import Image

    np.testing.assert_allclose(np.asarray(Image.open(files[1])) / 255, drawn.images[1], atol=0.51 / 255)
    (sheet,) = drawn.save(tmp_path / "sheet.png")
    with Image.open(sheet) as picture:
        assert picture.width > 2 * 96
    (one,) = drawn[0].save(tmp_path / "one.jpg")
    with Image.open(one) as picture:
        assert picture.size == (16, 16)
    with pytest.raises(InputError, match=r"units\.tiff: pictures are saved as"):
        drawn.save(tmp_path / "units.tiff")
    assert repr(drawn[0]) == "Rendering(1 picture of 16x16 px: relu:4)"


def test_four_channels_are_no_alpha(tmp_path):
    """Red, green, blue and infrared: shown by the first three, whatever the fourth says."""

    def function(params, x):
        return {"relu": jnp.maximum(x, 0)}

    convention = jc.InputConvention(size=(16, 16), channels=4)
    network = jc.Network.from_function(function, {}, convention)
    drawn = jc.render(network, jc.channel("relu", 3), dataclasses.replace(QUICK, parametrization=Fourier(sd=1.0)))
    assert drawn.images.shape[-1] == 4 and not drawn.transparent
    from PIL import Image

    (file,) = drawn.save(tmp_path / "one.png")
    image = Image.open(file)
    assert image.mode == "RGB"
    np.testing.assert_allclose(np.asarray(image) / 255, drawn.images[0, ..., :3], atol=0.51 / 255)
    clear = jc.render(network, "relu:1", Recipe(size=16, steps=1, transforms=(), parametrization="RGBA"))
    assert clear.images.shape[-1] == 5 and clear.transparent
    (file,) = clear.save(tmp_path / "clear.png")
    with Image.open(file) as picture:
        assert picture.mode == "RGBA"


def test_networks_of_the_zoo_are_pickled(tiny):
    network = jc.load("slide")
    again = pickle.loads(pickle.dumps(network))
    assert again.layers == network.layers and again.forward == network.forward
    picture = np.full((1, 32, 32, 3), 0.25, np.float32)
    answers = [n.activations(picture, "conv2d0")["conv2d0"] for n in (network, again)]
    np.testing.assert_array_equal(*answers)


def peak(seen):
    return seen["relu"][..., 1].mean() + 0 * seen["conv"].sum()


OWN = {
    "function": peak,
    "lambda": lambda seen: seen["relu"][..., 1].mean(),
    "unregistered class": Unregistered(),
    "in a sum": Unregistered() * 0.5 + 0.5 * jc.channel("relu", 1),
}


@pytest.mark.parametrize("name", OWN)
def test_objectives_of_ones_own_need_no_registration(tiny, name):
    """What is drawn is what the channel's own objective draws, from the same random numbers."""
    recipe = dataclasses.replace(QUICK, transforms=())
    start = np.full(
        (*recipe.size, 3) if isinstance(recipe.size, tuple) else (recipe.size, recipe.size, 3), 0.4, np.float32
    )
    own, known = (
        jc.render(tiny, objective, recipe, start=start, seed=[3, 4], progress=False)
        for objective in (OWN[name], jc.channel("relu", 1))
    )
    np.testing.assert_allclose(own.images, known.images, atol=1e-5)
    np.testing.assert_allclose(own.scores, known.scores, rtol=1e-5)
    assert name == "in a sum" or own[:1].labels[0].startswith(("relu:", "conv:"))


def test_what_an_unregistered_objective_holds_may_change(tiny):
    objective = Unregistered(1)
    first = jc.render(tiny, objective, QUICK, progress=False)
    objective.unit = 2
    second = jc.render(tiny, objective, QUICK, progress=False)
    assert not np.array_equal(first.images, second.images)


def test_objectives_are_printed_short():
    """By what is drawn, whatever arrays they hold."""
    picture = np.zeros((32, 32, 3), np.float32)
    assert repr(jc.channel("mixed4b", 3) - 0.25 * jc.total_variation()) == "Objective(mixed4b:3 - 0.25 totalvariation)"
    assert repr(jc.channel("relu", range(16))) == "Objective(16 pictures: relu:0, relu:1, relu:2 ...)"
    assert len(repr(-jc.activation_difference("mixed3b", picture))) < 80
    traced = []
    jax.jit(lambda objective: traced.append(repr(objective)))(jc.channel("relu", [1, 2]))
    assert traced == ["Channel(...)"]
