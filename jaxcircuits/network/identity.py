"""One hash of a network: the same in its weights file, in the plan of a drawing and in each picture's metadata."""

from __future__ import annotations

import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.files import fingerprint
from jaxcircuits.network.forward import Forward


def identity(forward: Forward, params: Any) -> str:
    """SHA-256 of a network's parameters, by `files.fingerprint`; linearized and edited networks have their own.

    Args:
      forward: of the network: whether it is linearized, and where it is edited.
      params: its parameters, and those of its edits.

    Returns:
      64 hexadecimal digits.
    """
    leaves = jax.tree_util.tree_leaves_with_path(params)
    plain = fingerprint({"/".join(map(_name, path)): _values(leaf) for path, leaf in leaves})
    if not (forward.linear or forward.patches):
        return plain
    made = [f"linear {forward.linear}", *(f"{type(p).__name__} {_where(p)}" for p in forward.patches)]
    return hashlib.sha256("\n".join([plain, *made]).encode()).hexdigest()


def _name(key: Any) -> str:
    return str(getattr(key, "key", getattr(key, "idx", getattr(key, "name", key))))


def _values(leaf: Any) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf)


def _where(patch: Any) -> tuple[Any, ...]:
    return (patch.layer, getattr(patch, "sources", ()), getattr(patch, "kernels", ()), getattr(patch, "reads", ()))
