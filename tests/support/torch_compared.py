"""What a PyTorch model computes by PyTorch and by JAX, at every module."""

from __future__ import annotations

import copy

import jax
import numpy as np
import torch

from jaxcircuits.naming import read_mark
from jaxcircuits.network.adapters.torch import torch_model


def pictures(count, height, width, channels=3, seed=0):
    return np.random.default_rng(seed).normal(size=(count, channels, height, width)).astype(np.float32)


def of_torch(module, x):
    """The output of the module and, by forward hooks, of each of its submodules in its runs."""
    seen = {}

    def keep(path, output):
        values = [v for v in (output if isinstance(output, tuple) else (output,)) if isinstance(v, torch.Tensor)]
        seen.setdefault(path, []).append([v.detach().clone().numpy() for v in values])

    module = copy.deepcopy(module).eval()
    for path, part in module.named_modules():
        if path:
            part.register_forward_hook(lambda part, _, output, path=path: keep(path.replace(".", "/"), output))
    with torch.no_grad():
        output = module(torch.tensor(x))
    flat = {}
    for path, runs in seen.items():
        for run, values in enumerate(runs):
            for i, value in enumerate(values):
                name = f"{path}_{run}" if run else path
                flat[f"{name}/{i}" if len(values) > 1 else name] = value
    return output, flat


def of_jax(model, params, x):
    """The output of the model, and what it marks, by name."""
    closed, shapes = jax.make_jaxpr(model, return_shape=True)(params, x)
    marks = [(read_mark(equation)[1], equation.outvars[0]) for equation in closed.eqns if read_mark(equation)]
    outputs = len(closed.jaxpr.outvars)
    wanted = [*closed.jaxpr.outvars, *(variable for _, variable in marks)]
    paths = closed.jaxpr.debug_info._replace(result_paths=("",) * len(wanted))
    jaxpr = closed.jaxpr.replace(outvars=wanted, debug_info=paths)
    values = jax.jit(lambda *args: jax.core.eval_jaxpr(jaxpr, closed.consts, *args))(*jax.tree.leaves((params, x)))
    assert len({name for name, _ in marks}) == len(marks), "names are unique"
    output = jax.tree.unflatten(jax.tree.structure(shapes), values[:outputs])
    return output, {name: np.asarray(value) for (name, _), value in zip(marks, values[outputs:])}


def assert_close(own, theirs, name=""):
    theirs = np.asarray(theirs)
    assert own.shape == theirs.shape, name
    np.testing.assert_allclose(own, theirs, rtol=0, atol=1e-5 * max(np.abs(theirs).max(), 1e-6), err_msg=name)


def assert_same_everywhere(module, x):
    model, params = torch_model(module, x.shape[2:], x.shape[1])
    output, own = of_jax(model, params, x)
    expected, theirs = of_torch(module, x)
    assert set(own) == set(theirs)
    for name, value in theirs.items():
        assert_close(own[name], value, name)
    assert_close(output, expected)
    return model, params
