"""A model's computation as a list of operations, and the one interpreter that runs it.

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
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from jaxcircuits.naming import innermost, read_mark

INLINED = ("jit", "pjit", "closed_call", "core_call")
KEPT = ("remat2", "remat", "checkpoint", "custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr")

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
    """

    operations: tuple[Operation, ...]
    avals: tuple[Any, ...]
    constants: Mapping[int, Any]
    parameters: tuple[int, ...]
    image: int
    outputs: tuple[int | None, ...]
    output_paths: tuple[tuple[Any, ...], ...]
    marks: tuple[tuple[int, str, str], ...]

    @functools.cached_property
    def flat(self) -> tuple[Operation, ...]:
        """All operations that have no body, those inside kept calls in their place."""
        return tuple(_leaves(self.operations))

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
        return self.following([self.image])


def trace(model: Model, params: Any, x: jax.Array | jax.ShapeDtypeStruct) -> Program:
    """Traces a model; cached by the model and the shapes and types of its arguments.

    Args:
      model: see `Model`.
      params: pytree of arrays, tracers or `jax.ShapeDtypeStruct`.
      x: the network's input.

    Returns:
      The `Program`.
    """
    leaves, tree = jax.tree.flatten(params)
    avals = tuple((tuple(leaf.shape), leaf.dtype) for leaf in leaves)
    # What else a trace depends on.
    settings = (
        jax.config.jax_default_matmul_precision,
        jax.config.jax_enable_x64,
        jax.config.jax_numpy_dtype_promotion,
    )
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


def _leaves(operations: Iterable[Operation]) -> Iterator[Operation]:
    for operation in operations:
        if operation.body:
            yield from _leaves(operation.body)
        else:
            yield operation


class Exchange(NamedTuple):
    """A value's other computation.

    Attributes:
      reads: the values that it reads.
      compute: from a function that maps a value's number to its array, to the array.
    """

    reads: tuple[int, ...]
    compute: Callable[[Callable[[Any], Any]], Any]

    def __call__(self, read: Callable[[Any], Any]) -> Any:
        return self.compute(read)


class Hook(NamedTuple):
    """What becomes of a value once it is computed.

    Attributes:
      reads: other values that it needs.
      apply: from the run and the value to the value that others read.
    """

    reads: tuple[int, ...]
    apply: Callable[[Run, Any], Any]


class Run:
    """One run of a program, as far as wanted.

    Args:
      program: what to run.
      values: value -> array, what is given: the parameters, the input, a layer's other activation.
      exchange: value -> how it is computed instead.
      hooks: value -> what becomes of it.
      given: which of the values do not follow from others; all of them by default.
    """

    def __init__(
        self,
        program: Program,
        values: Mapping[int, Any],
        exchange: Mapping[int, Exchange] | None = None,
        hooks: Mapping[int, Hook] | None = None,
        given: frozenset[int] | None = None,
    ):
        self.program, self.exchange, self.hooks = program, exchange or {}, hooks or {}
        self.given = frozenset(values) if given is None else given
        self.values = dict(program.constants) | dict(values)
        self.open = {*self.hooks, *(value for hook in self.hooks.values() for value in hook.reads)}

    def read(self, atom: Any) -> Any:
        """The value of an operation's input."""
        return self.values[atom] if isinstance(atom, int) else atom.val

    def get(self, wanted: Iterable[int]) -> list[Any]:
        """The values of those numbers."""
        wanted = list(wanted)
        needed = self._needed(self.program.operations, {value for value in wanted if value not in self.values})
        self._run(self.program.operations, needed, set(wanted))
        return [self.values[value] for value in wanted]

    def _needed(self, operations: tuple[Operation, ...], open_ends: set[int]) -> set[int]:
        """The values that must be computed for `open_ends`, which become those that are read and not made here."""
        needed = set()
        for operation in reversed(operations):
            if operation.body:
                inner = self._needed(operation.body, open_ends)
                needed |= inner
                # Run whole, a call reads all of its inputs.
                reads = operation.reads if inner else ()
            elif open_ends.isdisjoint(operation.outputs):
                continue
            else:
                needed.update(open_ends.intersection(operation.outputs))
                open_ends.difference_update(operation.outputs)
                reads = self._reads(operation)
            open_ends.update(value for value in reads if value not in self.values)
        return needed

    def _reads(self, operation: Operation) -> Iterator[int]:
        # What is computed otherwise may read other values; a superset does no harm, XLA drops it.
        yield from operation.reads
        for value in operation.outputs:
            for otherwise in (self.exchange.get(value), self.hooks.get(value)):
                yield from otherwise.reads if otherwise else ()

    def _run(self, operations: tuple[Operation, ...], needed: set[int], wanted: set[int]) -> None:
        for operation in operations:
            if operation.body:
                self._call(operation, needed, wanted)
            elif not needed.isdisjoint(operation.outputs):
                self._operate(operation, needed)

    def _call(self, operation: Operation, needed: set[int], wanted: set[int]) -> None:
        """A kept call: whole, where nothing inside it is wanted, given or exchanged."""
        made = {value for leaf in _leaves(operation.body) for value in leaf.outputs}
        inner = made.difference(operation.outputs)
        if needed.isdisjoint(made):
            return
        otherwise = {v for o in operation.outputs if o in self.exchange for v in self.exchange[o].reads}
        if inner.isdisjoint(self.exchange) and inner.isdisjoint(self.open | otherwise | wanted | self.values.keys()):
            self._operate(operation, needed)
        elif operation.name.startswith("custom"):
            self._run(operation.body, needed, wanted)
        else:
            self._checkpointed(operation, needed, wanted)

    def _checkpointed(self, operation: Operation, needed: set[int], wanted: set[int]) -> None:
        """The body by itself, under a checkpoint of the same policy."""
        made = [value for leaf in _leaves(operation.body) for value in leaf.outputs if value in needed]
        keep = [value for value in made if value in wanted | self.open or value in operation.outputs]
        outside, settings = self.values, operation.params

        def body(values):
            self.values = dict(values)
            self._run(operation.body, needed, wanted)
            return [self.values[value] for value in keep]

        kept = {name: settings[name] for name in ("policy", "prevent_cse") if name in settings}
        try:
            answers = jax.checkpoint(body, **kept)(outside)
        finally:
            self.values = outside
        self.values.update(zip(keep, answers))

    def _operate(self, operation: Operation, needed: set[int]) -> None:
        for value in operation.outputs:
            if value in self.exchange and value not in self.values:
                self._set(value, self.exchange[value](self.read))
        if all(value in self.values for value in operation.outputs if value in needed):
            return
        equation = operation.equation
        inputs = [self.read(atom) for atom in operation.inputs]
        answer = equation.primitive.bind(*inputs, **equation.primitive.get_bind_params(equation.params))
        for value, made in zip(operation.outputs, answer if equation.primitive.multiple_results else [answer]):
            if value not in self.values:
                self._set(value, made)

    def _set(self, value: int, made: Any) -> None:
        hook = self.hooks.get(value)
        self.values[value] = made if hook is None else hook.apply(self, made)
