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

import jax
import jax.numpy as jnp

from jaxcircuits.platforms import by_platform


@jax.custom_vjp
def redirected_relu(x: jax.Array, redirect: jax.Array) -> jax.Array:
    """ReLU of (N, ...), whose gradient may pass where it would vanish for a whole picture.

    Args:
      x: the leading axis counts pictures.
      redirect: bool (N,), one a picture; False is the ordinary gradient, of slope 1 at 0.

    The gradient is that of a loss, to be lowered: a positive one would push x lower.
    """
    return jnp.maximum(x, 0)


def _forward(x, redirect):
    return jnp.maximum(x, 0), (x, redirect)


def _backward(residuals, gradient):
    x, redirect = residuals
    otherwise = jnp.where((x >= 0) | (gradient < 0), gradient, 0)
    return _rule(lambda x, gradient: jnp.where(x >= 0, gradient, 0), x, gradient, otherwise, redirect), None


redirected_relu.defvjp(_forward, _backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def redirected(function: Callable[[jax.Array], jax.Array], x: jax.Array, redirect: jax.Array) -> jax.Array:
    """As `redirected_relu`, for any function of single numbers that is flat somewhere.

    Args:
      function: has a `name`, and `middle`, a place in its part that is not flat; values on a flat side are pushed
        toward it only.
      x: the leading axis counts pictures.
      redirect: bool (N,).
    """
    return function(x)


def _forward_any(function, x, redirect):
    y, slope = jax.jvp(function, (x,), (jnp.ones_like(x),))
    if function.name == "relu6":
        slope = ((x >= 0) & (x <= 6)).astype(x.dtype)
    return y, (x, slope, redirect)


def _backward_any(function, residuals, gradient):
    x, slope, redirect = residuals
    inward = jnp.where(x < function.middle, gradient < 0, gradient > 0)
    otherwise = jnp.where(slope != 0, slope * gradient, jnp.where(inward, gradient, 0))
    return _rule(jnp.multiply, slope, gradient, otherwise, redirect), None


redirected.defvjp(_forward_any, _backward_any)


def _rule(
    pass_on: Callable[[jax.Array, jax.Array], jax.Array],
    first: jax.Array,
    gradient: jax.Array,
    otherwise: jax.Array,
    redirect: jax.Array,
) -> jax.Array:
    """The ordinary gradient, or the other for pictures that are to be redirected and have none.

    Args:
      pass_on: (first, gradient) -> the ordinary gradient.
      first: (N, ...).
      gradient: likewise, by the function's value.
      otherwise: likewise, the other gradient.
      redirect: bool (N,).
    """

    def asked(first, gradient, redirect):
        through = pass_on(first, gradient)
        silent = ~(through != 0).any(tuple(range(1, through.ndim)), keepdims=True)
        return redirect.reshape(silent.shape) & silent

    def asked_if_need_be(first, gradient, redirect):
        nobody = jnp.zeros((len(redirect), *(1,) * (gradient.ndim - 1)), bool)
        return jax.lax.cond(redirect.any(), asked, lambda *_: nobody, first, gradient, redirect)

    # To read every gradient for the answer takes a TPU a seventh of a step by its compiler, and most steps redirect
    # nobody. So the branch is given what the gradient is made of, that the gradient itself need not be kept. On other
    # devices it is computed in both places, which is once to XLA.
    chosen = by_platform(first, gradient, redirect, tpu=asked_if_need_be, default=asked)
    return jnp.where(chosen, otherwise, pass_on(first, gradient))
