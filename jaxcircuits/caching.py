"""Compiled programs are kept on disk, so that no process compiles what another has compiled before."""

from __future__ import annotations

import functools
import os

QUICK = 0.2
"""Seconds; what compiles faster is not kept."""


@functools.cache
def keep_compiled_programs() -> None:
    """Keeps the process's compiled programs in the user's cache folder, unless JAX was told of another or of none.

    JAX is told by `JAX_COMPILATION_CACHE_DIR` (an empty one: keep nothing) or by
    `jax.config.update("jax_compilation_cache_dir", ...)`, before anything is drawn or looked at. Where the user's cache
    folder cannot be written nothing is kept. Programs that JAX compiles for others in the same process are kept too.
    """
    import jax
    from platformdirs import user_cache_path

    if jax.config.values["jax_compilation_cache_dir"] or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder = user_cache_path("jaxcircuits") / "programs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if not os.access(folder, os.W_OK):
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", QUICK)
