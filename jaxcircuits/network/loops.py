"""What is inside `scan` and `cond`: programs of their own, whose values may be computed otherwise too.

A loop's body is read as a program that gets what the loop hands it. Rounds may not exchange anything with the outside
but by that, so its values have no names; but what holds of any program, such as where its activation functions are,
holds of it. `while` has no gradient in JAX, and is left as it is.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from jaxcircuits.network.axes import Axes, find_axes
from jaxcircuits.network.run import Exchange, Run
from jaxcircuits.network.trace import Operation, Program, body_program


@dataclasses.dataclass(frozen=True, eq=False)
class Body:
    """What is run in a round of a loop, or by a branch.

    Attributes:
      inputs: values of the program that are given: constants, what is carried, what is looped over.
      axes: of its values.
      loops: those inside it, see `loops`.
    """

    inputs: tuple[int, ...]
    axes: Mapping[int, Axes]
    loops: Mapping[int, tuple[Body, ...]]


def loops(two: Program, three: Program) -> dict[int, tuple[Body, ...]]:
    """Place of an operation among a program's flat ones -> its bodies, for `scan` and `cond`.

    Args:
      two, three: a program traced with two and with three pictures.
    """
    found = {}
    for i, (one, other) in enumerate(zip(two.flat, three.flat)):
        if one.name in ("scan", "cond") and one.name == other.name and not two.of_image.isdisjoint(one.reads):
            programs = zip(bodies(one, pictured(one, two)), bodies(other, pictured(other, three)))
            found[i] = tuple(_body(*pair) for pair in programs)
    return found


@functools.lru_cache(maxsize=512)
def bodies(operation: Operation, of_image: tuple[bool, ...]) -> tuple[tuple[Program, tuple[int, ...]], ...]:
    """The programs inside a loop or a branch, and the values of each that are given.

    Args:
      operation: a `scan` or `cond`.
      of_image: which of its inputs depend on the picture.
    """
    if operation.name == "cond":
        return tuple(body_program(branch, of_image[1:]) for branch in operation.params["branches"])
    inner, first, count = (operation.params[key] for key in ("jaxpr", "num_consts", "num_carry"))
    while True:  # what is carried depends on the picture where some round makes it do so
        program, inputs = body_program(inner, of_image)
        carried = [value in program.of_image for value in program.outputs[:count]]
        joined = [old or new for old, new in zip(of_image[first : first + count], carried)]
        further = (*of_image[:first], *joined, *of_image[first + count :])
        if further == of_image:
            return ((program, inputs),)
        of_image = further


def exchanged(operation: Operation, programs: Sequence[Any], exchanges: Sequence[Mapping[int, Exchange]]) -> Exchange:
    """A loop or a branch, some values inside which are computed otherwise.

    Args:
      operation: a `scan` or `cond`.
      programs: its bodies, see `bodies`.
      exchanges: for each body, value -> how it is computed instead.

    Returns:
      The `Exchange` for all of its outputs, whose `compute` gives them as a list.
    """

    def runner(program, inputs, exchange):
        def run(*arguments):
            return Run(program, dict(zip(inputs, arguments)), exchange).get(program.outputs)

        return run

    runs = [runner(program, inputs, exchange) for (program, inputs), exchange in zip(programs, exchanges)]
    params = operation.params

    def compute(read):
        arguments = [read(atom) for atom in operation.inputs]
        if operation.name == "cond":
            return jax.lax.switch(arguments[0], runs, *arguments[1:])
        first, count = params["num_consts"], params["num_carry"]
        fixed, carried, rounds = (
            arguments[:first],
            arguments[first : first + count],
            arguments[first + count :],
        )

        def body(carry, one):
            made = runs[0](*fixed, *carry, *one)
            return made[:count], made[count:]

        settings = {key: params[key] for key in ("length", "reverse", "unroll")}
        last, stacked = jax.lax.scan(body, carried, rounds, **settings)
        return [*last, *stacked]

    return Exchange(operation.reads, compute)


def pictured(operation: Operation, program: Program) -> tuple[bool, ...]:
    """Which of an operation's inputs depend on the picture."""
    return tuple(isinstance(atom, int) and atom in program.of_image for atom in operation.inputs)


def _body(two: tuple[Program, tuple[int, ...]], three: tuple[Program, tuple[int, ...]]) -> Body:
    (small, inputs), (large, _) = two, three
    if small.image < 0:  # a branch that reads nothing of the picture
        return Body(inputs, {}, {})
    rank = len(small.avals[small.image].shape)
    return Body(inputs, find_axes(small, large, rank - 1), loops(small, large))
