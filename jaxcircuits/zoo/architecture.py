"""What the zoo knows of a network before any array is made: its name, its module, its weights' names and shapes."""

from __future__ import annotations

import dataclasses
import functools
import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flax import nnx

INPUT = "input"
"""The name by which the first layer refers to the network's input."""


@dataclasses.dataclass(frozen=True)
class Layer:
    """One named activation and how it came about.

    Attributes:
      name: the published node name.
      op: `conv`, `dense`, `relu`, `max_pool`, `average`, `lrn`, `concat` or `softmax`; for networks from outside the
        zoo the class name of the module that made it.
      inputs: names of the layers it is computed from; empty where unknown.
      channels: size of the last axis.
      kernel, stride: window and step of `conv` and `max_pool`, in cells of the input layer.
      weights: prefix of its tensors (`WEIGHTS/kernel`, `WEIGHTS/bias`); empty for layers without any.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    channels: int
    kernel: int = 1
    stride: int = 1
    weights: str = ""


@dataclasses.dataclass(frozen=True)
class LRN:
    """Local response normalization, `x / (bias + alpha * sum(x^2 over 2 * radius + 1 channels)) ** beta`."""

    radius: int
    bias: float
    alpha: float
    beta: float


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A network without its weights; one of another kind than the zoo's is a subclass with its own numbers.

    Attributes:
      name: its name in converted weight files.
      module: `PACKAGE.MODULE:CLASS` of the Flax NNX module that runs it, `CLASS(architecture, rngs=rngs)`; imported
        when it is first built. Its call maps (N, H, W, channels) in the network's own value range to an array, and it
        marks every published node by `jaxcircuits.naming.named`. Where the class has an attribute `keyless = True`,
        `rngs` may be None, for shapes in place of weights: see `weights_from`.
      logits: name of the layer whose channels are the classes.
      output: name of what the module returns.
      classes: how many there are.
    """

    name: str
    module: str
    logits: str
    output: str
    classes: int

    def abstract(self) -> nnx.Module:
        """The module with shapes in place of its weights, and no array made: one of the caller's own, to be changed."""
        from flax import nnx

        graphdef, state, _ = _abstract(self)
        return nnx.merge(graphdef, state)

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Path -> shape of every parameter and statistic of the module, in the order in which it makes its parts.

        Kernels `LAYER/kernel` are (height, width, in, out), dense ones (in, out), biases `LAYER/bias` (out,).
        """
        return dict(_tensors(self))


@functools.lru_cache(maxsize=64)
def _abstract(architecture: Architecture) -> tuple[nnx.GraphDef, nnx.State, tuple[str, ...]]:
    """The module as Flax splits it, with shapes for arrays, and its attributes in the order in which they were made."""
    from flax import nnx

    path, _, cls = architecture.module.partition(":")
    made, parts = getattr(importlib.import_module(path), cls), []

    def build(rngs: nnx.Rngs | None) -> nnx.Module:
        module = made(architecture, rngs=rngs)
        parts.extend(vars(module))
        return module

    keyless = getattr(made, "keyless", False)
    graphdef, state = nnx.split(build(None) if keyless else nnx.eval_shape(lambda: build(nnx.Rngs(0))))
    return graphdef, state, tuple(parts)


def weights_from(rngs: nnx.Rngs | None) -> dict[str, Any]:
    """How a layer of Flax gets its weights, as arguments of its constructor.

    Args:
      rngs: keys for random ones, by its own initializers; None for shapes in place of arrays. To trace the initializers
        for their shapes takes InceptionV1 a second.
    """
    if rngs is not None:
        return {"rngs": rngs}

    import jax

    def shape(key: None, shape: tuple[int, ...], dtype: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, dtype)

    return {"rngs": _NoKeys(), "kernel_init": shape, "bias_init": shape}


class _NoKeys:
    """In place of `nnx.Rngs` where no weight is random."""

    def params(self) -> None:
        return None


@functools.lru_cache(maxsize=64)
def _tensors(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    from flax import nnx

    _, variables, parts = _abstract(architecture)
    state = nnx.to_flat_state(nnx.filter_state(variables, (nnx.Param, nnx.BatchStat)))
    # Flax sorts by path; here they come in the order in which the module made its parts, biases after kernels.
    shapes = {tuple(map(str, path)): leaf.shape for path, leaf in state}
    ordered = sorted(shapes, key=lambda path: (parts.index(path[0]), path[:-1], path[-1] == "bias"))
    return {"/".join(path): shapes[path] for path in ordered}
