"""PyTorch models: their graphs, read by `torch.export`, evaluated in JAX by a table of operations.

Weights stay as PyTorch lays them out, activations channels first. A graph holds for pictures of one height and width
and any number of them; the first picture of another size costs reading the model again, some seconds.
"""

from __future__ import annotations

import copy
import dataclasses
import threading
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import fx, nn
from torch._ops import OpOverload
from torch.fx.node import map_aggregate
from torch.utils import _pytree as pytree

from jaxcircuits.errors import InputError
from jaxcircuits.naming import scope
from jaxcircuits.network.adapters.causes import failure
from jaxcircuits.network.adapters.frameworks import expect
from jaxcircuits.network.adapters.torch_export import Exported, export, first_line, is_plain, module_of, run
from jaxcircuits.network.adapters.torch_operations import OPERATIONS
from jaxcircuits.zoo import InputConvention

__all__ = ["OPERATIONS", "TorchModel", "torch_model"]

_READING = threading.Lock()
"""`torch.export` changes PyTorch's state while it runs, and hooks the module."""

_NOT_ARRAYS = ("device", "layout", "pin_memory", "memory_format", "non_blocking")


@dataclasses.dataclass(frozen=True, eq=False)
class TorchModel:
    """A PyTorch module as a function of JAX arrays; equal to itself only.

    Attributes:
      module: a copy in evaluation mode, which nothing changes.
      size: the pictures' native height and width.
      channels: of the pictures.
      graphs: what has been read of it: by height and width, and by number of pictures too where that matters.
    """

    module: nn.Module
    size: tuple[int, int]
    channels: int
    graphs: dict[tuple[int, ...], Exported] = dataclasses.field(default_factory=dict, repr=False)

    def __call__(self, params: Mapping[str, jax.Array], x: jax.Array) -> Any:
        """What the module returns for pictures (N, C, H, W), its submodules' outputs named.

        Raises:
          InputError: where the module does not take pictures of this size.
        """
        with jax.numpy_dtype_promotion("standard"):
            return _evaluate(self.graph(*x.shape[:1], *x.shape[2:]), params, x)

    def graph(self, batch: int, height: int, width: int) -> Exported:
        """The graph for such pictures, read when first asked for.

        Raises:
          InputError: where the module does not take pictures of this size.
        """
        with _READING:
            for key in ((height, width), (batch, height, width)):
                if key in self.graphs:
                    return self.graphs[key]
            # Several pictures, so that no axis of one cell is taken for the pictures'.
            shape = (max(batch, 2), self.channels, height, width)
            try:
                run(self.module, shape)
            except Exception as error:
                raise self._refused(error, shape) from error
            graph = export(self.module, shape)
            if graph.batch not in (None, batch):
                graph = export(self.module, (batch, *shape[1:]))
            self.graphs[(height, width) if graph.batch is None else (batch, height, width)] = graph
            return graph

    def _refused(self, error: Exception, shape: tuple[int, ...]) -> InputError:
        """What to say where the module does not take pictures."""
        if shape[2:] == self.size:
            # The likely remedies are tried on the module itself.
            convention = InputConvention(size=self.size, channels=self.channels, layout="CHW")
            return failure(error, lambda _, x: (run(self.module, x.shape), x)[1], {}, convention)
        own, native = (f"{height} x {width}" for height, width in (shape[2:], self.size))
        taken = f"{type(self.module).__name__} does not take pictures of {own}"
        return InputError(f"{taken} ({type(error).__name__}: {first_line(error)}); its native size is {native}")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "graphs": {}}


def torch_model(module: nn.Module, size: tuple[int, int], channels: int = 3) -> tuple[TorchModel, dict[str, jax.Array]]:
    """A PyTorch module as a pure function of its weights and of pictures, channels first.

    The module is copied, in evaluation mode and in float32 on the CPU, so that later training does not reach what was
    taken here; the copy's weights and JAX's arrays share their memory where they can.

    Args:
      module: takes one tensor (N, channels, H, W). Compiled and data-parallel ones are unwrapped.
      size: native height and width of its pictures.
      channels: of its pictures.

    Returns:
      The model, and its parameters and buffers by their paths, such as `blocks/0/conv/weight`.

    Raises:
      InputError: for what is no module, does not take such pictures, or cannot be read; an operation that is not in
        `OPERATIONS` is named with its module's path.
    """
    expect(module, "torch")
    wrappers = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    while isinstance(module, wrappers) or hasattr(module, "_orig_mod"):
        module = module.get_submodule("module" if isinstance(module, wrappers) else "_orig_mod")
    # What a module has computed and kept, such as a normalized weight, cannot be copied as it is.
    kept = [v for part in module.modules() for v in vars(part).values() if isinstance(v, torch.Tensor)]
    try:
        module = copy.deepcopy(module, {id(value): value.detach().clone() for value in kept if not value.is_leaf})
        module = module.eval().to("cpu", torch.float32).requires_grad_(False)
    except Exception as error:
        raise InputError(f"{type(module).__name__} cannot be copied: {first_line(error)}") from error
    height, width = size
    model = TorchModel(module, (height, width), channels)
    model.graph(2, *model.size)
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return model, {name.replace(".", "/"): jnp.asarray(value.numpy()) for name, value in tensors.items()}


def _evaluate(exported: Exported, params: Mapping[str, jax.Array], x: jax.Array) -> Any:
    values: dict[fx.Node, Any] = {}
    for node in exported.graph.nodes:
        if node.op == "placeholder":
            kind, name = exported.placeholders[node.name]
            match kind:
                case "picture":
                    values[node] = x
                case "parameter":
                    values[node] = params[name]
                case "constant":
                    values[node] = _constant(exported.constants[name], x.dtype)
        elif node.op == "call_function":
            with scope(module_of(node)):
                values[node] = _computed(node, values, x.dtype)
        elif node.op == "output":
            returned = [values.get(leaf, leaf) for leaf in node.args[0]]
            return _plain(pytree.tree_unflatten([returned[i] for i in exported.outputs], exported.structure))
    raise AssertionError("a graph ends with its output")


def _computed(node: fx.Node, values: dict[fx.Node, Any], float_type: np.dtype) -> Any:
    def given(argument: Any) -> Any:
        if isinstance(argument, fx.Node):
            return values[argument]
        return _type(argument, float_type) if isinstance(argument, torch.dtype) else argument

    args = map_aggregate(node.args, given)
    kwargs: dict[str, Any] = {k: map_aggregate(v, given) for k, v in node.kwargs.items() if k not in _NOT_ARRAYS}
    if is_plain(node.target):
        return node.target(*args, **kwargs)
    made = node.meta.get("val")
    takes = [argument.name for argument in node.target._schema.arguments] if isinstance(node.target, OpOverload) else []
    if isinstance(made, torch.Tensor) and "dtype" in takes:
        kwargs["dtype"] = _type(made.dtype, float_type)
    return OPERATIONS[str(node.target)](*args, **kwargs)


def _type(dtype: torch.dtype, float_type: np.dtype) -> np.dtype:
    """JAX's type for PyTorch's; what is float32 there is of the pictures' type here."""
    if dtype == torch.float32:
        return float_type
    return jax.dtypes.canonicalize_dtype(str(dtype).removeprefix("torch."))


def _constant(value: torch.Tensor, float_type: np.dtype) -> np.ndarray:
    return value.detach().cpu().numpy().astype(_type(value.dtype, float_type))


def _plain(output: Any) -> Any:
    """Mappings as dicts and records as tuples or dicts of their fields, which JAX knows."""
    if isinstance(output, Mapping):
        return {key: _plain(value) for key, value in output.items()}
    if dataclasses.is_dataclass(output):
        return {field.name: _plain(getattr(output, field.name)) for field in dataclasses.fields(output)}
    fields = getattr(output, "_asdict", None)
    if isinstance(output, tuple) and fields is not None:
        return _plain(fields())
    return type(output)(map(_plain, output)) if isinstance(output, list | tuple) else output
