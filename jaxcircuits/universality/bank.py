"""The stimuli by which families are told apart, shown to a network once: what every unit answers to each of them.

Figures are read where a unit answers them most. What fills the picture is read in the middle of the map, with its
boundary at several places there, since the picture's own border is a boundary, too. A unit's answer to plain gray is
taken off, and what is below nothing is nothing.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxcircuits.evidence import stimuli, tuning
from jaxcircuits.evidence.stimuli import GRAY, MIDDLE, canvas, of_hue
from jaxcircuits.evidence.stimuli import drawing as d
from jaxcircuits.evidence.stimuli.figures import EAR, EYE, SNOUT
from jaxcircuits.images.progress import LookingProgress
from jaxcircuits.network import Network

SIZE = 128
"""Of the pictures in pixels, or the network's own where that is less or where it takes no other."""
TURN = 2 * np.pi
SHADES = np.repeat([[0.1], [0.9]], 3, axis=1)
"""Dark and light, on gray."""
PLACES = [[0.0, 0.0], [5.0, 3.0], [-3.0, -5.0]]
"""Where boundaries run, in pixels from the middle."""
WHOLE = 1e4
"""A radius beyond any picture."""
SCRAMBLED = ([2.0, -0.5, 1.2], [-1.6, 0.9, 2.6])
"""Directions of a head's parts, none where it belongs."""


def around(count: int, period: float = TURN) -> np.ndarray:
    """Angles evenly round a circle."""
    return np.arange(count) * period / count


def light_edge(orientation: ArrayLike, contrast: ArrayLike, size: int = 96, *, center: d.Vector = MIDDLE) -> jax.Array:
    """Light beside dark: the light half lies toward `orientation`, (size, size, 3)."""
    toward, _ = d.place(d.plane(size), center, orientation)
    light, dark = (jnp.full(3, 0.5) + side * jnp.asarray(contrast) / 2 for side in (1, -1))
    return d.paint(canvas(dark, size), d.cover(-toward), light)


def texture_edge(
    orientation: ArrayLike, wavelength: ArrayLike, size: int = 96, *, center: d.Vector = MIDDLE
) -> jax.Array:
    """A texture of one scale beside plain gray: the texture lies toward `orientation`, (size, size, 3)."""
    toward, _ = d.place(d.plane(size), center, orientation)
    texture = stimuli.high_low_frequency(0.0, wavelength, wavelength, size)
    return d.paint(canvas(GRAY, size), d.cover(-toward), texture)


def texture(wavelength: ArrayLike, size: int = 96) -> jax.Array:
    """A texture of one scale, (size, size, 3)."""
    return stimuli.high_low_frequency(0.0, wavelength, wavelength, size)


def hue_in_hue(hue: ArrayLike, radius: ArrayLike, size: int = 96) -> jax.Array:
    """A disc of one hue in the opposite one, (size, size, 3)."""
    return stimuli.hue(hue, radius, size, ground=of_hue(jnp.asarray(hue) + jnp.pi))


def shade_in_shade(contrast: ArrayLike, radius: ArrayLike, size: int = 96) -> jax.Array:
    """A light disc in the dark, or for negative contrasts a dark one in the light, (size, size, 3)."""
    one, other = (jnp.full(3, 0.5) + side * jnp.asarray(contrast) / 2 for side in (1, -1))
    return stimuli.patch(radius, size, color=one, ground=other)


@dataclasses.dataclass(frozen=True)
class Shown:
    """A set of stimuli.

    Attributes:
      stimulus: parameters -> a picture.
      grid: parameter -> its values.
      kind: the parameter that tells the set's members apart, such as the orientation; None for a set of one.
      best_of: parameters over which a unit's best answer counts; over all others the mean does.
      middle: read in the middle of the map alone.
    """

    stimulus: Callable[..., jax.Array]
    grid: Mapping[str, Sequence[float] | Sequence[Sequence[float]] | np.ndarray]
    kind: str | None = None
    best_of: Sequence[str] = ()
    middle: bool = False


def _head(parts: Sequence[float], **more: Any) -> Shown:
    grid = {"facing": [1.0, -1.0], "radius": [13.0, 17.0], "nod": [-0.15, 0.15], "color": SHADES}
    return Shown(functools.partial(stimuli.head, parts=parts), grid, "facing", **more)


def _car(windows: float, wheels: float) -> Shown:
    grid = {"facing": [1.0, -1.0], "length": [46.0, 60.0], "tilt": [-0.1, 0.1], "color": SHADES}
    return Shown(functools.partial(stimuli.car, float(windows), float(wheels)), grid, "facing")


_EDGE = {"orientation": around(8), "center": PLACES}
BANK: dict[str, Shown] = {
    "curve": Shown(
        stimuli.curve, {"orientation": around(16), "radius": [14.0, 22.0, 34.0], "color": SHADES}, "orientation"
    ),
    "line": Shown(
        stimuli.line,
        {"orientation": around(8, np.pi), "width": [3.0, 6.0], "length": [90.0], "color": SHADES},
        "orientation",
    ),
    "circle": Shown(stimuli.circle, {"radius": [9.0, 14.0, 22.0, 34.0], "color": SHADES}),
    "arc": Shown(
        stimuli.curve,
        {"orientation": around(8), "radius": [9.0, 14.0, 22.0, 34.0], "color": SHADES, "extent": [np.pi]},
        "orientation",
    ),
    "disc": Shown(stimuli.patch, {"radius": [9.0, 14.0, 22.0, 34.0], "color": SHADES}),
    "corner": Shown(stimuli.corner, {"orientation": around(8), "length": [18.0, 30.0], "color": SHADES}, "orientation"),
    "spiral": Shown(stimuli.spiral, {"orientation": around(4), "pitch": [9.0, 13.0], "color": SHADES}, "orientation"),
    "dots": Shown(stimuli.dots, {"orientation": [0.0, 0.5], "spacing": [10.0, 16.0], "color": SHADES}),
    "grating": Shown(
        stimuli.grating,
        {"orientation": around(8, np.pi), "wavelength": [4.0, 7.0, 12.0], "phase": [0.0, np.pi / 2]},
        "orientation",
        middle=True,
    ),
    "high-low": Shown(
        stimuli.high_low_frequency,
        _EDGE | {"high": [4.0, 5.5], "low": [20.0], "grain": [0.7, 0.2], "phase": [0.0, 2.0]},
        "orientation",
        ("center",),
        middle=True,
    ),
    "texture": Shown(texture, {"wavelength": [4.0, 5.5, 20.0]}, "wavelength", middle=True),
    "light edge": Shown(light_edge, _EDGE | {"contrast": [0.5, 0.9]}, "orientation", ("center",), middle=True),
    "texture edge": Shown(texture_edge, _EDGE | {"wavelength": [4.0, 7.0]}, "orientation", ("center",), middle=True),
    "hue edge": Shown(
        stimuli.color_contrast,
        _EDGE | {"hue": around(3, np.pi), "lightness": [0.4, 0.6]},
        "orientation",
        ("center", "hue"),
        middle=True,
    ),
    "hue beside hue": Shown(
        stimuli.color_contrast,
        _EDGE | {"hue": around(3, np.pi), "lightness": [0.4, 0.6]},
        "hue",
        ("center", "orientation"),
        middle=True,
    ),
    "hue": Shown(stimuli.hue, {"hue": around(6), "radius": [WHOLE], "lightness": [0.4, 0.6]}, "hue", middle=True),
    "shade": Shown(shade_in_shade, {"contrast": [-0.9, -0.5, 0.5, 0.9], "radius": [WHOLE]}, "contrast", middle=True),
    "hue in hue": Shown(hue_in_hue, {"hue": around(6), "radius": [5.0, 10.0, 18.0]}, "hue"),
    "shade in shade": Shown(shade_in_shade, {"contrast": [-0.9, 0.9], "radius": [5.0, 10.0, 18.0]}, "contrast"),
    "head": _head([SNOUT, EAR, EYE]),
    "scrambled head": _head(SCRAMBLED[0]),
    "other scrambled head": _head(SCRAMBLED[1]),
    "car": _car(stimuli.ABOVE, stimuli.BELOW),
    "swapped car": _car(stimuli.BELOW, stimuli.ABOVE),
}
"""Name -> stimuli; families are defined by these names."""

Answers = dict[str, dict[str, np.ndarray]]
"""Layer -> set -> float32 (units, kinds, conditions), 0 or above."""


def answers(
    network: Network,
    layers: Sequence[str],
    bank: Mapping[str, Shown] = BANK,
    progress: bool | Callable[[int, int], None] = True,
) -> Answers:
    """Shows a bank of stimuli to a network.

    Args:
      network: whose units.
      layers: names.
      bank: name -> stimuli.
      progress: show a bar; or a function that is told (pictures shown, pictures in all).

    Returns:
      The `Answers`.
    """
    size = min(SIZE, *network.convention.size)
    size = size if network.takes((size, size)) else min(network.convention.size)
    blank = {
        place: tuning(network, stimuli.patch, {"radius": [-WHOLE]}, layers, place=place, size=size, progress=False)
        for place in ("center", "maximum")
    }
    result: Answers = {layer: {} for layer in layers}
    measured: dict[tuple, Any] = {}
    different = {_key(shown): math.prod(len(values) for values in shown.grid.values()) for shown in bank.values()}
    with LookingProgress(f"{network.name} stimuli", sum(different.values()), progress) as bar:
        for name, shown in bank.items():
            place = "center" if shown.middle else "maximum"
            if _key(shown) not in measured:
                measured[_key(shown)] = tuning(
                    network, shown.stimulus, shown.grid, layers, place=place, size=size, progress=False
                )
                bar.update(sum(different[key] for key in measured))
            found = measured[_key(shown)]
            for layer in layers:
                above = np.maximum(found[layer] - blank[place][layer].reshape(-1, *[1] * len(shown.grid)), 0)
                result[layer][name] = _by_kind(above, list(shown.grid), shown)
    return result


def _key(shown: Shown) -> tuple:
    """What tells sets of other pictures, or read elsewhere, apart: several sets may read the same answers."""
    return shown.stimulus, str(shown.grid), shown.middle


def _by_kind(values: np.ndarray, names: list[str], shown: Shown) -> np.ndarray:
    """(units, *grid) as (units, kinds, conditions)."""
    for name in shown.best_of:
        values = values.max(1 + names.index(name))
        names = [one for one in names if one != name]
    if shown.kind is None:
        return values.reshape(len(values), 1, -1)
    values = np.moveaxis(values, 1 + names.index(shown.kind), 1)
    return values.reshape(*values.shape[:2], -1)
