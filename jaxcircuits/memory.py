"""Memory that is freed is kept for the next step, in place of being given back and zeroed anew, page by page."""

from __future__ import annotations

import ctypes
import os

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_LARGEST_INT = 2**31 - 1


def keep_memory() -> bool:
    """Makes this process keep the memory that it frees: on CPUs, drawing many pictures at once gets faster.

    A step takes some hundred megabytes and frees them. The GNU C library gives such large blocks back to the system at
    once, which zeroes every page of them when the next step asks for as much: a sixth of a step's time
    (`benchmarks/kept_memory.py`). Kept memory costs that the process holds, to its end, the most that it ever needed.

    The `jaxcircuits` command does this by itself. In a script or a notebook call it first, before JAX computes
    anything: threads that run already have pools of memory of their own. It is a setting of the whole process. JAX then
    computes on CPUs in the thread that calls it (its `jax_cpu_enable_async_dispatch` is off): only the main thread can
    keep blocks of more than 64 MB, as a step of 8 pictures wants.

    Returns:
      Whether memory is kept. It is not where the C library is another than glibc, or does not take the settings; and
      where the environment sets `GLIBC_TUNABLES` or a `MALLOC_` variable of glibc, which are left to say what is done.
    """
    told = any(name == "GLIBC_TUNABLES" or name.startswith("MALLOC_") for name in os.environ)
    if told or not _on_glibc():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # No block is a mapping of its own, and none at a heap's end is given back. Threads keep heaps of their own: in one
    # for all they wait for each other, and search among what compiling left there.
    if not all(mallopt(*setting) for setting in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _LARGEST_INT))):
        return False
    import jax

    # A heap of a thread ends at 64 MB, and what is larger is mapped and unmapped whatever is set. The main one grows.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    return True


def _on_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, OSError, ValueError):  # no such function, or no such name: another C library
        return False
