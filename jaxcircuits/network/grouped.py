"""Convolutions in groups, written so that a CPU is not slow at them.

XLA's CPU backend computes grouped convolutions by plain loops. Depthwise ones as sums of shifted slices and others as
dense ones over a few groups each say the same, to float rounding. Measured with their gradients (JAX 0.10, two cores,
processor time, 4 pictures): depthwise 3 x 3 over 96 channels and 56 x 56 cells 57 -> 3 ms, with stride 2 106 -> 2 ms;
5 x 5 with stride 2 218 -> 10 ms; 7 x 7 over 28 x 28 cells 39 -> 9 ms; 3 x 3 in 32 groups over 128 channels and 28 x 28
cells 20 -> 5 ms, in 4 groups over 16 channels and 35 x 35 cells 6.5 -> 1.5 ms.
"""

from __future__ import annotations

import functools
import itertools

import jax
import jax.numpy as jnp
from jax import lax

from jaxcircuits.network.run import Exchange
from jaxcircuits.network.trace import Operation, Program

LARGEST_WINDOW = 64
"""Cells of the largest window whose depthwise convolution is written as shifted slices."""
BLOCK = 32
"""Channels that are convolved together; the zeros of a dense kernel cost nothing beside what a call costs."""
MOST_BLOCKS = 64
"""Convolutions that one in groups becomes; beyond that it stays, since each has to be compiled."""


@functools.lru_cache(maxsize=256)
def grouped_convolutions(program: Program) -> dict[int, Exchange]:
    """The convolutions in groups of a program, each computed otherwise; none where JAX does not run on a CPU."""
    if jax.default_backend() != "cpu":
        return {}
    found = {}
    for operation in program.flat:
        if operation.name == "conv_general_dilated" and _is_plain(operation):
            compute = functools.partial(_computed, operation)
            found[operation.outputs[0]] = Exchange(operation.reads, compute)
    return found


def _is_plain(operation: Operation) -> bool:
    params = operation.params
    axes = params["dimension_numbers"]
    return (
        params["feature_group_count"] > 1
        and params["batch_group_count"] == 1
        and all(gap == 1 for gap in params["lhs_dilation"])
        and axes.lhs_spec == axes.out_spec
    )


def _computed(operation: Operation, read) -> jax.Array:
    x, kernel = (read(atom) for atom in operation.inputs)
    params = operation.params
    out, into, *window = (kernel.shape[axis] for axis in params["dimension_numbers"].rhs_spec)
    groups = params["feature_group_count"]
    if into == 1 and out == groups and functools.reduce(int.__mul__, window, 1) <= LARGEST_WINDOW:
        return depthwise(x, kernel, params)
    together = max(n for n in range(1, groups + 1) if groups % n == 0 and n <= max(BLOCK // into, 1))
    if groups // together > MOST_BLOCKS:
        return lax.conv_general_dilated_p.bind(x, kernel, **params)
    return in_blocks(x, kernel, together, params)


def depthwise(x: jax.Array, kernel: jax.Array, params: dict) -> jax.Array:
    """A convolution of each channel by itself, as a sum over the window's cells.

    Args:
      x: the input.
      kernel: one window for each channel.
      params: of `conv_general_dilated`; its dimension numbers say how both are laid out.

    Returns:
      What the convolution returns.
    """
    axes = params["dimension_numbers"]
    positions = axes.lhs_spec[2:]
    weights = jnp.transpose(kernel, (*axes.rhs_spec[2:], axes.rhs_spec[1], axes.rhs_spec[0]))[..., 0, :]
    window, strides, dilations = weights.shape[:-1], params["window_strides"], params["rhs_dilation"]
    pads = dict(zip(positions, params["padding"]))
    x = lax.pad(x, jnp.zeros((), x.dtype), [(*pads.get(axis, (0, 0)), 0) for axis in range(x.ndim)])
    wide = jnp.promote_types(x.dtype, jnp.float32)  # in which XLA adds up too
    by_channel = [-1 if axis == axes.lhs_spec[1] else 1 for axis in range(x.ndim)]

    def term(cell: tuple[int, ...]) -> jax.Array:
        start, stop, step = [0] * x.ndim, list(x.shape), [1] * x.ndim
        for axis, place, size, stride, dilation in zip(positions, cell, window, strides, dilations):
            last = (x.shape[axis] - dilation * (size - 1) - 1) // stride * stride
            start[axis], step[axis] = place * dilation, stride
            stop[axis] = start[axis] + last + 1
        return lax.slice(x, start, stop, step).astype(wide) * weights[cell].reshape(by_channel).astype(wide)

    return functools.reduce(lax.add, map(term, itertools.product(*map(range, window)))).astype(x.dtype)


def in_blocks(x: jax.Array, kernel: jax.Array, together: int, params: dict) -> jax.Array:
    """A convolution in groups as several dense ones, each of some groups, by a kernel that is zero between them.

    Args:
      x: the input.
      kernel: of the convolution in groups.
      together: groups of each dense one.
      params: of `conv_general_dilated`.

    Returns:
      What the convolution in groups returns.
    """
    axes = params["dimension_numbers"]
    blocks = params["feature_group_count"] // together
    kernel = jnp.transpose(kernel, axes.rhs_spec)
    out, into, *window = kernel.shape
    each = out // blocks // together
    settings = dict(params, feature_group_count=1, dimension_numbers=axes._replace(rhs_spec=tuple(range(kernel.ndim))))
    own = jnp.arange(together)
    answers = []
    for part, weights in zip(jnp.split(x, blocks, axes.lhs_spec[1]), jnp.split(kernel, blocks)):
        dense = jnp.zeros((together, each, together, into, *window), kernel.dtype)
        dense = dense.at[own, :, own].set(weights.reshape(together, each, into, *window))
        dense = dense.reshape(together * each, together * into, *window)
        answers.append(lax.conv_general_dilated_p.bind(part, dense, **settings))
    return jnp.concatenate(answers, axes.out_spec[1])
