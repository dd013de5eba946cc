"""Which framework a model comes from, without importing any."""

from __future__ import annotations

from typing import Any

from jaxcircuits.errors import InputError

WAYS_IN = {
    "keras": ("a Keras model", "from_keras(model)"),
    "nnx": ("a Flax NNX module", "from_nnx(module)"),
    "linen": ("a Flax Linen module", "from_linen(module, variables)"),
    "equinox": ("an Equinox module", "from_equinox(module)"),
    "torch": ("a PyTorch module", "from_torch(module)"),
    "function": ("a function", "from_function(function, params)"),
}
"""Framework -> what its models are called, and the method of `Network` that takes them."""

_BASES = {
    ("keras.src.layers.layer", "Layer"): "keras",
    ("flax.nnx.module", "Module"): "nnx",
    ("flax.linen.module", "Module"): "linen",
    ("equinox._module._module", "Module"): "equinox",
    ("equinox._module", "Module"): "equinox",
    ("torch.nn.modules.module", "Module"): "torch",
}


def framework(model: Any) -> str | None:
    """The framework of a model or of a class of models, a key of `WAYS_IN`; None for what is no model.

    >>> framework(jax.nn.relu)
    'function'
    """
    cls = model if isinstance(model, type) else type(model)
    found = {_BASES.get((base.__module__, base.__name__)) for base in cls.__mro__}
    # A Keras layer is an NNX module too where Keras is told to work with NNX.
    for name in WAYS_IN:
        if name in found:
            return name
    return "function" if callable(model) and not isinstance(model, type) else None


def expect(model: Any, name: str) -> None:
    """Raises `InputError` where a model is not of the framework whose way in it came by, naming the one it needs."""
    found = framework(model)
    if found == name and not isinstance(model, type):
        return
    wanted, way_in = WAYS_IN[name]
    if found is None:
        raise InputError(f"{model!r:.80} is no model; expected {wanted}")
    what, other = WAYS_IN[found]
    if isinstance(model, type):
        raise InputError(f"{model.__name__} is a class; expected {what} made of it: {model.__name__}(...)")
    kind = getattr(model, "__name__", type(model).__name__)
    raise InputError(f"{kind} is {what}; expected {wanted}: use Network.{other}, not Network.{way_in}")
