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
step = jax.jit(lambda x: jnp.fft.fft(x).real.sum())
x = jnp.arange(2.0**21)
for _ in range(20):
    step(x).block_until_ready()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    step(x).block_until_ready()
print(json.dumps([kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before]))
"""

ON_GLIBC = "glibc" in (os.confstr("CS_GNU_LIBC_VERSION") or "") if hasattr(os, "confstr") else False


def ran(way, **told):
    """What the function said, and the pages that twenty steps were handed."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))} | told
    command = [sys.executable, "-c", STEPS, way]
    done = subprocess.run(command, cwd=ROOT, env=environment | {"JAX_PLATFORMS": "cpu"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.skipif(not ON_GLIBC, reason="the C library is not glibc")
def test_kept_memory_is_not_handed_out_again():
    (said, before), (kept, after) = ran("given back"), ran("kept")
    # A step takes at least the 16 MiB of the transform, 4096 pages; a block of more than 64 MB would not be kept.
    assert said is None and before > 20 * 4096
    assert kept is True and after < before / 3


@pytest.mark.parametrize("told", [{"GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}, {"MALLOC_ARENA_MAX": "2"}])
def test_what_the_environment_says_of_memory_stands(told):
    assert ran("kept", **told)[0] is False
