"""Running a model from one of its layers onward, whatever kind of model it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.extend.core

from jaxcircuits.errors import InputError
from jaxcircuits.zoo import INPUT


def run_from(model: Callable, source: str, target: str, params: Any, x: jax.Array, activation: jax.Array) -> jax.Array:
    """What a target layer answers when a source layer's activation is replaced.

    Args:
      model: (params, network input, layer names) -> {name: activation}.
      source: a layer, or `input`.
      target: a layer computed from it.
      params: of the model.
      x: network input (N, H, W, channels); what the target reads past the source comes from it.
      activation: of the source, of the shape it has for `x`.

    Returns:
      The target's activation.

    Raises:
      InputError: where the target does not read the source, or reads it inside a function compiled by itself, which
        hides the source.
    """
    answers, follow = run_with(model, source, (target,), params, x, activation)
    if target not in follow:
        raise InputError(f"{target} is not computed from {source}, or the model hides how; expected a layer before it")
    return answers[target]


def run_with(
    model: Callable, source: str, names: Sequence[str], params: Any, x: jax.Array, activation: jax.Array
) -> tuple[dict[str, jax.Array], set[str]]:
    """What layers answer when a source layer's activation is replaced, and which of them are computed from it.

    The model is traced, and the trace evaluated again with the source's value exchanged where it is made, so that
    everything computed from it follows.

    Args:
      model, source, params, x, activation: see `run_from`.
      names: of the layers.

    Returns:
      name -> activation, and the names of those that are computed from the source, itself included.
    """
    wanted = tuple(names) if source == INPUT else (source, *names)

    def run(params, x):
        answers = model(params, x, wanted)
        return [answers[name] for name in wanted]

    closed = jax.make_jaxpr(run)(params, x)
    jaxpr = closed.jaxpr
    start = jaxpr.invars[-1] if source == INPUT else jaxpr.outvars[0]
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
    made = dict(zip(wanted, jaxpr.outvars))
    return {name: values[made[name]] for name in names}, {name for name in names if made[name] in follows}
