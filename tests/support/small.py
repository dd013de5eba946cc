"""Small networks with random weights: the zoo's architecture at a sixteenth of its widths, and one convolution."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.network import Network
from jaxcircuits.network.adapters import by_layer
from jaxcircuits.zoo import InputConvention
from jaxcircuits.zoo.architecture import LRN
from jaxcircuits.zoo.inception import CAFFE_NAMES, GOOGLE_NAMES, GOOGLE_WIDTHS, BlockWidths, inception


def random_params(architecture, seed: int = 0):
    """Random weights that keep activations of order one, so that every layer has something to say."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, shape in architecture.tensors().items():
        scale = np.sqrt(2 / np.prod(shape[:-1])) if name.endswith("/kernel") else 0.1
        tensors[name] = jnp.asarray(rng.normal(scale=scale, size=shape), jnp.float32)
    return by_layer(tensors)


SMALL_WIDTHS = {block: BlockWidths(*(max(n // 16, 2) for n in widths)) for block, widths in GOOGLE_WIDTHS.items()}

SMALL = {
    "google": inception(
        "small-google",
        names=GOOGLE_NAMES,
        stem=(8, 8, 12),
        blocks=SMALL_WIDTHS,
        classes=10,
        padding="SAME",
        lrn=LRN(radius=2, bias=2.0, alpha=0.1, beta=0.5),
    ),
    "caffe": inception(
        "small-caffe",
        names=CAFFE_NAMES,
        stem=(8, 8, 12),
        blocks=SMALL_WIDTHS,
        classes=10,
        padding="CAFFE",
        lrn=LRN(radius=1, bias=1.0, alpha=0.1, beta=0.75),
    ),
}
"""The zoo's architecture at a sixteenth of its widths, in both conventions."""


def convolved(params, x):
    y = jax.lax.conv_general_dilated(x, params, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return {"conv": y, "relu": jnp.maximum(y, 0)}


def small_network(convention: str = "google") -> Network:
    architecture = SMALL[convention]
    return Network.from_architecture(
        architecture, random_params(architecture), InputConvention(size=(64, 64), mean=0.5, std=0.25)
    )


def architecture_of(network):
    """The small networks' layers as data, by which they are computed by hand."""
    return next(small for small in SMALL.values() if small.name == network.name)
