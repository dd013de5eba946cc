"""InceptionV1 as a Flax NNX module.

To mixed4b at 140 px: about 0.6 GMAC a picture; the weights are 6.0 M floats without the classifier, 7.0 M with it.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from jaxcircuits.naming import named
from jaxcircuits.zoo import ops
from jaxcircuits.zoo.architecture import weights_from
from jaxcircuits.zoo.inception.names import Inception


class InceptionV1(nnx.Module):
    """A network of the Inception family, which marks every published node.

    Its convolutions are attributes under their published names: `model.conv2d0.kernel`,
    `model.mixed3a_3x3_bottleneck.bias`.
    """

    keyless = True

    def __init__(self, architecture: Inception, *, rngs: nnx.Rngs | None):
        """Creates the module with random weights (Flax's default initializers).

        Args:
          architecture: what to build, such as `jaxcircuits.zoo.INCEPTIONV1`.
          rngs: keys for the weights; None for shapes in place of weights.
        """
        self.architecture, weights = architecture, weights_from(rngs)
        for layer in architecture.layers:
            if layer.op == "conv":
                size, strides = (layer.kernel, layer.kernel), (layer.stride, layer.stride)
                # Caffe's convolutions are padded alike on all sides, whatever the picture's size.
                padding = "SAME" if architecture.padding == "SAME" else layer.kernel // 2
                fan_in = architecture.fan_in(layer)
                conv = nnx.Conv(fan_in, layer.channels, size, strides, padding=padding, **weights)
                setattr(self, layer.weights, conv)
            elif layer.op == "dense":
                dense = nnx.Linear(architecture.fan_in(layer), layer.channels, **weights)
                setattr(self, layer.weights, dense)

    def __call__(self, images: jax.Array) -> jax.Array:
        """The probabilities of the classes.

        Args:
          images: (N, H, W, 3) in the network's own value range and channel order.

        Returns:
          (N, classes); everything that is published of what lies before is marked under its name.
        """
        names = self.architecture.names
        _, x = self._conv(names.stem[0], images)
        x = self._norm(names.norms[0], self._max_pool(names.pools[0], x, 2))
        _, x = self._conv(names.stem[1], x)
        _, x = self._conv(names.stem[2], x)
        x = self._max_pool(names.pools[1], self._norm(names.norms[1], x), 2)
        stage = "3"
        for block in self.architecture.blocks:
            if block[0] != stage:
                stage = block[0]
                x = self._max_pool(names.pools[int(stage) - 2], x, 2)
            x = self._block(block, x)
        # Over the whole map: the published 7x7 window at the native 224 px, and defined at any other size.
        x = named(names.average, x.mean((1, 2)), kind="average")
        x = named(names.logits, getattr(self, names.classifier)(x), kind="dense")
        return named(names.softmax, nnx.softmax(x), kind="softmax")

    def _block(self, block: str, x: jax.Array) -> jax.Array:
        """(N, h, w, c) -> (N, h, w, c'): branches of 1x1, 3x3 and 5x5 windows and a pool, side by side."""
        names = self.architecture.names
        one = self._conv(names.one.format(block), x)
        _, narrow = self._conv(names.three_bottleneck.format(block), x)
        three = self._conv(names.three.format(block), narrow)
        _, narrow = self._conv(names.five_bottleneck.format(block), x)
        five = self._conv(names.five.format(block), narrow)
        pooled = self._conv(names.pool_reduce.format(block), self._max_pool(names.pool.format(block), x, 1))
        before, after = (jnp.concatenate(branches, axis=-1) for branches in zip(one, three, five, pooled))
        output = names.block.format(block)
        named(f"{output}_pre_relu", before, kind="concat")
        return named(output, after, kind="concat")

    def _conv(self, name: str, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """What a convolution answers before its ReLU and after it."""
        before = named(f"{name}_pre_relu", getattr(self, name)(x), kind="conv")
        return before, named(name, nnx.relu(before), kind="relu")

    def _max_pool(self, name: str, x: jax.Array, stride: int) -> jax.Array:
        """The largest of each 3x3 window."""
        padding = ops.window_padding(x.shape[1:3], 3, stride, self.architecture.padding, pool=True)
        return named(name, ops.max_pool(x, 3, stride, padding), kind="max_pool")

    def _norm(self, name: str, x: jax.Array) -> jax.Array:
        """Local response normalization, or nothing in networks that have none."""
        lrn = self.architecture.lrn
        return named(name, x if lrn is None else ops.local_response_norm(x, lrn), kind="lrn")
