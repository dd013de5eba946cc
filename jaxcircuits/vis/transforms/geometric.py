"""Transforms that move points: padding, crops, zoom, turns, bends."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import pixels
from jaxcircuits.vis.transforms.base import (
    AffineMap,
    Geometric,
    LinearBounds,
    Range,
    Size,
    check_choices,
    check_number,
    check_range,
    check_whole,
    choose,
    draw,
    matrix_of,
    product,
    zoomed,
)
from jaxcircuits.vis.transforms.resample import sample
from jaxcircuits.vis.transforms.smooth import gaussian_matrix
from jaxcircuits.vis.transforms.turns import extremes, turn, turn_bounds, turn_reach


@dataclasses.dataclass(frozen=True)
class Pad(AffineMap):
    """Adds `pixels` of mid-gray on every side."""

    pixels: int

    def __post_init__(self):
        check_whole(self, "pixels")

    def size(self, size: Size) -> Size:
        return size[0] + 2 * self.pixels, size[1] + 2 * self.pixels

    def bounds(self, size: Size) -> LinearBounds:
        return zoomed(1)


@dataclasses.dataclass(frozen=True)
class Jitter(AffineMap):
    """Crops `pixels` from height and width at a random whole-pixel offset from 0 to `pixels`.

    Attributes:
      pixels: cropped away.
      times: how often this is done; offsets add up, so that many make a bell curve of shifts.
    """

    pixels: int
    times: int = 1

    def __post_init__(self):
        check_whole(self, "pixels")
        check_whole(self, "times", 1, 1000)

    def size(self, size: Size) -> Size:
        cropped = self.times * self.pixels
        return size[0] - cropped, size[1] - cropped

    def matrix(self, key, size, progress):
        offsets = jax.random.randint(key, (self.times, 2), 0, self.pixels + 1) - self.pixels / 2
        return matrix_of(jnp.eye(2), offsets.sum(0))

    def bounds(self, size: Size) -> LinearBounds:
        return zoomed(1)


@dataclasses.dataclass(frozen=True)
class Scale(AffineMap):
    """Zooms about the center by one of `scales`, chosen at random; more than 1 makes things larger."""

    scales: tuple[float, ...]
    numbers = ("scales",)

    def __post_init__(self):
        check_choices(self, "scales", least=1e-3)

    def matrix(self, key, size, progress):
        zoom = 1 / choose(key, self.scales)
        return jnp.diag(jnp.stack([zoom, zoom, jnp.ones(())]))

    def reach(self, size: Size) -> float:
        return max(self.scales)

    def bounds(self, size: Size) -> LinearBounds:
        return zoomed(1 / min(self.scales))


@dataclasses.dataclass(frozen=True)
class Rotate(AffineMap):
    """Turns counterclockwise about the center by one of `degrees`, chosen at random."""

    degrees: tuple[float, ...]
    numbers = ("degrees",)

    def __post_init__(self):
        check_choices(self, "degrees")

    def matrix(self, key, size, progress):
        angle = jnp.deg2rad(choose(key, self.degrees))
        return matrix_of(turn(angle), jnp.zeros(2))

    def reach(self, size: Size) -> float:
        return max(turn_reach(degrees) for degrees in self.degrees)

    def bounds(self, size: Size) -> LinearBounds:
        return turn_bounds(self.degrees)


@dataclasses.dataclass(frozen=True)
class Affine(AffineMap):
    """Zooms, shears, turns and shifts about the center, in this order, each by a random number from its range.

    Attributes:
      degrees: counterclockwise.
      shift: in pixels, for each axis by itself; not whole.
      zoom: more than 1 makes things larger.
      shear: in degrees by which upright lines lean to the right.
    """

    degrees: Range = (0.0, 0.0)
    shift: Range = (0.0, 0.0)
    zoom: Range = (1.0, 1.0)
    shear: Range = (0.0, 0.0)
    numbers = ("degrees", "shift", "zoom", "shear")

    def __post_init__(self):
        check_range(self, "degrees")
        check_range(self, "shift")
        check_range(self, "zoom", 1e-3)
        check_range(self, "shear", -80, 80)

    def matrix(self, key, size, progress):
        of_degrees, of_shift, of_zoom, of_shear = jax.random.split(key, 4)
        shift = jax.random.uniform(of_shift, (2,), minval=self.shift[0], maxval=self.shift[1])
        lean = jnp.tan(jnp.deg2rad(draw(of_shear, self.shear)))
        unshear = jnp.array([[1.0, 0.0], [lean, 1.0]])
        turned = turn(jnp.deg2rad(draw(of_degrees, self.degrees)))
        linear = product(unshear, turned) / draw(of_zoom, self.zoom)
        return matrix_of(linear, product(-linear, shift))

    def reach(self, size: Size) -> float:
        turned = max(map(turn_reach, extremes(self.degrees, 45)))
        return self.zoom[1] * turned * (1 + self._lean())

    def bounds(self, size: Size) -> LinearBounds:
        turned = turn_bounds(extremes(self.degrees, 0))
        return LinearBounds(1 / self.zoom[0], np.ones(2), np.array([[1, 0], [self._lean(), 1]])) @ turned

    def _lean(self) -> float:
        return math.tan(math.radians(max(map(abs, self.shear))))


@dataclasses.dataclass(frozen=True)
class Flip(AffineMap):
    """Mirrors at random.

    Attributes:
      left_right: probability that left and right are swapped.
      up_down: probability that top and bottom are.
    """

    left_right: float = 0.5
    up_down: float = 0.0
    numbers = ("left_right", "up_down")

    def __post_init__(self):
        check_number(self, "left_right", 0, 1)
        check_number(self, "up_down", 0, 1)

    def matrix(self, key, size, progress):
        flipped = jax.random.uniform(key, (2,)) < jnp.array([self.up_down, self.left_right])
        return jnp.diag(jnp.append(jnp.where(flipped, -1.0, 1.0), 1.0))

    def bounds(self, size: Size) -> LinearBounds:
        return zoomed(1)


@dataclasses.dataclass(frozen=True)
class Crop(AffineMap):
    """A box of random center and side, resized to a view of fixed size; the side shrinks while a picture is drawn.

    The box has the view's proportions; its side is a fraction of the picture's, at side 1 the largest that fits.

    Fel et al., Unlocking Feature Visualization for Deeper Networks with MAgnitude Constrained Optimization, 2023.

    Attributes:
      view: height and width of the view in pixels, one number for squares; None is the size of the picture.
      first: mean side at the first step.
      last: mean side at the last step, reached linearly.
      spread: standard deviation of the side.
      least: sides are clipped from here to 1.
      off_center: standard deviation of the box's center, as a fraction of height and width.
    """

    view: int | Size | None = None
    first: float = 0.5
    last: float = 0.05
    spread: float = 0.05
    least: float = 0.05
    off_center: float = 0.15
    numbers = ("first", "last", "spread", "least", "off_center")

    def __post_init__(self):
        if self.view is not None:
            object.__setattr__(self, "view", pixels("Crop: view", self.view))
        for field in ("first", "last", "least"):
            check_number(self, field, 1e-3, 1)
        check_number(self, "spread", 0)
        check_number(self, "off_center", 0)

    def size(self, size: Size) -> Size:
        return size if self.view is None else pixels("Crop: view", self.view)

    def matrix(self, key, size, progress):
        of_center, of_side = jax.random.split(key)
        center = self.off_center * jax.random.normal(of_center, (2,)) * jnp.array(size)
        mean = self.first + (self.last - self.first) * progress
        side = jnp.clip(mean + self.spread * jax.random.normal(of_side), self.least, 1)
        return matrix_of(side * self._whole(size) * jnp.eye(2), center)

    def reach(self, size: Size) -> float:
        return 1 / (self.least * self._whole(size))

    def bounds(self, size: Size) -> LinearBounds:
        return zoomed(self._whole(size))

    def _whole(self, size: Size) -> float:
        """Picture pixels a view pixel, for the largest box."""
        return min(n / m for n, m in zip(size, self.size(size)))


@dataclasses.dataclass(frozen=True)
class Native(AffineMap):
    """The middle of what the transforms before it show, at the one size that a network takes.

    The last transform for networks of a fixed size. It takes back what padding added, and resizes where the pictures
    that are drawn are of another size than the network's.

    Attributes:
      view: height and width of the view in pixels, one number for squares.
      picture: of what it shows, in pixels of the picture; those of the pictures that are drawn.
    """

    view: int | Size
    picture: int | Size

    def __post_init__(self):
        view, picture = self._sizes()
        object.__setattr__(self, "view", view)
        object.__setattr__(self, "picture", picture)

    def size(self, size: Size) -> Size:
        return self._sizes()[0]

    def matrix(self, key, size, progress):
        return jnp.diag(jnp.array([*(n / m for m, n in zip(*self._sizes())), 1.0]))

    def reach(self, size: Size) -> float:
        return max(m / n for m, n in zip(*self._sizes()))

    def _sizes(self) -> tuple[Size, Size]:
        return pixels("Native: view", self.view), pixels("Native: picture", self.picture)

    def bounds(self, size: Size) -> LinearBounds:
        zoom = np.divide(self.picture, self.view)
        return LinearBounds(1, zoom, np.diag(zoom))


@dataclasses.dataclass(frozen=True)
class Homography(Geometric):
    """A random change of perspective: the view's four corners look at the picture's, each moved by itself.

    The map of a square onto a quadrilateral is Heckbert's (Fundamentals of Texture Mapping and Image Warping, 1989,
    section 2.2.3).

    Attributes:
      distortion: largest move of a corner along each axis, as a fraction of half the side; below 0.5, so that the four
        corners stay convex.
    """

    distortion: float = 0.2
    numbers = ("distortion",)

    def __post_init__(self):
        check_number(self, "distortion", 0, 0.49)

    def look(self, key, y, x, size, progress):
        moves = self.distortion / 2 * jax.random.uniform(key, (2, 2, 2), minval=-1.0, maxval=1.0)
        # Rows and columns run from 0 to 1 here; corner[i, j] is where the view's corner (i, j) looks.
        corner = jnp.stack(jnp.meshgrid(jnp.arange(2.0), jnp.arange(2.0), indexing="ij"), -1) + moves
        down, right = corner[1, 0] - corner[1, 1], corner[0, 1] - corner[1, 1]
        bend = corner[0, 0] - corner[0, 1] + corner[1, 1] - corner[1, 0]
        g, h = _cross(bend, down) / _cross(right, down), _cross(right, bend) / _cross(right, down)
        across, along = corner[0, 1] * (1 + g) - corner[0, 0], corner[1, 0] * (1 + h) - corner[0, 0]
        u, v = x / size[1] + 0.5, y / size[0] + 0.5
        # Beyond the horizon, which no point of the canvas is, lies gray.
        depth = jnp.maximum(g * u + h * v + 1, 1e-3)
        return tuple(
            ((across[axis] * u + along[axis] * v + corner[0, 0, axis]) / depth - 0.5) * size[axis] for axis in (0, 1)
        )


@dataclasses.dataclass(frozen=True)
class Elastic(Geometric):
    """Bends the picture: every point looks aside by a smooth random field, white noise blurred by a Gaussian.

    Simard, Steinkraus, Platt, Best Practices for Convolutional Neural Networks, 2003.

    Attributes:
      pixels: standard deviation of the field, along each axis.
      smoothness: standard deviation of the Gaussian in pixels.
    """

    pixels: float = 2.0
    smoothness: float = 10.0
    numbers = ("pixels", "smoothness")

    def __post_init__(self):
        check_number(self, "pixels", 0)
        check_number(self, "smoothness", 0.1)

    def look(self, key, y, x, size, progress):
        rows, columns = (gaussian_matrix(n, self.smoothness) for n in size)
        # Rows of unit length give the field the same standard deviation everywhere, at the edges too.
        rows, columns = (m / jnp.linalg.norm(m, axis=1, keepdims=True) for m in (rows, columns))
        noise = self.pixels * jax.random.normal(key, (*size, 2))
        field = jnp.einsum("ih,hwa,jw->ija", rows, noise, columns, precision="highest")
        # Beyond the canvas the field goes on as at its edge.
        within = (jnp.clip(p, -(n - 1) / 2, (n - 1) / 2) for p, n in zip((y, x), size))
        aside = sample(field, *within)
        return y + aside[..., 0], x + aside[..., 1]


def _cross(a: jax.Array, b: jax.Array) -> jax.Array:
    return a[0] * b[1] - a[1] * b[0]
