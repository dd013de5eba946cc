"""SqueezeNet 1.1 as a Flax NNX module, with the layer names of its Caffe release.

Iandola et al., SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size (2016); version 1.1
has a stem of 3x3 windows and earlier pools. 1.2 M parameters, 0.39 GMAC a picture of 227 px.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from jaxcircuits.naming import named
from jaxcircuits.zoo import ops
from jaxcircuits.zoo.architecture import weights_from
from jaxcircuits.zoo.squeezenet.names import SqueezeNetArchitecture

POOLED = ("fire3", "fire5")
"""The fire modules, besides the stem, that a pool of the same number follows."""


class SqueezeNet(nnx.Module):
    """SqueezeNet, which marks every published node.

    Its convolutions are attributes under their published names, such as `fire2/squeeze1x1`. Caffe's ReLUs work in
    place, so that a name means after the ReLU; what is before it is marked as `X_pre_relu`.
    """

    keyless = True

    def __init__(self, architecture: SqueezeNetArchitecture, *, rngs: nnx.Rngs | None):
        """Creates the module with random weights (Flax's default initializers).

        Args:
          architecture: what to build, such as `jaxcircuits.zoo.SQUEEZENET`.
          rngs: keys for the weights; None for shapes in place of weights.
        """
        weights = weights_from(rngs)

        def conv(
            name: str, inputs: int, channels: int, kernel: int, strides: int = 1, padding: int | None = None
        ) -> int:
            padding = kernel // 2 if padding is None else padding
            setattr(self, name, nnx.Conv(inputs, channels, (kernel, kernel), strides, padding=padding, **weights))
            return channels

        self.fires = tuple(f"fire{number}" for number in range(2, 2 + len(architecture.fires)))
        channels = conv("conv1", 3, architecture.stem, 3, strides=2, padding=0)
        for fire, widths in zip(self.fires, architecture.fires):
            squeezed = conv(f"{fire}/squeeze1x1", channels, widths.squeeze, 1)
            channels = conv(f"{fire}/expand1x1", squeezed, widths.expand, 1)
            channels += conv(f"{fire}/expand3x3", squeezed, widths.expand, 3)
        conv("conv10", channels, architecture.classes, 1)

    def __call__(self, images: jax.Array) -> jax.Array:
        """The probabilities of the classes.

        Args:
          images: (N, H, W, 3), BGR bytes less their means.

        Returns:
          (N, classes); everything that is published of what lies before is marked under its name.
        """
        x = self._max_pool("pool1", self._conv("conv1", images)[1])
        for fire in self.fires:
            x = self._fire(fire, x)
            if fire in POOLED:
                x = self._max_pool(fire.replace("fire", "pool"), x)
        # Training drops half of fire9's answers here.
        _, x = self._conv("conv10", x)
        x = named("pool10", x.mean((1, 2)), kind="average")
        return named("prob", nnx.softmax(x), kind="softmax")

    def _fire(self, name: str, x: jax.Array) -> jax.Array:
        """(N, h, w, c) -> (N, h, w, c'): squeezed by 1x1 windows, then seen by 1x1 and 3x3 ones, side by side."""
        _, squeezed = self._conv(f"{name}/squeeze1x1", x)
        expanded = (self._conv(f"{name}/expand{window}", squeezed) for window in ("1x1", "3x3"))
        before, after = (jnp.concatenate(parts, axis=-1) for parts in zip(*expanded))
        named(f"{name}/concat_pre_relu", before, kind="concat")
        return named(f"{name}/concat", after, kind="concat")

    def _conv(self, name: str, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """What a convolution answers before its ReLU and after it."""
        before = named(f"{name}_pre_relu", getattr(self, name)(x), kind="conv")
        return before, named(name, nnx.relu(before), kind="relu")

    def _max_pool(self, name: str, x: jax.Array) -> jax.Array:
        """The largest of every other 3x3 window; the last one may hang over the edge."""
        padding = ops.window_padding(x.shape[1:3], 3, 2, "CAFFE", pool=True)
        return named(name, ops.max_pool(x, 3, 2, padding), kind="max_pool")
