"""Redirected ReLU gradients: a way into units that a random start leaves silent.

Where a unit is 0 everywhere there is no gradient to follow, and the picture stays grey. Lucid's answer, for the first
steps only: per picture, where the whole gradient through a ReLU is zero, let it through, but do not push negative
values lower (`lucid/misc/redirected_relu_grad.py`). Lucent leaks a tenth always, which leaves artefacts.

The rule is put into any network, whatever library calls its ReLUs, by tracing it and replacing every `max(x, 0)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core


@jax.custom_vjp
def redirected_relu(x: jax.Array, redirect: jax.Array) -> jax.Array:
    """ReLU of (N, ...), whose gradient may pass where it would vanish for a whole picture.

    Args:
      x: the leading axis counts pictures.
      redirect: bool (N,), one a picture; False is the ordinary gradient.

    The gradient is that of a loss, to be lowered: a positive one would push x lower.
    """
    return jnp.maximum(x, 0)


def _forward(x, redirect):
    return jnp.maximum(x, 0), (x, redirect)


def _backward(residuals, gradient):
    x, redirect = residuals
    active = x > 0
    through = jnp.where(active, gradient, 0)
    silent = ~(through != 0).any(tuple(range(1, x.ndim)), keepdims=True)
    redirected = jnp.where(active | (gradient < 0), gradient, 0)
    return jnp.where(redirect.reshape(silent.shape) & silent, redirected, through), None


redirected_relu.defvjp(_forward, _backward)


def replace_relu(function: Callable[..., Any], relu: Callable[[jax.Array], jax.Array]) -> Callable[..., Any]:
    """The same function with `relu` in place of every ReLU, `max(x, 0)`, in it.

    Args:
      function: arrays in, arrays out (pytrees); traced once a call.
      relu: its replacement.
    """

    def replaced(*args):
        closed, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
        leaves = _evaluate(closed.jaxpr, closed.consts, jax.tree.leaves(args), relu)
        return jax.tree.unflatten(jax.tree.structure(shapes), leaves)

    return replaced


def _evaluate(jaxpr, consts, args, relu) -> list[jax.Array]:
    """Runs a jaxpr equation by equation, entering nested calls, with ReLUs replaced."""
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *args]))

    def read(atom):
        return atom.val if isinstance(atom, core.Literal) else values[atom]

    for equation in jaxpr.eqns:
        inputs = [read(atom) for atom in equation.invars]
        inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
        if _is_relu(equation):
            outputs = [relu(inputs[0])]
        elif equation.primitive.name in ("jit", "pjit", "closed_call") or _holds_relu(equation):
            outputs = _evaluate(inner.jaxpr, inner.consts, inputs, relu)
        else:
            params = equation.primitive.get_bind_params(equation.params)
            outputs = equation.primitive.bind(*inputs, **params)
            outputs = outputs if equation.primitive.multiple_results else [outputs]
        values.update(zip(equation.outvars, outputs))
    return [read(atom) for atom in jaxpr.outvars]


def _is_relu(equation) -> bool:
    """`max` with the number 0."""
    if equation.primitive.name != "max":
        return False
    bound = equation.invars[1]
    return isinstance(bound, core.Literal) and np.ndim(bound.val) == 0 and bound.val == 0


def _holds_relu(equation) -> bool:
    """`jax.nn.relu`: a function with a gradient of its own around nothing but a ReLU."""
    if equation.primitive.name != "custom_jvp_call":
        return False
    jaxpr = equation.params["call_jaxpr"].jaxpr
    while len(jaxpr.eqns) == 1 and jaxpr.eqns[0].primitive.name in ("jit", "pjit"):
        jaxpr = jaxpr.eqns[0].params["jaxpr"].jaxpr
    return len(jaxpr.eqns) == 1 and _is_relu(jaxpr.eqns[0])
