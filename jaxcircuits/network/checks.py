"""What a network is handed, checked: unit numbers, pictures, class names."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxcircuits.errors import InputError, unknown

_SYNSET = re.compile(r"(n\d{8})(?: |$)")
"""WordNet's name of a class, with which labels of ImageNet begin."""


def units(layer: str, channels: int, numbers: Sequence[int] | np.ndarray) -> np.ndarray:
    """Unit numbers as an array (N,).

    Args:
      layer: whose.
      channels: how many it has.
      numbers: of the units.

    Raises:
      InputError: for anything but whole numbers, and for one that the layer does not have.
    """
    array = np.asarray(numbers)
    if array.ndim != 1 or not array.size or array.dtype.kind not in "iu":
        raise InputError(f"units {numbers!r} of {layer}; expected a sequence of whole numbers")
    for unit in array[(array < 0) | (array >= channels)].tolist():
        nearest = min(max(unit, 0), channels - 1)
        raise InputError(f"unknown unit {unit} of {layer}; it has units 0 to {channels - 1} (nearest: {nearest})")
    return array


def unknown_layer(name: str, layers: Collection[str], asked: str) -> InputError:
    """Why a network of that name has no layer as it was asked for; of a unit, that it is one."""
    layer, colon, unit = str(asked).rpartition(":")
    if colon and layer in layers and unit.isdecimal():
        return InputError(f"{asked} is a unit; expected a layer, such as {layer}")
    return unknown("layer", asked, layers, name)


def pictures(name: str, channels: int, images: jax.Array | np.ndarray) -> jax.Array:
    """Pictures as a float32 array (N, H, W, channels) with values in [0, 1].

    Args:
      name: of the network.
      channels: that it reads.
      images: the pictures.

    Raises:
      InputError: where they have another shape, type or range.
    """
    images = images if isinstance(images, jax.Array) else np.asarray(images)
    expected = f"{name} takes float pictures (N, height, width, {channels}) in [0, 1]"
    if images.ndim != 4:
        hint = "; add the leading axis with images[None]" if images.ndim == 3 else ""
        raise InputError(f"pictures of shape {images.shape}; {expected}{hint}")
    if images.shape[-1] != channels:
        hint = {
            (1, 3): " (gray: repeat the channel with np.repeat(images, 3, -1))",
            (4, 3): " (RGBA: drop alpha with images[..., :3])",
        }.get((images.shape[-1], channels), "")
        raise InputError(f"pictures with {images.shape[-1]} channels{hint}; {expected}")
    if not jnp.issubdtype(images.dtype, jnp.floating):
        hint = "; divide bytes by 255" if images.dtype == np.uint8 else ""
        raise InputError(f"pictures of type {images.dtype}; {expected}{hint}")
    if not isinstance(images, Tracer) and images.size:
        low, high = float(images.min()), float(images.max())
        # Half a gray level of slack: resampling overshoots by rounding.
        if not (low >= -0.002 and high <= 1.002):
            raise InputError(f"picture values from {low:.4g} to {high:.4g}; {expected}")
    # Handed over explicitly: so it goes where implicit transfers are forbidden.
    return images.astype(jnp.float32) if isinstance(images, jax.Array) else jax.device_put(images.astype(np.float32))


def class_index(name: str, labels: Sequence[str], label: str) -> int:
    """The output that a class name stands for.

    Args:
      name: of the network.
      labels: of its outputs, each a synset (`n02110185`) and comma-separated names, or names alone.
      label: one of those, in any case of letters.

    Raises:
      InputError: where no label matches or several do.
    """
    wanted = label.strip().lower()
    matches = [i for i, text in enumerate(labels) if wanted in _names(text)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        several = "; ".join(f"{i}: {labels[i]}" for i in matches)
        raise InputError(f"label {label!r} of {name} is ambiguous: {several}")
    raise unknown("label", label, [one for text in labels for one in _names(text)], name, listed=labels)


def _names(text: str) -> list[str]:
    """What a label may be called: all of it, its synset where it begins with one, and each of its names."""
    text = text.lower()
    synset = _SYNSET.match(text)
    names = text[synset.end() :] if synset else text
    return list(dict.fromkeys([text, *([synset[1]] if synset else []), *(name.strip() for name in names.split(","))]))
