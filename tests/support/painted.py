"""Color as its formulas have it, in float64; shapes of pictures and quick keys for what is painted."""

import jax
import numpy as np

MATRIX = np.array([[0.26, 0.09, 0.02], [0.27, 0, -0.05], [0.27, -0.09, 0.03]])
MATRIX /= np.sqrt((MATRIX**2).sum(0)).max()

SHAPES = [(16, 16, 3), (15, 21, 3), (13, 8, 1), (12, 12, 5)]


def sigmoid(values):
    return 1 / (1 + np.exp(-np.asarray(values, np.float64)))


def painted(values):
    """Color as the formulas have it."""
    return sigmoid(values @ MATRIX.T if values.shape[-1] == 3 else values)


def random_key(seed):
    """A key of a kind that compiles much faster than the default."""
    return jax.random.key(seed, impl="unsafe_rbg")
