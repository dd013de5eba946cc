"""A PyTorch module's graph, by `torch.export`: its operations in order, what they read, and its modules' outputs.

The module runs once, on stand-ins for its tensors; hooks put a mark into the graph where a submodule returns, so that
every submodule's output is known exactly, those of dropout and of modules called twice included. Operations that
`OPERATIONS` has are kept whole; PyTorch takes the others apart.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeGuard

import torch
from torch import nn
from torch._decomp import get_decompositions
from torch._ops import OperatorBase, OpOverload
from torch.export.graph_signature import InputKind, OutputKind
from torch.utils import _pytree as pytree

from jaxcircuits.errors import InputError
from jaxcircuits.network.adapters.torch_operations import OPERATIONS

_LIBRARY = torch.library.Library("jaxcircuits", "DEF")
_LIBRARY.define("mark(Tensor value, str path, str kind) -> Tensor")
_LIBRARY.impl("mark", lambda value, path, kind: value.clone(memory_format=torch.contiguous_format), "CPU")
_LIBRARY.impl("mark", lambda value, path, kind: value.new_empty(value.shape), "Meta")


@dataclasses.dataclass(frozen=True, eq=False)
class Exported:
    """A module's graph for pictures of one height and width.

    Attributes:
      graph: the operations, in order.
      placeholders: what each of the graph's inputs is: ("parameter", its name), ("constant", its name) or
        ("picture", "").
      constants: tensors that the module made while it ran, by name.
      outputs: which of the graph's outputs are the module's.
      structure: how they are put together.
      batch: the only number of pictures that the graph holds for; None where any does.
    """

    graph: torch.fx.Graph
    placeholders: dict[str, tuple[str, str]]
    constants: dict[str, Any]
    outputs: tuple[int, ...]
    structure: pytree.TreeSpec
    batch: int | None


def run(module: nn.Module, shape: tuple[int, ...]) -> Any:
    """What the module itself returns for noise of a shape; an error names the innermost submodule it comes from."""
    # Counters and the like that a run changes are changed in copies.
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    try:
        with torch.no_grad():
            return torch.func.functional_call(module, buffers, (_noise(shape),))
    except Exception as error:
        paths = {id(part): path.replace(".", "/") for path, part in module.named_modules()}
        callers = [id(frame.f_locals.get("self")) for frame, _ in traceback.walk_tb(error.__traceback__)]
        vars(error)["module_path"] = next((paths[caller] for caller in reversed(callers) if caller in paths), "")
        raise


def export(module: nn.Module, shape: tuple[int, ...]) -> Exported:
    """Reads a module's graph.

    Args:
      module: in evaluation mode, in float32, on the CPU.
      shape: of pictures (N, C, H, W) that it takes; if it allows, the graph holds for any number of them.

    Returns:
      The graph.

    Raises:
      InputError: where PyTorch cannot read the module, or an operation is missing.
    """
    name = type(module).__name__
    expected = run(module, shape)
    for only_fresh in (False, True):
        try:
            program = _program(module, _noise(shape), only_fresh)
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"torch.export cannot read {name}: {first_line(error)}") from error
        # A mark stands for a copy, which tells where a module hands its input through and changes it in place later.
        if _equal(run(program.module(), shape), expected):
            return _exported(program, _one_name_each(module))
    raise InputError(
        f"torch.export reads {name} as something else than it computes; "
        "does it change in place what it or a submodule holds, or draw random numbers?"
    )


def _noise(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def _program(module: nn.Module, pictures: torch.Tensor, only_fresh: bool) -> torch.export.ExportedProgram:
    read = torch.export.export
    with _marked(module, only_fresh), _plainly(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            program = read(module, (pictures,), dynamic_shapes=({0: torch.export.Dim.AUTO},), strict=False)
        except Exception:
            program = read(module, (pictures,), strict=False)
        kept = torch.export.default_decompositions()
        for operation in [one for one in kept if isinstance(one, OpOverload) and str(one) in OPERATIONS]:
            # A view stays PyTorch's to take apart, which knows what a later change in place reaches.
            if not any(made.alias_info for made in operation._schema.returns):
                del kept[operation]
        program = program.run_decompositions(kept)
        # What else PyTorch can take apart is, where the table has all its parts.
        for operation in dict(_missing(program)):
            kept.update(get_decompositions([operation]))
            smaller = program.run_decompositions(kept) if operation in kept else program
            if dict(_missing(smaller)).keys() < dict(_missing(program)).keys():
                program = smaller
            else:
                kept.pop(operation, None)
    missing = {str(operation): path for operation, path in reversed(_missing(program))}
    if missing:
        listed = ", ".join(f"{operation} (in {path or 'the model itself'})" for operation, path in missing.items())
        raise InputError(
            f"{type(module).__name__} has operations that are not known: {listed}; one adds one by "
            f"jaxcircuits.network.adapters.torch.OPERATIONS[{next(iter(missing))!r}] = a function of JAX arrays"
        )
    return program


def _missing(program: torch.export.ExportedProgram) -> list[tuple[Any, str]]:
    """The operations that are not in the table, in order, with their modules' paths."""
    called = [node for node in program.graph.nodes if node.op == "call_function"]
    return [(n.target, module_of(n)) for n in called if not is_plain(n.target) and str(n.target) not in OPERATIONS]


def is_plain(target: Any) -> TypeGuard[Callable[..., Any]]:
    """Whether a graph's function is Python's own, which computes with sizes and takes tuples apart."""
    return not isinstance(target, OperatorBase)


def module_of(node: torch.fx.Node) -> str:
    """The path of the innermost module that runs an operation; empty for the model's own."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    path = stack[-1][0] if stack else ""
    return "" if path.startswith("_empty_nn_module_stack") else path.split("@")[0].replace(".", "/")


@contextlib.contextmanager
def _marked(module: nn.Module, only_fresh: bool) -> Iterator[None]:
    """While this holds, every submodule marks what it returns.

    A module that runs several times has as many outputs: `relu`, `relu_1`, and so on.

    Args:
      module: the model.
      only_fresh: leaves out modules that return what they were handed, or a view of it.
    """
    paths = {path.replace(".", "/"): part for path, part in module.named_modules() if path}
    names = collections.Counter(paths)

    def next_name(path: str, seen: collections.Counter) -> str:
        number = seen[path]
        seen[path] += 1
        name = f"{path}_{number}" if number else path
        return next_name(path, seen) if number and name in names else name

    seen: collections.Counter = collections.Counter()

    def mark(path: str, part: nn.Module, given: Any, output: Any) -> Any:
        leaves, structure = pytree.tree_flatten(output)
        arrays = [i for i, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]
        handed = {leaf.untyped_storage()._cdata for leaf in pytree.tree_leaves(given) if isinstance(leaf, torch.Tensor)}
        name = next_name(path, seen)
        for place, i in enumerate(arrays):
            value = leaves[i]
            if not value.is_floating_point() or (only_fresh and value.untyped_storage()._cdata in handed):
                continue
            own = name if len(arrays) == 1 else f"{name}/{place}"
            leaves[i] = torch.ops.jaxcircuits.mark(value, own, type(part).__name__)
        return pytree.tree_unflatten(leaves, structure)

    def hook(path: str) -> Any:
        return lambda part, given, options, output: mark(path, part, (given, options), output)

    handles = [part.register_forward_hook(hook(path), with_kwargs=True) for path, part in paths.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def _plainly() -> Iterator[None]:
    """Transformer layers as their modules compute them, not fused; einsums not ordered by the number of pictures."""
    fused, ordered = torch.backends.mha.get_fastpath_enabled(), torch.backends.opt_einsum.enabled
    torch.backends.mha.set_fastpath_enabled(False)
    torch.backends.opt_einsum.enabled = False
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        torch.backends.opt_einsum.enabled = ordered


def _one_name_each(module: nn.Module) -> dict[str, str]:
    """For each path of a parameter or buffer, the first path of the same one: models share weights."""
    first: dict[int, str] = {}
    listings = (module.named_parameters(remove_duplicate=False), module.named_buffers(remove_duplicate=False))
    return {name: first.setdefault(id(tensor), name) for name, tensor in itertools.chain(*listings)}


def _exported(program: torch.export.ExportedProgram, names: dict[str, str]) -> Exported:
    signature, structure = program.graph_signature, program.call_spec.out_spec
    if structure is None:
        raise AssertionError("an exported program says how its outputs are put together")
    kinds = {InputKind.PARAMETER: "parameter", InputKind.BUFFER: "parameter", InputKind.USER_INPUT: "picture"}
    placeholders = {}
    for spec in signature.input_specs:
        target = spec.target or ""
        name = names.get(target, target).replace(".", "/")
        placeholders[spec.arg.name] = (kinds.get(spec.kind, "constant"), name)
    pictures = next(node for node in program.graph.nodes if placeholders.get(node.name, ("",))[0] == "picture")
    batch = pictures.meta["val"].shape[0]
    # A symbol that PyTorch has found to stand for one number only is one number.
    batch = batch.node.maybe_as_int() if isinstance(batch, torch.SymInt) else batch
    return Exported(
        program.graph,
        placeholders,
        {name.replace(".", "/"): value for name, value in program.constants.items() if isinstance(value, torch.Tensor)},
        tuple(i for i, spec in enumerate(signature.output_specs) if spec.kind == OutputKind.USER_OUTPUT),
        structure,
        batch,
    )


def _equal(first: Any, second: Any) -> bool:
    """Whether two outputs agree as far as float32 lets them."""
    pairs = zip(pytree.tree_leaves(first), pytree.tree_leaves(second), strict=True)
    for a, b in pairs:
        if isinstance(a, torch.Tensor) and a.is_floating_point():
            scale = b[b.isfinite()].abs().max() if b.isfinite().any() else 1.0
            if not torch.allclose(a, b, rtol=0, atol=1e-3 * float(scale) + 1e-30, equal_nan=True):
                return False
    return True


def first_line(error: Exception) -> str:
    """What PyTorch said, or the kind of error where it said nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
