"""Files are written under a temporary name and renamed: nothing half-written is left under a final name.

Tensors have one fingerprint, in weights files as in what is made with them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from jaxcircuits.errors import InputError


@contextlib.contextmanager
def replacing(path: Path, folders: bool = True) -> Iterator[Path]:
    """A temporary name beside `path`: renamed to it when the block ends well, removed when it does not.

    Args:
      path: of the file.
      folders: make the folders above it where they are missing.

    Raises:
      InputError: where the folder cannot be made or written to.
    """
    # Not the process's number alone: on a shared folder, processes of two machines may have the same.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        if folders:
            path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def fingerprint(tensors: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over the names, shapes and values of tensors, whatever file they came from.

    Args:
      tensors: name -> array; floats of any precision count by their float32 values.

    Returns:
      64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        values = tensors[name]
        digest.update(f"{name} {values.shape}\n".encode())
        whole = np.issubdtype(values.dtype, np.integer) or values.dtype == bool
        digest.update(np.ascontiguousarray(values, None if whole else "<f4").data)
    return digest.hexdigest()
