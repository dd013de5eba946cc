"""What adapters put into a model's trace, read without the library's own graph."""

import jax
import jax.extend.core
import jax.numpy as jnp
import numpy as np

from jaxcircuits.naming import innermost, read_mark

X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 8, 8, 3)), jnp.float32)
ENTERED = ("jit", "pjit", "closed_call", "remat2", "checkpoint")


def marked(model, params, x=X):
    """What the model returns, and name -> values of what is marked in its trace, in the order of computation."""
    closed, shape = jax.make_jaxpr(model, return_shape=True)(params, x)
    seen = {}

    def run(jaxpr, consts, args):
        values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *args)))
        read = lambda var: var.val if hasattr(var, "val") else values[var]  # noqa: E731
        for eqn in jaxpr.eqns:
            operands = [read(var) for var in eqn.invars]
            if eqn.primitive.name in ENTERED:
                inner = eqn.params["jaxpr"]
                results = run(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), operands)
            else:
                results = eqn.primitive.bind(*operands, **eqn.primitive.get_bind_params(eqn.params))
                results = results if eqn.primitive.multiple_results else [results]
            if mark := read_mark(eqn):
                seen.setdefault(mark[1], []).append(results[0])
            values.update(zip(eqn.outvars, results))
        return [read(var) for var in jaxpr.outvars]

    leaves = run(closed.jaxpr, closed.consts, jax.tree.leaves((params, x)))
    return jax.tree.unflatten(jax.tree.structure(shape), leaves), seen


def scopes(model, params, x=X):
    """Name of the operation -> the modules whose own equations have it, over the whole trace."""
    found = {}

    def walk(jaxpr, outer):
        for eqn in jaxpr.eqns:
            path = innermost(eqn.source_info.name_stack)
            path = outer if path is None else path
            found.setdefault(eqn.primitive.name, set()).add(path)
            for inner in jax.extend.core.jaxprs_in_params(eqn.params):
                walk(inner, path)

    walk(jax.make_jaxpr(model)(params, x).jaxpr, None)
    return found


def same(value, expected):
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-5)
