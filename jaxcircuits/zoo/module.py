"""InceptionV1 as a Flax NNX module that returns its named activations.

To mixed4b at 140 px: about 0.6 GMAC a picture; the weights are 6.0 M floats without the classifier, 7.0 M with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from jaxcircuits.zoo import ops
from jaxcircuits.zoo.architecture import INPUT, Architecture, Layer


class Conv(nnx.Conv):
    """A convolution that is told its padding with each input, since that depends on the picture's size."""

    def __call__(self, inputs: jax.Array, padding: ops.Padding) -> jax.Array:
        """Convolves (N, H, W, C), with cells of 0 added before and after each spatial axis."""
        inputs, kernel, bias = self.promote_dtype((inputs, self.kernel[...], self.bias[...]), dtype=self.dtype)
        return ops.convolution(inputs, kernel, self.strides[0], padding) + bias


class InceptionV1(nnx.Module):
    """A network that runs an `Architecture`'s layers.

    Its convolutions are attributes under their published names: `model.conv2d0.kernel`,
    `model.mixed3a_3x3_bottleneck.bias`.
    """

    def __init__(self, architecture: Architecture, *, rngs: nnx.Rngs):
        """Creates the module with random weights (Flax's default initializers).

        Args:
          architecture: what to build, such as `jaxcircuits.zoo.INCEPTIONV1`.
          rngs: keys for the weights.
        """
        self.architecture = architecture
        for layer in architecture.layers:
            if layer.op == "conv":
                size, strides = (layer.kernel, layer.kernel), (layer.stride, layer.stride)
                conv = Conv(architecture.fan_in(layer), layer.channels, size, strides, rngs=rngs)
                setattr(self, layer.weights, conv)
            elif layer.op == "dense":
                setattr(self, layer.weights, nnx.Linear(architecture.fan_in(layer), layer.channels, rngs=rngs))

    def __call__(self, images: jax.Array, layers: Sequence[str] | None = None) -> dict[str, jax.Array]:
        """Runs the network as far as `layers` need it.

        Args:
          images: (N, H, W, 3) in the network's own value range and channel order.
          layers: names of the activations to return; None for all.

        Returns:
          name -> (N, h, w, channels), or (N, channels) from the average on.

        Raises:
          InputError: for an unknown layer.
        """
        names = tuple(self.architecture.by_name) if layers is None else tuple(layers)
        activations = {INPUT: images}
        for layer in self.architecture.needed(names):
            activations[layer.name] = self._run(layer, [activations[name] for name in layer.inputs])
        return {name: activations[name] for name in names}

    def _run(self, layer: Layer, inputs: list[jax.Array]) -> jax.Array:
        x, linear = inputs[0], self.architecture.linear
        match layer.op:
            case "conv":
                return getattr(self, layer.weights)(x, self._padding(layer, x))
            case "relu":
                return x if linear else nnx.relu(x)
            case "max_pool":
                k, s, pad = layer.kernel, layer.stride, self._padding(layer, x)
                return jax.lax.reduce_window(
                    x, -jnp.inf, jax.lax.max, (1, k, k, 1), (1, s, s, 1), ((0, 0), *pad, (0, 0))
                )
            case "lrn":
                lrn = self.architecture.lrn
                return x if linear or lrn is None else ops.local_response_norm(x, lrn)
            case "concat":
                return jnp.concatenate(inputs, axis=-1)
            case "average":
                # Over the whole map: the published 7x7 window at the native 224 px, and defined at any other size.
                return x.mean((1, 2))
            case "dense":
                return getattr(self, layer.weights)(x)
            case "softmax":
                return nnx.softmax(x)
        raise NotImplementedError(layer.op)

    def _padding(self, layer: Layer, x: jax.Array) -> ops.Padding:
        convention, pool = self.architecture.padding, layer.op == "max_pool"
        return ops.window_padding(x.shape[1:3], layer.kernel, layer.stride, convention, pool)
