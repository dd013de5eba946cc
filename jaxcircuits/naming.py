"""Names for what a model computes, put into its trace: adapters mark modules and their outputs, the graph reads them.

A module's equations carry its path in their name stack (`scope`), its outputs pass through an identity that carries
their name (`named`). Neither changes what the compiled program does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
from jax.ad_checkpoint import checkpoint_name

SCOPE = "module:"
LAYER = "layer:"


@contextlib.contextmanager
def scope(path: str) -> Iterator[None]:
    """What is traced within belongs to the module of that path, such as `blocks/0`; the empty path is the model."""
    with jax.named_scope(SCOPE + path):
        yield


def named(path: str, value: Any, kind: str = "") -> Any:
    """Marks an activation as a layer.

    In one's own function or module it names what has no submodule of its own:

    >>> x = named("block/relu", jnp.maximum(x, 0))

    Args:
      path: its name, such as `blocks/0/conv`.
      value: an array, or a pytree of them: several get their place added, `path/0`.
      kind: what made it, such as the module's class name.

    Returns:
      The value; use it in place of what was handed in.
    """
    leaves, tree = jax.tree.flatten(value)
    arrays = [i for i, leaf in enumerate(leaves) if isinstance(leaf, jax.Array)]
    for i in arrays:
        name = path if len(arrays) == 1 else f"{path}/{i}"
        leaves[i] = checkpoint_name(leaves[i], f"{LAYER}{kind}:{name}")
    return jax.tree.unflatten(tree, leaves)


def innermost(name_stack: Any) -> str | None:
    """The path of the innermost module in an equation's name stack; None where there is none."""
    for part in reversed(name_stack.stack):
        name = getattr(part, "name", "")
        if name.startswith(SCOPE):
            return name.removeprefix(SCOPE)
    return None


def read_mark(equation: Any) -> tuple[str, str] | None:
    """(kind, path) of an equation that `named` made; None for any other."""
    if equation.primitive.name != "name" or not equation.params["name"].startswith(LAYER):
        return None
    kind, _, path = equation.params["name"].removeprefix(LAYER).partition(":")
    return kind, path
