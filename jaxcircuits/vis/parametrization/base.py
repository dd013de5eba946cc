"""The contract of everything that can be optimized in place of pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax

from jaxcircuits.errors import InputError, real, shown, whole
from jaxcircuits.vis import color
from jaxcircuits.vis.parts import Part

if TYPE_CHECKING:
    from jaxtyping import Float

Shape = tuple[int, int, int]
"""(height, width, channels) of a network's picture."""


class Parametrization(Part):
    """A way to write one picture, or one small group of pictures, by parameters.

    A subclass is a frozen dataclass of numbers and strings: hashable, without arrays. It gives `init` and `values`; the
    base class makes the picture of the values, and sees to everything else as most parametrizations want it.

    With `group` G > 1 parameters are those of G pictures, `init` takes keys (G,), and `values`, `picture` and
    `from_picture` have a leading axis G. What a picture has of its own follows from its key, what the group shares from
    the first key.

    Attributes:
      group: how many pictures share parameters.
    """

    group: int = 1

    def init(self, key: jax.Array, shape: Shape) -> Any:
        """Random parameters, a pytree of float32, for a picture of a shape."""
        raise NotImplementedError

    def values(self, parameters: Any, shape: Shape) -> Float[jax.Array, "*group height width channels"]:
        """Channels (H, W, C) before color: any real values, decorrelated where C is 3."""
        raise NotImplementedError

    def from_values(self, values: Float[jax.Array, "*group height width channels"], shape: Shape) -> Any:
        """Parameters whose `values` are those given.

        Raises:
          InputError: where there are none in general.
        """
        raise InputError(f"{type(self).__name__} cannot start from a picture; use Fourier or Pixels")

    def picture(self, parameters: Any, shape: Shape) -> Float[jax.Array, "*group height width channels"]:
        """The picture (H, W, `channels(C)`) in [0, 1] that parameters stand for."""
        return color.to_picture(self.values(parameters, shape))

    def from_picture(self, picture: Float[jax.Array, "*group height width channels"], shape: Shape) -> Any:
        """Parameters whose picture is the one given, clipped to `color.CLIP`.

        Args:
          picture: (H, W, C) in [0, 1], the shape of what `picture` returns; (G, H, W, C) for a group.
          shape: (H, W, C).

        Returns:
          What `init` returns.

        Raises:
          InputError: for a picture of another shape, or where the parametrization cannot write just any picture.
        """
        check_shape(picture, self.picture_shape(shape))
        return self.from_values(color.from_picture(picture), shape)

    def view(
        self, key: jax.Array, picture: Float[jax.Array, "height width channels"]
    ) -> Float[jax.Array, "height width channels"]:
        """What the transforms and the network see (H, W, C) in place of one picture."""
        return picture

    def channels(self, channels: int) -> int:
        """How many channels the picture has where the network reads `channels`."""
        return channels

    def picture_shape(self, shape: Shape) -> tuple[int, ...]:
        """The shape of what `picture` returns."""
        height, width, channels = shape
        group = (self.group,) if self.group > 1 else ()
        return (*group, height, width, self.channels(channels))


def check_shape(picture: jax.Array, expected: tuple[int, ...]) -> None:
    """Refuses a picture of another shape."""
    if picture.shape != expected:
        raise InputError(f"a picture to start from of shape {picture.shape}; expected {expected}")


def check_number(part: Parametrization, field: str, most: float = 1e6) -> None:
    """Makes a field a Python number; refuses what is not finite, below 0 or above `most`."""
    number = real(getattr(part, field), field, "a number from 0 on", lambda number: number >= 0)
    _check_most(number, field, most)
    _put(part, field, number)


def check_positive(part: Parametrization, field: str) -> None:
    """Makes a field a Python number; refuses what is not finite and above 0."""
    number = real(getattr(part, field), field, "a positive number", lambda number: number > 0)
    _check_most(number, field, 1e6)
    _put(part, field, number)


def check_count(part: Parametrization, field: str, least: int = 1, most: int = 1024) -> None:
    """Makes a field a Python number; refuses what is not whole, below `least` or above `most`."""
    number = whole(getattr(part, field), field, least)
    _check_most(number, field, most)
    _put(part, field, number)


def _check_most(number: float, field: str, most: float) -> None:
    if number > most:
        raise InputError(f"{field} {shown(number)}; expected at most {most:g}")


def _put(part: Parametrization, field: str, value: object) -> None:
    object.__setattr__(part, field, value)


def check_part(kind: str, value: object, refused: tuple[type, ...]) -> None:
    """Refuses what is not a parametrization that can be part of another."""
    if not isinstance(value, Parametrization) or isinstance(value, refused):
        name = type(value).__name__ if isinstance(value, Parametrization) else shown(value)
        raise InputError(f"{kind} {name}; expected a plain parametrization, such as Fourier()")


def fold_in(key: jax.Array, number: int) -> jax.Array:
    """`jax.random.fold_in` for a key, or for the keys of a group."""
    return jax.random.fold_in(key, number) if key.ndim == 0 else jax.vmap(lambda k: fold_in(k, number))(key)
