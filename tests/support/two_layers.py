"""A network of two layers, and its convolutions cell by cell."""

import jax
import jax.numpy as jnp
import numpy as np

SIZE = (8, 9)
RNG = np.random.default_rng(3)
KERNELS = [RNG.normal(scale=0.4, size=shape).astype(np.float32) for shape in ((3, 3, 3, 5), (3, 3, 5, 4))]
VECTORS = RNG.normal(size=(2, 5)).astype(np.float32)


def two_layers(kernels, x):
    def convolved(x, kernel):
        y = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return jnp.maximum(y, 0)

    first = convolved(x, kernels[0])
    return {"first": first, "second": convolved(first, kernels[1])}


def convolved(x, kernel):
    """ "SAME" and ReLU, cell by cell."""
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    out = np.zeros((*x.shape[:2], kernel.shape[-1]))
    for row, column in np.ndindex(x.shape[:2]):
        out[row, column] = np.tensordot(padded[row : row + 3, column : column + 3], kernel.astype(np.float64), 3)
    return np.maximum(out, 0)
