"""How published files name and lay out the tensors of an architecture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxcircuits.zoo import Architecture

UNUSED = ("head0_", "head1_", "nn0_", "nn1_", "softmax0_", "softmax1_", "loss1/", "loss2/")
"""Beginnings of the names of the auxiliary classifiers' tensors, which training used and nothing here does."""


class Naming(NamedTuple):
    """One convention; `{}` is a layer's name for its tensors.

    Attributes:
      conv, dense: a layer's part of the name.
      kernel, bias: endings of the name.
      conv_axes, dense_axes: order of a kernel's axes, of H(eight), W(idth), I(n) and O(ut).
    """

    conv: str
    dense: str
    kernel: str
    bias: str
    conv_axes: str
    dense_axes: str


OWN = Naming("{}", "{}", "/kernel", "/bias", "HWIO", "IO")
"""This project's files."""

TENSORFLOW = Naming("{}", "{}", "_w", "_b", "HWIO", "IO")
"""`tensorflow_inception_graph.pb`."""

CAFFE2_DUMP = TENSORFLOW._replace(conv_axes="OHWI", dense_axes="OHWI")
"""Google's 2015 release as soumith/inception.torch dumped it."""

CAFFE = Naming("{}", "{}", " blob 0", " blob 1", "OIHW", "OI")
"""Blobs as `weights_convert.caffe` names them."""

LUCENT = Naming("{}_pre_relu_conv", "{}_pre_activation_matmul", ".weight", ".bias", "OIHW", "OI")
"""The state dict of Lucent's InceptionV1 (github.com/greentfrapp/lucent)."""


class Slot(NamedTuple):
    """Where a published tensor goes.

    Attributes:
      name, shape: of the tensor here, see `Architecture.tensors`.
      axes: order of the published axes.
    """

    name: str
    shape: tuple[int, ...]
    axes: str

    @property
    def published_shape(self) -> tuple[int, ...]:
        """The shape that the published tensor must have."""
        sizes = {"H": 1, "W": 1} | dict(zip(self._own_axes, self.shape, strict=True))
        return tuple(sizes[axis] for axis in self.axes)

    def arrange(self, values: np.ndarray) -> np.ndarray:
        """Published values as a contiguous float32 array of this slot's shape."""
        order = [self.axes.index(axis) for axis in "HWIO" if axis in self.axes]
        # What is too large for float32 becomes infinite, which is refused like any value that is not finite.
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(values.transpose(order).reshape(self.shape), np.float32)

    @property
    def _own_axes(self) -> str:
        return "HWIO"[-len(self.shape) :]


def slots(architecture: Architecture, naming: Naming) -> dict[str, Slot]:
    """Published name -> `Slot` of every tensor of an architecture."""
    shapes = architecture.tensors()
    result = {}
    for name, shape in shapes.items():
        weights, _, kind = name.rpartition("/")
        rank = len(shapes.get(f"{weights}/kernel", ()))
        if kind not in ("kernel", "bias") or rank not in (2, 4):
            # Such as a normalization's statistics, which no convention but this project's has a name for.
            result[name] = Slot(name, shape, "HWIO"[-len(shape) :])
            continue
        pattern, axes = (naming.conv, naming.conv_axes) if rank == 4 else (naming.dense, naming.dense_axes)
        ending, axes = (naming.kernel, axes) if kind == "kernel" else (naming.bias, "O")
        result[pattern.format(weights) + ending] = Slot(name, shape, axes)
    return result
