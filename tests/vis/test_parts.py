"""Transforms and parametrizations of one's own: in recipes, in their JSON and in bulk, with nothing to register."""

import dataclasses
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcircuits as jc
from jaxcircuits import InputConvention, InputError, Recipe, bulk
from jaxcircuits.bulk import DrawingPlan, Series
from jaxcircuits.network import Network
from jaxcircuits.vis import Jitter, Pad, Parametrization, Pixels, transforms
from jaxcircuits.vis.parts import find_part
from jaxcircuits.vis.transforms import Photometric


@dataclasses.dataclass(frozen=True)
class Dim(Photometric):
    """Halves the light of a channel, or not."""

    channel: int = 0
    shares: tuple[float, ...] = (0.5, 1.0)

    def apply(self, key, picture):
        return picture.at[..., self.channel].multiply(jax.random.choice(key, jnp.asarray(self.shares)))


@dataclasses.dataclass(frozen=True)
class Mosaic(Parametrization):
    """Another parametrization's picture with every cell `size` pixels wide: a part within a part."""

    part: Parametrization = Pixels()
    size: int = 2

    def init(self, key, shape):
        height, width, channels = shape
        return self.part.init(key, (height // self.size, width // self.size, channels))

    def values(self, parameters, shape):
        height, width, channels = shape
        small = self.part.values(parameters, (height // self.size, width // self.size, channels))
        return jnp.repeat(jnp.repeat(small, self.size, 0), self.size, 1)


OWN = Recipe(size=8, parametrization=Mosaic(Pixels(sd=0.5), 4), transforms=(Pad(1), Dim(1)), steps=2, redirect_steps=0)


@pytest.fixture(scope="module")
def network():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype(np.float32)

    def model(params, x):
        convolved = jax.lax.conv_general_dilated(x, params, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return {"conv": convolved}

    return Network.from_function(model, kernel, InputConvention(size=(10, 10)))


def test_json_names_the_module_of_ones_own_parts():
    fields = json.loads(OWN.to_json())
    assert fields["transforms"][0] == {"type": "Pad", "pixels": 1}
    assert fields["transforms"][1] == {"type": f"{__name__}:Dim", "channel": 1, "shares": [0.5, 1.0]}
    assert fields["parametrization"]["type"] == f"{__name__}:Mosaic"
    again = Recipe.from_json(OWN.to_json())
    assert again == OWN and hash(again) == hash(OWN)


def test_a_class_that_bears_the_name_of_one_of_the_package_is_another():
    @dataclasses.dataclass(frozen=True)
    class Jitter(Photometric):
        def apply(self, key, picture):
            return picture

    mixed = Recipe(size=8, transforms=(Jitter(), transforms.Jitter(1)))
    again = Recipe.from_json(mixed.to_json())
    assert again == mixed and type(again.transforms[0]) is Jitter
    assert find_part("Jitter") is not Jitter


def test_the_newer_of_two_definitions_is_meant():
    def define():
        @dataclasses.dataclass(frozen=True)
        class Twice(Photometric):
            strength: float = 1.0

        return Twice

    first, second = define(), define()
    (found,) = Recipe.from_json(Recipe(transforms=(first(2.0),)).to_json()).transforms
    assert type(found) is second and found.strength == 2.0


def test_own_parts_are_drawn_in_bulk_and_resumed(network, tmp_path):
    def draw(units):
        with bulk.drawings(network, [Series("conv", units)], OWN, tmp_path, batch_size=2) as job:
            return job.finished, job.run(progress=False)

    draw((0, 1))
    (written,) = tmp_path.rglob("recipe.json")
    assert Recipe.from_json(written.read_text()) == OWN
    (plan,) = tmp_path.rglob("plan.json")
    assert DrawingPlan.from_json(plan.read_text()).recipe == OWN
    finished, _ = draw((0, 1, 2))
    assert finished == 2 and len([*tmp_path.rglob("000?.png")]) == 3
    # What was drawn is made of cells of four pixels.
    drawn = jc.render(network, jc.channel("conv", [0]), OWN).images[0]
    cells = np.asarray(drawn).reshape(2, 4, 2, 4, 3)
    assert np.ptp(cells, axis=(1, 3)).max() == 0 and np.ptp(cells) > 0


def test_nothing_is_imported_because_a_file_names_it(tmp_path):
    """In a process of its own: a module that would leave a trace lies on its path."""
    (tmp_path / "stranger.py").write_text("open('was_here', 'w')\n")
    code = (
        "import sys\nfrom jaxcircuits import InputError, Recipe\n"
        "try:\n    Recipe.from_json(sys.argv[1])\nexcept InputError as error:\n    print(error)\n"
    )
    text = json.dumps({"transforms": [{"type": "stranger:Swirl"}]})
    done = subprocess.run([sys.executable, "-c", code, text], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "type 'stranger:Swirl' of a module that is not imported; import stranger before the recipe is read"
    ]
    assert not (tmp_path / "was_here").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("json:Decoder", "unknown type 'json:Decoder' of recipes"),
        (f"{__name__}:Dims", f"did you mean {__name__}:Dim"),
        ("a b\n:Dim", "unknown type"),
        ("Geometric", "unknown type 'Geometric'"),
        ("Part", "unknown type 'Part'"),
        ("Recipe", "unknown type 'Recipe'"),
        (["Pad"], "unknown type"),
        (None, "unknown type 'None'"),
    ],
    ids=str,
)
def test_what_is_no_part(name, message):
    with pytest.raises(InputError, match=message) as error:
        Recipe.from_json(json.dumps({"transforms": [{"type": name}]}))
    assert "\n" not in str(error.value)


class Plain(Photometric):
    """Not a dataclass."""


@dataclasses.dataclass
class Changing(Photometric):
    """Not frozen."""

    amount: float = 1.0


@dataclasses.dataclass(frozen=True)
class Holding(Photometric):
    """Holds whatever it is given."""

    value: object = None


def test_what_a_recipe_cannot_hold():
    for part, message in (
        (Plain(), "Plain is no dataclass"),
        (Changing(), "Changing cannot be part of a recipe .*frozen dataclass"),
        (Holding(np.ones(2)), "Holding cannot be part of a recipe .*frozen dataclass"),
    ):
        with pytest.raises(InputError, match=message):
            Recipe(transforms=(part, Jitter(1)))
    with pytest.raises(InputError, match="a recipe that holds a Plain; expected numbers, strings"):
        Recipe(transforms=(Holding(Plain()),)).to_json()
