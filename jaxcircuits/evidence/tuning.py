"""Tuning: what every unit answers to a stimulus, over a grid of the stimulus' parameters.

>>> around = np.arange(24) * 2 * np.pi / 24
>>> found = evidence.tuning(network, stimuli.curve, {"orientation": around, "radius": [20, 40]}, ["mixed3b", "mixed4a"])
>>> found["mixed3b"].shape                             # units, orientations, radii
(480, 24, 2)
>>> preferred, selectivity = found.preference("mixed3b", "orientation")
>>> pages.tuning_plot(found, "mixed3b", [379, 406], "orientation", "curves.svg")

After Cammarata et al., Curve Detectors (Distill 2020). Any pure function that draws a picture from numbers is a
stimulus, and any function of a picture and numbers transforms pictures in place of drawing them (joint tuning).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from jaxcircuits.errors import InputError, whole
from jaxcircuits.evidence.responses import Place, answering, batch_size, finite, in_batches, shared
from jaxcircuits.evidence.stimulus import PICTURE, Drawing, Stimulus, drawing
from jaxcircuits.evidence.tuning_result import Tuning
from jaxcircuits.images.progress import LookingProgress
from jaxcircuits.network import Network

if TYPE_CHECKING:
    from jaxtyping import Float

LARGEST = 2**33
"""Bytes of the largest result."""


def tuning(
    network: Network,
    stimulus: Stimulus,
    grid: Mapping[str, ArrayLike],
    layers: str | Sequence[str],
    *,
    pictures: Float[np.ndarray | jax.Array, "pictures height width channels"] | None = None,
    place: Place = "maximum",
    size: int | None = None,
    batch_size: int | None = None,
    progress: bool | Callable[[int, int], None] = True,
) -> Tuning:
    """Measures the responses of all units of some layers to a stimulus, at every point of a grid of its parameters.

    The drawing is compiled once for a stimulus, the network once for all stimuli of one size; numbers compile nothing.

    Args:
      network: whose units.
      stimulus: parameters -> a picture, such as `stimuli.curve`, or one's own; arguments that the grid does not vary
        are fixed with `functools.partial`.
      grid: parameter -> its values, (n,), or (n, ...) for parameters that are no single numbers, such as colors. All
        their combinations are shown.
      layers: names, or one.
      pictures: (N, H, W, channels) in [0, 1], to be transformed by `stimulus`, a function that takes a picture first,
        such as those of `evidence.poses`; the answers then have `picture` as their first axis.
      place: where in its map a unit is read: `maximum` or `center`, see `Place`.
      size: of the pictures, for stimuli that have a parameter `size`; by default the network's native size.
      batch_size: pictures at once; by default what suits the device. It changes nothing but speed and memory.
      progress: show a bar; or a function that is told (pictures shown, pictures in all).

    Returns:
      The `Tuning`.

    Raises:
      InputError: for an unknown layer or parameter, an empty or too large grid, values or pictures that are not finite
        or not in [0, 1], and answers that are not finite.
    """
    names = list(dict.fromkeys([layers] if isinstance(layers, str) else layers))
    if not names:
        raise InputError(f"no layers of {network.name}; expected one or more")
    answer = answering(network, names, place)
    axes = _axes(grid)
    size = _size(network, size)
    drawn = drawing(stimulus, list(axes), size, pictures is not None)
    if pictures is not None:
        pictures = network.check_pictures(pictures)
        axes = {PICTURE: np.arange(len(pictures))} | axes
    lengths = tuple(len(values) for values in axes.values())
    points = math.prod(lengths)
    if not points:
        raise InputError(f"no pictures to transform by {drawn.name}; expected (N, height, width, channels)")
    units = sum(network.layers[name].channels for name in names)
    if 4 * units * points > LARGEST:
        raise InputError(f"{units} units at {points} points take {4 * units * points / 2**30:.0f} GiB; ask for fewer")
    answers = {name: np.empty((points, network.layers[name].channels), np.float32) for name in names}
    with LookingProgress(f"{network.name} {drawn.name}", points, progress) as bar:
        for chosen, count in in_batches(points, _batch_size(batch_size, points)):
            images = _drawn(network, drawn, axes, np.unravel_index(chosen, lengths), pictures)
            for name, values in answer(images).items():
                answers[name][chosen[:count]] = finite(network, name, np.asarray(values)[:count])
            bar.update(int(chosen[count - 1]) + 1)
    labeled = {name: np.moveaxis(values.reshape(*lengths, -1), -1, 0) for name, values in answers.items()}
    fixed = {key: np.asarray(value).tolist() for key, value in drawn.fixed.items()}
    shown_at = (images.shape[1], images.shape[2])
    return Tuning(network.name, drawn.name, fixed, shown_at, place, axes, labeled)


def _axes(grid: Mapping[str, ArrayLike]) -> dict[str, np.ndarray]:
    """The values of each parameter, float (n, ...)."""
    axes = {}
    for name, values in grid.items():
        values = np.asarray(values)
        if values.ndim == 0 or not values.size or values.dtype.kind not in "fiub":
            raise InputError(f"values of {name}, {values!r}; expected a sequence of numbers, one or more")
        if not np.isfinite(values).all():
            raise InputError(f"values of {name} that are not finite")
        axes[str(name)] = values.astype(np.float64)
    return axes


def _size(network: Network, size: int | None) -> int:
    if size is None:
        return min(network.convention.size)
    size = whole(size, "size", 1)
    if not network.takes((size, size)):
        raise InputError(f"size {size}; {network.name} does not take pictures of {size} x {size} pixels")
    return size


def _batch_size(asked: int | None, points: int) -> int:
    return batch_size(min(points, whole(asked, "batch_size", 1)) if asked is not None else None)


def _drawn(
    network: Network,
    drawn: Drawing,
    axes: Mapping[str, np.ndarray],
    places: tuple[np.ndarray, ...],
    pictures: jax.Array | None,
) -> jax.Array:
    """The pictures of some points of a grid, as the network takes them."""
    at = dict(zip(axes, places))
    values = {name: np.asarray(axes[name][at[name]], np.float32) for name in axes if name != PICTURE}
    chosen = None if pictures is None else pictures[jnp.asarray(at[PICTURE])]
    try:
        images = drawn.draw(*shared((values, chosen)))
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"stimulus {drawn.name} cannot be drawn from {', '.join(axes)}: {said}") from error
    channels = network.convention.channels
    if images.ndim != 4 or images.shape[-1] != channels:
        shape = images.shape[1:]
        raise InputError(f"stimulus {drawn.name} returns {shape}; expected a picture (height, width, {channels})")
    return network.check_pictures(images)
