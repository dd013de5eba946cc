"""A model's computation as a list of operations; `run` is the one interpreter that runs it.

A model is traced once for the shapes of its parameters and its input. Calls of `jit` are spelled out; `remat`,
`custom_jvp` and `custom_vjp` calls are spelled out for reading and kept for running: where nothing inside them is
wanted or exchanged they run whole, so that their own gradients and their memory stay as they were written. `scan`,
`while` and `cond` are one operation each.

Every value has a number. Whatever the library does to a model (record, replace, patch, linearize, redirect) is this
list run with some values given or exchanged; XLA drops what nothing reads.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from jaxcircuits.naming import innermost, read_mark

INLINED = ("jit", "pjit", "closed_call", "core_call")
KEPT = ("remat2", "remat", "checkpoint", "custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr")

_SETTINGS = ("jax_default_matmul_precision", "jax_enable_x64", "jax_numpy_dtype_promotion")
"""What else a trace depends on, of `jax.config`."""

Model = Callable[[Any, jax.Array], Any]
"""(parameters, network input) -> output; hashable, marks its layers while it is traced (`jaxcircuits.naming`)."""


@dataclasses.dataclass(frozen=True, eq=False)
class Operation:
    """One equation.

    Attributes:
      equation: of the jaxpr.
      inputs: numbers of values, or constants as `jax.extend.core.Literal`.
      outputs: numbers of values.
      scope: path of the innermost module that computes it.
      body: of a call that is kept: the operations inside it, in the numbers of the whole program; else empty.
    """

    equation: Any
    inputs: tuple[Any, ...]
    outputs: tuple[int, ...]
    scope: str
    body: tuple[Operation, ...] = ()

    @property
    def name(self) -> str:
        """The primitive's name."""
        return self.equation.primitive.name

    @property
    def params(self) -> dict[str, Any]:
        """The primitive's settings."""
        return self.equation.params

    @property
    def reads(self) -> tuple[int, ...]:
        """The values among its inputs."""
        return tuple(i for i in self.inputs if isinstance(i, int))

    def apply(self, *inputs: Any) -> Any:
        """What the primitive computes of these inputs: an array, or a list where it has several results."""
        primitive = self.equation.primitive
        return primitive.bind(*inputs, **primitive.get_bind_params(self.params))


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """A traced model.

    Attributes:
      operations: in an order in which they can run.
      avals: shape and dtype of every value, by number.
      constants: value -> array, what the model brought along besides its parameters.
      parameters: values of the parameters' leaves.
      image: value of the network's input.
      outputs: values of the leaves of what the model returns; None where a leaf is a plain number.
      output_paths: their names as `jax.tree_util` keys.
      marks: (value, kind, name) in the order in which they were made.
      pictured: of a loop's body, what it is given besides `image` that depends on the picture.
    """

    operations: tuple[Operation, ...]
    avals: tuple[Any, ...]
    constants: Mapping[int, Any]
    parameters: tuple[int, ...]
    image: int
    outputs: tuple[int | None, ...]
    output_paths: tuple[tuple[Any, ...], ...]
    marks: tuple[tuple[int, str, str], ...]
    pictured: tuple[int, ...] = ()

    @functools.cached_property
    def flat(self) -> tuple[Operation, ...]:
        """All operations that have no body, those inside kept calls in their place."""
        return tuple(leaves(self.operations))

    @functools.cached_property
    def made_by(self) -> Mapping[int, Operation]:
        """Value -> the operation, among the flat ones, that makes it."""
        return {value: operation for operation in self.flat for value in operation.outputs}

    @functools.cached_property
    def readers(self) -> Mapping[int, tuple[Operation, ...]]:
        """Value -> the flat operations that read it."""
        found: dict[int, list[Operation]] = {}
        for operation in self.flat:
            for value in dict.fromkeys(operation.reads):
                found.setdefault(value, []).append(operation)
        return {value: tuple(operations) for value, operations in found.items()}

    def following(self, sources: Iterable[int], given: Iterable[int] = ()) -> frozenset[int]:
        """The values that are computed from any of `sources`, themselves included, where `given` ones are not."""
        follow, given = set(sources), set(given)
        for operation in self.flat:
            if not follow.isdisjoint(operation.reads):
                follow.update(value for value in operation.outputs if value not in given)
        return frozenset(follow)

    @functools.cached_property
    def of_image(self) -> frozenset[int]:
        """The values that depend on the picture; all others follow from parameters and constants alone."""
        return self.following([self.image, *self.pictured])

    @functools.cached_property
    def of_parameters(self) -> frozenset[int]:
        """The values that depend on the parameters."""
        return self.following(self.parameters)


def signature(params: Any) -> tuple[Any, tuple[tuple[tuple[int, ...], Any], ...]]:
    """The structure of a pytree of arrays, and the shape and dtype of each: hashable, all that a trace depends on."""
    leaves, tree = jax.tree.flatten(params)
    return tree, tuple((tuple(leaf.shape), leaf.dtype) for leaf in leaves)


def trace(model: Model, params: Any, x: jax.Array | jax.ShapeDtypeStruct) -> Program:
    """Traces a model; cached by the model and the shapes and types of its arguments.

    Args:
      model: see `Model`.
      params: pytree of arrays, tracers or `jax.ShapeDtypeStruct`.
      x: the network's input.

    Returns:
      The `Program`.
    """
    tree, avals = signature(params)
    settings = tuple(getattr(jax.config, name) for name in _SETTINGS)
    return _traced(model, tree, avals, (tuple(x.shape), jnp.dtype(x.dtype)), settings)


@functools.lru_cache(maxsize=256)
def _traced(model: Model, tree: Any, avals: tuple, x: tuple, settings: tuple) -> Program:
    params = jax.tree.unflatten(tree, [jax.ShapeDtypeStruct(*aval) for aval in avals])
    # Whoever asks first may be tracing for a mesh of devices, of which the model's own trace must not speak.
    with jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((), ())):
        closed, shapes = jax.make_jaxpr(model, return_shape=True)(params, jax.ShapeDtypeStruct(*x))
    reader = _Reader()
    constants = {reader.new(var): value for var, value in zip(closed.jaxpr.constvars, closed.consts)}
    *parameters, image = (reader.new(var) for var in closed.jaxpr.invars)
    operations = tuple(reader.read(closed.jaxpr, ""))
    outputs = tuple(reader.of(atom) for atom in closed.jaxpr.outvars)
    return Program(
        operations=operations,
        avals=tuple(reader.avals),
        constants=constants | reader.constants,
        parameters=tuple(parameters),
        image=image,
        outputs=tuple(value if isinstance(value, int) else None for value in outputs),
        output_paths=tuple(path for path, _ in jax.tree_util.tree_flatten_with_path(shapes)[0]),
        marks=tuple(reader.marks),
    )


def body_program(closed: Any, pictured: Sequence[bool]) -> tuple[Program, tuple[int, ...]]:
    """What a loop or a branch runs, as a program of its own.

    Args:
      closed: its jaxpr.
      pictured: which of its inputs depend on the picture.

    Returns:
      The `Program`, whose image is the first of those, and the values of all inputs in their order.
    """
    reader = _Reader()
    constants = {reader.new(var): value for var, value in zip(closed.jaxpr.constvars, closed.consts)}
    inputs = tuple(reader.new(var) for var in closed.jaxpr.invars)
    operations = tuple(reader.read(closed.jaxpr, ""))
    outputs = tuple(
        reader.literal(atom) if isinstance(atom, core.Literal) else reader.of(atom) for atom in closed.jaxpr.outvars
    )
    image, *others = [value for value, depends in zip(inputs, pictured) if depends] or [-1]
    program = Program(
        operations=operations,
        avals=tuple(reader.avals),
        constants=constants | reader.constants,
        parameters=tuple(value for value, depends in zip(inputs, pictured) if not depends),
        image=image,
        outputs=outputs,
        output_paths=((),) * len(outputs),
        marks=tuple(reader.marks),
        pictured=tuple(others),
    )
    return program, inputs


class _Reader:
    """Numbers the values of a jaxpr and of those inside it, and spells out its calls."""

    def __init__(self):
        self.avals: list[Any] = []
        self.marks: list[tuple[int, str, str]] = []
        self.constants: dict[int, Any] = {}
        self.numbers: dict[Any, Any] = {}

    def new(self, var: Any) -> int:
        self.numbers[var] = len(self.avals)
        self.avals.append(var.aval)
        return self.numbers[var]

    def of(self, atom: Any) -> Any:
        return atom if isinstance(atom, core.Literal) else self.numbers[atom]

    def read(self, jaxpr: Any, scope: str) -> Iterator[Operation]:
        for equation in jaxpr.eqns:
            inputs = tuple(self.of(atom) for atom in equation.invars)
            within = innermost(equation.source_info.name_stack)
            within = scope if within is None else within
            mark = read_mark(equation)
            if mark and isinstance(inputs[0], int):
                self.numbers[equation.outvars[0]] = inputs[0]
                self.marks.append((inputs[0], *mark))
                continue
            name = equation.primitive.name
            inner = _inner(equation) if name in INLINED or name in KEPT else None
            if inner is None:
                outputs = tuple(self.new(var) for var in equation.outvars)
                if name == "scan":
                    self._mark_carried(equation, outputs)
                yield Operation(equation, inputs, outputs, within)
                continue
            body = tuple(self._enter(inner, inputs, within))
            made = [self.of(atom) for atom in inner.jaxpr.outvars]
            given = {i for i in inputs if isinstance(i, int)}
            if name in INLINED:
                yield from body
                for var, value in zip(equation.outvars, made):
                    self.numbers[var] = value if isinstance(value, int) else self._constant(var, value)
                continue
            # A kept call: its results are the values that its body makes. Where one is an input handed through, or a
            # constant, or twice the same, it is the body's all the same, since values do not change.
            for var, value in zip(equation.outvars, made):
                self.numbers[var] = value if isinstance(value, int) else self._constant(var, value)
            if any(not isinstance(value, int) or value in given for value in made):
                yield from body  # nothing to keep whole
            else:
                yield Operation(equation, inputs, tuple(made), within, body)

    def _enter(self, inner: Any, inputs: tuple, scope: str) -> Iterator[Operation]:
        # The same jaxpr may be called twice: its variables get new numbers with each call.
        saved = dict(self.numbers)
        for var, value in zip(inner.jaxpr.constvars, inner.consts):
            self.constants[self.new(var)] = value
        for var, value in zip(inner.jaxpr.invars, inputs):
            self.numbers[var] = value
        operations = list(self.read(inner.jaxpr, scope))
        results = [self.of(atom) for atom in inner.jaxpr.outvars]
        self.numbers = saved
        for atom, value in zip(inner.jaxpr.outvars, results):
            if not isinstance(atom, core.Literal):
                self.numbers[atom] = value
        yield from operations

    def _mark_carried(self, equation: Any, outputs: tuple[int, ...]) -> None:
        """What a scan hands from round to round and then out has the name that its body gives it: of the last round."""
        body = equation.params["jaxpr"].jaxpr
        carried = dict(zip(map(id, body.outvars[: equation.params["num_carry"]]), outputs))
        for inner in body.eqns:
            mark = read_mark(inner)
            if mark and id(inner.outvars[0]) in carried:
                self.marks.append((carried[id(inner.outvars[0])], *mark))

    def literal(self, atom: Any) -> int:
        """A number of its own for a constant."""
        self.avals.append(atom.aval)
        self.constants[len(self.avals) - 1] = np.asarray(atom.val, atom.aval.dtype)
        return len(self.avals) - 1

    def _constant(self, var: Any, literal: Any) -> int:
        number = self.new(var)
        self.constants[number] = np.asarray(literal.val, var.aval.dtype)
        return number


def _inner(equation: Any) -> Any:
    """The jaxpr that a call runs, closed."""
    for key in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        inner = equation.params.get(key)
        if inner is not None:
            return inner if hasattr(inner, "consts") else core.ClosedJaxpr(inner, ())
    return None


def leaves(operations: Iterable[Operation]) -> Iterator[Operation]:
    for operation in operations:
        if operation.body:
            yield from leaves(operation.body)
        else:
            yield operation
