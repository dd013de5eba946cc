"""The graph of a model, read off its jaxpr: named nodes, what each does, and how they are wired.

A submodule's output has its path as name. What a module computes between its submodules has the path of the innermost
module that computes it and the operation's name: `blocks/0/relu`, `blocks/0/relu_1`, `blocks/0/add`; at the top `relu`,
`max_pool`. What follows from parameters alone is no node. Reading InceptionV1's graph takes about a second.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import jax.numpy as jnp

from jaxcircuits.network.axes import Axes
from jaxcircuits.network.kinds import Kind, kinds, leaf_scopes, resizes
from jaxcircuits.network.loops import Body
from jaxcircuits.network.trace import Operation, Program

INPUT = "input"
"""The name of the network's input, in its own value range, in place of a layer's."""

OFFERED = ("convolution", "dense", "activation", "pool", "normalization", "affine", "add", "multiply", "concatenate")
"""Kinds of nodes that are layers where no submodule names them."""
IN_LEAVES = ("convolution", "dense", "activation", "pool", "add", "concatenate")
"""Likewise inside a module without submodules, which is one node to its user."""
OFFERED_OPS = ("softmax", "scan", "while", "cond")
"""Operations that are layers wherever they are: patterns of attention, and what a loop or a branch hands out. What is
computed inside loops and branches is no layer."""


@dataclasses.dataclass(frozen=True)
class Layer:
    """One named activation and how it came about.

    Attributes:
      name: such as `blocks/0/relu`.
      op: what makes it: a module's class name, or an operation such as `relu`, `add`, `max_pool`.
      kind: `convolution`, `dense`, `activation`, `pool`, `normalization`, `affine` (such as batch normalization in
        evaluation), `add`, `multiply`, `concatenate`, `reshape` or `opaque`.
      inputs: names of the layers that it is computed from, or `input`.
      channels: size of the last axis.
      shape: of one picture's activation at the native size, (h, w, channels) or (channels,).
      groups: of a convolution.
      window: height and width of the window of a convolution or pool, in cells of its input; (1, 1) of all others.
      strides: of that window.
    """

    name: str
    op: str
    kind: str
    inputs: tuple[str, ...]
    channels: int
    shape: tuple[int, ...]
    groups: int = 1
    window: tuple[int, ...] = (1, 1)
    strides: tuple[int, ...] = (1, 1)


class Graph:
    """What a model computes.

    Attributes:
      program: the model traced at its native size.
      axes: value -> its axes.
      loops: what is inside `scan` and `cond`, see `jaxcircuits.network.loops`.
      layers: name -> `Layer`, in order from the image.
      value: name -> the number of its value in the program.
      output: names of what the model returns.
    """

    def __init__(self, program: Program, axes: Mapping[int, Axes], loops: Mapping[int, tuple[Body, ...]]):
        self.program, self.axes, self.loops = program, axes, loops
        self.kinds: Mapping[int, Kind] = kinds(program, axes)
        named, ops, self.output = _names(program, self.kinds, axes)
        self.value: Mapping[str, int] = MappingProxyType(named)
        self._first: dict[int, str] = {program.image: INPUT}
        for name, value in named.items():
            self._first.setdefault(value, name)
        self.layers: Mapping[str, Layer] = MappingProxyType({name: self._layer(name, ops.get(name)) for name in named})

    def __repr__(self) -> str:
        return f"Graph({len(self.layers)} layers: {', '.join(itertools.islice(self.layers, 4))} ...)"

    def _layer(self, name: str, op: str | None) -> Layer:
        value = self.value[name]
        kind = self.kinds.get(value, Kind("opaque", "opaque"))
        shape = self.axes[value].shape(self.program.avals[value].shape)
        return Layer(
            name,
            op or kind.op,
            kind.kind,
            tuple(self._read(value)),
            shape[-1],
            shape,
            kind.groups,
            kind.window,
            kind.strides,
        )

    def _read(self, value: int) -> Iterable[str]:
        """The nearest named values that a value is computed from, in the order in which it reads them."""
        found: dict[str, None] = {}
        pending, seen = [value], {value}
        while pending:
            operation = self.program.made_by.get(pending.pop())
            for before in operation.reads if operation else ():
                if before in seen or before not in self.program.of_image:
                    continue
                seen.add(before)
                if before in self._first:
                    found[self._first[before]] = None
                else:
                    pending.append(before)
        return found

    def first_name(self, name: str) -> str:
        """The first of the names that a layer's value has: a block's output is also that of its last part."""
        return name if name == INPUT or self.value[name] == self.program.image else self._first[self.value[name]]

    def needed(self, names: Iterable[str]) -> tuple[str, ...]:
        """The layers that must be computed for `names`, themselves included, by their first names, in order."""
        wanted, pending = set(), [self.first_name(name) for name in names if name != INPUT]
        while pending:
            name = pending.pop()
            if name not in wanted:
                wanted.add(name)
                pending.extend(before for before in self.layers[name].inputs if before != INPUT)
        return tuple(name for name in self.layers if name in wanted)

    def follows(self, source: str, target: str) -> bool:
        """Whether a layer is computed from another, or from `input`."""
        source, target = self.first_name(source), self.first_name(target)
        return source != target and (source == INPUT or source in self.needed([target]))

    def is_softmax(self, name: str) -> bool:
        """Whether a layer's channels are shares of one, by a softmax."""
        return self.layers[name].op == "softmax"

    def convolution(self, name: str) -> Operation | None:
        """The convolution or dense layer whose answer, bias included, a layer is; None where it is none."""
        value = self.value[name]
        if name not in self.layers or self.layers[name].kind not in ("convolution", "dense"):
            return None
        operation = self.program.made_by[value]
        while operation.name not in ("conv_general_dilated", "dot_general"):
            (value,) = (before for before in operation.reads if before in self.program.of_image)
            operation = self.program.made_by[value]
        return operation

    def weights_place(self, operation: Operation) -> int:
        """Which input of a convolution or dense layer its kernel is."""
        first = operation.inputs[0]
        return 1 if isinstance(first, int) and first in self.program.of_image else 0

    @functools.cached_property
    def trunk(self) -> tuple[str, ...]:
        """The layers that every path from the image to the output passes, in order from the image."""
        return tuple(name for name, value in self.value.items() if value in self._passed)

    @functools.cached_property
    def stages(self) -> tuple[str, ...]:
        """What people mean by "the layers": of the trunk one for each stretch without weights, its features.

        That is the last activation, concatenation or sum before the next weights; where there is none, the last
        convolution, dense layer or affine map. Pools and normalizations belong to the stretch before them. The model's
        output, and what only follows from it, is none; a model without weights has none at all.
        """
        if not any(self._weights_before.values()):
            return ()
        stretches: dict[int, list[str]] = {}
        for name in dict.fromkeys(map(self.first_name, self.trunk)):
            stretches.setdefault(self._weights_before[self.value[name]], []).append(name)
        found = []
        for stretch in stretches.values():
            for wanted in (("activation", "concatenate", "add"), ("convolution", "dense", "affine")):
                units = [name for name in stretch if self.layers[name].kind in wanted]
                if units:
                    found.append(units[-1])
                    break
        if all(len(self.layers[name].shape) > 1 for name in self.output):
            return tuple(found)
        last = max((self._weights_before[self.value[name]] for name in self.output), default=0)
        return tuple(name for name in found if self._weights_before[self.value[name]] < last)

    @functools.cached_property
    def _weights_before(self) -> Mapping[int, int]:
        """Value -> how many convolutions and dense layers it is computed by."""
        program = self.program
        before: dict[int, frozenset[int]] = {program.image: frozenset()}
        for operation in program.flat:
            read = [before[value] for value in operation.reads if value in before]
            if read:
                weighted = operation.name in ("conv_general_dilated", "dot_general")
                weighted = weighted and not self._is_product(operation) and not resizes(program, operation, self.axes)
                own = frozenset(operation.outputs) if weighted else frozenset()
                before.update(dict.fromkeys(operation.outputs, own.union(*read)))
        return {value: len(weights) for value, weights in before.items()}

    def _is_product(self, operation: Operation) -> bool:
        return all(isinstance(atom, int) and atom in self.program.of_image for atom in operation.inputs)

    @functools.cached_property
    def features(self) -> tuple[str, ...]:
        """What a later convolution, dense layer, sum or loop reads after an activation function, in order."""
        found: set[str] = set()
        for layer in self.layers.values():
            if layer.kind in ("convolution", "dense", "add", "opaque"):
                pending = list(layer.inputs)
                while pending:
                    before = pending.pop()
                    if before == INPUT or before in found:
                        continue
                    made = self.layers[before]
                    if made.kind == "activation" or (
                        made.kind == "concatenate"
                        and any(self.layers[i].kind == "activation" for i in made.inputs if i != INPUT)
                    ):
                        found.add(before)
                    elif made.kind in ("pool", "normalization", "reshape", "concatenate"):
                        pending.extend(made.inputs)
        return tuple(name for name in self.layers if name in found)

    @functools.cached_property
    def _passed(self) -> frozenset[int]:
        """The values that every path from the image to the last output passes."""
        program = self.program
        ends = [value for value in program.outputs if value is not None and value in program.of_image]
        if not ends:
            return frozenset()
        wanted, steps = {ends[-1]}, []
        for operation in reversed(program.flat):
            if not wanted.isdisjoint(operation.outputs):
                steps.append(operation)
                wanted.update(value for value in operation.reads if value in program.of_image)
        place = {program.image: 0}
        spans = []
        for i, operation in enumerate(reversed(steps), 1):
            place.update((value, i) for value in operation.outputs)
            spans += [(place[value], i) for value in operation.reads if value in place and value in program.of_image]
        # How many connections lead past each place: begin after their source, end before their reader.
        past = [0] * (len(steps) + 2)
        for first, last in spans:
            past[first + 1] += 1
            past[last] -= 1
        open_at = list(itertools.accumulate(past))
        return frozenset(value for value, i in place.items() if value in wanted and not open_at[i])


def _names(program: Program, kinds: Mapping[int, Kind], axes: Mapping[int, Axes]):
    """Name -> value in order from the image, name -> what made it, and the names of what the model returns."""
    place = {value: i for i, operation in enumerate(program.flat) for value in operation.outputs}
    taken: dict[str, int] = {}
    ops: dict[str, str] = {}

    def take(name: str, value: int) -> str:
        unique = name
        for i in itertools.count(1):
            if taken.get(unique, value) == value:
                break
            unique = f"{name}_{i}"
        taken[unique] = value
        return unique

    def shown(value: int) -> bool:
        return value in axes and jnp.issubdtype(program.avals[value].dtype, jnp.floating)

    marks = [(value, kind, name) for value, kind, name in program.marks if shown(value) and value in program.of_image]
    for value, kind, name in marks:
        op = kind or (kinds[value].op if value in kinds else "")
        ops[take(name, value)] = op
    # Names that the model gives its results come before those that operations have of themselves.
    returned = []
    for path, value in zip(program.output_paths, program.outputs):
        if value is not None and shown(value):
            parts = [str(getattr(key, "key", getattr(key, "idx", getattr(key, "name", key)))) for key in path]
            name = "/".join(parts) or "output"
            returned.append(take(name, value))
    marked = {*(value for value, *_ in program.marks), *program.outputs}
    leaves = leaf_scopes(program)
    for value, kind in kinds.items():
        operation = program.made_by[value]
        offered = IN_LEAVES if operation.scope in leaves else OFFERED
        if value not in marked and shown(value) and (kind.kind in offered or kind.op in OFFERED_OPS):
            take(f"{operation.scope}/{kind.op}" if operation.scope else kind.op, value)
    order = sorted(taken, key=lambda name: (place.get(taken[name], -1), name in returned))
    return {name: taken[name] for name in order}, ops, tuple(returned)
