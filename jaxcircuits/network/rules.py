"""Values of a program that are computed otherwise: the linearized network, redirected gradients."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax

from jaxcircuits.network import loops
from jaxcircuits.network.axes import Axes
from jaxcircuits.network.loops import Body
from jaxcircuits.network.normalization import normalizations, softmaxes
from jaxcircuits.network.pointwise import Pointwise, functions
from jaxcircuits.network.pools import is_plain, slices, windows
from jaxcircuits.network.redirect import redirected, redirected_relu
from jaxcircuits.network.run import Exchange
from jaxcircuits.network.trace import Operation, Program

_LINEAR = (
    "add", "add_any", "sub", "neg", "mul", "div", "convert_element_type", "copy", "reduce_precision", "stop_gradient",
    "reshape", "transpose", "broadcast_in_dim", "squeeze", "expand_dims", "slice", "pad", "rev", "concatenate", "split",
    "reduce_sum", "reduce_window_sum", "cumsum", "dot_general", "conv_general_dilated", "gather", "dynamic_slice",
    "select_n", "real",
)  # fmt: skip


@functools.lru_cache(maxsize=256)
def linear(program: Program) -> dict[int, Exchange]:
    """The linearized network.

    Activation functions as their slope (identity where they do not grow like a line), max-pools as the mean of their
    window, normalizations that depend on the picture left out; affine maps stay.
    """
    exchange = {}
    for value, function in functions(program).items():
        exchange[value] = Exchange((function.input,), functools.partial(_scaled, function, program.avals[value].dtype))
    found = normalizations(program)
    for values, number in ((found.gains, 1), (found.means, 0)):
        for value in values:
            aval = program.avals[value]
            exchange[value] = Exchange(
                (), lambda read, aval=aval, number=number: jnp.full(aval.shape, number, aval.dtype)
            )
    inside = softmaxes(program).inside  # the largest that they take off keeps their exponentials in range
    for operation in program.flat:
        if operation.name == "reduce_window_max":
            exchange[operation.outputs[0]] = _of(operation, _mean)
        elif (
            operation.name == "reduce_max"
            and program.of_image.intersection(operation.reads)
            and operation.outputs[0] not in inside
        ):
            exchange[operation.outputs[0]] = _of(operation, lambda op, x: x.mean(op.params["axes"]))
    return exchange


def not_linear(program: Program, source: int, target: int) -> Operation | None:
    """An operation between two values that the linearized network still has and that is not linear; None for none."""
    exchange = linear(program)
    follows, bends = {source}, {}
    for operation in program.flat:
        for value in operation.outputs:
            reads = exchange[value].reads if value in exchange else operation.reads
            read = [v for v in reads if v in follows]
            if not read:
                continue
            follows.add(value)
            before = next((bends[v] for v in read if v in bends), None)
            if before or (value not in exchange and not _is_linear(operation, follows)):
                bends[value] = before or operation
    return bends.get(target)


def redirections(
    program: Program,
    axes: Mapping[int, Axes],
    inside: Mapping[int, tuple[Body, ...]],
    redirect: jax.Array | Literal[False],
) -> dict[int, Exchange]:
    """Activation functions with a flat side, with redirected gradients; see `redirect`.

    Args:
      program: the model, or what a loop in it runs.
      axes: of its values.
      inside: what its loops and branches run, see `loops`.
      redirect: bool (N,), one a picture; False for none of them, known beforehand.
    """
    exchange = {}
    for place, parts in inside.items():
        operation = program.flat[place]
        programs = loops.bodies(operation, loops.pictured(operation, program))
        exchanges = [redirections(own, part.axes, part.loops, redirect) for (own, _), part in zip(programs, parts)]
        if any(exchanges):
            made = _once(loops.exchanged(operation, programs, exchanges))
            exchange |= {value: made(i) for i, value in enumerate(operation.outputs)}
    for value, function in functions(program).items():
        if function.flat and function.constants is not None and function.input in axes:
            of = axes[function.input]
            compute = functools.partial(_redirected, function, of, redirect)
            exchange[value] = Exchange((function.input,), compute)
    return exchange


def _once(exchange: Exchange):
    """Of an operation with several outputs, each by its number; it is run once for all of them."""
    made = []

    def output(i: int) -> Exchange:
        def compute(read):
            if not made:
                made.extend(exchange.compute(read))
            return made[i]

        return Exchange(exchange.reads, compute)

    return output


def _redirected(function: Pointwise, axes: Axes, redirect: jax.Array | Literal[False], read) -> jax.Array:
    x = read(function.input)
    if redirect is False:
        return _apply_redirected(function, x, None)
    if axes.pictures or axes.cells > 1:
        shape = x.shape
        moved = jnp.moveaxis(x, axes.pictures, 0)
        y = _apply_redirected(function, moved.reshape(len(redirect), -1), redirect)
        return jnp.moveaxis(y.reshape(moved.shape), 0, axes.pictures).reshape(shape)
    return _apply_redirected(function, x, redirect)


def _apply_redirected(function: Pointwise, x: jax.Array, redirect: jax.Array | None) -> jax.Array:
    return redirected_relu(x, redirect) if function.name == "relu" else redirected(function, x, redirect)


def _scaled(function: Pointwise, dtype, read) -> jax.Array:
    x = read(function.input).astype(dtype)
    return x if function.slope == 1 else x * jnp.asarray(function.slope, dtype)


def _of(operation: Operation, compute) -> Exchange:
    return Exchange(operation.reads, lambda read: compute(operation, read(operation.inputs[0])))


def _mean(operation: Operation, x: jax.Array) -> jax.Array:
    """The mean of each window over the cells that lie inside the map, as TensorFlow counts them."""
    if not is_plain(operation):
        keys = ("window_dimensions", "window_strides", "padding", "base_dilation", "window_dilation")
        settings = [operation.params[key] for key in keys]
        total, count = (lax.reduce_window(a, 0.0, lax.add, *settings) for a in (x, jnp.ones_like(x)))
        return total / count
    for window in windows(operation):
        ones = jnp.ones([n if axis == window[0] else 1 for axis, n in enumerate(x.shape)], x.dtype)
        x = _total(slices(x, 0, window)) / _total(slices(ones, 0, window))
    return x


def _total(parts: list[jax.Array]) -> jax.Array:
    return functools.reduce(lax.add, parts)


def _is_linear(operation: Operation, follows: set[int]) -> bool:
    read = [atom in follows if isinstance(atom, int) else False for atom in operation.inputs]
    match operation.name:
        case "mul" | "dot_general" | "conv_general_dilated":
            return sum(read) == 1
        case "div":
            return not read[1]
        case "select_n" | "gather" | "dynamic_slice":
            return not (read[0] if operation.name == "select_n" else any(read[1:]))
    return operation.name in _LINEAR
