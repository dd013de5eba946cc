"""Memory that is freed is kept: what the system hands out in a step, with it and without."""

import json
import os
import subprocess
import sys

import pytest

from support.data import ROOT

STEPS = """
import json, resource, sys
import jaxcircuits as jc
kept = jc.keep_memory() if sys.argv[1] == "kept" else None
import jax, jax.numpy as jnp
step = jax.jit(eval("lambda x: " + sys.argv[2]))
x = jnp.arange(2.0**21)
for _ in range(20):
    step(x).block_until_ready()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    step(x).block_until_ready()
pages = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(json.dumps([kept, pages, jax.config.values["jax_cpu_enable_async_dispatch"]]))
"""

ON_GLIBC = "glibc" in (os.confstr("CS_GNU_LIBC_VERSION") or "") if hasattr(os, "confstr") else False

TRANSFORM = ("jnp.fft.fft(x).real.sum()", 2**24)
PRODUCT = ("x.reshape(-1, 4) @ jnp.ones((4, 64))", 2**27)
"""What a step computes, and the bytes that it takes at least: fewer, and more, than the 64 MiB of a thread's heap."""


def ran(way, step=TRANSFORM[0], **told):
    """What the function said, the pages that twenty steps were handed, and whether JAX computed on another thread."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))} | told
    command = [sys.executable, "-c", STEPS, way, step]
    done = subprocess.run(command, cwd=ROOT, env=environment | {"JAX_PLATFORMS": "cpu"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.skipif(not ON_GLIBC, reason="the C library is not glibc")
@pytest.mark.parametrize(("step", "taken"), [TRANSFORM, PRODUCT], ids=["transform", "product"])
def test_kept_memory_is_not_handed_out_again(step, taken):
    (said, before, _), (kept, after, elsewhere) = ran("given back", step), ran("kept", step)
    assert said is None and before > 20 * taken / os.sysconf("SC_PAGE_SIZE")
    assert kept is True and after < before / 3 and not elsewhere


@pytest.mark.parametrize("told", [{"GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}, {"MALLOC_ARENA_MAX": "2"}])
def test_what_the_environment_says_of_memory_stands(told):
    kept, _, elsewhere = ran("kept", **told)
    assert kept is False and elsewhere
