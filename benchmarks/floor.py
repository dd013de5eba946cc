"""The least that a step can cost: a layer's convolutions alone, forward and with respect to their input."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import jaxcircuits as jc
from jaxcircuits.vis.optimize import cpu_options
from jaxcircuits.zoo.architecture import INPUT
from jaxcircuits.zoo.ops import convolution, window_padding


def convolutions(network: jc.Network, layer: str, batch_size: int, recipe: jc.Recipe) -> Callable[[], None]:
    """A call that runs every convolution as far as a layer once, forward and backward, on random inputs.

    Nothing is kept between one convolution and the next: no pools, norms, concatenations, ReLUs, views, and no
    optimizer. Compiled as a step is; those that do not wait for each other may run side by side, which a step's seldom
    can.

    Args:
      network: of the zoo.
      layer: as far as which.
      batch_size: pictures.
      recipe: its views are what the network sees.
    """
    architecture, size, dtype = network.forward.model.architecture, recipe.view_size, recipe.dtype
    shapes = {**network.shapes(size), INPUT: (*size, network.convention.channels)}
    numbers = np.random.default_rng(0)

    def random(shape: tuple[int, ...]) -> jax.Array:
        return jnp.asarray(numbers.random((batch_size * recipe.views, *shape), np.float32), dtype)

    layers = [needed for needed in architecture.needed([layer]) if needed.op == "conv"]
    inputs = [random(shapes[conv.inputs[0]]) for conv in layers]
    gradients = [random(shapes[conv.name]) for conv in layers]
    kernels = [network.params[conv.weights]["kernel"].astype(dtype) for conv in layers]

    def convolve(conv, x, kernel):
        padding = window_padding(x.shape[1:3], conv.kernel, conv.stride, architecture.padding)
        return convolution(x, kernel, conv.stride, padding)

    @functools.partial(jax.jit, compiler_options=cpu_options() if jax.default_backend() == "cpu" else {})
    def run(inputs, gradients, kernels):
        results = []
        for conv, x, gradient, kernel in zip(layers, inputs, gradients, kernels, strict=True):
            y, back = jax.vjp(lambda x, conv=conv, kernel=kernel: convolve(conv, x, kernel), x)
            results.append((y, back(gradient)))
        return results

    return lambda: jax.block_until_ready(run(inputs, gradients, kernels)) and None


def operations(network: jc.Network, layer: str, recipe: jc.Recipe) -> int:
    """Floating-point operations of those convolutions for one picture: two a product, forward and backward."""
    architecture = network.forward.model.architecture
    shapes = network.shapes(recipe.view_size)
    products = (
        np.prod(shapes[conv.name]) * conv.kernel**2 * architecture.fan_in(conv)
        for conv in architecture.needed([layer])
        if conv.op == "conv"
    )
    return int(recipe.views * 2 * 2 * sum(products))
