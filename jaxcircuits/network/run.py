"""The one interpreter of programs: values given, computed otherwise, changed once they are computed, and handed out.

Calls of `remat`, `custom_jvp` and `custom_vjp` inside which nothing of that happens run whole. Otherwise a checkpointed
call runs spelled out under a checkpoint of the same policy, and one with a gradient of its own by those of its steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import jax

from jaxcircuits.network.trace import Operation, Program, leaves


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
        made = {value for leaf in leaves(operation.body) for value in leaf.outputs}
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
        made = [value for leaf in leaves(operation.body) for value in leaf.outputs if value in needed]
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
        answer = operation.apply(*map(self.read, operation.inputs))
        several = operation.equation.primitive.multiple_results
        for value, made in zip(operation.outputs, answer if several else [answer]):
            if value not in self.values:
                self._set(value, made)

    def _set(self, value: int, made: Any) -> None:
        hook = self.hooks.get(value)
        self.values[value] = made if hook is None else hook.apply(self, made)
