"""Running a model from one of its layers onward, whatever kind of model it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.extend.core

from jaxcircuits.errors import InputError
from jaxcircuits.zoo import INPUT


def run_from(model: Callable, source: str, target: str, params: Any, x: jax.Array, activation: jax.Array) -> jax.Array:
    """What a target layer answers when a source layer's activation is replaced.

    The model is traced, and the trace evaluated again with the source's value exchanged where it is made, so that
    everything computed from it follows. What else the target reads comes from `x`.

    Args:
      model: (params, network input, layer names) -> {name: activation}.
      source: a layer, or `input`.
      target: a layer computed from it.
      params: of the model.
      x: network input (N, H, W, channels).
      activation: of the source, of the shape it has for `x`.

    Returns:
      The target's activation.

    Raises:
      InputError: where the target does not read the source, or reads it inside a function compiled by itself, which
        hides the source.
    """
    names = (target,) if source == INPUT else (source, target)

    def run(params, x):
        answers = model(params, x, names)
        return [answers[name] for name in names]

    closed = jax.make_jaxpr(run)(params, x)
    jaxpr = closed.jaxpr
    start, end = jaxpr.invars[-1] if source == INPUT else jaxpr.outvars[0], jaxpr.outvars[-1]
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*closed.consts, *jax.tree.leaves(params), x]))
    values[start] = activation
    follows = {start}  # what is computed from the source
    for equation in jaxpr.eqns:
        inputs = [v.val if isinstance(v, jax.extend.core.Literal) else values[v] for v in equation.invars]
        settings = equation.primitive.get_bind_params(equation.params)
        answer = equation.primitive.bind(*inputs, **settings)
        for variable, value in zip(equation.outvars, answer if equation.primitive.multiple_results else [answer]):
            values.setdefault(variable, value)  # the source keeps what it was given
        if any(v in follows for v in equation.invars if not isinstance(v, jax.extend.core.Literal)):
            follows.update(equation.outvars)
    if end not in follows:
        raise InputError(f"{target} is not computed from {source}, or the model hides how; expected a layer before it")
    return values[end]
