"""Recipe: everything that decides the look of a picture, as data."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Iterable
from typing import Any

import optax

from jaxcircuits.errors import InputError, Sides, real, shown, unknown, whole
from jaxcircuits.files import parse_json, read_as
from jaxcircuits.vis.parametrization import Fourier, FourierPhase, Parametrization, Shape
from jaxcircuits.vis.parts import check_parts, find_part, own_parts, part_name
from jaxcircuits.vis.transforms import LUCID, MACO, Transform, view_size
from jaxcircuits.vis.transforms.view import check_sizes

MOST_STEPS = 2**31 - 1
"""What an int32 holds."""

MOST_VIEWS = 4096
MOST_RATE = 1e6
MOST_TRANSFORMS = 100
"""Each is compiled by itself."""

LONGEST = 2**20
"""Characters of a recipe's JSON."""

OPTIMIZERS = {"adam": optax.adam, "nadam": optax.nadam}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a picture is made; the default is Lucid's recipe.

    Adam by optax adds its epsilon (1e-8) after the bias correction, TensorFlow's before; the pictures do not tell.

    Attributes:
      size: height and width of the pictures in pixels; one number for squares.
      parametrization: what is optimized.
      transforms: the random view of each step, in order.
      views: random views a picture at each step, over which its score is the mean.
      steps: of gradient ascent.
      tolerance: a picture is finished early when the mean score of its last 32 steps is not above that of the 32 before
        by more than this part of it; 0 always takes all steps.
      optimizer: `adam` or `nadam`.
      learning_rate: of the optimizer.
      betas: its decay rates of the gradient's mean and of its square's.
      redirect_steps: first steps with redirected ReLU gradients, see `jaxcircuits.network.redirect`; Lucid's are those
        numbered 0 to 16.
      dtype: of the network's arithmetic, `float32` or `bfloat16`; all else is float32.
    """

    size: Sides = Sides("size", 128, least=2)
    parametrization: Parametrization = Fourier()
    transforms: tuple[Transform, ...] = LUCID
    views: int = 1
    steps: int = 512
    tolerance: float = 0.0
    optimizer: str = "adam"
    learning_rate: float = 0.05
    betas: tuple[float, float] = (0.9, 0.999)
    redirect_steps: int = 17
    dtype: str = "float32"

    def __post_init__(self):
        put = functools.partial(object.__setattr__, self)
        put("parametrization", _parametrization(self.parametrization))
        put("transforms", _transforms(self.transforms))
        check_parts((self.parametrization, *self.transforms))
        for field, choices in (("dtype", ("float32", "bfloat16")), ("optimizer", OPTIMIZERS)):
            if not isinstance(getattr(self, field), str) or getattr(self, field) not in choices:
                raise unknown(field, getattr(self, field), choices)
        for field, least in (("steps", 0), ("redirect_steps", 0), ("views", 1)):
            put(field, whole(getattr(self, field), field, least, MOST_STEPS))
        put("learning_rate", real(self.learning_rate, "learning_rate", "a positive number", lambda rate: rate > 0))
        for field, most in (("learning_rate", MOST_RATE), ("views", MOST_VIEWS)):
            if getattr(self, field) > most:
                raise InputError(f"{field} {shown(getattr(self, field))}; expected at most {most:g}")
        put("betas", _betas(self.betas))
        expected = "a part of the score, from 0 to below 1"
        put("tolerance", real(self.tolerance, "tolerance", expected, lambda part: 0 <= part < 1))
        check_sizes(self.transforms, self.size)
        if min(self.view_size) < 1:
            raise InputError(
                f"the transforms leave nothing of a picture of {self.size[0]}x{self.size[1]} pixels; "
                "expected larger ones, or transforms that crop less"
            )

    @classmethod
    def fast(cls, **fields: Any) -> Recipe:
        """Half the steps of the default for nearly its score: Nadam that soon forgets.

        Every step sees another random view, so a long memory of gradients holds a picture back. On mixed3b, mixed4b and
        mixed5a of InceptionV1 it reaches 99, 98 and 97 % of the default's score (`benchmarks/time_to_score.py`).

        Args:
          **fields: other fields that are to differ.
        """
        return cls(**({"optimizer": "nadam", "betas": (0.6, 0.9), "steps": 256} | fields))

    @classmethod
    def maco(cls, size: int | tuple[int, int] = 224, view: int = 224, **fields: Any) -> Recipe:
        """MACO: natural images' spectrum with a phase of its own, seen in crops that shrink; for the deeper layers.

        Fel et al., Unlocking Feature Visualization for Deeper Networks with MAgnitude Constrained Optimization, 2023:
        Nadam 1.0, 256 steps, crops from half the picture's side to a twentieth. They take 32 crops a step, as
        `views=32` does; 8 cost a quarter of that.

        Args:
          size: as for `Recipe`.
          view: side of what the network sees of a crop, in pixels; its native size, or less to be faster.
          **fields: other fields that are to differ.
        """
        crop, *noise = MACO
        own = {
            "parametrization": FourierPhase(),
            "transforms": (dataclasses.replace(crop, view=view), *noise),
            "views": 8,
            "steps": 256,
            "optimizer": "nadam",
            "learning_rate": 1.0,
        }
        return cls(size=size, **(own | fields))

    @property
    def view_size(self) -> tuple[int, int]:
        """Height and width of what the network sees at each step."""
        return view_size(self.transforms, self.size)

    def shape(self, channels: int) -> Shape:
        """(height, width, channels) of one picture, as the network sees it."""
        return (*self.size, channels)

    def to_json(self) -> str:
        """The recipe as JSON; `from_json` gives an equal one."""
        return json.dumps(_to_data(self), indent=2, default=_refuse)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The recipe that JSON describes; fields left out have their default.

        Raises:
          InputError: for text that is not JSON, an unknown field or type, or a value out of range.
        """
        fields = parse_json(text, "a recipe", LONGEST)
        if not isinstance(fields, dict):
            raise InputError(f"a recipe that is a {type(fields).__name__}; expected a JSON object")
        return _build(cls, {name: value for name, value in fields.items() if name != "type"})

    @classmethod
    def read(cls, path: str | os.PathLike) -> Recipe:
        """The recipe of a JSON file.

        Raises:
          InputError: where there is no such file, or it holds no recipe.
        """
        return read_as(path, "a recipe", LONGEST, cls.from_json)


def _parametrization(value: Any) -> Parametrization:
    """A parametrization, one by its class or the class's name."""
    if isinstance(value, Parametrization):
        return value
    if isinstance(value, str):
        classes = {cls.__name__.lower(): cls for cls in own_parts(Parametrization)}
        if value.lower() not in classes:
            raise unknown("parametrization", value, [cls.__name__ for cls in classes.values()])
        value = classes[value.lower()]
    if isinstance(value, type) and issubclass(value, Parametrization):
        try:
            return value()
        except TypeError as error:
            raise InputError(f"parametrization {value.__name__}: {error}") from None
    raise InputError(f"parametrization {shown(value)}; expected one such as Fourier()")


def _betas(value: Any) -> tuple[float, float]:
    expected = "two numbers from 0 to below 1"
    try:
        values = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else ()
        first, second = (real(beta, "beta", expected, lambda beta: 0 <= beta < 1) for beta in values)
    except ValueError:  # of another number of them, or of one that is none
        raise InputError(f"betas {shown(value)}; expected {expected}") from None
    return first, second


def _transforms(value: Any) -> tuple[Transform, ...]:
    """Transforms as a tuple: a bare one, or None for none, are taken too."""
    if value is None:
        return ()
    values = (value,) if isinstance(value, Transform) or not isinstance(value, Iterable) else tuple(value)
    if len(values) > MOST_TRANSFORMS:
        raise InputError(f"{len(values):,} transforms; expected at most {MOST_TRANSFORMS}")
    for one in values:
        if not isinstance(one, Transform):
            name = f"{one.__name__} itself" if isinstance(one, type) else shown(one)
            expected = "expected one such as Pad(12), or a tuple of them; one's own are subclasses of Photometric"
            raise InputError(f"transform {name}; {expected}")
    return values


def _to_data(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        fields = {field.name: _to_data(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": part_name(type(value)), **fields}
    return [_to_data(item) for item in value] if isinstance(value, tuple) else value


def _refuse(value: Any) -> Any:
    raise InputError(f"a recipe that holds a {type(value).__name__}; expected numbers, strings, tuples and dataclasses")


def _from_data(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_from_data(item) for item in value)
    if not isinstance(value, dict):
        return value
    fields = dict(value)
    return _build(find_part(fields.pop("type", None)), fields)


def _build(cls: type, fields: dict[str, Any]) -> Any:
    known = [field.name for field in dataclasses.fields(cls)]
    for name in fields:
        if name not in known:
            raise unknown("field", name, known, cls.__name__)
    try:
        return cls(**{name: _from_data(value) for name, value in fields.items()})
    except InputError:
        raise
    except Exception as error:  # a part may be anybody's class, which says in its own way what it does not take
        raise InputError(f"{cls.__name__}: {error or type(error).__name__}") from None
