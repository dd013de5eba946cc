"""The procedural world: labeled pictures of figures amid clutter, light and noise, each a pure function of its key.

Its classes ask for what circuits are made of: curves by the direction of their bulge, against lines, corners, circles
and spirals; boundaries between fine and coarse texture; colors within others; hounds' heads by the way they face, and,
facing either way, by the side of their neck; cats' heads that face either way; cars by the order of their parts.

Cost: half a millisecond of one CPU core a picture.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import random
from jax.typing import ArrayLike

from jaxcircuits.evidence import stimuli
from jaxcircuits.evidence.stimuli import drawing as d
from jaxcircuits.evidence.stimuli import figures

if TYPE_CHECKING:
    from jaxtyping import Float, Int

SIZE = 96
"""Height and width of the world's pictures; its figures are made for it."""
TURN = 2 * jnp.pi


class Setting(NamedTuple):
    """What every figure gets: a place, a color that shows against the ground, and the ground."""

    center: jax.Array
    color: jax.Array
    ground: jax.Array


class Family(NamedTuple):
    """Classes drawn by one function: `draw(chance, member, setting)`.

    `chance` are `FIGURE` numbers from [0, 1), `member` is the class's index among `names`. Classes that are not `kept`
    are asked for in training alone.
    """

    names: tuple[str, ...]
    draw: Callable[[jax.Array, jax.Array, Setting], jax.Array]
    kept: bool = True


# How many random numbers decide a scene: all are drawn at once, as each drawing takes long to compile.
COLORS, WAVES, CLUTTER, PLACE, LIGHT, FIGURE = 9, 2, 6, 2, 3, 12
SETTING = COLORS + 4 * WAVES + 6 * CLUTTER + PLACE


def _between(chance: jax.Array, *ranges: tuple[float, float]) -> jax.Array:
    """Numbers from [0, 1), spread over a range each; those left over are left."""
    low, high = jnp.array(ranges, jnp.float32).T
    return low + (high - low) * chance[: len(ranges)]


def _sign(chance: jax.Array) -> jax.Array:
    return jnp.where(chance < 0.5, -1.0, 1.0)


def _choice(chance: jax.Array, rows: jax.Array) -> jax.Array:
    return rows[(chance * len(rows)).astype(int)]


def _color(chance: jax.Array, lightness: ArrayLike, tint: float) -> jax.Array:
    """A color (3,) of about the given mean."""
    chroma = tint * (2 * chance - 1)
    return jnp.clip(lightness + chroma - chroma.mean(), 0.0, 1.0)


def _opposed(chance: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Two colors, of a figure and of its ground, that differ in lightness; either is the lighter."""
    ground, contrast = _between(chance, (0.15, 0.85), (0.35, 0.6))
    figure = ground + contrast * _sign(chance[2])
    figure = jnp.where((figure < 0.05) | (figure > 0.95), 2 * ground - figure, figure)
    return _color(chance[3:6], jnp.clip(figure, 0.0, 1.0), 0.3), _color(chance[6:9], ground, 0.2)


def _setting(chance: jax.Array) -> Setting:
    """A ground of slow waves and faint clutter, and what a figure on it needs; from `SETTING` numbers."""
    colors, waves, clutter, place = jnp.split(chance, np.cumsum([COLORS, 4 * WAVES, 6 * CLUTTER]))
    color, ground = _opposed(colors)
    points = d.plane(SIZE)
    shade = jnp.zeros((SIZE, SIZE))
    for own in waves.reshape(WAVES, 4):
        orientation, wavelength, phase, depth = _between(own, (0, TURN), (60, 200), (0, TURN), (-0.08, 0.08))
        shade = shade + depth * d.wave(points, orientation, wavelength, phase)
    for own in clutter.reshape(CLUTTER, 6):
        x, y, along, down, width, depth = _between(own, (-46, 46), (-46, 46), (-7, 7), (-7, 7), (2, 6), (-0.18, 0.18))
        covered = d.cover(d.segment(points, jnp.stack([x, y]), jnp.stack([x + along, y + down]), width))
        shade = shade + depth * covered
    return Setting(_between(place, (-18, 18), (-18, 18)), color, ground + shade[..., None])


def _finish(chance: jax.Array, key: jax.Array, picture: jax.Array) -> jax.Array:
    """Light from one side, from `LIGHT` numbers, and noise."""
    orientation, slope, noise = _between(chance, (0, TURN), (0, 0.25), (0, 0.1))
    across = d.place(d.plane(SIZE), rotation=orientation, scale=SIZE / 2)[0]
    # A byte for each color of one random word a pixel: many times faster than drawing (H, W, 3) at once.
    word = random.bits(key, (SIZE, SIZE), jnp.uint32)
    grain = (word[..., None] >> jnp.array([0, 8, 16], jnp.uint32) & 255).astype(jnp.float32) / 255 - 0.5
    return jnp.clip(picture * (1 + slope * across)[..., None] + 2 * noise * grain, 0.0, 1.0)


def _curve(chance: jax.Array, member: jax.Array, setting: Setting) -> jax.Array:
    off, radius, width, extent = _between(chance, (-0.3, 0.3), (12, 32), (3, 7), (1.8, 2.9))
    return stimuli.curve(member * TURN / 8 + off, radius, width, SIZE, extent=extent, **setting._asdict())


def _circle(chance: jax.Array, member: jax.Array, setting: Setting) -> jax.Array:
    radius, width = _between(chance, (10, 32), (3, 7))
    return stimuli.circle(radius, width, SIZE, **setting._asdict())


def _spiral(chance: jax.Array, member: jax.Array, setting: Setting) -> jax.Array:
    orientation, pitch, thickness = _between(chance, (0, TURN), (8, 14), (0.3, 0.5))
    turns, handedness = _choice(chance[3], jnp.array([2, 3])), _sign(chance[4])
    width = pitch * thickness
    return stimuli.spiral(orientation, pitch, width, SIZE, turns=turns, handedness=handedness, **setting._asdict())


def _s_curve(chance: jax.Array, member: jax.Array, setting: Setting) -> jax.Array:
    orientation, radius, width, extent = _between(chance, (0, TURN), (9, 17), (3, 6), (2.3, 3.3))
    handedness = _sign(chance[4])
    return stimuli.s_curve(orientation, radius, width, SIZE, extent=extent, handedness=handedness, **setting._asdict())


def _line(chance: jax.Array, member: jax.Array, setting: Setting) -> jax.Array:
    orientation, length, width = _between(chance, (0, TURN), (40, 110), (3, 7))
    return stimuli.line(orientation, length, width, SIZE, **setting._asdict())


def _corner(chance: jax.Array, member: jax.Array, setting: Setting) -> jax.Array:
    orientation, opening, length, width = _between(chance, (0, TURN), (0.7, 1.7), (24, 40), (3, 7))
    return stimuli.corner(orientation, opening, length, width, SIZE, **setting._asdict())


def _grating(chance: jax.Array, member: jax.Array, setting: Setting) -> jax.Array:
    orientation, wavelength, phase = _between(chance, (0, TURN), (4, 20), (0, TURN))
    return stimuli.grating(orientation, wavelength, phase, SIZE, color=setting.color, ground=setting.ground)


def _dots(chance: jax.Array, member: jax.Array, setting: Setting) -> jax.Array:
    orientation, spacing, thickness = _between(chance, (0, TURN), (9, 22), (0.22, 0.36))
    return stimuli.dots(orientation, spacing, spacing * thickness, SIZE, **setting._asdict())


def _fine_beside_coarse(chance: jax.Array, member: jax.Array, setting: Setting) -> jax.Array:
    off, high, low, grain, phase = _between(chance, (-0.55, 0.55), (3, 6), (14, 28), (0, TURN), (0, TURN))
    orientation = member * TURN / 4 + off
    return stimuli.high_low_frequency(orientation, high, low, SIZE, grain=grain, phase=phase, **setting._asdict())


def _hue(chance: jax.Array, warm: jax.Array) -> jax.Array:
    """Red to yellow, or green to blue, of some lightness."""
    mix, light, pale = _between(chance, (0, 1), (0.55, 1), (0, 0.25))
    ends = jnp.where(warm, jnp.array([[1.0, 0.1, 0.1], [1.0, 0.8, 0.1]]), jnp.array([[0.1, 0.8, 0.3], [0.1, 0.2, 1.0]]))
    return light * (pale + (1 - pale) * (ends[0] + mix * (ends[1] - ends[0])))


def _color_contrast(chance: jax.Array, member: jax.Array, setting: Setting) -> jax.Array:
    inner, outer = _hue(chance[0:3], member == 0), _hue(chance[3:6], member == 1)
    # The setting's clutter stays visible, as light and shade.
    shade = 1 + 0.5 * (setting.ground - setting.ground.mean((0, 1)))
    (radius,) = _between(chance[6:], (14, 32))
    return shade * stimuli.patch(radius, SIZE, center=setting.center, color=inner, ground=outer)


HUES = ((0.95, 0.12, 0.1), (0.95, 0.8, 0.1), (0.1, 0.7, 0.25), (0.12, 0.25, 0.95))
"""Red, yellow, green, blue."""


def _patch(chance: jax.Array, member: jax.Array, setting: Setting) -> jax.Array:
    """A disc of one hue, any ground; what tells its class is its hue alone.

    For training only: against adversaries a network learns hue late or never unless it is asked for by itself.
    """
    light, pale, radius = _between(chance, (0.5, 1), (0, 0.25), (12, 30))
    hue = light * (pale + (1 - pale) * jnp.array(HUES)[member])
    return stimuli.patch(radius, SIZE, center=setting.center, color=hue, ground=setting.ground)


LIGHT_FROM = (-2.6, -0.5)
"""Directions from which light falls on heads and cars: from above, and somewhat from a side."""
SCRAMBLED = ((-1.5, 1.9, 2.9), (0.15, 1.9, 2.8), (1.6, -0.5, -2.3))
"""Directions to snout, ear and eye in heads that are none: the snout up or down, or the ear and the eye low."""


def _head(chance: jax.Array, member: jax.Array, setting: Setting) -> jax.Array:
    """A hound facing left, right; with a neck behind, with one in front, either way; a cat, either way; scrambled."""
    radius, nod, fur, grain = _between(chance, (12, 18), (-0.35, 0.35), (0.1, 0.3), (0, TURN))
    facing = jnp.where(member < 2, 2.0 * member - 1, _sign(chance[4]))
    neck = jnp.array([figures.NONE, figures.NONE, figures.BEHIND, figures.IN_FRONT, figures.NONE, figures.NONE])[member]
    either = jnp.where(chance[11] < 0.5, figures.HOUND, figures.CAT)
    kind = jnp.where(member == 4, figures.CAT, jnp.where(member == 5, either, figures.HOUND))
    whole = jnp.array([figures.SNOUT, figures.EAR, figures.EYE])
    parts = jnp.where(member == 5, _choice(chance[5], jnp.array(SCRAMBLED)), whole)
    parts = parts + _between(chance[6:], (-0.2, 0.2), (-0.2, 0.2), (-0.2, 0.2))
    shading, light = _between(chance[9:], (0, 0.4), LIGHT_FROM)
    # A neck needs room below.
    place = setting._replace(center=setting.center - jnp.abs(neck) * jnp.array([0.0, 8.0]))
    coat = {"fur": fur, "grain": grain, "shading": shading, "light": light}
    return figures.head(facing, radius, nod, SIZE, kind=kind, neck=neck, parts=parts, **coat, **place._asdict())


def _car(chance: jax.Array, member: jax.Array, setting: Setting) -> jax.Array:
    """A car; or its parts in a wrong order: swapped, or windows and wheels on the same side."""
    length, tilt, light = _between(chance, (40, 66), (-0.25, 0.25), (0.65, 0.95))
    up, down = figures.ABOVE, figures.BELOW
    wrong = _choice(chance[3], jnp.array([(down, up), (down, down), (up, up)]))
    windows, wheels = jnp.where(member == 0, jnp.array([up, down]), wrong)
    glass = jnp.array([0.8, 0.95, 1.05]) * light
    shading, light = _between(chance[5:], (0, 0.4), LIGHT_FROM)
    look = {"facing": _sign(chance[4]), "shading": shading, "light": light, "glass": glass}
    return figures.car(windows, wheels, length, tilt, SIZE, **look, **setting._asdict())


FAMILIES = (
    Family(tuple(f"curve {angle}" for angle in range(0, 360, 45)), _curve),
    Family(("circle",), _circle),
    Family(("spiral",), _spiral),
    Family(("s-curve",), _s_curve),
    Family(("line",), _line),
    Family(("corner",), _corner),
    Family(("grating",), _grating),
    Family(("dots",), _dots),
    Family(("fine right", "fine below", "fine left", "fine above"), _fine_beside_coarse),
    Family(("warm in cool", "cool in warm"), _color_contrast),
    Family(("red", "yellow", "green", "blue"), _patch, kept=False),
    Family(("head left", "head right", "head and neck", "head, wrong neck", "cat", "scrambled head"), _head),
    Family(("car", "scrambled car"), _car),
)
TRAINED = tuple(name for family in FAMILIES for name in family.names)
"""All classes that training asks for, in order."""
CLASSES = tuple(name for family in FAMILIES if family.kept for name in family.names)
"""Names of the labels 0, 1, ...; a curve's number is the direction of its bulge in degrees."""


def _numbers(key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """What decides a scene: numbers for its setting, its figure and its light, and the key of its noise."""
    key, noise_key = random.split(key)
    numbers = random.uniform(key, (SETTING + FIGURE + LIGHT,))
    setting, figure, light = jnp.split(numbers, [SETTING, SETTING + FIGURE])
    return setting, figure, light, noise_key


@jax.jit
def scene(key: jax.Array) -> tuple[Float[jax.Array, "96 96 3"], Int[jax.Array, ""]]:
    """One random scene.

    Args:
      key: decides everything.

    Returns:
      The picture, (96, 96, 3) in [0, 1], and its label, an index into `CLASSES`.
    """
    label_key, key = random.split(key)
    label = random.randint(label_key, (), 0, len(CLASSES))
    return scene_of(key, label), label


@jax.jit
def scene_of(key: jax.Array, label: ArrayLike) -> Float[jax.Array, "96 96 3"]:
    """A random scene of the class `label`, an index into `CLASSES`: (96, 96, 3) in [0, 1]."""
    setting, figure, light, noise_key = _numbers(key)
    families = [family for family in FAMILIES if family.kept]
    sizes = [len(family.names) for family in families]
    family = jnp.repeat(jnp.arange(len(families)), np.array(sizes))[label]
    member = jnp.concatenate([jnp.arange(size) for size in sizes])[label]
    picture = jax.lax.switch(family, [family.draw for family in families], figure, member, _setting(setting))
    return _finish(light, noise_key, picture)


@functools.partial(jax.jit, static_argnames=("per_class", "training"))
def batch(
    key: jax.Array, per_class: int, training: bool = False
) -> tuple[Float[jax.Array, "pictures 96 96 3"], Int[jax.Array, " pictures"]]:
    """Scenes of all classes, equally many of each; each family is drawn at once, so none is drawn in vain.

    Args:
      key: picture i is `scene_of(split(key, count)[i], labels[i])`.
      per_class: scenes of each class.
      training: of `TRAINED`, not only of `CLASSES`.

    Returns:
      Pictures, (classes * per_class, 96, 96, 3) in [0, 1], and labels, sorted.
    """
    families = [family for family in FAMILIES if family.kept or training]
    labels = jnp.repeat(jnp.arange(sum(len(family.names) for family in families)), per_class)
    setting, figure, light, noise_keys = jax.vmap(_numbers)(random.split(key, len(labels)))
    settings = jax.vmap(_setting)(setting)
    pictures, start = [], 0
    for family in families:
        members = jnp.repeat(jnp.arange(len(family.names)), per_class)
        own = slice(start, start + len(members))
        pictures.append(jax.vmap(family.draw)(figure[own], members, Setting(*(part[own] for part in settings))))
        start = own.stop
    return jax.vmap(_finish)(light, noise_keys, jnp.concatenate(pictures)), labels
