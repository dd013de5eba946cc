"""Redirected gradients: a way into units that a random start leaves silent.

Where a unit is 0 everywhere there is no gradient to follow, and the picture stays gray. Lucid's answer, for its steps 0
to 16: per picture, where the whole gradient through an activation function is zero, let it through, but do not push
values further into the flat side (`lucid/misc/redirected_relu_grad.py`, for ReLU and ReLU6). As there, the edges of
their flat sides are not flat, at any step: the gradient passes where x is 0, or 6. Lucent leaks a tenth always, which
leaves artifacts.

The rule is put into any network, however it writes its activation functions (`rules.redirections`), inside `scan` and
`cond` too. Through `while` JAX has no gradient.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from jaxcircuits.platforms import on_tpu


@jax.custom_vjp
def redirected_relu(x: jax.Array, redirect: jax.Array | None) -> jax.Array:
    """ReLU of (N, ...), whose gradient may pass where it would vanish for a whole picture.

    Args:
      x: the leading axis counts pictures.
      redirect: bool (N,), one a picture; False is the ordinary gradient, of slope 1 at 0. None for False everywhere,
        where nothing is asked.

    The gradient is that of a loss, to be lowered: a positive one would push x lower.
    """
    return jnp.maximum(x, 0)


def _forward(x, redirect):
    return jnp.maximum(x, 0), (x, redirect)


def _backward(residuals, gradient):
    x, redirect = residuals
    if on_tpu():
        # Else its compiler packs the answers of `x >= 0` into bits, each in a loop of its own: a twentieth of a step.
        x = jax.lax.optimization_barrier(x)
    through = jnp.where(x >= 0, gradient, 0)
    if redirect is None:
        return through, None
    otherwise = jnp.where((x >= 0) | (gradient < 0), gradient, 0)
    return _silent_or(through, otherwise, redirect), None


redirected_relu.defvjp(_forward, _backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def redirected(function: Callable[[jax.Array], jax.Array], x: jax.Array, redirect: jax.Array | None) -> jax.Array:
    """As `redirected_relu`, for any function of single numbers that is flat somewhere.

    Args:
      function: has a `name`, and `middle`, a place in its part that is not flat; values on a flat side are pushed
        toward it only.
      x: the leading axis counts pictures.
      redirect: bool (N,), or None.
    """
    return function(x)


def _forward_any(function, x, redirect):
    y, slope = jax.jvp(function, (x,), (jnp.ones_like(x),))
    if function.name == "relu6":
        slope = ((x >= 0) & (x <= 6)).astype(x.dtype)
    return y, (x, slope, redirect)


def _backward_any(function, residuals, gradient):
    x, slope, redirect = residuals
    through = slope * gradient
    if redirect is None:
        return through, None
    inward = jnp.where(x < function.middle, gradient < 0, gradient > 0)
    otherwise = jnp.where(slope != 0, through, jnp.where(inward, gradient, 0))
    return _silent_or(through, otherwise, redirect), None


redirected.defvjp(_forward_any, _backward_any)


def _silent_or(through: jax.Array, otherwise: jax.Array, redirect: jax.Array) -> jax.Array:
    """The ordinary gradient `through` (N, ...), or the other for pictures that are to be redirected and have none."""
    silent = ~(through != 0).any(tuple(range(1, through.ndim)), keepdims=True)
    return jnp.where(redirect.reshape(silent.shape) & silent, otherwise, through)


def repeated(redirect: jax.Array | Literal[False] | None, times: int) -> jax.Array | Literal[False] | None:
    """Whom to redirect, see `Forward`, where each picture is there `times` times, one after the other."""
    return redirect if redirect is None or redirect is False else jnp.repeat(redirect, times)
