"""A network with a unit that reads red or blue, and pictures with patches of one color: two meanings, planted."""

import jax.numpy as jnp
import numpy as np

import jaxcircuits as jc

WEIGHTS = ((1, 0.0, 0.1), (0, 1.0, 0.1), (1, 0.0, 0.1), (0, 0.0, -1.0))


def of_colors(params, x):
    """Four units below, which read red, green, blue and darkness; above, one for red or blue and one for green."""
    parts = jnp.maximum(jnp.concatenate([x, 1 - x.sum(-1, keepdims=True)], -1), 0)
    return {"parts": parts, "units": jnp.maximum(parts @ params, 0)}


def network(size=6):
    convention = jc.InputConvention(size=(size, size), mean=0.0, std=1.0)
    return jc.Network.from_function(of_colors, jnp.asarray(WEIGHTS), convention, name="colors")


def colored(hues, rng, size=6):
    """Pictures of a patch of each color on black, with noise."""
    images = rng.uniform(0, 0.05, (len(hues), size, size, 3))
    for image, hue in zip(images, hues):
        row, column = rng.integers(0, size - 2, 2)
        image[row : row + 2, column : column + 2] += np.asarray(hue) * rng.uniform(0.6, 0.9)
    return images.astype(np.float32)


def red_blue_and_green(rng, size=6):
    """24 red, 16 blue and 20 green ones, in some order: the pictures, and the colors' numbers."""
    numbers = rng.permutation(np.array([0] * 24 + [2] * 16 + [1] * 20))
    return colored(np.eye(3)[numbers], rng, size), numbers
