"""What a network expects of a picture: value range, channel order, native size."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterable
from typing import Any

from jaxcircuits.errors import InputError, pixels, real, shown, whole

MOST_SIDE = 2**14
"""Pixels; the largest pictures that networks of vision are trained on have some thousands."""

MOST_CHANNELS = 1024
"""Of a picture: hyperspectral ones have hundreds."""

LARGEST = 1e9
"""Of scale, mean and standard deviation; a 32-bit sensor's values reach it, and its inverse."""


@dataclasses.dataclass(frozen=True)
class InputConvention:
    """How a picture with values in [0, 1] becomes a network's input: `(scale * picture - mean) / std`.

    A wrong value range is the commonest reason for pictures that make no sense, so it is stated, never guessed.

    Attributes:
      size: native height and width in pixels.
      channels: of the picture; 3 for color, 1 for gray.
      scale: factor on the picture: 255 for networks that read bytes, 2 (with mean 1) for [-1, 1].
      mean, std: subtracted and divided by, one number or one a channel **in the network's order**.
      order: `RGB`, or `BGR` for networks from Caffe; pictures themselves are always RGB.
      layout: of the network's input, `HWC`, or `CHW` for channels first; pictures themselves are always channels last.
    """

    size: tuple[int, int] = (224, 224)
    channels: int = 3
    scale: float = 1.0
    mean: float | tuple[float, ...] = 0.0
    std: float | tuple[float, ...] = 1.0
    order: str = "RGB"
    layout: str = "HWC"

    def __post_init__(self):
        put = functools.partial(object.__setattr__, self)
        put("size", pixels("size of the input", self.size, most=MOST_SIDE))
        put("channels", whole(self.channels, "channels of the input", 1, MOST_CHANNELS))
        put("scale", _number(self.scale, "scale"))
        for field in ("mean", "std"):
            put(field, _numbers(getattr(self, field), field))
        if self.order not in ("RGB", "BGR"):
            raise InputError(f"channel order {shown(self.order)}; expected 'RGB' or 'BGR'")
        if self.layout not in ("HWC", "CHW"):
            raise InputError(f"layout {shown(self.layout)}; expected 'HWC', or 'CHW' for channels first")
        divisors = self.std if isinstance(self.std, tuple) else (self.std,)
        if not all(divisors):
            raise InputError(
                f"std {shown(self.std)}; pictures are divided by it, so expected finite numbers other than 0"
            )
        for field in ("mean", "std"):
            value = getattr(self, field)
            if isinstance(value, tuple) and len(value) != self.channels:
                raise InputError(f"{field} has {len(value)} numbers; expected one, or {self.channels}, one a channel")

    def __call__(self, pictures):
        """Maps pictures (..., H, W, channels), RGB in [0, 1], to the values that the network reads.

        Shape and dtype stay: what turns channels first is the network's call, by the layout.
        """
        import jax.numpy as jnp

        if self.order == "BGR":
            pictures = pictures[..., ::-1]
        mean, std = (jnp.asarray(value, pictures.dtype) for value in (self.mean, self.std))
        return (pictures * self.scale - mean) / std

    def to_dict(self) -> dict[str, Any]:
        """The convention as plain JSON types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> InputConvention:
        """The convention that `to_dict` wrote; raises `InputError` for fields it does not know or lacks.

        Files from before there was a layout have none, and mean channels last.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(fields, dict) or {"layout", *fields} != set(names):
            raise InputError(f"input convention {shown(fields)}; expected the fields {', '.join(names)}")
        return cls(**fields)


def _numbers(value: Any, field: str) -> float | tuple[float, ...]:
    """One number, or several as a tuple."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0:
        return _number(value, field)
    values = tuple(itertools.islice(value, MOST_CHANNELS + 1))
    return tuple(_number(one, field) for one in values)


def _number(value: Any, field: str) -> float:
    number = real(value, f"{field} of the input", f"a number from -{LARGEST:g} to {LARGEST:g}", _is_sane)
    # A whole number stays whole, as it is written in weights files.
    return value if type(value) is int else number


def _is_sane(number: float) -> bool:
    return abs(number) <= LARGEST and (number == 0 or abs(number) >= 1 / LARGEST)
