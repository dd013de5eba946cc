"""Pictures turned, scaled, mirrored, shifted and recolored, and how much of their answer units keep when they are.

The transforms take a picture first and numbers after it, as `evidence.tuning` wants them, act about the picture's
middle and return its central part; beyond its border lies the border's color.

>>> evidence.tuning(network, poses.turned, {"angle": AROUND}, "mixed3b", pictures=examples, place="center")
>>> evidence.invariance(network, ["mixed4b:409"], examples, pictures)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates
from jax.typing import ArrayLike

from jaxcircuits.brief import Brief
from jaxcircuits.evidence.centered import strongest_centered
from jaxcircuits.evidence.examples import Examples
from jaxcircuits.evidence.stimulus import Stimulus
from jaxcircuits.evidence.tuning import tuning
from jaxcircuits.images import Pictures
from jaxcircuits.network import Network
from jaxcircuits.network.graph import INPUT
from jaxcircuits.network.units import Unit, family
from jaxcircuits.network.windows import windows

if TYPE_CHECKING:
    from jaxtyping import Float, Int


def turned(
    picture: Float[jax.Array, "height width channels"], angle: ArrayLike, size: int | None = None
) -> Float[jax.Array, "new_height new_width channels"]:
    """A picture (H, W, channels) turned clockwise as seen by `angle` radians; the central `size` pixels of it."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return _moved(picture, size, lambda y, x: (cos * y - sin * x, cos * x + sin * y))


def scaled(
    picture: Float[jax.Array, "height width channels"], factor: ArrayLike, size: int | None = None
) -> Float[jax.Array, "new_height new_width channels"]:
    """A picture (H, W, channels) enlarged `factor` times; the central `size` pixels of it."""
    return _moved(picture, size, lambda y, x: (y / factor, x / factor))


def mirrored(
    picture: Float[jax.Array, "height width channels"], mirror: ArrayLike = 1.0, size: int | None = None
) -> Float[jax.Array, "new_height new_width channels"]:
    """A picture (H, W, channels) with left and right exchanged where `mirror` is 1, as it is where that is 0."""
    return _moved(picture, size, lambda y, x: (y, x * (1 - 2 * jnp.asarray(mirror))))


def shifted(
    picture: Float[jax.Array, "height width channels"], shift: ArrayLike, size: int | None = None
) -> Float[jax.Array, "new_height new_width channels"]:
    """A picture (H, W, channels) moved by `shift` = (right, down) pixels; the central `size` pixels of it."""
    shift = jnp.asarray(shift)
    return _moved(picture, size, lambda y, x: (y - shift[1], x - shift[0]))


def recolored(
    picture: Float[jax.Array, "height width 3"], hue: ArrayLike, size: int | None = None
) -> Float[jax.Array, "new_height new_width 3"]:
    """A picture (H, W, 3) with all colors turned about gray by `hue` radians; red becomes green after a third of 2 pi.

    Lightness, the mean of the channels, stays; colors are paled, where they have to be, to stay in [0, 1].
    """
    picture = _moved(picture, size, lambda y, x: (y, x))
    lightness = picture.mean(-1, keepdims=True)
    third = jnp.arange(3) * 2 * jnp.pi / 3
    turn = (1 + 2 * jnp.cos(hue - (third[:, None] - third[None]))) / 3
    chroma = (picture - lightness) @ turn.T
    reach = jnp.where(chroma > 0, 1 - lightness, lightness) / jnp.maximum(jnp.abs(chroma), 1e-6)
    return lightness + chroma * jnp.minimum(reach.min(-1, keepdims=True), 1)


def _moved(picture: jax.Array, size: int | None, source) -> jax.Array:
    """Bilinear; `source` maps y and x of a new pixel, from the middle, to those of the picture."""
    height, width = picture.shape[:2]
    rows, columns = (height, width) if size is None else (size, size)
    y, x = jnp.meshgrid(jnp.arange(rows) - (rows - 1) / 2, jnp.arange(columns) - (columns - 1) / 2, indexing="ij")
    y, x = source(y, x)
    at = [y + (height - 1) / 2, x + (width - 1) / 2]
    channels = [map_coordinates(picture[..., c], at, order=1, mode="nearest") for c in range(picture.shape[-1])]
    return jnp.stack(channels, -1)


ANGLES = np.arange(12) * 2 * np.pi / 12
"""The first of these and of the following leaves pictures as they are."""
FACTORS = np.array([1.0, 0.5, 2**-0.5, 2**0.5, 2.0])
DIRECTIONS = np.array([[0, 0], [1, 0], [0, 1], [-1, 0], [0, -1]], np.float64)
SHIFT = 1 / 8
"""Of what a unit reads, by which its examples are shifted."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Invariance(Brief):
    """How much of their response to their own examples units keep when these are in other poses.

    A figure is the mean answer, read in the middle of the map where the example lies, to the examples in all other
    poses, over that to the examples as they are: 1 where the pose does not matter, 0 where it decides. What is below
    zero counts as zero.

    Attributes:
      layer: whose units.
      units: (n,), their numbers.
      mirrored: (n,), left and right exchanged.
      turned: (n,), by every multiple of 30 degrees.
      scaled: (n,), to 0.5, 0.71, 1.41 and 2 times the size.
      shifted: (n,), by an eighth of what the unit reads, right, down, left and up.
      chance: (n,), the same for what has nothing to do with them: the other units' examples as they are; NaN where
        there are no others.
      curves: pose -> (n, values), answers to every pose over those to the examples as they are.
    """

    layer: str
    units: Int[np.ndarray, " units"]
    mirrored: Float[np.ndarray, " units"]
    turned: Float[np.ndarray, " units"]
    scaled: Float[np.ndarray, " units"]
    shifted: Float[np.ndarray, " units"]
    chance: Float[np.ndarray, " units"]
    curves: Mapping[str, Float[np.ndarray, "units values"]]


def invariance(
    network: Network,
    units: str | Unit | Sequence[str | Unit],
    examples: Examples,
    pictures: Pictures,
    *,
    count: int = 8,
    size: int | None = None,
    progress: bool = True,
) -> Invariance:
    """How much of their response units keep when their strongest examples are mirrored, turned, scaled and shifted.

    Args:
      network: whose units.
      units: of one layer.
      examples: of that layer.
      pictures: those that were shown.
      count: examples of each unit.
      size: of the transformed pictures in pixels; by default the network's native size.
      progress: show bars.

    Returns:
      The `Invariance`.

    Raises:
      InputError: for unknown units, and for examples that are too few or of other pictures.
    """
    layer, numbers = family(network, units)
    size = size if size is not None else min(network.convention.size)
    # Turned by 45 degrees, the corners of a square lie 1.41 times as far out.
    side = int(np.ceil(size * np.sqrt(2)))
    squares = strongest_centered(network, examples, pictures, layer, numbers, count, side)
    squares = squares.reshape(-1, *squares.shape[2:])
    read = windows(network, INPUT, layer, examples.seen.size, linear=True)
    field = min(read[0].size, size) if read else size
    poses: dict[str, tuple[Stimulus, str, np.ndarray]] = {
        "mirrored": (mirrored, "mirror", np.array([0.0, 1.0])),
        "turned": (turned, "angle", ANGLES),
        "scaled": (scaled, "factor", FACTORS),
        "shifted": (shifted, "shift", DIRECTIONS * SHIFT * field),
    }
    curves, chance = {}, np.full(len(numbers), np.nan)
    for name, (transform, parameter, values) in poses.items():
        options = {"pictures": squares, "place": "center", "size": size, "progress": progress}
        answers = tuning(network, transform, {parameter: values}, layer, **options)[layer][numbers]
        answers = np.maximum(answers, 0).reshape(len(numbers), len(numbers), count, -1).mean(2, dtype=np.float64)
        own = np.stack([answers[i, i] for i in range(len(numbers))])
        with np.errstate(invalid="ignore", divide="ignore"):
            curves[name] = own / own[:, :1]
            if len(numbers) > 1:
                as_they_are = answers[:, :, 0]
                others = (as_they_are.sum(1) - np.diag(as_they_are)) / (len(numbers) - 1)
                chance = others / np.diag(as_they_are)
    figures = {name: curve[:, 1:].mean(1) for name, curve in curves.items()}
    return Invariance(layer, numbers, **figures, chance=chance, curves=curves)
